"""Newline-delimited JSON on bytes, without input or output: each line that is not blank is an event.

    stream = *( [JSON text] [CR] LF )  [JSON text]         the last line may have no end

Only LF ends a line: U+2028 may stand in a JSON string, LF may not. A line beyond `event_bytes_max` is given without its
data, marked `oversized`. Time is linear in the bytes whatever the chunks.
"""

from __future__ import annotations

from extproc.framing.stream_event import StreamEvent


class NdjsonParser:
    """One stream. `feed` any number of times, then `flush` once."""

    def __init__(self, *, event_bytes_max: int) -> None:
        self.event_bytes_max = event_bytes_max
        self._line: list[bytes] = []
        self._line_bytes = 0
        self._oversized = False

    @property
    def held_bytes(self) -> int:
        """Bytes of the line that has no end yet."""
        return 0 if self._oversized else self._line_bytes

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Events completed by `data`."""
        *ended, rest = data.split(b"\n")
        events: list[StreamEvent] = []
        for piece in ended:
            self._hold(piece)
            events += self._line_event()
        if rest:
            self._hold(rest)
        return events

    def flush(self) -> list[StreamEvent]:
        """End of the stream: a line without its end counts."""
        return self._line_event()

    def _hold(self, piece: bytes) -> None:
        self._line_bytes += len(piece)
        if self._line_bytes > self.event_bytes_max:
            self._oversized = True
            self._line.clear()
        else:
            self._line.append(piece)

    def _line_event(self) -> list[StreamEvent]:
        line = b"".join(self._line).strip()
        oversized = self._oversized
        self._line.clear()
        self._line_bytes = 0
        self._oversized = False
        return [StreamEvent(b"", line, oversized=oversized)] if line or oversized else []
