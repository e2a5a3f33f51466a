"""`openai.chat`: chat completions as OpenAI defined them and many others speak them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.openai.deployments import model_in_path
from extproc.dialects.openai_chat.conversation import read_conversation
from extproc.dialects.openai_chat.errors import error_reply
from extproc.dialects.openai_chat.request import read_request
from extproc.dialects.openai_chat.response import ChatAccount
from extproc.json_codec import JsonCodec
from extproc.model import Call, Conversation, ErrorReply, RequestFacts

_PATH_END = "/chat/completions"


class OpenAiChat(JsonCodec):
    api = "openai.chat"
    operation: str | None = "chat"

    def matches(self, call: Call) -> bool:
        """Under any prefix: `/v1`, `/api/v1`, `/openai/v1`, Azure's `/openai/deployments/X`."""
        return call.method == "POST" and call.path.endswith(_PATH_END)

    def request(self, document: Any, call: Call) -> RequestFacts:
        facts = read_request(document)
        named = model_in_path(call.path)
        return facts if named is None else replace(facts, model=named)

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        return AccountingDecoder(ChatAccount(status=status), status=status, request=request)

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return read_conversation(request_body, response_body)
