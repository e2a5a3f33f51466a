"""`anthropic.count_tokens`: how long a request would be (Anthropic API reference, "Count tokens in a Message").

Its answer, `{"input_tokens": 641}`, is what was asked for and no usage: no model runs and nothing is billed.
"""

from __future__ import annotations

from typing import Any

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.anthropic.account import PlainAnswerAccount
from extproc.codecs.anthropic.paths import is_count_tokens
from extproc.dialects.anthropic_messages.conversation import read_conversation
from extproc.dialects.anthropic_messages.errors import error_reply
from extproc.dialects.anthropic_messages.request import read_request
from extproc.json_codec import JsonCodec
from extproc.model import Call, Conversation, ErrorReply, RequestFacts


class AnthropicCountTokens(JsonCodec):
    api = "anthropic.count_tokens"

    def matches(self, call: Call) -> bool:
        return is_count_tokens(call)

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        return read_request(document)

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        account = PlainAnswerAccount(status=status)
        return AccountingDecoder(account, status=status, request=request, metering=Metering.NOTHING)

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call, response_body
        return read_conversation(request_body, None)
