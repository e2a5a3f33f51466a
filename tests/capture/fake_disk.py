"""A disk in memory that does what real ones do at their worst: short writes, no space, failing and forgetful fdatasync,
power loss that tears, zeroes or garbles what was not synced. Implements `capture.spool.fs.Filesystem`."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from capture.spool.segment import Buffer


@dataclass
class Inode:
    data: bytearray = field(default_factory=bytearray)
    synced: int = 0
    """Bytes at the front that the disk has."""
    forgotten: list[tuple[int, int]] = field(default_factory=list)
    """Ranges that a failed fdatasync dropped: in memory they are still there, after power loss they are zeroes."""
    named: bool = False


class FakeDisk:
    def __init__(self, capacity: int = 1 << 30) -> None:
        self.capacity = capacity
        self.files: dict[Path, Inode] = {}
        self.locks: set[Path] = set()
        self.mutex = threading.RLock()
        self.refuse_truncate = False
        self.refuse_create = False
        self.refuse_sync = False
        self.die_after: int | None = None
        """The process dies when this many more bytes were written."""

    @property
    def used(self) -> int:
        return sum(len(inode.data) for inode in self.files.values())

    # Filesystem

    def create(self, path: Path) -> FakeFile:
        with self.mutex:
            if self.refuse_create:
                raise OSError(errno.ENOSPC, "no space left on device")
            if path in self.files:
                raise FileExistsError(path)
            self.files[path] = Inode()
            return FakeFile(self, self.files[path])

    def make_directory(self, path: Path) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        with self.mutex:
            for name, inode in self.files.items():
                if name.parent == path:
                    inode.named = True

    def rename(self, source: Path, target: Path) -> None:
        with self.mutex:
            for path in [path for path in self.files if path.parent == source]:
                self.files[target / path.name] = self.files.pop(path)
            for path in [path for path in self.locks if path.parent == source]:
                self.locks.remove(path)
                self.locks.add(target / path.name)

    def remove(self, path: Path) -> None:
        with self.mutex:
            self.files.pop(path, None)

    def lock(self, path: Path) -> FakeLock | None:
        with self.mutex:
            if path in self.locks:
                return None
            self.locks.add(path)
            return FakeLock(self)

    def names(self, path: Path) -> list[str]:
        with self.mutex:
            depth = len(path.parts)
            return sorted({p.parts[depth] for p in self.files if p.parts[:depth] == path.parts})

    def size(self, path: Path) -> int:
        with self.mutex:
            return len(self.files[path].data) if path in self.files else 0

    def read(self, path: Path, position: int, size: int) -> bytes:
        with self.mutex:
            return bytes(self.files[path].data[position : position + size])

    # Faults

    def lose_power(self, folder: Path, fate: Callable[[int], tuple[str, int]]) -> None:
        """What was not synced is torn, zeroed or garbled; `fate(n)` says which, and from which of n bytes on."""
        with self.mutex:
            for path in [path for path in self.files if path.parent == folder]:
                inode = self.files[path]
                if not inode.named:
                    del self.files[path]
                    continue
                for start, end in inode.forgotten:
                    inode.data[start:end] = bytes(len(inode.data[start:end]))
                unsynced = len(inode.data) - inode.synced
                if unsynced > 0:
                    kind, kept = fate(unsynced)
                    at = inode.synced + kept
                    if kind == "torn":
                        del inode.data[at:]
                    elif kind == "zeroed":
                        inode.data[at:] = bytes(len(inode.data) - at)
                    else:
                        inode.data[at:] = bytes(byte ^ 0x5A for byte in inode.data[at:])


class Died(BaseException):
    """The process was killed inside a system call."""


class FakeFile:
    def __init__(self, disk: FakeDisk, inode: Inode) -> None:
        self._disk = disk
        self._inode = inode

    def write(self, parts: Sequence[Buffer], position: int) -> int:
        disk, data = self._disk, b"".join(bytes(part) for part in parts)
        with disk.mutex:
            growth = max(0, position + len(data) - len(self._inode.data))
            room = max(0, disk.capacity - disk.used)
            if growth > room:
                data = data[: len(data) - (growth - room)]
                if not data:
                    raise OSError(errno.ENOSPC, "no space left on device")
            dies = disk.die_after is not None and disk.die_after <= len(data)
            if dies:
                data = data[: disk.die_after]
            self._inode.data[position : position + len(data)] = data
            if dies:
                raise Died
            return len(data)

    def truncate(self, size: int) -> None:
        with self._disk.mutex:
            if self._disk.refuse_truncate:
                raise OSError(errno.EIO, "input/output error")
            del self._inode.data[size:]
            self._inode.synced = min(self._inode.synced, size)

    def sync(self) -> None:
        with self._disk.mutex:
            inode = self._inode
            if self._disk.refuse_sync:
                inode.forgotten.append((inode.synced, len(inode.data)))
                inode.synced = len(inode.data)  # the kernel thinks these pages are clean now
                raise OSError(errno.EIO, "input/output error")
            inode.synced = len(inode.data)

    def close(self) -> None:
        pass


class FakeLock:
    def __init__(self, disk: FakeDisk) -> None:
        self._disk = disk

    def release(self) -> None:
        pass
