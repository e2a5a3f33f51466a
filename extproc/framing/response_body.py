"""Tells how a response is framed by its first bytes, because content types lie, and gives its events or its document.

    bytes that begin with …             expected: SSE   EVENTSTREAM   NDJSON              JSON_ARRAY
    a valid prelude of an eventstream             eventstream, whatever was expected
    {                                   document        document      lines, see below    document
    [                                   document        document      document            elements of the array
    anything else                       SSE, whatever was expected

Whitespace and a byte order mark may come first (OpenRouter keeps connections alive with spaces). Where lines are
expected, a first line that leaves a bracket open is the beginning of a pretty-printed document. A document is held
until its end, events are given as they come. Documents that follow each other without an array are events, too: given
at the end.

What is cut off is read as far as it goes: a document, or the JSON of the last event, is closed at the cut (`cut_json`),
and `is_cut` says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Any, Protocol

import orjson

from extproc.framing import cut_json, json_array, tolerant_json
from extproc.framing.aws_eventstream import PRELUDE_BYTES, EventStreamParser, is_prelude
from extproc.framing.json_array import JsonArrayParser
from extproc.framing.ndjson import NdjsonParser
from extproc.framing.sse import SseParser, open_brackets
from extproc.framing.stream_event import StreamEvent

JSON_BYTES_MAX = 64 * 1024 * 1024
EVENT_BYTES_MAX = 16 * 1024 * 1024
"""An event may carry a whole image in base64."""

SLICE_BYTES = 64 * 1024

_BEFORE_JSON = b" \t\r\n\xef\xbb\xbf"
_OPEN_OBJECT, _OPEN_ARRAY = b"{["
_PRELUDE_BEGINS = frozenset({0, 1})
"""The first byte of an eventstream's first length, up to 32 MiB: nothing readable begins so."""


class StreamFormat(Enum):
    """How an api frames its streams. A plain JSON body is told from all of them by its bytes."""

    SSE = auto()
    EVENTSTREAM = auto()
    """AWS `application/vnd.amazon.eventstream`."""
    NDJSON = auto()
    JSON_ARRAY = auto()
    """SSE, or one JSON array that grows (Gemini without `alt=sse`): its elements are the events."""


class _Parser(Protocol):
    @property
    def held_bytes(self) -> int: ...
    def feed(self, data: bytes) -> list[StreamEvent]: ...
    def flush(self) -> list[StreamEvent]: ...


class _Document:
    """JSON that is held until its end."""

    def __init__(self, bytes_max: int) -> None:
        self.is_oversized = False
        self.held_bytes = 0
        self._bytes_max = bytes_max
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> list[StreamEvent]:
        if not self.is_oversized:
            self.held_bytes += len(data)
            self._pieces.append(data)
            if self.held_bytes > self._bytes_max:
                self.is_oversized = True
                self._pieces.clear()
                self.held_bytes = 0
        return []

    def flush(self) -> list[StreamEvent]:
        return []

    def taken(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        self.held_bytes = 0
        return data


class ResponseBody:
    """One response body. `feed` any number of times, then `flush` once, then `document` where `is_json` says so."""

    def __init__(
        self,
        stream_format: StreamFormat = StreamFormat.SSE,
        *,
        json_bytes_max: int = JSON_BYTES_MAX,
        event_bytes_max: int = EVENT_BYTES_MAX,
    ) -> None:
        self.stream_format = stream_format
        self.is_json = False
        """The body is one JSON document. Final after `flush`."""
        self.is_cut = False
        """After `flush`: the body ended where its framing, or its JSON, could not end."""
        self._json_bytes_max = json_bytes_max
        self._event_bytes_max = event_bytes_max
        self._parser: _Parser | None = None
        self._head: list[bytes] = []
        """The first bytes, while they do not tell the framing yet."""
        self._head_bytes = 0
        self._document: Any = None
        self._is_read = False
        self._has_junk = False

    @property
    def held_bytes(self) -> int:
        """Bytes of JSON that wait for the end, or of an event that waits for its own."""
        return self._head_bytes if self._parser is None else self._parser.held_bytes

    @property
    def is_oversized(self) -> bool:
        """The JSON body was larger than `json_bytes_max` and is gone."""
        return type(self._parser) is _Document and self._parser.is_oversized

    @property
    def is_broken(self) -> bool:
        """The framing is wrong (a checksum, a length, text behind a document): the rest was not read."""
        return self._has_junk or (type(self._parser) is EventStreamParser and self._parser.is_broken)

    @property
    def is_ended(self) -> bool:
        """The framing itself said that nothing more comes: a growing array was closed."""
        return type(self._parser) is JsonArrayParser and self._parser.is_ended

    @property
    def unknown_lines(self) -> int:
        """Lines of an event stream that mean nothing there."""
        return self._parser.unknown_lines if type(self._parser) is SseParser else 0

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Events completed by `data`; none from JSON."""
        if self._parser is None:
            data = self._begin(data, is_end=False)
            if self._parser is None:
                return []
        return self._parser.feed(data)

    def flush(self) -> list[StreamEvent]:
        """The last event, when the stream ended without its end; the events of documents that followed each other."""
        events: list[StreamEvent] = []
        if self._parser is None:
            head = self._begin(b"", is_end=True)
            if self._parser is None:
                return []
            events += self._parser.feed(head)
        events += map(self._closed, self._parser.flush())
        if self.is_json and not self.is_oversized and not self._is_read:
            events += self._read_document()
        if isinstance(self._parser, (EventStreamParser, JsonArrayParser)):
            self.is_cut = self.is_cut or self._parser.is_cut
        return events

    def read(self, body: bytes | None) -> Iterator[StreamEvent]:
        """All events of a whole body, instead of `feed` and `flush`. In slices, so that a body of millions of tiny
        events is never millions of objects at once."""
        for start in range(0, len(body or b""), SLICE_BYTES):
            yield from self.feed((body or b"")[start : start + SLICE_BYTES])
        yield from self.flush()

    def documents(self, body: bytes | None) -> Iterator[tuple[Any, StreamEvent | None]]:
        """All that a whole body holds, parsed: (the document of an event, the event), or (the one document, None).

        Never raises: what cannot be read is left out, what is cut off comes as far as it goes. `is_cut` is told once
        the last of them was given."""
        for event in self.read(body):
            try:
                yield tolerant_json.loads(event.data), event
            except ValueError:
                continue
        if self.is_json and (document := self.document_or_none()) is not None:
            yield document, None

    def document(self) -> Any:
        """The JSON body, as far as it came. Raises `ValueError` when it is none: broken or too large."""
        if self.is_oversized:
            raise ValueError("too large")
        if not self._is_read:
            self.flush()
        if self._document is _UNREADABLE:
            raise ValueError("not JSON")
        return self._document

    def document_or_none(self) -> Any:
        """The JSON body, as far as it came; None when there is none that can be read."""
        try:
            return self.document()
        except ValueError:
            return None

    def _begin(self, data: bytes, *, is_end: bool) -> bytes:
        """Choose the parser as soon as that can be said; gives what it has to be fed."""
        if not self._head:
            data = data.lstrip(_BEFORE_JSON)
        if data:
            self._head.append(data)
            self._head_bytes += len(data)
        if not self._head:
            return b""
        first = self._head[0][0]
        if first == _OPEN_OBJECT and self.stream_format is StreamFormat.NDJSON:
            if b"\n" not in data and not is_end and self._head_bytes <= self._event_bytes_max:
                return b""
        elif first in _PRELUDE_BEGINS and self._head_bytes < PRELUDE_BYTES and not is_end:
            return b""
        head = b"".join(self._head)
        self._head.clear()
        self._head_bytes = 0
        self._parser = self._parser_for(head)
        self.is_json = type(self._parser) is _Document
        return head

    def _parser_for(self, head: bytes) -> _Parser:
        first = head[0]
        expected = self.stream_format
        if first in _PRELUDE_BEGINS and (
            expected is StreamFormat.EVENTSTREAM or (len(head) >= PRELUDE_BYTES and is_prelude(head))
        ):
            return EventStreamParser(event_bytes_max=self._event_bytes_max)
        if first == _OPEN_ARRAY and expected is StreamFormat.JSON_ARRAY:
            return JsonArrayParser(event_bytes_max=self._event_bytes_max)
        if first == _OPEN_OBJECT and expected is StreamFormat.NDJSON:
            line, line_end, _ = head.partition(b"\n")
            if not line_end or open_brackets(line) <= 0:
                return NdjsonParser(event_bytes_max=self._event_bytes_max)
        if first in (_OPEN_OBJECT, _OPEN_ARRAY):
            return _Document(self._json_bytes_max)
        return SseParser(event_bytes_max=self._event_bytes_max)

    def _closed(self, event: StreamEvent) -> StreamEvent:
        """The last event, its JSON closed where it was cut off."""
        if event.data[:1] != b"{" or _is_whole(event.data):
            return event
        try:
            closed = cut_json.closed(event.data)
        except ValueError:
            return event
        if closed is None:
            return event
        self.is_cut = True
        return StreamEvent(event.type, closed, event.id, event.oversized, event.is_error)

    def _read_document(self) -> list[StreamEvent]:
        """Read what was held. Gives events instead when it is more than one document."""
        assert type(self._parser) is _Document
        self._is_read = True
        data = self._parser.taken()
        try:
            self._document, is_whole = tolerant_json.loads_prefix(data)
        except ValueError:
            return self._read_several(data)
        self.is_cut = not is_whole
        return []

    def _read_several(self, data: bytes) -> list[StreamEvent]:
        events, parser = json_array.concatenated(data, event_bytes_max=self._json_bytes_max)
        if len(events) > 1:
            self.is_json = False
            self._has_junk = parser.has_junk
            return [*events[:-1], self._closed(events[-1])]
        self._document = _UNREADABLE
        if events and parser.has_junk:
            self._has_junk = True
            try:
                self._document = tolerant_json.loads(events[0].data)
            except ValueError:
                self._document = _UNREADABLE
        return []


def _is_whole(data: bytes) -> bool:
    """A document as it should be? Far sooner said than where a broken one was cut."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


class _Unreadable(Enum):
    UNREADABLE = auto()


_UNREADABLE = _Unreadable.UNREADABLE
