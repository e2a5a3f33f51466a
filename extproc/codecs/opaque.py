"""`opaque`: everything that no other codec reads. Kept byte for byte, never understood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from extproc.codec import ResponseDecoder, ResponseEditor
from extproc.model import Call, Conversation, ErrorReply, RequestFacts, ResponseFacts


class Opaque:
    """An `extproc.codec.Codec` that matches every call."""

    api = "opaque"
    operation: str | None = None
    takes_forms = False

    def matches(self, call: Call) -> bool:
        del call
        return True

    def recognises(self, document: Any, call: Call) -> bool:
        del document, call
        return False

    def request(self, document: Any, call: Call) -> RequestFacts:
        del document, call
        return RequestFacts()

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, status, content_type, request
        return _Unread()

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        told = {"type": code, "code": code, "message": f"{message} ({code}, exchange {exchange_id})"}
        headers = {"x-should-retry": "false"} if status < 500 else {}
        return ErrorReply(status, orjson.dumps({"error": told, "exchange_id": exchange_id}), headers=headers)

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        """Nothing: bytes that nobody understands cannot be told apart from an error among them."""
        del call, status, code, message, exchange_id
        return b""

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        del call, body, model
        raise LookupError("an opaque call names no model")

    def asking_for_usage(self, body: bytes) -> bytes | None:
        del body
        return None

    def usage_remover(self) -> ResponseEditor | None:
        return None

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call, request_body, response_body
        return Conversation()


class _Unread:
    """No usage: it is unknown, so it is not estimated either."""

    terminal = False
    held_bytes = 0

    def take_head(self, headers: Mapping[str, str]) -> None:
        del headers

    def feed(self, data: bytes) -> None:
        del data

    def finish(self, *, complete: bool) -> ResponseFacts:
        return ResponseFacts(terminal=complete)


CODEC = Opaque()
