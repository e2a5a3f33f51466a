"""AWS event streams on bytes, without input or output (`application/vnd.amazon.eventstream`).

    message = total_bytes:u32  header_bytes:u32  crc32(those 8 bytes):u32  headers  payload  crc32(all before):u32
    header  = name_bytes:u8  name  type:u8  value            every number big-endian, both CRCs as in zlib
    value   = 0 true | 1 false | 2 i8 | 3 i16 | 4 i32 | 5 i64 | 6 u16+bytes | 7 u16+UTF-8 | 8 i64 ms | 9 16 bytes

`:message-type` says what a message is: `event` (named by `:event-type`), `exception` (`:exception-type`, the payload
tells more) or `error` (`:error-code` and `:error-message`, mostly without a payload). Source: the Smithy specification,
"Amazon Event Stream Specification", and the vectors of AWS' own SDKs.

A stream whose CRC or length is wrong cannot be read any further, because nothing else tells where its next message
begins: reading ends there and `is_broken` says so. Nothing is searched or joined twice, so time is linear.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final, TypeAlias
from uuid import UUID

import orjson

from extproc.framing.stream_event import StreamEvent

PRELUDE_BYTES: Final = 12
CRC_BYTES: Final = 4
MESSAGE_BYTES_MIN: Final = PRELUDE_BYTES + CRC_BYTES
HEADERS_BYTES_MAX: Final = 128 * 1024
"""The specification's limit for the headers of one message."""

KINDS_MAX: Final = 32
KIND_BYTES_MAX: Final = 1_024
"""Headers of so many kinds, each at most so long, are remembered."""

HeaderValue: TypeAlias = "bool | int | bytes | str | UUID"
"""Types 2 to 5 and 8 (milliseconds since 1970) are integers."""

_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_LENGTH = Struct(">H")
_INTEGERS: Final = {2: Struct(">b"), 3: Struct(">h"), 4: Struct(">i"), 5: Struct(">q"), 8: Struct(">q")}
_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9
_STRING_BYTES_MAX = 2**15 - 1


class BrokenMessage(ValueError):
    """These bytes are no message. Says what is wrong, never what was in it."""


@dataclass(frozen=True, slots=True)
class Message:
    headers: Mapping[str, HeaderValue]
    payload: bytes


def is_prelude(data: bytes) -> bool:
    """Do these (at least `PRELUDE_BYTES`) begin with the prelude of a message? One chance in 4 billion to be wrong."""
    said: int = _CRC.unpack_from(data, 8)[0]
    return zlib.crc32(data[:8]) == said


def decode_message(data: bytes) -> Message:
    """The message that `data` is, no byte more. Raises `BrokenMessage`."""
    if len(data) < MESSAGE_BYTES_MIN:
        raise BrokenMessage("a message is cut off")
    total, header_bytes = _checked_prelude(data)
    if total != len(data):
        raise BrokenMessage("a message has another length than it says")
    headers, payload = _checked_parts(data, header_bytes)
    return Message(_decode_headers(headers), payload)


def encode_message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message with string headers. Raises `ValueError` for a name or value that is longer than its length field."""
    pieces = []
    for name, text in headers.items():
        encoded_name, value = name.encode(), text.encode()
        if not 0 < len(encoded_name) < 256 or len(value) > _STRING_BYTES_MAX:
            raise ValueError("a header's name or value is too long")
        pieces += [bytes([len(encoded_name)]), encoded_name, bytes([_STRING]), _LENGTH.pack(len(value)), value]
    encoded = b"".join(pieces)
    lengths = _PRELUDE.pack(MESSAGE_BYTES_MIN + len(encoded) + len(payload), len(encoded), 0)[:8]
    message = b"".join((lengths, _CRC.pack(zlib.crc32(lengths)), encoded, payload))
    return message + _CRC.pack(zlib.crc32(message))


class EventStreamParser:
    """One stream. `feed` any number of times, then `flush` once. Neither raises."""

    def __init__(self, *, event_bytes_max: int) -> None:
        self.event_bytes_max = event_bytes_max
        self.is_broken = False
        """A checksum or a length was wrong: nothing was read from there on."""
        self.is_cut = False
        """The stream ended in the middle of a message."""
        self._buffer = bytearray()
        self._kinds: dict[bytes, _Kind] = {}
        """Headers that were read already: a stream has a handful of different ones."""
        self._skip_bytes = 0
        """Of a message beyond the limit: what is still to come of it."""

    @property
    def held_bytes(self) -> int:
        """Bytes of the message that is not complete yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[StreamEvent]:
        """Events completed by `data`."""
        if self.is_broken:
            return []
        self._buffer += data
        events: list[StreamEvent] = []
        try:
            while (event := self._next()) is not None:
                events.append(event)
        except BrokenMessage:
            self.is_broken = True
            self._buffer.clear()
        return events

    def flush(self) -> list[StreamEvent]:
        """End of the stream. Half a message gives no event: its checksum, which comes last, is missing."""
        self.is_cut = bool(self._buffer) or self._skip_bytes > 0
        self._buffer.clear()
        return []

    def _next(self) -> StreamEvent | None:
        """The next event, None for more. Raises `BrokenMessage`."""
        if self._skip_bytes:
            skipped = min(self._skip_bytes, len(self._buffer))
            del self._buffer[:skipped]
            self._skip_bytes -= skipped
        if len(self._buffer) < PRELUDE_BYTES:
            return None
        total, header_bytes = _checked_prelude(self._buffer)
        if total > self.event_bytes_max:
            self._skip_bytes = total
            return StreamEvent(b"", b"", oversized=True)
        if len(self._buffer) < total:
            return None
        headers, payload = _checked_parts(bytes(self._buffer[:total]), header_bytes)
        del self._buffer[:total]
        kind = self._kinds.get(headers)
        if kind is None:
            kind = _kind(_decode_headers(headers))
            if len(self._kinds) < KINDS_MAX and len(headers) <= KIND_BYTES_MAX:
                self._kinds[headers] = kind
        return StreamEvent(kind.type, payload or kind.payload, is_error=kind.is_error)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a message's headers say of it."""

    type: bytes
    is_error: bool = False
    payload: bytes = b""
    """Stands in for a payload where there is none."""


def _checked_prelude(data: bytes | bytearray) -> tuple[int, int]:
    """(bytes of the message, bytes of its headers)."""
    total, header_bytes, crc = _PRELUDE.unpack_from(data)
    if zlib.crc32(data[:8]) != crc:
        raise BrokenMessage("a prelude's checksum is wrong")
    if header_bytes > HEADERS_BYTES_MAX or total < MESSAGE_BYTES_MIN + header_bytes:
        raise BrokenMessage("a message has an impossible length")
    return total, header_bytes


def _checked_parts(data: bytes, header_bytes: int) -> tuple[bytes, bytes]:
    """(headers, payload) of a whole message."""
    crc_begin = len(data) - CRC_BYTES
    if zlib.crc32(data[:crc_begin]) != _CRC.unpack_from(data, crc_begin)[0]:
        raise BrokenMessage("a message's checksum is wrong")
    headers_end = PRELUDE_BYTES + header_bytes
    return data[PRELUDE_BYTES:headers_end], data[headers_end:crc_begin]


def _decode_headers(data: bytes) -> dict[str, HeaderValue]:
    headers: dict[str, HeaderValue] = {}
    at = 0
    while at < len(data):
        name_bytes = data[at]
        name, at = _text(_taken(data, at + 1, name_bytes)), at + 1 + name_bytes
        kind, at = _taken(data, at, 1)[0], at + 1
        if not name or name in headers:
            raise BrokenMessage("a header has no name, or another one's")
        if kind in (_TRUE, _FALSE):
            headers[name] = kind == _TRUE
        elif (integer := _INTEGERS.get(kind)) is not None:
            headers[name] = integer.unpack(_taken(data, at, integer.size))[0]
            at += integer.size
        elif kind in (_BYTES, _STRING):
            size = _LENGTH.unpack(_taken(data, at, _LENGTH.size))[0]
            value = _taken(data, at + _LENGTH.size, size)
            headers[name] = value if kind == _BYTES else _text(value)
            at += _LENGTH.size + size
        elif kind == _UUID:
            headers[name] = UUID(bytes=_taken(data, at, 16))
            at += 16
        else:
            raise BrokenMessage("a header has an unknown type")
    return headers


def _taken(data: bytes, at: int, size: int) -> bytes:
    piece = data[at : at + size]
    if len(piece) != size:
        raise BrokenMessage("a header is cut off")
    return piece


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise BrokenMessage("a header is not UTF-8") from None


def _kind(headers: Mapping[str, HeaderValue]) -> _Kind:
    def said(name: str) -> bytes:
        value = headers.get(name)
        return value.encode() if type(value) is str else b""

    match said(":message-type"):
        case b"exception":
            return _Kind(said(":exception-type"), is_error=True)
        case b"error":
            # Its text stands in a header: given as the payload that an exception would have.
            payload = orjson.dumps({"message": said(":error-message").decode()})
            return _Kind(said(":error-code"), is_error=True, payload=payload)
        case _:
            return _Kind(said(":event-type"))
