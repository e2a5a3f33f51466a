"""What is the same for all of Anthropic's calls, its errors; and for those in whose answers no model speaks."""

from __future__ import annotations

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.anthropic.account import PlainAnswerAccount
from extproc.dialects.anthropic_messages.errors import error_reply
from extproc.json_codec import JsonCodec
from extproc.model import Call, ErrorReply, RequestFacts


class AnthropicCodec(JsonCodec):
    """A `JsonCodec`, but for what one of Anthropic's calls must say itself."""

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)


class PlainAnswerCodec(AnthropicCodec):
    """An `AnthropicCodec` for a count, a list of models."""

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        account = PlainAnswerAccount(status=status)
        return AccountingDecoder(account, status=status, request=request, metering=Metering.NOTHING)
