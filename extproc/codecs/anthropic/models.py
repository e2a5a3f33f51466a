"""`anthropic.models`: which models there are (Anthropic API reference, "List Models").

Others list theirs at the same path: it is Anthropic's by its host, or by the header that its clients must send.
"""

from __future__ import annotations

import re
from typing import Any

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.anthropic.account import PlainAnswerAccount
from extproc.codecs.anthropic.paths import is_anthropics
from extproc.dialects.anthropic_messages.errors import error_reply
from extproc.json_codec import JsonCodec
from extproc.model import Call, Conversation, ErrorReply, RequestFacts

_PATH = re.compile(r"(?:/[^/]+)*/v1/models(?:/[^/]+)?")


class AnthropicModels(JsonCodec):
    api = "anthropic.models"

    def matches(self, call: Call) -> bool:
        return call.method == "GET" and _PATH.fullmatch(call.path) is not None and is_anthropics(call)

    def request(self, document: Any, call: Call) -> RequestFacts:
        del document, call  # what a GET brings along, nobody reads
        return RequestFacts()

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        account = PlainAnswerAccount(status=status)
        return AccountingDecoder(account, status=status, request=request, metering=Metering.NOTHING)

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return error_reply(status=status, code=code, message=message, exchange_id=exchange_id)

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        del call, body, model
        raise LookupError("a list of models asks for none")

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call, request_body, response_body
        return Conversation()
