"""How large the spool is, all incarnations together, without a scan per frame.

A scan reads sizes from the directory; between scans the writer adds what it wrote. Frames written while a scan runs may
be counted twice until the next one: the estimate errs on the full side.
"""

from __future__ import annotations

import threading
from pathlib import Path

from capture.spool.fs import Filesystem


def spool_bytes(fs: Filesystem, directory: Path) -> int:
    """Bytes of all files of all incarnations in the spool directory."""
    return sum(
        fs.size(directory / incarnation / name)
        for incarnation in fs.names(directory)
        for name in fs.names(directory / incarnation)
    )


class SpoolUsage:
    """Tracked size of the spool directory, in bytes. Thread-safe."""

    def __init__(self, fs: Filesystem, directory: Path) -> None:
        self._fs = fs
        self._directory = directory
        self._lock = threading.Lock()
        self._scanned = 0
        self._written = 0
        self._written_at_scan = 0

    @property
    def used_bytes(self) -> int:
        with self._lock:
            return self._scanned + self._written - self._written_at_scan

    def add(self, count: int) -> None:
        with self._lock:
            self._written += count

    def scan(self) -> None:
        with self._lock:
            mark = self._written
        scanned = spool_bytes(self._fs, self._directory)
        with self._lock:
            self._scanned = scanned
            self._written_at_scan = mark
