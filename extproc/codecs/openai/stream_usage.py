"""Asking a stream for its usage, and taking out again what only came because of that.

`stream_options.include_usage` brings one more chunk, the last before `[DONE]` (OpenAI API reference, "Create chat
completion"):

    data: {"id":"…","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9, …}}

and `"usage": null` on all others. The chunk is taken out, because clients read `choices[0]` of each. The nulls stay: a
client that knows no `usage` passes over it, one that does knows null, and to take them out would rewrite each event.
"""

from __future__ import annotations

import re

import orjson

from extproc.framing.json_edit import set_member
from extproc.framing.sse import SseParser
from extproc.shape import as_object

EXTRA_CHUNK_BYTES_MAX = 16 * 1024
"""A longer event is not the chunk that was asked for (some 600 bytes), so it is passed on without being held."""

_NO_CHOICES = re.compile(rb'"choices"\s*+:\s*+(?:\[\s*+\]|null)')
"""Servers written in Go say null for an empty list."""
_DATA_LINE = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[\r\n])data:")
"""Without one it is no event: a plain JSON answer, which the parser would read as an event of its own."""
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")


def asking_for_usage(body: bytes) -> bytes | None:
    """`body` with `stream_options.include_usage`; None where nothing streams, where usage was asked for already, or
    where the change would leave a body of two readings."""
    try:
        document = as_object(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None
    if document.get("stream") is not True:
        return None
    options = document.get("stream_options")
    if options is not None and (type(options) is not dict or options.get("include_usage") is True):
        return None
    if any(name != "include_usage" and name.casefold() == "include_usage" for name in options or ()):
        return None  # beside a look-alike it would be said twice to a server that folds case
    return set_member(body, "/stream_options/include_usage", b"true")


class UsageRemover:
    """An `extproc.codec.ResponseEditor`. An event is held until the blank line that ends it, at most
    `EXTRA_CHUNK_BYTES_MAX`; every byte that is not of the extra chunk goes on as it came."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        """Of the event that is not complete yet."""
        self._held_bytes = 0
        self._line_is_empty = True
        """Nothing but line ends since the last one."""
        self._after_cr = False
        """The last byte was CR, so LF would be of the same line end."""
        self._passing = False
        """The event is too long to be held."""
        self._dropped = False
        """The event before this byte was taken out, and so is the LF of its last line end."""

    def feed(self, data: bytes) -> bytes:
        out: list[bytes] = []
        start = at = 0
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == 0x0A:
                at = 1
                if not self._pieces and not self._passing:  # it ends an event that is already gone
                    out.append(b"" if self._dropped else data[:1])
                    start = 1
        for match in _LINE_END.finditer(data, at):
            is_blank = match.start() == at and self._line_is_empty
            at = match.end()
            self._line_is_empty = True
            if is_blank:
                if match.start() == start and not self._pieces and not self._passing:  # one more of them
                    out.append(match.group())
                    self._dropped = False
                else:
                    self._take(data[start:at])
                    out.append(self._end_event())
                start = at
        self._line_is_empty = self._line_is_empty and at == len(data)
        self._after_cr = data[-1:] == b"\r" or (self._after_cr and not data)
        self._take(data[start:])
        if self._passing:
            out.append(self._release())
        return b"".join(out)

    def flush(self) -> bytes:
        """The last event, where the stream ended without its blank line."""
        return self._end_event()

    def _take(self, piece: bytes) -> None:
        if piece:
            self._pieces.append(piece)
            self._held_bytes += len(piece)
            self._passing = self._passing or self._held_bytes > EXTRA_CHUNK_BYTES_MAX

    def _end_event(self) -> bytes:
        passing, self._passing = self._passing, False
        event = self._release()
        self._dropped = not passing and is_extra_chunk(event)
        if not self._dropped:
            return event
        return b"".join(line for line in _LINE.findall(event) if line.startswith(b":"))

    def _release(self) -> bytes:
        held = b"".join(self._pieces)
        self._pieces.clear()
        self._held_bytes = 0
        return held


def is_extra_chunk(event: bytes) -> bool:
    """Is this the event that carries usage and nothing else?"""
    if b'"usage"' not in event or _NO_CHOICES.search(event) is None or _DATA_LINE.search(event) is None:
        return False  # which spares parsing nearly all others
    parser = SseParser(event_bytes_max=EXTRA_CHUNK_BYTES_MAX)
    events = [*parser.feed(event), *parser.flush()]
    if len(events) != 1:
        return False
    try:
        chunk = as_object(orjson.loads(events[0].data))
    except orjson.JSONDecodeError:
        return False
    usage = chunk.get("usage")
    return chunk.get("choices", 0) in ([], None) and type(usage) is dict and bool(usage) and not chunk.get("error")
