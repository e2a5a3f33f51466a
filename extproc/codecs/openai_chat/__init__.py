"""`openai.chat`: chat completions as OpenAI defined them and many others speak them."""

from __future__ import annotations

from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.openai_chat.conversation import read_conversation
from extproc.codecs.openai_chat.errors import error_reply
from extproc.codecs.openai_chat.request import read_request
from extproc.codecs.openai_chat.response import ChatAccount
from extproc.model import Call, Conversation, ErrorReply, RequestFacts

_PATH_END = "/chat/completions"


class OpenAiChat:
    """An `extproc.codec.Codec`."""

    api = "openai.chat"
    operation: str | None = "chat"

    def matches(self, call: Call) -> bool:
        """Under any prefix: `/v1`, `/api/v1`, `/openai/v1`, Azure's `/openai/deployments/X`."""
        return call.method == "POST" and call.path.endswith(_PATH_END)

    def request(self, document: Any) -> RequestFacts:
        return read_request(document)

    def response(self, *, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del content_type  # the bytes tell
        return AccountingDecoder(ChatAccount(status=status, request=request))

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)

    def conversation(self, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        return read_conversation(request_body, response_body)


CODEC = OpenAiChat()
