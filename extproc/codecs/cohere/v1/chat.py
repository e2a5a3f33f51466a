"""`cohere.v1.chat`: `/v1/chat`, plain and streamed."""

from __future__ import annotations

from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.cohere.cohere_codec import CohereCodec
from extproc.codecs.cohere.errors import ERROR, told
from extproc.codecs.cohere.v1.conversation import read_conversation
from extproc.codecs.cohere.v1.request import read_request
from extproc.codecs.cohere.v1.response import ChatAccount
from extproc.codecs.cohere.v1.streams import framed
from extproc.framing.response_body import StreamFormat
from extproc.model import Call, Conversation, RequestFacts

_PATH_END = "/v1/chat"


class ChatV1(CohereCodec):
    api = "cohere.v1.chat"
    operation: str | None = "chat"
    path_end = "v1/chat"

    def recognises(self, document: Any, call: Call) -> bool:
        """At the same path of a host of somebody's own: one message, where others have a list."""
        return (
            call.method == "POST"
            and call.path.endswith(_PATH_END)
            and type(document) is dict
            and type(document.get("message")) is str
            and "messages" not in document
        )

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        return read_request(document)

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        account = ChatAccount(status=status)
        return AccountingDecoder(account, status=status, request=request, stream_format=StreamFormat.NDJSON)

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        """The stream's last event with `finish_reason` ERROR, as Cohere ends a generation that failed: the SDKs raise
        for none, and this is the one they hand on."""
        del status
        text = told(code=code, message=message, exchange_id=exchange_id)
        answer = {"response_id": exchange_id, "text": "", "finish_reason": ERROR}
        event = {"event_type": "stream-end", "finish_reason": ERROR, "error": text, "response": answer}
        return framed(call, {"is_finished": True, **event})

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return read_conversation(request_body, response_body)
