"""Files that are either whole and durable or not there: the few calls that need care."""

from __future__ import annotations

import os
from pathlib import Path


def make_directory(path: Path, *, mode: int = 0o777) -> None:
    """Like `mkdir -p`, with every new name brought to the disk. `mode` (less the umask) is that of all that is new."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(mode=mode, exist_ok=True)
        sync_directory(directory.parent)


def sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def move(source: Path, target: Path) -> None:
    """Give a file that is on the disk its name, durably, replacing what had it. Both lie in one file system."""
    make_directory(target.parent)
    source.rename(target)
    sync_directory(target.parent)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file: readers and crashes see the old bytes or the new ones."""
    staged = path.with_name(path.name + ".new")
    staged.write_bytes(data)
    sync_file(staged)
    move(staged, path)
