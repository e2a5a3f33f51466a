"""One incarnation's way from its log to the archive, resumable at every point.

    read frames ─► join ─► pending ─► intent (fsync) ─► publish content, facts ─► checkpoint (fsync) ─► delete segments

A crash before the intent changes nothing; between intent and checkpoint the same range is published again under the
same names; after the checkpoint it is done. A dead incarnation's open exchanges are ended as `cut`, its folder removed.
"""

from __future__ import annotations

import itertools
import shutil
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from capture.batch import BatchName, BatchPublisher
from capture.join import Joined, Joiner
from capture.spool import lost
from capture.spool.fs import Lock, OsFilesystem
from capture.spool.layout import LOCK_NAME, segment_name
from capture.spool.reader import Broken, IncarnationReader
from capture.state import Counters, Progress, StateStore


@dataclass(frozen=True, slots=True)
class BatchLimits:
    rows_max: int = 2_000
    bytes_max: int = 64 * 1024 * 1024
    """Stored bodies per batch; one exchange that is larger makes a batch of its own."""


class Incarnation:
    """`poll` reads what is new, `publish` brings it to the archive. Not thread-safe."""

    def __init__(
        self,
        folder: Path,
        *,
        store: StateStore,
        publisher: BatchPublisher,
        limits: BatchLimits,
        step: Callable[[str], None],
    ) -> None:
        self.name = folder.name
        self._folder = folder
        self._store = store
        self._publisher = publisher
        self._limits = limits
        self._step = step
        self._fs = OsFilesystem()
        self._lock: Lock | None = None
        self._pending: deque[Joined] = deque()
        self._pending_bytes = 0
        self.progress = store.progress(self.name) or Progress()
        self._before = self.progress.counters
        self._reader = IncarnationReader(folder, start=self.progress.low, fs=self._fs)
        self._joiner = Joiner(self.name, settled=self.progress.offset, counted=self.progress.read)
        self._damaged_bytes = 0
        self._read_whole = False
        publisher.clean(self.name)

    @property
    def dead(self) -> bool:
        """The writing process is gone: nothing will be added."""
        if self._lock is None and (self._folder / LOCK_NAME).exists():
            self._lock = self._fs.lock(self._folder / LOCK_NAME)
        return self._lock is not None or not (self._folder / LOCK_NAME).exists()

    @property
    def pending(self) -> int:
        """Exchanges that have ended and wait for their rows to be published."""
        return len(self._pending)

    @property
    def open(self) -> int:
        """Exchanges that have not ended."""
        return self._joiner.open_count

    @property
    def counters(self) -> Counters:
        """Since the incarnation's beginning. What a restart reads again is not counted again."""
        return Counters(
            opened=max(self._before.opened, self._joiner.seq_max),
            archived=self.progress.counters.archived,
            lost=lost.read(self._fs, self._folder),
            orphan_frames=self._before.orphan_frames + self._joiner.orphans,
            undecodable_frames=self._before.undecodable_frames + self._joiner.undecodable,
            damaged_bytes=self._before.damaged_bytes + self._damaged_bytes,
        )

    def poll(self) -> int:
        """Read everything that is there. Publishes on the way when a batch is full (memory stays bounded) and returns
        the number of rows so published."""
        count = 0
        dead = self.dead  # before reading: what a dying process wrote last must be seen
        for item in self._reader.poll(final=dead):
            if isinstance(item, Broken):
                if self._reader.offset >= self.progress.read:
                    self._damaged_bytes += item.size
                continue
            joined = self._joiner.feed(item.payload, item.ref)
            if joined is not None:
                count += self._add(joined)
        if dead and not self._read_whole:
            end = self.progress.end if self.progress.end is not None else self._reader.offset
            self._pending.extend(self._joiner.close_open(end))
            self._pending_bytes = sum(joined.stored_bytes for joined in self._pending)
            self.progress = msgspec.structs.replace(self.progress, end=end)
            self._read_whole = True
        return count

    def publish(self) -> int:
        """Publish everything that has ended; returns the number of rows. Raises OSError, and may be called again."""
        count = 0
        while self._pending and self._intended_is_read():
            count += self._publish_batch()
        if self._read_whole and not self._pending and not self.progress.done:
            self._save(msgspec.structs.replace(self.progress, done=True, counters=self.counters))
        return count

    def remove(self) -> None:
        """A finished incarnation leaves nothing behind but its counters. Safe to repeat."""
        assert self.progress.done, "rows would be lost"
        finish(self._store, self._folder, self.progress.counters)
        self.close()

    def close(self) -> None:
        """Let go of a dead incarnation's lock."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _add(self, joined: Joined) -> int:
        self._pending.append(joined)
        self._pending_bytes += joined.stored_bytes
        full = len(self._pending) >= self._limits.rows_max or self._pending_bytes >= self._limits.bytes_max
        return self._publish_batch() if full and self._intended_is_read() else 0

    def _intended_is_read(self) -> bool:
        """A batch that was begun is only published again when all of it was read again."""
        intent = self.progress.intent
        return intent is None or self._read_whole or self._pending[-1].closed_offset >= intent

    def _publish_batch(self) -> int:
        batch = self._next_batch()
        if not batch:  # what was intended is not readable any more
            self._save(msgspec.structs.replace(self.progress, intent=None))
            return 0
        end = self.progress.intent if self.progress.intent is not None else batch[-1].closed_offset
        if self.progress.intent is None:
            self._step("intent")
            self._save(msgspec.structs.replace(self.progress, intent=end))
        remembered = self._publisher.publish(BatchName(self.name, self.progress.offset, end), batch, self._reader)
        self._store.remember(remembered)
        self._step("checkpoint")
        archived = self.progress.counters.archived + len(batch)
        self._save(
            msgspec.structs.replace(
                self.progress,
                offset=end,
                intent=None,
                read=self._reader.offset,
                low=self._low(published=len(batch)),
                counters=msgspec.structs.replace(self.counters, archived=archived),
            )
        )
        # Only now: should saving fail, the same batch is published again.
        for joined in batch:
            self._pending.popleft()
            self._pending_bytes -= joined.stored_bytes
        self._step("delete")
        self._delete_segments()
        return len(batch)

    def _next_batch(self) -> list[Joined]:
        """The exchanges of the intended range, or as many as a batch may hold."""
        intent = self.progress.intent
        if intent is not None:
            return [joined for joined in self._pending if joined.closed_offset <= intent]
        batch: list[Joined] = []
        size = 0
        for joined in self._pending:
            size += joined.stored_bytes
            if batch and (len(batch) >= self._limits.rows_max or size > self._limits.bytes_max):
                break
            batch.append(joined)
        return batch

    def _low(self, *, published: int) -> int:
        """The oldest frame that is needed once the first `published` of the pending exchanges have their rows."""
        if self.progress.end is not None:
            return self.progress.low
        needed = [joined.opened_offset for joined in itertools.islice(self._pending, published, None)]
        if self._joiner.low_watermark is not None:
            needed.append(self._joiner.low_watermark)
        return min(needed, default=self._reader.offset)

    def _delete_segments(self) -> None:
        """Segments that lie wholly before the low watermark; a dead incarnation's go with its folder."""
        for number in self._reader.segments_before(self.progress.low):
            self._fs.remove(self._folder / segment_name(number))

    def _save(self, progress: Progress) -> None:
        self._store.save(self.name, progress)
        self.progress = progress


def finish(store: StateStore, folder: Path, counters: Counters) -> None:
    """Carry the counters over, then remove the folder, then forget: a crash in between only repeats this."""
    store.carry(folder.name, counters)
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():
        store.forget(folder.name)
