"""What the archive process remembers between runs, in `<spool_dir>/.archive/`.

    lock                    flock(2)ed: one archive process per spool
    <incarnation>.json      how far that incarnation is archived (`Progress`)
    totals.json             counters of incarnations that are gone (`Totals`)
    sessions.jsonl          recent conversations, appended to; a torn last line is ignored

Every file but the last is replaced atomically: written aside, fsynced, renamed, and the folder fsynced.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from capture.errors import ArchiveUnusable, SpoolUnusable
from capture.files import make_directory, write_atomically
from capture.sessions import Remembered, SessionIndex
from capture.spool.fs import Lock, OsFilesystem
from capture.spool.layout import ARCHIVE_STATE_NAME, is_incarnation


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """Of one incarnation, or of several together."""

    opened: int = 0
    """Exchanges that the writer opened, by their `seq`."""
    archived: int = 0
    """Rows published."""
    lost: int = 0
    """Exchanges without a row because the disk was full (`on_disk_full: pass_and_count`)."""
    orphan_frames: int = 0
    undecodable_frames: int = 0
    damaged_bytes: int = 0

    def plus(self, other: Counters) -> Counters:
        return Counters(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far one incarnation is archived."""

    offset: int = 0
    """Checkpoint: every exchange that ended at or before this logical offset has its row in the archive."""
    intent: int | None = None
    """A batch (offset, intent] was begun: it is published again, whole and under the same name, before others."""
    read: int = 0
    """Frames before this logical offset are in the counters already."""
    low: int = 0
    """Reading resumes here: the oldest frame that an exchange without a row needs."""
    end: int | None = None
    """Logical end of a dead incarnation's log. From then on `low` stays, so that cut exchanges keep their numbers."""
    done: bool = False
    """All rows are published; what is left is to remove the folder."""
    counters: Counters = Counters()


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of incarnations that are gone. `carried` makes adding them safe to repeat."""

    base: Counters = Counters()
    carried: dict[str, Counters] = {}

    def sum(self) -> Counters:
        total = self.base
        for counters in self.carried.values():
            total = total.plus(counters)
        return total


_Struct = TypeVar("_Struct", Progress, Totals)


class StateStore:
    """Reads and writes the state.

    Raises `ArchiveUnusable` when another process works on this spool, `SpoolUnusable` when nobody can.
    """

    def __init__(self, spool_dir: Path, *, sessions_max: int) -> None:
        self._directory = spool_dir / ARCHIVE_STATE_NAME
        try:
            make_directory(self._directory, mode=0o700)
            lock = OsFilesystem().lock(self._directory / "lock")
        except OSError as error:
            raise SpoolUnusable(
                "spool_unreadable", f"capture.spool_dir: cannot work in {spool_dir}: {error.strerror}"
            ) from None
        if lock is None:
            raise ArchiveUnusable("archive_running", f"another archive process works on {spool_dir}")
        self._lock: Lock = lock
        self.sessions = SessionIndex(sessions_max)
        self._sessions_max = sessions_max
        self._journal = self._directory / "sessions.jsonl"
        self._journal_lines = 0
        self._load_sessions()
        self.totals = self._load(self._directory / "totals.json", Totals) or Totals()
        self._fold()

    def close(self) -> None:
        self._lock.release()

    def progress(self, incarnation: str) -> Progress | None:
        return self._load(self._path(incarnation), Progress)

    def save(self, incarnation: str, progress: Progress) -> None:
        write_atomically(self._path(incarnation), msgspec.json.encode(progress))

    def incarnations(self) -> list[str]:
        """Incarnations that there is progress of, folder or not."""
        names = (path.name.removesuffix(".json") for path in self._directory.glob("*.json"))
        return sorted(name for name in names if is_incarnation(name))

    def carry(self, incarnation: str, counters: Counters) -> None:
        """Add a finished incarnation's counters to the totals; fine to repeat."""
        self._save_totals(Totals(base=self.totals.base, carried=self.totals.carried | {incarnation: counters}))

    def forget(self, incarnation: str) -> None:
        """The incarnation's folder is gone: so may its progress be."""
        self._path(incarnation).unlink(missing_ok=True)
        self._fold()

    def remember(self, entries: Iterable[tuple[bytes, Remembered]]) -> None:
        """Keep conversations for the next run. Losing some to power loss only ends their sessions early."""
        lines = [_line(digest, entry) for digest, entry in entries]
        self._journal_lines += len(lines)
        if self._journal_lines > 2 * self._sessions_max:
            lines = [_line(digest, entry) for digest, entry in self.sessions.entries()]
            self._journal_lines = len(lines)
            write_atomically(self._journal, "".join(lines).encode())
        elif lines:
            with self._journal.open("a", encoding="ascii") as file:
                file.write("".join(lines))

    def _load_sessions(self) -> None:
        try:
            lines = self._journal.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            return
        self._journal_lines = len(lines)
        for line in lines:
            try:
                digest, *fields = json.loads(line)
                self.sessions.remember(bytes.fromhex(digest), Remembered(*fields))
            except (ValueError, TypeError):
                continue  # torn by a crash

    def _fold(self) -> None:
        """Counters whose progress file is gone can no longer be carried twice: they join the base."""
        base, carried = self.totals.base, {}
        for incarnation, counters in self.totals.carried.items():
            if self._path(incarnation).exists():
                carried[incarnation] = counters
            else:
                base = base.plus(counters)
        if carried != self.totals.carried:
            self._save_totals(Totals(base=base, carried=carried))

    def _save_totals(self, totals: Totals) -> None:
        write_atomically(self._directory / "totals.json", msgspec.json.encode(totals))
        self.totals = totals

    def _path(self, incarnation: str) -> Path:
        return self._directory / f"{incarnation}.json"

    def _load(self, path: Path, kind: type[_Struct]) -> _Struct | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, ValueError):
            # Starting over would publish rows twice: a person has to look.
            raise ArchiveUnusable(
                "archive_state_damaged", f"{path} is damaged: restore it or remove the spool"
            ) from None


def _line(digest: bytes, entry: Remembered) -> str:
    fields = [getattr(entry, name) for name in Remembered.__slots__]
    return json.dumps([digest.hex(), *fields], separators=(",", ":")) + "\n"
