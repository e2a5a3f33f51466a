"""The `headgate archive` process: everything that the spool holds into Parquet, exactly once, then the spool shorter.

Layout of an archive:

    <archive_dir>/facts/dt=YYYY-MM-DD/<incarnation>-<start>-<end>.parquet
                  content/dt=YYYY-MM-DD/…      the same names; published before its facts
                  .staging/                    files being written
                  _status/<name>.json          `ArchiveStatus` of the archive process of that name

Several archive processes (one per replica) may share an archive: names never meet. One spool has one archive process.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from capture.batch import BatchPublisher
from capture.columns import Tree
from capture.derive import DeriveLimits
from capture.errors import SpoolDamaged
from capture.files import make_directory
from capture.incarnation import BatchLimits, Incarnation, finish
from capture.spool.fs import OsFilesystem
from capture.spool.layout import LOCK_NAME, STAGING_SUFFIX, is_incarnation
from capture.spool.usage import spool_bytes
from capture.state import Progress, StateStore
from capture.status import STATUS_FOLDER, ArchiveStatus, write_status
from extproc.codec import Codec
from extproc.codecs import CODECS
from extproc.errors import OperatorError

_TICK_S_MIN = 0.02
_STAGING_AGE_S_MAX = 3_600
"""An incarnation's half-made folder that is older was left by a crash."""


@dataclass(frozen=True, slots=True)
class ArchiveSettings:
    spool_dir: Path
    archive_dir: Path
    flush_interval_s: float = 10.0
    """Rows become queryable within this time after their exchange ended."""
    name: str = "capture"
    """Of this process among those that share the archive: the replica id, in a name that a file may have."""
    batch: BatchLimits = field(default_factory=BatchLimits)
    derive: DeriveLimits = field(default_factory=DeriveLimits)
    sessions_max: int = 50_000
    """Recent conversations remembered to recognise the next turn."""


_TREE_MODES: Final = {Tree.FACTS: 0o777, Tree.CONTENT: 0o750}
"""Of trees that are made: text is for its owner and one group. One that is there keeps the permission it was given."""


class Archiver:
    """Raises `OperatorError` when the spool or archive cannot be used, `ArchiveUnusable` when the spool is in use.

    `step` is called with a name before every durable step: tests end the process there.
    """

    def __init__(
        self,
        settings: ArchiveSettings,
        *,
        codecs: Mapping[str, Codec] = CODECS,
        step: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._step = step
        self._clock = clock
        self._log = structlog.get_logger("headgate.archive")
        self._stop = threading.Event()
        self._incarnations: dict[str, Incarnation] = {}
        self._error: str | None = None
        try:
            for tree in Tree:
                make_directory(settings.archive_dir / tree.value, mode=_TREE_MODES[tree])
            make_directory(settings.archive_dir / STATUS_FOLDER)
        except OSError as error:
            raise OperatorError(
                "archive_unwritable", f"capture.archive_dir: cannot write to {settings.archive_dir}: {error.strerror}"
            ) from None
        self._store = StateStore(settings.spool_dir, sessions_max=settings.sessions_max)
        self._publisher = BatchPublisher(
            settings.archive_dir,
            codecs=codecs,
            sessions=self._store.sessions,
            limits=settings.derive,
            group_bytes_max=settings.batch.bytes_max,
            step=step,
        )

    def run(self) -> None:
        """Archive until `stop` is called, then `drain`. A full or failing disk is reported and tried again."""
        interval = max(_TICK_S_MIN, self._settings.flush_interval_s / 2)
        while not self._stop.is_set():
            self._try(self.drain)
            self._stop.wait(interval)
        self._try(self.drain)

    def stop(self) -> None:
        """Make `run` publish what is closed and return. May be called from a signal handler."""
        self._stop.set()

    def drain(self) -> int:
        """One round: everything that has ended is published when this returns; the number of rows. Raises OSError."""
        self._find()
        count = 0
        for incarnation in tuple(self._incarnations.values()):
            if (
                not incarnation.progress.done
            ):  # else an interrupted removal may have left half a log: not to be read again
                count += incarnation.poll() + incarnation.publish()
            if incarnation.progress.done:
                self._step("remove")
                incarnation.remove()
                del self._incarnations[incarnation.name]
        return count

    def status(self) -> ArchiveStatus:
        current = list(self._incarnations.values())
        total = self._store.totals.sum()
        for incarnation in current:
            total = total.plus(incarnation.counters)
        dead = sum(incarnation.dead for incarnation in current)
        still_open = sum(incarnation.open for incarnation in current)
        pending = sum(incarnation.pending for incarnation in current)
        return ArchiveStatus(
            at=self._clock(),
            opened=total.opened,
            archived=total.archived,
            open=still_open,
            pending=pending,
            missing=total.opened - total.archived - still_open - pending,
            lost=total.lost,
            orphan_frames=total.orphan_frames,
            undecodable_frames=total.undecodable_frames,
            damaged_bytes=total.damaged_bytes,
            spool_bytes=spool_bytes(OsFilesystem(), self._settings.spool_dir),
            live_incarnations=len(current) - dead,
            dead_incarnations=dead,
            error=self._error,
        )

    def close(self) -> None:
        for incarnation in self._incarnations.values():
            incarnation.close()
        self._store.close()

    def _try(self, round_: Callable[[], int]) -> None:
        try:
            count = round_()
        except (OSError, SpoolDamaged) as error:
            reason = (error.strerror or "I/O error") if isinstance(error, OSError) else error.message
            if self._error != reason:
                self._log.error("archive_failed", reason=reason, answer="it is tried again; the spool keeps the rows")
            self._error = reason
        else:
            self._error = None
            if count:
                self._log.info("archived", rows=count)
        with contextlib.suppress(OSError):
            write_status(self._settings.archive_dir, self._settings.name, self.status())

    def _find(self) -> None:
        """Take up incarnations that are new to us; finish what an earlier run had finished but for the removal."""
        names = OsFilesystem().names(self._settings.spool_dir)
        for name in names:
            folder = self._settings.spool_dir / name
            if is_incarnation(name) and name not in self._incarnations:
                self._incarnations[name] = Incarnation(
                    folder,
                    store=self._store,
                    publisher=self._publisher,
                    limits=self._settings.batch,
                    step=self._step,
                )
            elif name.endswith(STAGING_SUFFIX):
                self._remove_stale(folder)
        for name in self._store.incarnations():
            if name not in names:
                counters = (self._store.progress(name) or Progress()).counters
                finish(self._store, self._settings.spool_dir / name, counters)

    def _remove_stale(self, folder: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._clock() - folder.stat().st_mtime < _STAGING_AGE_S_MAX:
                return
            lock = OsFilesystem().lock(folder / LOCK_NAME)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()


def main(settings: ArchiveSettings) -> int:
    """The process: runs until SIGTERM or SIGINT, publishes what is closed, returns the exit code."""
    archiver = Archiver(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: archiver.stop())
    try:
        archiver.run()
    finally:
        archiver.close()
    return 0
