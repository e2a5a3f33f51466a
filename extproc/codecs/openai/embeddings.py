"""`openai.embeddings`: embeddings as OpenAI defined them, and as Azure, Mistral, Voyage, Jina and vLLM speak them."""

from __future__ import annotations

from typing import Any

from extproc.codecs.openai.input_messages import input_messages
from extproc.codecs.openai.inputs import Inputs
from extproc.codecs.openai.result_codec import ResultCodec
from extproc.dialects.openai_chat.conversation import read_conversation
from extproc.dialects.openai_chat.request import read_request
from extproc.framing import tolerant_json
from extproc.model import Call, Conversation, Message, RequestFacts
from extproc.shape import Fields, as_object, invalid
from extproc.steering import Steering

_PATH_ENDS = ("/embeddings", "/multimodalembeddings", "/contextualizedembeddings")
_OLLAMA_PATH_END = "/api/embeddings"
"""Ollama's own api of old, with `prompt`: see `codecs.ollama`."""

_KNOWN_KEYS = frozenset(
    """dimensions embedding_type encoding_format input input_type inputs messages model output_dimension output_dtype
    task truncate truncate_prompt_tokens truncation user""".split()  # noqa: SIM905 (a text reads better than a list)
)
_STEERING = Steering(
    """dimensions embedding_type encoding_format input_type late_chunking normalized output_dimension output_dtype
    task truncate truncate_prompt_tokens truncation"""
)


class OpenAiEmbeddings(ResultCodec):
    api = "openai.embeddings"
    operation: str | None = "embeddings"

    def matches(self, call: Call) -> bool:
        """Under any prefix: `/v1`, `/openai/deployments/X`, `/models`; Voyage's three kinds."""
        return call.method == "POST" and call.path.endswith(_PATH_ENDS) and not call.path.endswith(_OLLAMA_PATH_END)

    def read(self, document: Any, call: Call) -> RequestFacts:
        del call
        body = Fields(document)
        body.refuse_lookalikes(_KNOWN_KEYS)
        key = next((key for key in ("input", "inputs") if body.raw(key) is not None), None)
        if key is None:
            if body.raw("messages") is not None:  # vLLM: a conversation to embed, with images in it
                return read_request(document)
            raise invalid("input", "a string or a list")
        inputs = Inputs()
        inputs.read(body, key)
        return RequestFacts(
            model=body.text("model"),
            message_count=inputs.count,
            text_bytes=inputs.text_bytes,
            uninspected_parts=tuple(inputs.parts),
            parameters=_STEERING.of(body.members),
        )

    def messages(self, document: dict[str, Any]) -> tuple[Message, ...]:
        asked = document.get("input")
        return input_messages(document.get("inputs") if asked is None else asked)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        request = as_object(tolerant_json.loads_or_none(request_body))
        if "messages" in request and request.get("input") is None:
            return read_conversation(request_body, None)
        return super().conversation(call, request_body, response_body)
