"""One batch of exchanges into the archive: bodies read, rows derived, files written, published content first.

A batch is a range (a, b] of one incarnation's offsets. Its files are named by that range, so publishing it again after
a crash writes the same rows under the same names: exactly once, without a transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capture import record, rows
from capture.columns import Tree
from capture.derive import DeriveLimits
from capture.errors import SpoolDamaged
from capture.files import make_directory
from capture.join import Joined
from capture.parquet import TreeFile
from capture.record import Request, ResponsePart
from capture.rows import Bodies, Rows
from capture.sessions import Place, Remembered, SessionIndex, entry_of
from capture.spool.reader import IncarnationReader
from extproc.codec import Codec

_ROW_BYTES = 2_048
"""Counted per row beside its bodies."""
_COPIES = 3
"""A body is in memory about this often while its row is built: as it is, decoded, and as derived text."""


@dataclass(frozen=True, slots=True)
class BatchName:
    incarnation: str
    start: int
    end: int

    def __str__(self) -> str:
        return f"{self.incarnation}-{self.start:016d}-{self.end:016d}"


class BatchPublisher:
    """Writes batches to `archive_dir`. `step` is told what is about to happen (tests end the process there)."""

    def __init__(
        self,
        archive_dir: Path,
        *,
        codecs: Mapping[str, Codec],
        sessions: SessionIndex,
        limits: DeriveLimits,
        group_bytes_max: int,
        step: Callable[[str], None],
    ) -> None:
        self._archive = archive_dir
        self._staging = archive_dir / ".staging"
        self._codecs = codecs
        self._sessions = sessions
        self._limits = limits
        self._group_bytes_max = group_bytes_max
        self._step = step

    def publish(
        self, name: BatchName, exchanges: Sequence[Joined], reader: IncarnationReader
    ) -> list[tuple[bytes, Remembered]]:
        """Publish the exchanges; returns what to remember of their conversations. Raises OSError when the disk does."""
        make_directory(self._staging, mode=0o700)
        files: dict[tuple[Tree, str], TreeFile] = {}
        remembered: list[tuple[bytes, Remembered]] = []
        for joined in sorted(exchanges, key=lambda exchange: (exchange.opened.at_ns, exchange.opened_offset)):
            built = self._build(joined, reader, remembered)
            size = _ROW_BYTES + _COPIES * _body_bytes(built.content)
            for tree, row in ((Tree.CONTENT, built.content), (Tree.FACTS, built.facts)):
                file = files.get((tree, built.dt))
                if file is None:
                    file = files[tree, built.dt] = TreeFile(
                        tree, built.dt, str(name), self._staging, group_bytes_max=self._group_bytes_max
                    )
                file.add(row, size if tree is Tree.CONTENT else _ROW_BYTES)
        for file in files.values():
            self._step("write")
            file.finish()
        # A visible fact always has its content: content gets its names first.
        for file in sorted(files.values(), key=lambda item: item.tree is Tree.FACTS):
            self._step(f"publish_{file.tree.value}")
            file.publish(self._archive)
        return remembered

    def clean(self, incarnation: str) -> None:
        """Remove what an interrupted run left in the staging folder."""
        for leftover in self._staging.glob(f"{incarnation}-*"):
            leftover.unlink(missing_ok=True)

    def _build(self, joined: Joined, reader: IncarnationReader, remembered: list[tuple[bytes, Remembered]]) -> Rows:
        read = rows.read(joined, _bodies(joined, reader), self._codecs, self._limits)
        place: Place | None = None
        if read.chain is not None:
            place = self._sessions.place(joined.exchange_id, joined.opened.at_ns, read.chain)
            digest, entry = entry_of(joined.exchange_id, joined.opened.at_ns, read.chain, place)
            self._sessions.remember(digest, entry)
            remembered.append((digest, entry))
        return rows.rows(read, place, self._limits)


def _bodies(joined: Joined, reader: IncarnationReader) -> Bodies:
    """Read an exchange's bodies back. What cannot be read again is missing, and a warning says so."""
    request: bytes | None = None
    parts: list[bytes] = []
    warnings: tuple[str, ...] = ()
    try:
        if joined.request_ref is not None:
            frame = record.decode(reader.payload(joined.request_ref))
            assert isinstance(frame, Request)
            request = frame.body
        for ref in joined.parts:
            part = record.decode(reader.payload(ref))
            assert isinstance(part, ResponsePart)
            parts.append(part.data)
    except SpoolDamaged:
        warnings = ("body_damaged",)
    return Bodies(request, b"".join(parts) or None, warnings)


def _body_bytes(content: dict[str, Any]) -> int:
    return len(content.get("request_body") or b"") + len(content.get("response_body") or b"")
