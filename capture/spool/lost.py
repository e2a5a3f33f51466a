"""The persistent count of exchanges for which there will be no row (full disk, `on_disk_full: pass_and_count`).

A file of two slots, written in turn and in place: its blocks are allocated when the disk is still fine, so counting
works on a full disk, and a write that power loss tears leaves the other slot.

    slot, 16 bytes:  0 4 magic 'HGLC'   4 8 count   12 4 CRC-32 of bytes 0-11, seeded
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from capture.spool.fs import Filesystem, SpoolFile
from capture.spool.layout import LOST_NAME
from capture.spool.segment import Buffer

_SLOT = struct.Struct("<4sQ")
_CRC = struct.Struct("<I")
_SLOT_BYTES = _SLOT.size + _CRC.size
_MAGIC = b"HGLC"
_SEED = 0x4C4F5354


def _encode(count: int) -> bytes:
    head = _SLOT.pack(_MAGIC, count)
    return head + _CRC.pack(zlib.crc32(head, _SEED))


def decode(data: Buffer) -> int:
    """The count: the larger of the good slots, 0 when none is good."""
    best = 0
    for position in (0, _SLOT_BYTES):
        slot = bytes(data[position : position + _SLOT_BYTES])
        if len(slot) < _SLOT_BYTES or zlib.crc32(slot[: _SLOT.size], _SEED) != _CRC.unpack_from(slot, _SLOT.size)[0]:
            continue
        magic, count = _SLOT.unpack_from(slot)
        if magic == _MAGIC:
            best = max(best, count)
    return best


def read(fs: Filesystem, directory: Path) -> int:
    """The count of one incarnation's folder."""
    return decode(fs.read(directory / LOST_NAME, 0, 2 * _SLOT_BYTES)) if fs.size(directory / LOST_NAME) else 0


class LostCounter:
    """The writing side. Not thread-safe: the writer holds its lock."""

    def __init__(self, fs: Filesystem, directory: Path) -> None:
        self._file: SpoolFile = fs.create(directory / LOST_NAME)
        self.count = 0
        data = _encode(0) * 2
        if self._file.write([data], 0) != len(data):
            raise OSError("short write")
        self._file.sync()

    def add(self, n: int) -> None:
        """Raises OSError when even writing in place fails; the count in memory is right all the same."""
        self.count += n
        data = _encode(self.count)
        if self._file.write([data], (self.count & 1) * _SLOT_BYTES) != len(data):
            raise OSError("short write")

    def sync(self) -> None:
        self._file.sync()

    def close(self) -> None:
        self._file.close()
