"""Server-sent events on bytes, without input or output (WHATWG HTML §9.2, "Server-sent events").

    stream  = [BOM] *( line end-of-line )          end-of-line = CR LF | LF | CR, split anywhere
    line    = ":" comment | field [":" [SP] value] | "" (blank: the event is complete)

`feed` gives the events that are complete, `flush` the last one: the standard drops an event without its blank line, but
providers end streams that way, with usage in it. Only the standard's line ends count: `str.splitlines` would also cut
at U+2028. An event beyond `event_bytes_max` is given without its data, marked `oversized`.

Beyond the standard, `error: {…}` is an event named `error` (llama.cpp's server wrote that until 2025), and JSON between
the events without `data:` (errors of Gemini's, pretty-printed over many lines) is an event of its own: from a line that
begins with a bracket to the one that closes it.

Time is linear in the bytes whatever the chunks: nothing is searched or joined twice.
"""

from __future__ import annotations

import re

from extproc.framing.stream_event import StreamEvent

_BOM = b"\xef\xbb\xbf"
_COLON = ord(":")
_RETRY_DIGITS_MAX = 10
_NAMES = frozenset({b"data", b"event", b"id", b"retry"})
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
"""No line of pretty-printed JSON begins so."""
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)')
_OPENING = frozenset({b"{", b"["})


def open_brackets(line: bytes) -> int:
    """How many brackets a line of JSON opens more than it closes. No string of JSON goes beyond its line."""
    bare = _STRING.sub(b"", line)
    return bare.count(b"{") + bare.count(b"[") - bare.count(b"}") - bare.count(b"]")


class SseParser:
    """One stream. `feed` any number of times, then `flush` once."""

    def __init__(self, *, event_bytes_max: int) -> None:
        self.event_bytes_max = event_bytes_max
        self.retry_ms: int | None = None
        self.unknown_lines = 0
        """Lines whose field the standard does not know. It says to ignore them; a count tells that something is odd."""
        self._type = b""
        self._id = b""
        self._data: list[bytes] = []
        self._line: list[bytes] = []
        """Pieces of the line that has no end yet."""
        self._line_bytes = 0
        self._data_bytes = 0
        self._oversized = False
        self._open_brackets = 0
        """Of the JSON without `data:` that is being read; 0 when there is none."""
        self._after_cr = False
        self._start: bytes | None = b""
        """The first bytes, until it is known whether they are a byte order mark; then None."""

    @property
    def held_bytes(self) -> int:
        """Bytes of the event that is not complete yet."""
        return self._line_bytes + self._data_bytes

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Events completed by `data`."""
        if self._start is not None:
            data = self._strip_bom(data)
        if not data:
            return []
        if self._after_cr:
            self._after_cr = False
            if data[0] == 0x0A:
                data = data[1:]
        if b"\r" in data:
            self._after_cr = data[-1] == 0x0D
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = data.split(b"\n")
        rest = lines.pop()
        events: list[StreamEvent] = []
        if lines and self._line:
            lines[0] = self._finish_line(lines[0])
        for line in lines:
            if line:
                self._take(line, events)
            elif not self._open_brackets and (event := self._dispatch()) is not None:
                events.append(event)
        if rest:
            self._hold(rest)
        return events

    def flush(self) -> list[StreamEvent]:
        """End of the stream: what is there counts as a last event."""
        events: list[StreamEvent] = []
        if self._start:  # the beginning of a mark that never came
            self._line.append(self._start)
        self._start = None
        if self._line:
            self._take(self._finish_line(b""), events)
        if (event := self._dispatch()) is not None:
            events.append(event)
        return events

    def _strip_bom(self, data: bytes) -> bytes:
        assert self._start is not None
        data = self._start + data
        if len(data) < len(_BOM) and _BOM.startswith(data):
            self._start = data
            return b""
        self._start = None
        return data.removeprefix(_BOM)

    def _hold(self, piece: bytes) -> None:
        self._line_bytes += len(piece)
        if self._line_bytes > self.event_bytes_max:  # of the line alone: what counts must not depend on chunks
            self._drop()
            piece = b":"  # what comes of this line is a comment to us
        self._line.append(piece)

    def _finish_line(self, piece: bytes) -> bytes:
        line = b"".join((*self._line, piece))
        self._line.clear()
        self._line_bytes = 0
        return line

    def _drop(self) -> None:
        self._oversized = True
        self._open_brackets = 0
        self._data.clear()
        self._line.clear()
        self._line_bytes = self._data_bytes = 0

    def _take(self, line: bytes, events: list[StreamEvent]) -> None:
        if len(line) > self.event_bytes_max:
            self._drop()
        elif self._open_brackets:
            self._take_bare(line, events)
        elif line.startswith(b"data:"):
            self._append(line[6:] if line[5:6] == b" " else line[5:])
        elif line[0] != _COLON:
            field, _, value = line.partition(b":")
            if field not in _NAMES and line.lstrip()[:1] in _OPENING:
                self._complete(events)
                self._take_bare(line, events)
            else:
                self._take_field(field, value.removeprefix(b" "))

    def _take_bare(self, line: bytes, events: list[StreamEvent]) -> None:
        """A line of JSON that no `data:` announced."""
        if line.startswith(_FIELDS):  # it was cut off
            self._open_brackets = 0
            self._complete(events)
            self._take(line, events)
            return
        self._append(line)
        self._open_brackets = 0 if self._oversized else max(0, self._open_brackets + open_brackets(line))
        if not self._open_brackets:
            self._complete(events)

    def _complete(self, events: list[StreamEvent]) -> None:
        if self._data or self._oversized:
            event = self._dispatch()
            assert event is not None
            events.append(event)

    def _take_field(self, field: bytes, value: bytes) -> None:
        match field:
            case b"data":
                self._append(value)
            case b"event":
                self._type = value
            case b"error" if value[:1] == b"{":
                self._type = b"error"
                self._append(value)
            case b"id":
                if b"\0" not in value:
                    self._id = value
            case b"retry":
                if value.isdigit() and len(value) < _RETRY_DIGITS_MAX:
                    self.retry_ms = int(value)
            case _:
                self.unknown_lines += 1

    def _append(self, value: bytes) -> None:
        if self._oversized:
            return
        self._data.append(value)
        self._data_bytes += len(value) + 1
        if self._data_bytes > self.event_bytes_max:
            self._drop()

    def _dispatch(self) -> StreamEvent | None:
        event = None
        if self._data or self._oversized:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            event = StreamEvent(self._type, data, self._id, self._oversized)
            self._data.clear()
            self._data_bytes = 0
            self._oversized = False
        self._type = b""
        return event
