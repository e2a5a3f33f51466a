"""The reading side of the spool: one incarnation's frames, in order, live or dead.

Invariants
  1. Only frames that were appended come out, each once, in order of their offsets. Everything else is `Broken`.
  2. Bytes at the end of the last segment that are no frame yet are waited for while the writer lives, and cut at the
     last good frame when it is dead (`final`): a torn, zeroed or short tail is what a crash leaves, not an error.
  3. Damage in the middle costs what is damaged: a rotten payload one frame; a rotten header everything up to the next
     frame that proves itself (frames are bound to their place, see `segment`), or to the end of the segment.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from capture.errors import SpoolDamaged
from capture.spool import segment
from capture.spool.fs import Filesystem, OsFilesystem
from capture.spool.layout import segment_name, segment_number
from capture.spool.segment import Damage, Frame, FrameRef, NeedMore, SegmentHeader

TORN_TAIL = "torn_tail"
_READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """A good frame."""

    ref: FrameRef
    payload: memoryview


@dataclass(frozen=True, slots=True)
class Broken:
    """Bytes that are not (or not any more) frames."""

    code: str
    """`torn_tail` (no frame follows in this segment: what a crash leaves), or a code of `segment.Damage`."""
    segment: int
    position: int
    size: int
    """Bytes skipped."""


@dataclass(slots=True)
class _Place:
    """Where reading stands in a segment."""

    number: int
    seed: int
    shift: int
    """Logical offset = position + shift."""
    position: int
    ended: bool = False
    """Nothing more will come from this segment."""


class IncarnationReader:
    """Reads `<spool_dir>/<incarnation>`, from logical offset `start` (a frame boundary that `FrameRef` gave) on.

    Not thread-safe. Raises OSError when the disk does.
    """

    def __init__(self, folder: Path, *, start: int = 0, fs: Filesystem | None = None) -> None:
        self._fs: Filesystem = fs if fs is not None else OsFilesystem()
        self._folder = folder
        self._start = start
        self._place: _Place | None = None
        self._last_number = 0
        self._seeds: dict[int, int] = {}
        self._bases: dict[int, int] = {}
        self.offset = start
        """Everything before it was read."""

    def segments(self) -> list[int]:
        """Numbers of the segments on disk."""
        return sorted(n for n in map(segment_number, self._fs.names(self._folder)) if n is not None)

    def segments_before(self, offset: int) -> list[int]:
        """Segments on disk of which every frame ends at or before logical `offset`, among those read by now."""
        following = [number for number, base in self._bases.items() if base <= offset]
        return [number for number in self.segments() if following and number < max(following)]

    def poll(self, *, final: bool) -> Iterator[Found | Broken]:
        """All frames that are there by now. `final`: the writer is dead, nothing will be added."""
        while True:
            # The listing comes before the reading: a segment that has a successor is not written to any more.
            numbers = self.segments()
            if self._place is None or self._place.ended:
                later = self._relevant([n for n in numbers if n > self._last_number])
                if not later:
                    return
                broken = self._enter(later[0])
                if broken is not None:
                    if not final and len(later) == 1:
                        return  # its header may be on its way
                    self._last_number = broken.segment
                    yield broken
                continue
            yield from self._frames(self._place, finished=final or numbers[-1:] > [self._place.number])
            if not self._place.ended:
                return

    def payload(self, ref: FrameRef) -> bytes:
        """Read a payload again. Raises `SpoolDamaged` when it is not what it was, OSError when the disk does."""
        seed = self._seeds.get(ref.segment)
        path = self._folder / segment_name(ref.segment)
        if seed is not None:
            data = self._fs.read(path, ref.position, ref.size)
            frame = segment.decode_frame(data, offset=ref.offset, seed=seed)
            if isinstance(frame, Frame) and frame.payload is not None:
                return bytes(frame.payload)
        raise SpoolDamaged("spool_damaged", f"{path.name}: the frame at {ref.position} cannot be read again")

    def _relevant(self, numbers: list[int]) -> list[int]:
        """At the start, leave out segments that end before `start`."""
        if self._last_number == 0 and self._start > 0:
            for index in range(len(numbers) - 1, 0, -1):
                head = self._header(numbers[index])
                if isinstance(head, SegmentHeader) and head.base_offset <= self._start:
                    return numbers[index:]
        return numbers

    def _header(self, number: int) -> SegmentHeader | NeedMore | Damage:
        data = self._fs.read(self._folder / segment_name(number), 0, segment.SEGMENT_HEADER_BYTES)
        head = segment.decode_segment_header(data)
        if isinstance(head, SegmentHeader) and head.number != number:
            return Damage("bad_segment_header")
        return head

    def _enter(self, number: int) -> Broken | None:
        """Open segment `number`, or say why it cannot be."""
        head = self._header(number)
        if not isinstance(head, SegmentHeader):
            code = head.code if isinstance(head, Damage) else TORN_TAIL
            return Broken(code, number, 0, self._fs.size(self._folder / segment_name(number)))
        self._last_number = number
        self._seeds[number] = head.seed
        self._bases[number] = head.base_offset
        shift = head.base_offset - segment.SEGMENT_HEADER_BYTES
        position = max(segment.SEGMENT_HEADER_BYTES, self._start - shift)
        self._place = _Place(number, head.seed, shift, position)
        return None

    def _frames(self, place: _Place, *, finished: bool) -> Iterator[Found | Broken]:
        path = self._folder / segment_name(place.number)
        wanted = _READ_BYTES
        while True:
            buffer = self._fs.read(path, place.position, wanted)
            stuck = yield from self._good_frames(place, memoryview(buffer))
            if stuck is None:
                return
            if isinstance(stuck, NeedMore) and len(buffer) == wanted:
                wanted = max(_READ_BYTES, stuck.size)
                continue
            if not finished:
                return  # a live writer's last bytes may be on their way; what is truly damaged is still so later
            broken = self._skip(path, place, stuck)
            if broken.size:
                yield broken
            if place.ended:
                return

    def _good_frames(self, place: _Place, buffer: memoryview) -> Generator[Found, None, NeedMore | Damage | None]:
        """Frames from the buffer, moving `place` along; then what stopped it (None: the segment's end mark)."""
        at = 0
        while True:
            offset = place.position + place.shift
            item = segment.decode_frame(buffer[at:], offset=offset, seed=place.seed)
            if not isinstance(item, Frame):
                return item
            ref = FrameRef(place.number, place.position, item.size, offset)
            at += item.size
            place.position += item.size
            self.offset = max(self.offset, ref.end)
            if item.payload is None:
                place.ended = True
                return None
            yield Found(ref, item.payload)

    def _skip(self, path: Path, place: _Place, stuck: NeedMore | Damage) -> Broken:
        """Move `place` past the damage, or end the segment there."""
        start, file_size = place.position, self._fs.size(path)
        if isinstance(stuck, NeedMore):  # a good beginning, but the file ends before the frame does: nothing can follow
            place.ended = True
            return Broken(TORN_TAIL, place.number, start, file_size - start)
        if stuck.size is not None:
            place.position += stuck.size
            return Broken(stuck.code, place.number, start, stuck.size)
        following = self._next_header(path, place, start + 1)
        if following is None:
            place.ended = True
            return Broken(TORN_TAIL, place.number, start, file_size - start)
        place.position = following
        return Broken(stuck.code, place.number, start, following - start)

    def _next_header(self, path: Path, place: _Place, position: int) -> int | None:
        """Where the next frame header lies that proves itself; None when there is none."""
        while True:
            buffer = memoryview(self._fs.read(path, position, _READ_BYTES))
            if len(buffer) < segment.FRAME_HEADER_BYTES:
                return None
            data = bytes(buffer)
            at = data.find(segment.FRAME_MAGIC)
            while 0 <= at <= len(data) - segment.FRAME_HEADER_BYTES:
                head = buffer[at : at + segment.FRAME_HEADER_BYTES]
                offset = position + at + place.shift
                if not isinstance(segment.decode_frame(head, offset=offset, seed=place.seed), Damage):
                    return position + at
                at = data.find(segment.FRAME_MAGIC, at + 1)
            position += len(data) - segment.FRAME_HEADER_BYTES + 1
