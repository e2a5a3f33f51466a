"""`ollama.embed`: `/api/embed`, and `/api/embeddings` of old.

{"model": "…", "input": "…" | ["…", …]}   →  {"model": "…", "embeddings": [[0.1, …]], "prompt_eval_count": 8, …}
{"model": "…", "prompt": "…"}             →  {"embedding": [0.1, …]}            and not a word of usage or model
"""

from __future__ import annotations

from typing import Any

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.ollama.response import OllamaAccount
from extproc.codecs.ollama.shared import OllamaCodec, read_options
from extproc.framing import tolerant_json
from extproc.framing.tolerant_json import utf8_size
from extproc.model import Call, Conversation, Message, Part, RequestFacts
from extproc.shape import Fields, as_list, as_object, invalid, unknown_part

_KNOWN_KEYS = frozenset({"model", "input", "prompt", "truncate", "dimensions", "options", "keep_alive"})


class OllamaEmbed(OllamaCodec):
    api = "ollama.embed"
    operation: str | None = "embeddings"
    path_ends = ("/api/embed", "/api/embeddings")

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        body = Fields(document)
        body.refuse_lookalikes(_KNOWN_KEYS)
        asked = body.raw("input")
        texts = [body.text("prompt")] if asked is None else [asked] if type(asked) is str else list(body.texts("input"))
        if texts == [None]:
            raise invalid("input", "a string or a list of strings")
        _, _, parameters = read_options(body)
        if (dimensions := body.integer("dimensions")) is not None:
            parameters["dimensions"] = dimensions
        return RequestFacts(
            model=body.text("model"),
            message_count=len(texts),
            text_bytes=sum(utf8_size(text or "") for text in texts),
            parameters=parameters,
        )

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        account = OllamaAccount(status=status)
        return AccountingDecoder(account, status=status, request=request, metering=Metering.NO_OUTPUT)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        """What was given to read; the vectors stay in the stored body."""
        del call, response_body
        request = as_object(tolerant_json.loads_or_none(request_body))
        asked = request.get("prompt") if request.get("input") is None else request.get("input")
        texts = as_list(asked) if type(asked) is list else [] if asked is None else [asked]
        messages = tuple(
            Message("user", (Part("text", text) if type(text) is str else unknown_part(text),)) for text in texts
        )
        return Conversation(messages=messages, request_message_count=len(messages))
