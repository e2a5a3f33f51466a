"""What is the same for nearly every api: a JSON body with its model in it, server-sent events, one kind of error."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from extproc.codec import ResponseDecoder, ResponseEditor
from extproc.framing.json_strings import replace_strings
from extproc.model import Call, Conversation, ErrorReply, RequestFacts


class JsonCodec(ABC):
    """An `extproc.codec.Codec`, but for what an api must say itself."""

    api: str
    operation: str | None = None
    takes_forms = False

    @abstractmethod
    def matches(self, call: Call) -> bool: ...

    @abstractmethod
    def request(self, document: Any, call: Call) -> RequestFacts: ...

    @abstractmethod
    def response(
        self, *, call: Call, status: int, content_type: str | None, request: RequestFacts
    ) -> ResponseDecoder: ...

    @abstractmethod
    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply: ...

    @abstractmethod
    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation: ...

    def recognises(self, document: Any, call: Call) -> bool:
        del document, call
        return False

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        """The error's body as an SSE event named `error`."""
        del call
        body = self.error(status=status, code=code, message=message, exchange_id=exchange_id).body
        return b"event: error\ndata: " + body + b"\n\n"

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        return call.path, replace_strings(body, {"/model": model})

    def asking_for_usage(self, body: bytes) -> bytes | None:
        del body
        return None

    def usage_remover(self) -> ResponseEditor | None:
        return None
