"""Files as the spool needs them: small Protocols, so that tests can tear, zero, fill and kill a disk, and the real one.

Errors are `OSError` throughout; the writer gives them meaning. Paths are absolute or relative to the process.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from capture.spool.segment import Buffer


class SpoolFile(Protocol):
    """A file open for writing."""

    def write(self, parts: Sequence[Buffer], position: int) -> int:
        """One pwritev(2) at `position`. Returns how many bytes it took: may be fewer than given."""

    def truncate(self, size: int) -> None: ...

    def sync(self) -> None:
        """fdatasync(2). After a failure the same data can never be reported durable again (the kernel forgot it)."""

    def close(self) -> None: ...


class Lock(Protocol):
    def release(self) -> None: ...


class Filesystem(Protocol):
    def create(self, path: Path) -> SpoolFile:
        """A new empty file; `FileExistsError` when there is one."""

    def make_directory(self, path: Path) -> None:
        """With parents; fine when it exists."""

    def sync_directory(self, path: Path) -> None:
        """fsync(2) of a directory: names created in it survive power loss."""

    def rename(self, source: Path, target: Path) -> None: ...

    def remove(self, path: Path) -> None:
        """Remove a file; fine when it is gone already."""

    def lock(self, path: Path) -> Lock | None:
        """flock(2) exclusively, creating the file. None when somebody else holds it."""

    def names(self, path: Path) -> list[str]:
        """Sorted names in a directory; empty when it does not exist."""

    def size(self, path: Path) -> int:
        """Bytes of a file; 0 when it does not exist."""

    def read(self, path: Path, position: int, size: int) -> bytes:
        """Up to `size` bytes at `position`; fewer only at the end of the file."""


class _OsFile:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def write(self, parts: Sequence[Buffer], position: int) -> int:
        return os.pwritev(self._fd, parts, position)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._fd, size)

    def sync(self) -> None:
        os.fdatasync(self._fd)

    def close(self) -> None:
        os.close(self._fd)


class _OsLock:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def release(self) -> None:
        # Explicitly, not by close alone: a forked child may hold a copy of the descriptor.
        fcntl.flock(self._fd, fcntl.LOCK_UN)
        os.close(self._fd)


class OsFilesystem:
    """The real disk."""

    def create(self, path: Path) -> SpoolFile:
        return _OsFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))

    def make_directory(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)  # `parents` alone would make it with another mode
        path.mkdir(exist_ok=True, mode=0o700)

    def sync_directory(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def lock(self, path: Path) -> Lock | None:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return _OsLock(fd)

    def names(self, path: Path) -> list[str]:
        try:
            return sorted(entry.name for entry in os.scandir(path))
        except FileNotFoundError:
            return []

    def size(self, path: Path) -> int:
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0

    def read(self, path: Path, position: int, size: int) -> bytes:
        fd = os.open(path, os.O_RDONLY)
        try:
            chunks: list[bytes] = []
            while size > 0:
                chunk = os.pread(fd, size, position)
                if not chunk:
                    break
                chunks.append(chunk)
                position += len(chunk)
                size -= len(chunk)
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        finally:
            os.close(fd)
