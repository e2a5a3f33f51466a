"""Tells a JSON body from an event stream by its first bytes, because content types lie.

A JSON text that is a response begins with `{` or `[`, maybe after whitespace (OpenRouter keeps connections alive with
it); no event stream does. JSON is held until its end, events are given as they come.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from extproc.framing import tolerant_json
from extproc.framing.sse import SseParser
from extproc.framing.stream_event import StreamEvent

JSON_BYTES_MAX = 64 * 1024 * 1024
EVENT_BYTES_MAX = 16 * 1024 * 1024
"""An event may carry a whole image in base64."""

_BEFORE_JSON = b" \t\r\n\xef\xbb\xbf"


class StreamFormat(Enum):
    """How an api frames its streams. A plain JSON body is told from all of them by its bytes."""

    SSE = auto()
    EVENTSTREAM = auto()
    """AWS `application/vnd.amazon.eventstream`."""
    NDJSON = auto()
    JSON_ARRAY = auto()
    """SSE, or one JSON array that grows (Gemini without `alt=sse`): its elements are the events."""


class ResponseBody:
    """One response body. `feed` any number of times, then `flush` once, then `document` for JSON."""

    def __init__(
        self,
        stream_format: StreamFormat = StreamFormat.SSE,
        *,
        json_bytes_max: int = JSON_BYTES_MAX,
        event_bytes_max: int = EVENT_BYTES_MAX,
    ) -> None:
        self.stream_format = stream_format
        self._json_bytes_max = json_bytes_max
        self._events = SseParser(event_bytes_max=event_bytes_max)
        self._json: list[bytes] = []
        self._decided = False
        self.is_json = False
        self.is_oversized = False
        """The JSON body was larger than `json_bytes_max` and is gone."""
        self._held_bytes = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of JSON that wait for the end, or of an event that waits for its own."""
        return self._held_bytes + self._events.held_bytes

    @property
    def unknown_lines(self) -> int:
        return self._events.unknown_lines

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Events completed by `data`; none from JSON."""
        if not self._decided:
            data = data.lstrip(_BEFORE_JSON)
            if not data:
                return []
            self._decided = True
            self.is_json = data[:1] in (b"{", b"[")
        if not self.is_json:
            return self._events.feed(data)
        if not self.is_oversized:
            self._held_bytes += len(data)
            self._json.append(data)
            if self._held_bytes > self._json_bytes_max:
                self.is_oversized = True
                self._json.clear()
                self._held_bytes = 0
        return []

    def flush(self) -> list[StreamEvent]:
        """The last event, when the stream ended without its blank line."""
        return [] if self.is_json else self._events.flush()

    def document(self) -> Any:
        """The JSON body. Raises `ValueError` when it is none: cut, broken or too large."""
        if self.is_oversized:
            raise ValueError("too large")
        return tolerant_json.loads(b"".join(self._json))
