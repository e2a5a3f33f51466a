"""What an answer of MCP amounts to: JSON, or a stream in which the answer comes after what else the server has to say.

Nothing is billed in tokens, so nothing is counted or estimated in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from extproc.codecs.mcp import rpc
from extproc.codecs.mcp.content import content_parts
from extproc.codecs.mcp.errors import error_of_status, read_error
from extproc.codecs.mcp.request import RESPONSE
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import ErrorFacts, RequestFacts, ResponseFacts
from extproc.shape import as_list, as_object, as_text

_ENDPOINT_EVENT = b"endpoint"
"""The first event of the old transport names an address; it is no message."""


class RpcAccount:
    """An `extproc.accounting.Account`."""

    def __init__(self, *, method: str, status: int, request: RequestFacts) -> None:
        self._succeeded = 200 <= status < 300
        self._expected = sum(1 for called in request.rpc_methods if called != RESPONSE and rpc.expects_response(called))
        self.terminal = method == "GET" and self._succeeded
        """A stream that the server opened for itself has no end of its own: whenever it ends, it was whole."""
        self._seen = 0
        self._id = ""
        self._text_bytes = 0
        self._error: ErrorFacts | None = None

    def take_event(self, event: StreamEvent) -> None:
        if event.type != _ENDPOINT_EVENT and event.data.strip():
            self._take(tolerant_json.loads(event.data))

    def take_document(self, document: Any) -> None:
        self._take(document)
        if not self._succeeded and self._error is None:
            self._error = error_of_status(as_object(document))

    def usage_is_final(self, *, complete: bool) -> bool:
        del complete
        return True

    def facts(self) -> ResponseFacts:
        return ResponseFacts(response_id=self._id or None, text_bytes=self._text_bytes, error=self._error)

    def _take(self, document: Any) -> None:
        for message in rpc.messages(document):
            if not rpc.is_response(message):
                continue
            self._seen += 1
            self._id = self._id or rpc.id_text(message)
            self._error = self._error or read_error(message)
            self._text_bytes += _result_bytes(as_object(message.get("result")))
        if self._seen >= max(1, self._expected):
            self.terminal = True


class NoAnswer:
    """An `extproc.codec.ResponseDecoder` for 202: what was sent needs no answer, or has it on another stream. The body
    should be empty (MCP specification, "Transports"); older servers write `Accepted` into it."""

    terminal = False
    held_bytes = 0

    def take_head(self, headers: Mapping[str, str]) -> None:
        pass

    def feed(self, data: bytes) -> None:
        pass

    def finish(self, *, complete: bool) -> ResponseFacts:
        del complete
        return ResponseFacts()


def _result_bytes(result: dict[str, Any]) -> int:
    """UTF-8 bytes of the text that a model may read of a result."""
    size = utf8_size(as_text(result.get("instructions")))
    contents = [result.get("content"), *(as_object(said).get("content") for said in as_list(result.get("messages")))]
    for content in contents:
        size += sum(utf8_size(part.text) for part in content_parts(content) if part.type == "text" and part.text)
    for resource in map(as_object, as_list(result.get("contents"))):
        size += utf8_size(as_text(resource.get("text")))
    return size
