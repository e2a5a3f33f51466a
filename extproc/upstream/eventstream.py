"""Writes messages of `application/vnd.amazon.eventstream` (smithy.io/2.0/aws/amazon-eventstream.html).

    total length u32 │ headers length u32 │ CRC-32 of these u32 │ headers │ payload │ CRC-32 of all before u32

A header is: length of its name u8 │ name │ type u8 (7: a string) │ length of its value u16 │ value. All big-endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

_STRING = 7
_FRAME_BYTES = 16
"""Prelude and both sums."""


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    encoded = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    prelude = struct.pack(">II", _FRAME_BYTES + len(encoded) + len(payload), len(encoded))
    summed = prelude + struct.pack(">I", zlib.crc32(prelude)) + encoded + payload
    return summed + struct.pack(">I", zlib.crc32(summed))


def event_message(kind: str, payload: bytes) -> bytes:
    """An event with a JSON payload, as Bedrock's runtime sends it."""
    return message({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload)


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack(">B", len(name)) + name + struct.pack(">BH", _STRING, len(value)) + value
