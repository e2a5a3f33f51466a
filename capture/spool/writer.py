"""The writing side of the spool: frames into segments, durably, within a size.

Invariants
  1. `append` returns only when all bytes of the frame were handed to the kernel: from then on the frame survives any
     death of this process. When it raises, nothing of the frame is in the log (or the segment is given up there).
  2. Frames lie in the order of the offsets returned; offsets only grow (see `segment` for what an offset is).
  3. One writer per incarnation: the folder is complete, locked and named by the time anybody else can see it.

The folder's names are in `layout`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from capture.errors import SpoolFull, SpoolUnusable
from capture.spool import segment
from capture.spool.durability import Committer, TrackedFile
from capture.spool.fs import Filesystem, Lock, OsFilesystem, SpoolFile
from capture.spool.layout import LOCK_NAME, META_NAME, SPOOL_LAYOUT_VERSION, STAGING_SUFFIX, segment_name
from capture.spool.lost import LostCounter
from capture.spool.segment import Buffer
from capture.spool.usage import SpoolUsage

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_RESCAN_S_MIN = 0.25
"""A full spool looks again this often whether the archive process made room."""
_RESCAN_S_MAX = 2.0


class _Segment:
    """The segment that is being written."""

    __slots__ = ("file", "seed", "size", "tracked")

    def __init__(self, file: SpoolFile, seed: int, tracked: TrackedFile) -> None:
        self.file = file
        self.seed = seed
        self.size = segment.SEGMENT_HEADER_BYTES
        """Physical bytes that are good: where the next frame goes."""
        self.tracked = tracked


class SpoolWriter:
    """Appends frames for one incarnation. Every method may be called from any thread.

    Raises `SpoolUnusable` when the folder cannot be made. `directory` is the spool directory, `incarnation` a fresh
    UUIDv7 in canonical text, `sync_ms_max` the bound between a frame and its fdatasync when nobody waits for it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        replica_id: str,
        incarnation: str,
        segment_bytes_max: int = 64 * 1024 * 1024,
        spool_bytes_max: int = 10 * 1024 * 1024 * 1024,
        sync_ms_max: int = 200,
        fs: Filesystem | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fs: Filesystem = fs if fs is not None else OsFilesystem()
        self._clock = clock
        self._root = directory
        self._folder = directory / incarnation
        self._incarnation = incarnation
        self._segment_bytes_max = segment_bytes_max
        self._spool_bytes_max = spool_bytes_max
        self._lock = threading.Lock()
        self._lost_lock = threading.Lock()
        self._segment: _Segment | None = None
        self._next_number = 1
        self._end = 0
        self._closed = False
        self._scanned_at = clock()
        self._lost_dirty = False
        self._flock, self._lost = self._make_folder(replica_id)
        self._usage = SpoolUsage(self._fs, directory)
        self._usage.scan()
        self._committer = Committer(
            start=0,
            sync_ms_max=sync_ms_max,
            sync_directory=lambda: self._fs.sync_directory(self._folder),
            every_pass=self._after_sync,
            clock=clock,
        )
        self._committer.start()

    @property
    def busy(self) -> bool:
        """Somebody is appending right now: an event loop should hand its `append` to a thread."""
        return self._lock.locked()

    @property
    def end_offset(self) -> int:
        """Where the next frame will begin."""
        return self._end

    @property
    def lost(self) -> int:
        """Exchanges counted by `count_lost`."""
        return self._lost.count

    @property
    def sync_failures(self) -> int:
        """fdatasync calls that failed since the start. Above 0, look at the disk: frames may not be durable."""
        return self._committer.failures

    @property
    def used_bytes(self) -> int:
        """Size of the spool, all incarnations together, as `spool_bytes_max` sees it."""
        return self._usage.used_bytes

    def append(self, payload: bytes) -> int:
        """Write one frame; returns the logical offset after it, for `wait_durable`.

        Raises `SpoolFull` when there is no room (nothing was written then; later calls may succeed again) and
        ValueError after `close`.
        """
        crc = segment.payload_crc(payload)  # before the lock: on a large payload this takes a while, without the GIL
        with self._lock:
            if self._closed:
                raise ValueError("the spool is closed")
            size = segment.FRAME_HEADER_BYTES + len(payload)
            self._check_room(len(payload), size)
            current = self._segment_for(size)
            header = segment.encode_frame_header(length=len(payload), crc=crc, offset=self._end, seed=current.seed)
            self._write(current, [header, payload], size)
            return self._end

    def wait_durable(self, offset: int) -> Future[None]:
        """Resolves once the frame that ends at `offset` is on the disk; `SpoolNotDurable` when the disk failed."""
        if offset > self._end:
            raise ValueError(f"offset {offset} was never written")
        return self._committer.wait(offset)

    def count_lost(self, n: int = 1) -> None:
        """Count exchanges that will have no row. Works on a full disk."""
        with self._lost_lock:
            self._lost_dirty = True
            try:
                self._lost.add(n)
            except OSError as error:
                raise _refusal(error) from None
        self._committer.poke()

    def close(self) -> None:
        """Mark the end, bring everything to the disk, let go of the lock. Fine to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._finish_segment()
        self._committer.stop()
        self._lost.close()
        self._flock.release()

    def _make_folder(self, replica_id: str) -> tuple[Lock, LostCounter]:
        """Built aside and renamed: whoever sees an incarnation's folder also sees that it is locked."""
        segment.encode_segment_header(incarnation=self._incarnation, number=0, base_offset=0)  # is it a UUID?
        staging = self._root / (self._incarnation + STAGING_SUFFIX)
        meta = {"layout": SPOOL_LAYOUT_VERSION, "replica_id": replica_id, "incarnation": self._incarnation}
        try:
            self._fs.make_directory(staging)
            flock = self._fs.lock(staging / LOCK_NAME)
            if flock is None:
                raise SpoolUnusable("spool_locked", f"another process holds {staging}: give each its own incarnation")
            file = self._fs.create(staging / META_NAME)
            data = json.dumps(meta).encode() + b"\n"
            _write_all(file, [data], 0)
            file.sync()
            file.close()
            lost = LostCounter(self._fs, staging)
            self._fs.sync_directory(staging)
            self._fs.rename(staging, self._folder)
            self._fs.sync_directory(self._root)
        except OSError as error:
            reason = error.strerror or str(error)
            raise SpoolUnusable("spool_unusable", f"cannot create a spool under {self._root}: {reason}") from None
        return flock, lost

    def _check_room(self, length: int, size: int) -> None:
        if length > segment.PAYLOAD_BYTES_MAX:
            raise SpoolFull("spool_frame_too_large", f"a frame holds at most {segment.PAYLOAD_BYTES_MAX} bytes")
        if self._usage.used_bytes + size <= self._spool_bytes_max:
            return
        if self._clock() - self._scanned_at >= _RESCAN_S_MIN:
            self._scan()
        if self._usage.used_bytes + size > self._spool_bytes_max:
            raise SpoolFull("spool_full", f"the spool reached spool_bytes_max ({self._spool_bytes_max} bytes)")

    def _scan(self) -> None:
        self._scanned_at = self._clock()
        self._usage.scan()

    def _segment_for(self, size: int) -> _Segment:
        """Where a frame of `size` bytes goes: a new segment when this one is full, was given up or cannot be synced."""
        current = self._segment
        if current is not None:
            empty = current.size == segment.SEGMENT_HEADER_BYTES
            if not current.tracked.failed and (empty or current.size + size <= self._segment_bytes_max):
                return current
            self._finish_segment()
        self._segment = self._create_segment()
        return self._segment

    def _create_segment(self) -> _Segment:
        number = self._next_number
        self._next_number += 1  # also when this fails: a half-made file that cannot be removed must not block the next
        path = self._folder / segment_name(number)
        header, seed = segment.encode_segment_header(
            incarnation=self._incarnation, number=number, base_offset=self._end
        )
        file: SpoolFile | None = None
        try:
            file = self._fs.create(path)
            _write_all(file, [header], 0)
        except OSError as error:
            if file is not None:
                file.close()
            with contextlib.suppress(OSError):
                self._fs.remove(path)
            raise _refusal(error) from None
        self._usage.add(len(header))
        tracked = TrackedFile(file, end=self._end, synced=self._end)
        self._committer.track(tracked)
        return _Segment(file, seed, tracked)

    def _write(self, current: _Segment, parts: list[Buffer], size: int) -> None:
        try:
            _write_all(current.file, parts, current.size)
        except OSError as error:
            self._cut(current)
            raise _refusal(error) from None
        current.size += size
        self._usage.add(size)
        end = self._end + size
        self._committer.wrote(current.tracked, end)
        self._end = end

    def _cut(self, current: _Segment) -> None:
        """Take back a frame that was not written whole; a segment that cannot be cut is given up where it was good."""
        try:
            current.file.truncate(current.size)
        except OSError:
            self._committer.retire(current.tracked)
            self._segment = None

    def _finish_segment(self) -> None:
        """Mark the current segment's end if the disk lets us; readers can do without the mark."""
        current, self._segment = self._segment, None
        if current is None:
            return
        if not current.tracked.failed:
            with contextlib.suppress(SpoolFull):
                mark = segment.encode_end(offset=self._end, seed=current.seed)
                self._write(current, [mark], len(mark))
        self._committer.retire(current.tracked)

    def _after_sync(self) -> None:
        """On the sync thread, after each pass."""
        with self._lost_lock:
            dirty, self._lost_dirty = self._lost_dirty, False
        with contextlib.suppress(
            OSError
        ):  # both are tried again: the count at the next loss, the scan at the next pass
            if dirty:
                self._lost.sync()
            if self._clock() - self._scanned_at >= _RESCAN_S_MAX:
                self._scan()


def _write_all(file: SpoolFile, parts: list[Buffer], position: int) -> None:
    """Write everything or raise OSError. A short write is no error yet: the next one says what is wrong."""
    left = [memoryview(part) for part in parts if len(part)]
    while left:
        taken = file.write(left, position)
        if taken <= 0:
            raise OSError(errno.ENOSPC, "the disk took no bytes")
        position += taken
        while left and taken >= len(left[0]):
            taken -= len(left.pop(0))
        if taken:
            left[0] = left[0][taken:]


def _refusal(error: OSError) -> SpoolFull:
    if error.errno in _NO_ROOM:
        return SpoolFull("spool_full", "the disk under spool_dir is full: make room or move the spool")
    return SpoolFull("spool_io_error", f"the disk under spool_dir refused a frame: {error.strerror or 'I/O error'}")
