"""A JSON array that grows: its elements one by one as they become whole, without input or output (Gemini streams that
were not asked for as `alt=sse`). Elements are cut out by counting brackets outside of strings; nobody parses them here.

    [{ … }          element, complete with its bracket
    ,               a comma completes what is no object or array: 1, "x", null
    { … }]          the array's end: `is_ended`

An element beyond `event_bytes_max` is given without its data, marked `oversized`. An object after the array, as errors
come, is an element too. Time is linear in the bytes whatever the chunks, and nothing recurses.
"""

from __future__ import annotations

import re

from extproc.framing.stream_event import StreamEvent

# A string, or a quote and all that follows when nothing closes it yet. Possessive: no backtracking.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\],]', re.DOTALL)
_STRING_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_QUOTE, _COMMA, _OPEN_OBJECT, _OPEN_ARRAY = b'",{['
_BACKSLASH = 0x5C
_WHITESPACE = b" \t\r\n"


class JsonArrayParser:
    """One stream. `feed` any number of times, then `flush` once.

    With `is_array=False` there is no array around the elements: they follow each other, as concatenated documents do.
    """

    def __init__(self, *, event_bytes_max: int, is_array: bool = True) -> None:
        self.event_bytes_max = event_bytes_max
        self.is_ended = False
        """The array was closed."""
        self.is_cut = False
        """The stream ended in the middle of an element or before the array was closed."""
        self.has_junk = False
        """There was something beside arrays and objects where only those may stand."""
        self._is_array = is_array
        self._depth = 0
        self._base = 0
        """The depth at which elements lie: 1 in the array, else 0."""
        self._in_string = False
        self._escaped = False
        """The last byte was a backslash inside of a string."""
        self._pieces: list[bytes] = []
        self._held_bytes = 0
        self._oversized = False

    @property
    def held_bytes(self) -> int:
        """Bytes of the element that is not complete yet."""
        return self._held_bytes

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Elements completed by `data`."""
        events: list[StreamEvent] = []
        start = 0
        for token in _TOKEN.finditer(data, self._rest_of_string(data)):
            at = token.start()
            kind = data[at]
            if kind == _QUOTE:
                self._note_open_string(data, token)
            elif kind == _COMMA:
                if self._depth == 1 == self._base:
                    events += self._completed(data[start:at])
                    start = at + 1
            elif kind in (_OPEN_OBJECT, _OPEN_ARRAY):
                if self._depth == 0:
                    start = self._enter(data, start, at, is_array=kind == _OPEN_ARRAY)
                self._depth += 1
            elif self._depth:
                self._depth -= 1
                if self._depth == self._base:
                    events += self._completed(data[start : at + 1])
                    start = at + 1
                elif self._depth < self._base:
                    events += self._completed(data[start:at])
                    start = at + 1
                    self._base = 0
                    self.is_ended = True
        self._hold(data[start:])
        return events

    def flush(self) -> list[StreamEvent]:
        """End of the stream: what is there of a last element counts, and `is_cut` tells that it is not whole."""
        self.is_cut = self._depth > 0
        if self._depth > 0:
            return self._completed(b"")
        self.has_junk = self.has_junk or bool(self._pieces) or self._oversized
        return []

    def _enter(self, data: bytes, start: int, at: int, *, is_array: bool) -> int:
        """An outermost bracket opens at `at`; gives where the element begins."""
        self._hold(data[start:at])
        if self._pieces or self._oversized:
            self.has_junk = True
            self._completed(b"")
        if not (is_array and self._is_array):
            return at
        self._base = 1
        self.is_ended = False
        return at + 1

    def _rest_of_string(self, data: bytes) -> int:
        """Where the string ends that an earlier chunk began; 0 when there is none."""
        if not self._in_string or not data:
            return 0
        found = _STRING_REST.match(data, 1 if self._escaped else 0)
        end = found.end() if found else len(data)
        self._escaped = data[end:] == b"\\"
        self._in_string = self._escaped or end == len(data)
        return len(data) if self._in_string else end + 1

    def _note_open_string(self, data: bytes, token: re.Match[bytes]) -> None:
        if token.end() < len(data):
            return
        end = _STRING_REST.match(data, token.start() + 1)
        assert end is not None
        self._escaped = data[end.end() :] == b"\\"
        self._in_string = self._escaped or end.end() == len(data)

    def _hold(self, piece: bytes) -> None:
        if not self._pieces:
            piece = piece.lstrip(_WHITESPACE)
        if piece and not self._oversized:
            self._pieces.append(piece)
            self._held_bytes += len(piece)
            if self._held_bytes > self.event_bytes_max:
                self._oversized = True
                self._pieces.clear()
                self._held_bytes = 0

    def _completed(self, piece: bytes) -> list[StreamEvent]:
        self._hold(piece)
        element = b"".join(self._pieces).rstrip(_WHITESPACE)
        oversized = self._oversized
        self._pieces.clear()
        self._held_bytes = 0
        self._oversized = False
        return [StreamEvent(b"", element, oversized=oversized)] if element or oversized else []


def concatenated(data: bytes, *, event_bytes_max: int) -> tuple[list[StreamEvent], JsonArrayParser]:
    """The documents that follow each other in `data`, the last one maybe cut, and the parser that tells so."""
    parser = JsonArrayParser(event_bytes_max=event_bytes_max, is_array=False)
    return [*parser.feed(data), *parser.flush()], parser
