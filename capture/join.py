"""From an incarnation's frames to one logical row per exchange. Pure: frames and their places in, joined exchanges out.

Invariants
  1. Every `Opened` yields exactly one `Joined`: at its `Closed`, or from `close_open` when the incarnation is dead.
  2. Bodies are not held: what is kept of an open exchange are its small fields and the places of its frames.
  3. Whatever frames are missing after `Opened`, the row says only what the remaining ones say, and which are missing.
  4. The same frames give the same `Joined`s with the same `closed_offset`s: a batch can be done again after a crash.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from capture import record
from capture.record import Closed, Opened, Request, ResponsePart
from capture.spool.segment import FrameRef

CUT = "cut"
"""`capture_status` of an exchange whose `Closed` frame never came."""
_WARNINGS_MAX = 32


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """What part 0 of a response says."""

    http_status: int | None
    content_type: str | None
    content_encoding: str | None


@dataclass(frozen=True, slots=True)
class Joined:
    """One exchange, complete as far as it will ever be."""

    opened: Opened
    opened_offset: int
    """Logical offset of its `Opened` frame: the log is needed from here on until the row is in the archive."""
    request: Request | None
    """Without its body, which lies at `request_ref`."""
    request_ref: FrameRef | None
    head: ResponseHead | None
    parts: tuple[FrameRef, ...]
    """Response parts in order, up to the first that is missing."""
    closed: Closed | None
    last_at_ns: int
    """Unix time of the last frame seen, nanoseconds."""
    closed_offset: int
    """Where the exchange ends in the incarnation: the logical end of its `Closed` frame, or a place after the log's end
    for one that was cut. Unique and ordered, so that ranges of it name batches."""
    warnings: tuple[str, ...]

    @property
    def exchange_id(self) -> str:
        return self.opened.exchange_id

    @property
    def stored_bytes(self) -> int:
        """Spool bytes to read for its bodies: the bound on what building its row takes."""
        return sum(ref.size for ref in self.parts) + (self.request_ref.size if self.request_ref else 0)


@dataclass(slots=True)
class _Open:
    opened: Opened
    offset: int
    last_at_ns: int
    request: Request | None = None
    request_ref: FrameRef | None = None
    head: ResponseHead | None = None
    parts: dict[int, FrameRef] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def warn(self, code: str) -> None:
        if code not in self.warnings and len(self.warnings) < _WARNINGS_MAX:
            self.warnings.append(code)


class Joiner:
    """Feed it one incarnation's frames in order."""

    def __init__(self, incarnation: str, *, settled: int = 0, counted: int = 0) -> None:
        """`settled`: exchanges that end at or before this logical offset have their rows and do not come out again.
        `counted`: oddities before this logical offset were counted earlier."""
        self._incarnation = incarnation
        self._settled = settled
        self._counted = counted
        self._open: dict[str, _Open] = {}
        self.opened = 0
        """`Opened` frames seen."""
        self.seq_max = 0
        """Largest `seq` seen: how many exchanges the writer opened."""
        self.orphans = 0
        """Frames of exchanges that are not open: their `Opened` was damaged, or they came after `Closed`."""
        self.undecodable = 0

    @property
    def open_count(self) -> int:
        return len(self._open)

    @property
    def low_watermark(self) -> int | None:
        """Logical offset of the oldest frame that an open exchange still needs; None when none is open."""
        return next((exchange.offset for exchange in self._open.values()), None)  # a dict keeps the order of opening

    def feed(self, payload: bytes | memoryview, ref: FrameRef) -> Joined | None:
        """Take one frame; the exchange that it closes, if any."""
        try:
            frame = record.decode(payload)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return self._undecodable(payload, ref)
        if isinstance(frame, Opened):
            self._on_opened(frame, ref)
            return None
        exchange = self._open.get(frame.exchange_id)
        if exchange is None:
            self._orphan(ref)
            return None
        exchange.last_at_ns = max(exchange.last_at_ns, frame.at_ns)
        if isinstance(frame, Closed):
            return self._close(frame.exchange_id, frame, ref.end)
        if isinstance(frame, Request):
            self._on_request(exchange, frame, ref)
        else:
            self._on_part(exchange, frame, ref)
        return None

    def close_open(self, end: int) -> Iterator[Joined]:
        """End what is open: the incarnation is dead and its log ends at logical offset `end`. In order of opening."""
        for index, exchange_id in enumerate(tuple(self._open), start=1):
            joined = self._close(exchange_id, None, end + index)
            if joined is not None:
                yield joined

    def _on_opened(self, frame: Opened, ref: FrameRef) -> None:
        self.seq_max = max(self.seq_max, frame.seq)
        if frame.exchange_id in self._open:
            self._open[frame.exchange_id].warn("opened_twice")
            return
        self.opened += 1
        self._open[frame.exchange_id] = _Open(frame, ref.offset, frame.at_ns)

    def _on_request(self, exchange: _Open, frame: Request, ref: FrameRef) -> None:
        if exchange.request is not None:
            exchange.warn("request_twice")
            return
        exchange.request = msgspec.structs.replace(frame, body=None)
        exchange.request_ref = ref if frame.body is not None else None

    def _on_part(self, exchange: _Open, frame: ResponsePart, ref: FrameRef) -> None:
        if frame.index in exchange.parts:
            exchange.warn("response_part_twice")
            return
        if frame.index == 0:
            exchange.head = ResponseHead(frame.http_status, frame.content_type, frame.content_encoding)
        exchange.parts[frame.index] = ref

    def _orphan(self, ref: FrameRef) -> None:
        if ref.end > self._counted:
            self.orphans += 1

    def _close(self, exchange_id: str, closed: Closed | None, closed_offset: int) -> Joined | None:
        exchange = self._open.pop(exchange_id)
        if closed_offset <= self._settled:
            return None
        # A body with a hole in it would be a body that nobody sent: what lies behind a missing part is left out.
        parts = tuple(itertools.takewhile(lambda ref: ref is not None, map(exchange.parts.get, itertools.count())))
        if len(parts) < len(exchange.parts):
            exchange.warn("response_part_missing")
        return Joined(
            opened=exchange.opened,
            opened_offset=exchange.offset,
            request=exchange.request,
            request_ref=exchange.request_ref,
            head=exchange.head,
            parts=tuple(ref for ref in parts if ref is not None),
            closed=closed,
            last_at_ns=exchange.last_at_ns,
            closed_offset=closed_offset,
            warnings=tuple(exchange.warnings),
        )

    def _undecodable(self, payload: bytes | memoryview, ref: FrameRef) -> Joined | None:
        """A frame of a future or faulty writer: its exchange still gets a row, and the row a warning."""
        if ref.end > self._counted:
            self.undecodable += 1
        exchange_id, tag = _salvage(payload)
        if exchange_id is None:
            self._orphan(ref)
            return None
        if tag == "opened" and exchange_id not in self._open:
            unknown = Opened(
                exchange_id=exchange_id,
                at_ns=_time_of(exchange_id),
                seq=0,
                replica_id="",
                incarnation=self._incarnation,
                mode="unknown",
                api="unknown",
                principal_source="none",
            )
            self._on_opened(unknown, ref)
        exchange = self._open.get(exchange_id)
        if exchange is None:
            self._orphan(ref)
            return None
        exchange.warn("undecodable_frame")
        return self._close(exchange_id, None, ref.end) if tag == "closed" else None


class _Salvage(msgspec.Struct):
    exchange_id: str | None = None
    frame: str | None = None


_salvager = msgspec.msgpack.Decoder(_Salvage)


def _salvage(payload: bytes | memoryview) -> tuple[str | None, str | None]:
    try:
        found = _salvager.decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None, None
    return found.exchange_id, found.frame


def _time_of(exchange_id: str) -> int:
    """The time inside a UUIDv7 (RFC 9562 §5.7: 48 bits of Unix milliseconds), in nanoseconds; 0 when it is none."""
    try:
        return int(exchange_id.replace("-", "")[:12], 16) * 1_000_000
    except ValueError:
        return 0
