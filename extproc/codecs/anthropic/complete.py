"""`anthropic.complete`: the Text Completions API, Claude's first (Anthropic API reference, "Create a Text Completion").

    {"type": "completion", "id": "compl_1", "completion": " Hello!", "stop_reason": "stop_sequence", "model": "…"}

Streams have these as events named `completion`, each with a piece of the text; the last says the reason. It never tells
how many tokens were used.
"""

from __future__ import annotations

from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.answer import AnswerAccount
from extproc.codec import ResponseDecoder
from extproc.codecs.anthropic.anthropic_codec import AnthropicCodec
from extproc.dialects.anthropic_messages.errors import read_error
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import NO_USAGE, Call, Conversation, Message, Part, RequestFacts, Usage
from extproc.shape import Fields, as_name, as_object, as_text, invalid

_KNOWN_KEYS = frozenset(
    """max_tokens_to_sample metadata model prompt stop_sequences stream temperature top_k top_p""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)


class AnthropicComplete(AnthropicCodec):
    api = "anthropic.complete"
    operation: str | None = "text_completion"

    def matches(self, call: Call) -> bool:
        """Under any prefix."""
        return call.method == "POST" and call.path.endswith("/v1/complete")

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        body = Fields(document)
        body.refuse_lookalikes(_KNOWN_KEYS)
        if (prompt := body.text("prompt")) is None:
            raise invalid("prompt", "a string")
        numbers = {key: number for key in ("top_k", "top_p") if (number := body.number(key)) is not None}
        return RequestFacts(
            model=body.text("model"),
            stream=body.flag("stream"),
            max_output_tokens=body.integer("max_tokens_to_sample"),
            temperature=body.number("temperature"),
            message_count=1,
            text_bytes=utf8_size(prompt),
            parameters=dict(numbers),
        )

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        return AccountingDecoder(_CompletionAccount(status=status), status=status, request=request)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        prompt = as_text(as_object(tolerant_json.loads_prefix_or_none(request_body)).get("prompt"))
        asked = (Message("user", (Part("text", prompt),)),) if prompt else ()
        reader = ResponseBody()
        said = "".join(as_text(as_object(spoken).get("completion")) for spoken, _ in reader.documents(response_body))
        return Conversation(
            messages=(*asked, Message("assistant", (Part("text", said),))) if said else asked,
            request_message_count=len(asked),
            response_text=said or None,
            warnings=("truncated",) if reader.is_cut else (),
        )


class _CompletionAccount(AnswerAccount):
    """An `extproc.accounting.Account`."""

    def take_event(self, event: StreamEvent) -> None:
        body = as_object(tolerant_json.loads(event.data))
        if event.type == b"error":
            self._error = read_error(body)
            return
        self.take_document(body)
        self.terminal = bool(self._finish_reason)

    def take_document(self, document: Any) -> None:
        body = as_object(document)
        if body.get("type") == "error" or body.get("error") or not self._succeeded:
            self._error = read_error(body)
            return
        self._model = as_name(body.get("model")) or self._model
        self._id = as_name(body.get("id")) or self._id
        self._finish_reason = as_name(body.get("stop_reason")) or self._finish_reason
        self._text_bytes += utf8_size(as_text(body.get("completion")))

    def _said(self) -> Usage:
        return NO_USAGE  # it never tells any
