"""`bedrock.converse`: Converse and ConverseStream of the Bedrock runtime."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.bedrock.errors import error_event
from extproc.codecs.bedrock.paths import model_call
from extproc.dialects.converse.conversation import read_conversation
from extproc.dialects.converse.errors import error_reply
from extproc.dialects.converse.request import read_request
from extproc.dialects.converse.response import ConverseAccount
from extproc.framing.response_body import StreamFormat
from extproc.json_codec import JsonCodec
from extproc.model import Call, Conversation, ErrorReply, RequestFacts


class BedrockConverse(JsonCodec):
    api = "bedrock.converse"
    operation: str | None = "chat"

    def matches(self, call: Call) -> bool:
        """Under any prefix: `/bedrock/model/X/converse`."""
        named = model_call(call)
        return named is not None and named.operation.startswith("converse")

    def request(self, document: Any, call: Call) -> RequestFacts:
        facts = read_request(document)
        named = model_call(call)
        return facts if named is None else replace(facts, model=named.model, stream=named.is_stream)

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        return AccountingDecoder(
            ConverseAccount(status=status), status=status, request=request, stream_format=StreamFormat.EVENTSTREAM
        )

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        del call
        return error_event(status=status, code=code, message=message, exchange_id=exchange_id)

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        if (named := model_call(call)) is None:
            raise LookupError("this path names no model")
        return named.path_for(model), body

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return read_conversation(request_body, response_body)
