"""`cohere.v2.chat`: `/v2/chat`, plain and streamed."""

from __future__ import annotations

from typing import Any

import orjson

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.cohere.cohere_codec import CohereCodec
from extproc.codecs.cohere.errors import ERROR, told
from extproc.codecs.cohere.v2.conversation import read_conversation
from extproc.codecs.cohere.v2.request import read_request
from extproc.codecs.cohere.v2.response import ChatAccount
from extproc.model import Call, Conversation, RequestFacts


class ChatV2(CohereCodec):
    api = "cohere.v2.chat"
    operation: str | None = "chat"
    path_end = "v2/chat"

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        return read_request(document)

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        return AccountingDecoder(ChatAccount(status=status), status=status, request=request)

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        """The stream's last event with `finish_reason` ERROR and the message in it, as Cohere itself ends a generation
        that failed. Its SDKs raise for no event whatever (what they cannot read they log and skip), so an end that says
        what happened is the most that can be had."""
        del call, status
        delta = {"error": told(code=code, message=message, exchange_id=exchange_id), "finish_reason": ERROR}
        return b"event: message-end\ndata: " + orjson.dumps({"type": "message-end", "delta": delta}) + b"\n\n"

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return read_conversation(request_body, response_body)
