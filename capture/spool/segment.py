"""One file of the spool as bytes: encoding, decoding, nothing else. Pure: no files, no clock, no randomness.

Invariants
  1. What `encode_frame` gave is what `decode_frame` gives back, or else `Damage` or `NeedMore`: never other bytes.
  2. A frame is only valid at its own place: its header's CRC is seeded by the segment header (which holds the
     incarnation and the segment's number) and covers the frame's logical offset. A copy of a frame inside a payload, a
     recycled disk block or a frame of another segment is not a frame.
  3. Zeroes are never a frame: the magic is not zero and no CRC here starts from zero (crc32(b"") == 0, so that with an
     unseeded CRC a zero-filled tail would parse as an endless run of empty frames).
  4. The header has a CRC of its own, so a length can be trusted before its payload is there: `NeedMore` never waits for
     bytes that a flipped bit invented, and a payload that rotted costs one frame, not the rest of the segment.

Layout (little-endian everywhere)

    segment header, 48 bytes                          frame header, 20 bytes, then the payload
    0   8  magic        89 'H' 'G' 'S' 'E' 'G' 0d 0a  0   4  magic        f5 'H' 'G' 'f'
    8   2  version      1                             4   1  kind         1 payload, 2 end of segment
    10  2  header size  48                            5   3  zero
    12  4  number       1, 2, 3, …                    8   4  payload length, bytes
    16  8  base offset                                12  4  CRC-32 of the payload, seeded by a constant
    24 16  incarnation  UUID, big-endian              16  4  CRC-32 of bytes 0-15 and of the logical offset
    40  4  zero                                              (8 bytes), seeded by the CRC of the segment header
    44  4  CRC-32 of bytes 0-43, seeded

Logical offset: the position of a byte in the concatenation of all frames of one incarnation, segment headers left out.
A segment's base offset is where it begins in that concatenation: the writer's last good offset when it was created. An
end mark (kind 2, no payload) closes a segment whose writer was done with it; a segment without one was cut.

    89 48 47 53 45 47 0d 0a 01 00 30 00 01 00 00 00 …   header of segment 1
    f5 48 47 66 01 00 00 00 05 00 00 00 cc cc cc cc hh hh hh hh 'h' 'e' 'l' 'l' 'o'   a frame
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

FORMAT_VERSION = 1
PAYLOAD_BYTES_MAX = (1 << 30) + (128 << 20)
"""A body of the largest configurable size (1 GiB) plus its frame's other fields; still one write(2) on Linux."""

_SEGMENT = struct.Struct("<8sHHIQ16s4s")
_FRAME = struct.Struct("<4sB3sII")
_CRC = struct.Struct("<I")
_OFFSET = struct.Struct("<Q")

SEGMENT_HEADER_BYTES = _SEGMENT.size + _CRC.size
FRAME_HEADER_BYTES = _FRAME.size + _CRC.size
_SEGMENT_MAGIC = b"\x89HGSEG\r\n"
FRAME_MAGIC = b"\xf5HGf"
_KIND_PAYLOAD = 1
_KIND_END = 2
_SEED = 0x48474453
"""Where every CRC in here starts from: anything but 0 (invariant 3)."""

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    incarnation: str
    """UUID, canonical text."""
    number: int
    base_offset: int
    """Logical offset of the segment's first frame."""
    seed: int
    """What this segment's frame headers are checked with."""


@dataclass(frozen=True, slots=True)
class FrameRef:
    """Where a frame lies, so that its payload can be read again later instead of being held."""

    segment: int
    """Number of the segment."""
    position: int
    """Of the frame's first byte in the segment file."""
    size: int
    """Bytes of header and payload together."""
    offset: int
    """Logical offset of the frame's first byte."""

    @property
    def end(self) -> int:
        """Logical offset after the frame: what `SpoolWriter.append` returned for it."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True)
class Frame:
    """A good frame. `payload` is None for an end mark; otherwise a view into the buffer that was decoded."""

    payload: memoryview | None
    size: int
    """Bytes of header and payload together."""


@dataclass(frozen=True, slots=True)
class NeedMore:
    """The bytes so far are the beginning of a frame (or of nothing yet)."""

    size: int
    """Bytes needed, counted from the frame's beginning, to get further."""


@dataclass(frozen=True, slots=True)
class Damage:
    """The bytes are not what was written."""

    code: str
    """`bad_segment_header`, `unknown_version`, `bad_frame_header` or `bad_payload`."""
    size: int | None = None
    """For `bad_payload`: bytes of the damaged frame, whose header is good; the next frame begins after it."""


def encode_segment_header(*, incarnation: str, number: int, base_offset: int) -> tuple[bytes, int]:
    """The header's bytes, and the seed for its frames. Raises ValueError when `incarnation` is not a UUID."""
    raw = bytes.fromhex(incarnation.replace("-", ""))
    if len(raw) != 16:
        raise ValueError("incarnation must be a UUID")
    head = _SEGMENT.pack(_SEGMENT_MAGIC, FORMAT_VERSION, SEGMENT_HEADER_BYTES, number, base_offset, raw, bytes(4))
    crc = zlib.crc32(head, _SEED)
    return head + _CRC.pack(crc), _frame_seed(crc)


def decode_segment_header(data: Buffer) -> SegmentHeader | NeedMore | Damage:
    """Read the first bytes of a segment file."""
    view = memoryview(data)
    known = bytes(view[: len(_SEGMENT_MAGIC)])
    if not _SEGMENT_MAGIC.startswith(known):
        return Damage("bad_segment_header")
    if len(view) < SEGMENT_HEADER_BYTES:
        return NeedMore(SEGMENT_HEADER_BYTES)
    head = view[: _SEGMENT.size]
    (crc,) = _CRC.unpack_from(view, _SEGMENT.size)
    if zlib.crc32(head, _SEED) != crc:
        return Damage("bad_segment_header")
    _, version, size, number, base_offset, raw, _ = _SEGMENT.unpack(head)
    if version != FORMAT_VERSION or size != SEGMENT_HEADER_BYTES:
        return Damage("unknown_version")
    text = raw.hex()
    incarnation = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return SegmentHeader(incarnation=incarnation, number=number, base_offset=base_offset, seed=_frame_seed(crc))


def payload_crc(payload: Buffer) -> int:
    """Independent of the frame's place, so that a writer can compute it before it knows the place."""
    return zlib.crc32(payload, _SEED)


def encode_frame_header(*, length: int, crc: int, offset: int, seed: int) -> bytes:
    """The header of a payload of `length` bytes (at most PAYLOAD_BYTES_MAX) at logical `offset`."""
    return _frame_header(_KIND_PAYLOAD, length, crc, offset, seed)


def encode_frame(payload: bytes, *, offset: int, seed: int) -> bytes:
    """A whole frame; copies the payload (the writer hands header and payload to the kernel separately)."""
    return _frame_header(_KIND_PAYLOAD, len(payload), payload_crc(payload), offset, seed) + payload


def encode_end(*, offset: int, seed: int) -> bytes:
    """The mark that closes a segment."""
    return _frame_header(_KIND_END, 0, _SEED, offset, seed)


def decode_frame(data: Buffer, *, offset: int, seed: int) -> Frame | NeedMore | Damage:
    """Read the frame that begins at the first byte of `data` and at logical `offset`."""
    view = memoryview(data)
    if not FRAME_MAGIC.startswith(bytes(view[: len(FRAME_MAGIC)])):
        return Damage("bad_frame_header")
    if len(view) < FRAME_HEADER_BYTES:
        return NeedMore(FRAME_HEADER_BYTES)
    head = view[: _FRAME.size]
    _, kind, _, length, crc = _FRAME.unpack(head)
    (header_crc,) = _CRC.unpack_from(view, _FRAME.size)
    if _header_crc(head, offset, seed) != header_crc:
        return Damage("bad_frame_header")
    if kind not in (_KIND_PAYLOAD, _KIND_END) or length > PAYLOAD_BYTES_MAX:
        return Damage("bad_frame_header")
    size = FRAME_HEADER_BYTES + length
    if len(view) < size:
        return NeedMore(size)
    payload = view[FRAME_HEADER_BYTES:size]
    if payload_crc(payload) != crc:
        return Damage("bad_payload", size)
    return Frame(payload if kind == _KIND_PAYLOAD else None, size)


def _frame_header(kind: int, length: int, crc: int, offset: int, seed: int) -> bytes:
    if length > PAYLOAD_BYTES_MAX:
        raise ValueError(f"a frame holds at most {PAYLOAD_BYTES_MAX} bytes")
    head = _FRAME.pack(FRAME_MAGIC, kind, bytes(3), length, crc)
    return head + _CRC.pack(_header_crc(head, offset, seed))


def _header_crc(head: Buffer, offset: int, seed: int) -> int:
    return zlib.crc32(_OFFSET.pack(offset), zlib.crc32(head, seed))


def _frame_seed(header_crc: int) -> int:
    return header_crc or _SEED
