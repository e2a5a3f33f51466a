"""`opaque`: everything that no other codec reads. Kept byte for byte, never understood."""

from __future__ import annotations

from typing import Any

import orjson

from extproc.codec import ResponseDecoder
from extproc.model import Call, Conversation, ErrorReply, RequestFacts, ResponseFacts


class Opaque:
    """An `extproc.codec.Codec` that matches every call."""

    api = "opaque"
    operation: str | None = None

    def matches(self, call: Call) -> bool:
        del call
        return True

    def request(self, document: Any) -> RequestFacts:
        del document
        return RequestFacts()

    def response(self, *, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del status, content_type, request
        return _Unread()

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        told = {"type": code, "code": code, "message": f"{message} ({code}, exchange {exchange_id})"}
        headers = {"x-should-retry": "false"} if status < 500 else {}
        return ErrorReply(status, orjson.dumps({"error": told, "exchange_id": exchange_id}), headers=headers)

    def conversation(self, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del request_body, response_body
        return Conversation()


class _Unread:
    """No usage: it is unknown, so it is not estimated either."""

    terminal = False
    held_bytes = 0

    def feed(self, data: bytes) -> None:
        del data

    def finish(self, *, complete: bool) -> ResponseFacts:
        return ResponseFacts(terminal=complete)


CODEC = Opaque()
