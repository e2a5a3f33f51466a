"""What is the same for all of Cohere's calls: addresses and errors; and for those whose answers are no words."""

from __future__ import annotations

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.cohere.addresses import speaks
from extproc.codecs.cohere.errors import error_reply
from extproc.codecs.cohere.result import ResultAccount
from extproc.json_codec import JsonCodec
from extproc.model import Call, ErrorReply, RequestFacts


class CohereCodec(JsonCodec):
    """A `JsonCodec`, but for what one of Cohere's calls must say itself."""

    path_end: str
    """Version and call: `v2/chat`."""

    def matches(self, call: Call) -> bool:
        return speaks(call, self.path_end)

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)


class ResultCodec(CohereCodec):
    """A `CohereCodec` for vectors and rankings."""

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        account = ResultAccount(status=status)
        return AccountingDecoder(account, status=status, request=request, metering=Metering.NO_OUTPUT)
