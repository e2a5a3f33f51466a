"""`openai.responses`: the Responses API, as OpenAI, Azure, Bedrock, DeepSeek, OpenRouter and xAI speak it.

`POST …/responses` and `…/responses/compact` make one, `GET …/responses/{id}` shows one that was made before. What only
steers or lists them (`…/cancel`, `…/input_items`, DELETE) runs no model and is opaque.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from extproc.codec import ResponseDecoder
from extproc.codecs.openai.deployments import model_in_path
from extproc.codecs.openai.family import OpenAiCodec
from extproc.codecs.openai.responses.conversation import read_conversation
from extproc.codecs.openai.responses.decoder import ResponsesDecoder
from extproc.codecs.openai.responses.request import looks_like_responses, read_request
from extproc.dialects.openai_chat.errors import error_reply
from extproc.model import Call, Conversation, RequestFacts

_MADE = re.compile(r".*/responses(?:/compact)?")
_SHOWN = re.compile(r".*/responses/[^/]+")


class OpenAiResponses(OpenAiCodec):
    api = "openai.responses"
    operation: str | None = "chat"

    def matches(self, call: Call) -> bool:
        """Under any prefix: `/v1`, `/api/v1`, `/openai/v1`, Azure's `/openai`, none (DeepSeek)."""
        if call.method == "POST":
            return _MADE.fullmatch(call.path) is not None
        return call.method == "GET" and _SHOWN.fullmatch(call.path) is not None

    def recognises(self, document: Any, call: Call) -> bool:
        return looks_like_responses(document, call)

    def request(self, document: Any, call: Call) -> RequestFacts:
        return read_request(document, named=model_in_path(call.path))

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del content_type  # the bytes tell
        return ResponsesDecoder(status=status, request=request, is_asked_again=call.method == "GET")

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        """The api's own `error` event; the SDKs raise for its `error` member, others read the members at the top."""
        del call
        told = orjson.loads(
            error_reply(status=status, code=code, message=message, exchange_id=exchange_id).body,
        )
        event = {
            "type": "error",
            "code": code,
            "message": told["error"]["message"],
            "param": None,
            "sequence_number": 0,
            **told,
        }
        return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return read_conversation(request_body, response_body)
