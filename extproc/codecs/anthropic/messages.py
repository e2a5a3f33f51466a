"""`anthropic.messages`: Anthropic's Messages API."""

from __future__ import annotations

from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.dialects.anthropic_messages.conversation import read_conversation
from extproc.dialects.anthropic_messages.errors import error_reply
from extproc.dialects.anthropic_messages.request import read_request
from extproc.dialects.anthropic_messages.response import MessageAccount
from extproc.json_codec import JsonCodec
from extproc.model import Call, Conversation, ErrorReply, RequestFacts

_PATH_END = "/v1/messages"


class AnthropicMessages(JsonCodec):
    api = "anthropic.messages"
    operation: str | None = "chat"

    def matches(self, call: Call) -> bool:
        """Under any prefix, and only this call: not `…/messages/count_tokens`, not batches."""
        return call.method == "POST" and call.path.endswith(_PATH_END)

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        return read_request(document)

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        return AccountingDecoder(MessageAccount(status=status), status=status, request=request)

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return read_conversation(request_body, response_body)
