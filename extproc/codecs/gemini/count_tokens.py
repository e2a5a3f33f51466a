"""`gemini.count_tokens`: how many tokens a request would be. No model is run, so nothing is used."""

from __future__ import annotations

from typing import Any

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.gemini.conversation import read_conversation
from extproc.codecs.gemini.google_codec import GoogleCodec, target_of
from extproc.codecs.gemini.plain_account import PlainAccount
from extproc.codecs.gemini.request import read_request
from extproc.model import Call, Conversation, RequestFacts


class CountTokens(GoogleCodec):
    api = "gemini.count_tokens"
    methods = frozenset({"countTokens"})

    def request(self, document: Any, call: Call) -> RequestFacts:
        return read_request(document, target_of(call))

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type
        return AccountingDecoder(PlainAccount(status=status), status=status, request=request, metering=Metering.NOTHING)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        return read_conversation(request_body, response_body, target_of(call))
