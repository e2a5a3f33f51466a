"""Group commit: one thread that brings written frames to the disk, for those who wait at once, for the rest in time.

Invariants
  1. A future resolves only when the frame that ends at its offset was fdatasynced, and its file's name fsynced.
  2. After a failed fdatasync the kernel may have dropped the data and cleared the error (fsyncgate): every offset of
     that file that was not durable before fails for good, whatever later calls say.
  3. Files are closed here and nowhere else, so that no descriptor is synced after it was closed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from capture.errors import SpoolNotDurable
from capture.spool.fs import SpoolFile

_FAILED_RANGES_MAX = 64
"""Failed ranges remembered one by one; beyond, neighbours are merged and good frames between count as failed."""


@dataclass(slots=True, eq=False)
class TrackedFile:
    """A segment file as the committer sees it. Fields are guarded by the committer's lock."""

    file: SpoolFile
    end: int
    """Logical offset of its last good byte."""
    synced: int
    """Logical offset up to which it is on disk."""
    named: bool = False
    """The directory was fsynced since the file was created."""
    retired: bool = False
    """No more bytes will come: close it once it is on disk."""
    failed: bool = False


class Committer:
    """Owns the thread. `sync_directory` makes the names of new files durable; `every_pass` runs after each pass."""

    def __init__(
        self,
        *,
        start: int,
        sync_ms_max: int,
        sync_directory: Callable[[], None],
        every_pass: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wake = threading.Condition()
        self._files: list[TrackedFile] = []
        self._durable = start
        self._failed: list[tuple[int, int]] = []
        self._waiting: list[tuple[int, Future[None]]] = []
        self._dirty_since: float | None = None
        # Half of the promise is for waiting, half for the fdatasync itself.
        self._delay_s = sync_ms_max / 2_000
        self._sync_directory = sync_directory
        self._every_pass = every_pass
        self._clock = clock
        self._stopping = False
        self.failures = 0
        """fdatasync (or directory fsync) calls that failed."""
        self._thread = threading.Thread(target=self._run, name="spool-sync", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def durable_offset(self) -> int:
        """Everything before it was synced, or has failed for good."""
        return self._durable

    def track(self, file: TrackedFile) -> None:
        with self._wake:
            self._files.append(file)

    def wrote(self, file: TrackedFile, end: int) -> None:
        """Bytes up to logical offset `end` were handed to the kernel."""
        with self._wake:
            file.end = end
            self._mark_dirty()

    def retire(self, file: TrackedFile) -> None:
        """No more bytes will come."""
        with self._wake:
            file.retired = True
            self._mark_dirty()

    def poke(self) -> None:
        """Something beside the segments wants a pass."""
        with self._wake:
            self._mark_dirty()

    def wait(self, offset: int) -> Future[None]:
        future: Future[None] = Future()
        with self._wake:
            settled = offset <= self._durable
            if not settled:
                self._waiting.append((offset, future))
                self._wake.notify()
        if settled:
            self._resolve(offset, future)
        return future

    def stop(self) -> None:
        """A last pass over everything, then the thread ends and all files are closed."""
        with self._wake:
            self._stopping = True
            for file in self._files:
                file.retired = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._due():
                    self._wake.wait(self._patience_s())
                stopping = self._stopping
                self._dirty_since = None
                work = [(file, file.end) for file in self._files]
            self._pass(work)
            self._every_pass()
            if stopping:
                return

    def _due(self) -> bool:
        if self._stopping or self._waiting:
            return True
        return self._dirty_since is not None and self._clock() - self._dirty_since >= self._delay_s

    def _patience_s(self) -> float | None:
        if self._dirty_since is None:
            return None
        return max(0.0, self._delay_s - (self._clock() - self._dirty_since))

    def _mark_dirty(self) -> None:
        if self._dirty_since is None:
            self._dirty_since = self._clock()
            self._wake.notify()

    def _pass(self, work: list[tuple[TrackedFile, int]]) -> None:
        for file, end in work:
            good = not file.failed
            if good and (file.synced < end or not file.named):
                good = self._sync(file)
            with self._wake:
                if good:
                    file.synced = end
                else:
                    file.failed = True
                    self._remember_failure(self._durable, end)
                self._durable = max(self._durable, end)
                finished = file.retired and file.end == end
                if finished:
                    self._files.remove(file)
                due = [waiting for waiting in self._waiting if waiting[0] <= self._durable]
                self._waiting = [waiting for waiting in self._waiting if waiting[0] > self._durable]
            # Outside the lock: closing may free blocks, and futures run callbacks.
            if finished:
                file.file.close()
            for offset, future in due:
                self._resolve(offset, future)

    def _sync(self, file: TrackedFile) -> bool:
        try:
            file.file.sync()
            if not file.named:
                self._sync_directory()
        except OSError:
            self.failures += 1
            return False
        file.named = True
        return True

    def _remember_failure(self, start: int, end: int) -> None:
        if start >= end:
            return
        if self._failed and self._failed[-1][1] == start:
            self._failed[-1] = (self._failed[-1][0], end)
            return
        self._failed.append((start, end))
        if len(self._failed) > _FAILED_RANGES_MAX:
            first, second = self._failed[:2]
            self._failed[:2] = [(first[0], second[1])]

    def _resolve(self, offset: int, future: Future[None]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        if any(start < offset <= end for start, end in tuple(self._failed)):
            future.set_exception(
                SpoolNotDurable("spool_not_durable", "fdatasync of the spool failed: check the disk under spool_dir")
            )
        else:
            future.set_result(None)
