"""Content codings taken off incrementally, within limits (RFC 9110 §8.4; gzip RFC 1952, zlib 1950, deflate 1951,
br RFC 7932, zstd RFC 8878 and 9659).

Three limits keep a small body from becoming a large one: decoded bytes in all, decoded bytes per encoded byte (from
`RATIO_FREE_BYTES` on, since short texts may well shrink more), and how many codings and gzip members or zstd frames may
be stacked. No call decodes more than what is still allowed plus one byte; `br`, whose library only stops between its
own blocks, plus `BROTLI_BLOCK_BYTES`. What a decoder keeps to look back at is bounded too: 32 KiB for deflate, 16 MiB
for br by its format, 8 MiB for zstd.

Whatever else a header names is refused as unsupported, never passed over.
"""

from __future__ import annotations

import zlib
from typing import Protocol

import brotli
from backports import zstd

from extproc.errors import ClientError

CODINGS_MAX = 3
"""Codings in one header, `gzip, gzip`: more is nobody's configuration."""
MEMBERS_MAX = 4_096
"""gzip members (RFC 1952 §2.2) or zstd frames in one body: each costs a fresh state, however short it is."""
RATIO_FREE_BYTES = 256 * 1024
SLICE_BYTES = 64 * 1024
"""Input is decoded in slices of this size, because what follows a member's end is copied once for each member."""
BROTLI_BLOCK_BYTES = 64 * 1024
"""Output is asked of brotli in pieces of this size; it gives up to twice as much."""
ZSTD_WINDOW_LOG_MAX = 23
"""8 MiB, the most that RFC 9659 §3 allows a `zstd` body to ask of who reads it. Levels up to 19 keep to it."""

_GZIP_MAGIC = b"\x1f\x8b"
_HEAD_BYTES = 5
"""Of a `deflate` body: what zlib begins with, and what raw deflate begins with, of which one byte is the same."""


class ContentDecoder(Protocol):
    """One body. `decode` any number of times, then `flush` once. Both raise `ClientError`."""

    def decode(self, data: bytes) -> bytes:
        """What `data` decodes to, as far as it can be said yet."""

    def flush(self) -> bytes:
        """The rest. Raises `undecodable_content` when the coding says that more had to come."""


def decoder(encoding: str | None, *, bytes_max: int, ratio_max: int) -> ContentDecoder:
    """A decoder for a `content-encoding` header's value; None, empty and `identity` change nothing.

    Raises `ClientError` 415 `unsupported_content_encoding`. While decoding: 413 `decoded_too_large` beyond `bytes_max`
    decoded bytes, 400 `undecodable_content` for broken data and for more than `ratio_max` decoded bytes per encoded.
    """
    names = [name.strip().lower() for name in (encoding or "").split(",")]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > CODINGS_MAX:
        raise _unsupported(f"more than {CODINGS_MAX} content codings")
    stages: list[ContentDecoder] = []
    for name in reversed(names):  # the header lists them in the order they were applied
        growth = _Growth(bytes_max, ratio_max)
        if name in ("gzip", "x-gzip"):
            stages.append(_Inflate(growth, is_gzip=True))
        elif name == "deflate":
            stages.append(_Inflate(growth, is_gzip=False))
        elif name == "br":
            stages.append(_Brotli(growth))
        elif name == "zstd":
            stages.append(_Zstd(growth))
        else:
            raise _unsupported("this content coding")
    return _Chain(stages) if stages else _Identity(bytes_max)


def decode_all(data: bytes, encoding: str | None, *, bytes_max: int, ratio_max: int) -> bytes:
    """A whole body without its content coding. Errors as `decoder`."""
    one = decoder(encoding, bytes_max=bytes_max, ratio_max=ratio_max)
    return one.decode(data) + one.flush()


def _unsupported(what: str) -> ClientError:
    return ClientError(
        "unsupported_content_encoding", f"{what} is not supported here: send gzip, deflate, br, zstd or none", 415
    )


def _undecodable(why: str) -> ClientError:
    return ClientError("undecodable_content", f"the body cannot be decoded: {why}")


def _broken() -> ClientError:
    return _undecodable("its data does not follow its content coding")


def _too_large(bytes_max: int) -> ClientError:
    return ClientError("decoded_too_large", f"the decoded body is larger than {bytes_max} bytes", 413)


class _Identity:
    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._seen_bytes = 0

    def decode(self, data: bytes) -> bytes:
        self._seen_bytes += len(data)
        if self._seen_bytes > self._bytes_max:
            raise _too_large(self._bytes_max)
        return data

    def flush(self) -> bytes:
        return b""


class _Chain:
    """Codings stacked on each other, outermost first."""

    def __init__(self, stages: list[ContentDecoder]) -> None:
        self._stages = stages

    def decode(self, data: bytes) -> bytes:
        for stage in self._stages:
            data = stage.decode(data)
        return data

    def flush(self) -> bytes:
        data = b""
        for stage in self._stages:
            data = stage.decode(data) + stage.flush()
        return data


class _Growth:
    """What came in and went out of one coding, held against the limits."""

    def __init__(self, bytes_max: int, ratio_max: int) -> None:
        self._bytes_max = bytes_max
        self._ratio_max = ratio_max
        self._in_bytes = 0
        self._out_bytes = 0

    def take(self, size_bytes: int) -> None:
        self._in_bytes += size_bytes

    @property
    def allowed(self) -> int:
        """Bytes that may come out yet."""
        by_ratio = max(RATIO_FREE_BYTES, self._ratio_max * self._in_bytes)
        return min(self._bytes_max, by_ratio) - self._out_bytes

    def give(self, size_bytes: int) -> None:
        """Raises `ClientError` when that was more than `allowed`."""
        if size_bytes > self.allowed:
            if self._out_bytes + size_bytes > self._bytes_max:
                raise _too_large(self._bytes_max)
            raise _undecodable(f"it grows more than {self._ratio_max} fold")
        self._out_bytes += size_bytes


class _Inflate:
    """gzip with any number of members, or `deflate`: zlib as the RFC says, raw as some send it."""

    def __init__(self, growth: _Growth, *, is_gzip: bool) -> None:
        self._growth = growth
        self._is_gzip = is_gzip
        self._zlib: zlib._Decompress | None = None
        self._head = b""
        """The first bytes, while others are missing that tell the format."""
        self._head_bytes = len(_GZIP_MAGIC) if is_gzip else _HEAD_BYTES
        self._members = 0

    def decode(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        for start in range(0, len(data), SLICE_BYTES):
            rest = data[start : start + SLICE_BYTES]
            self._growth.take(len(rest))
            while rest:
                rest = self._inflate(rest, pieces)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def flush(self) -> bytes:
        pieces: list[bytes] = []
        if self._head and not self._is_gzip:  # raw deflate may be that short
            self._head_bytes = 1
            self._inflate(b"", pieces)
        if self._head or (self._zlib is not None and not self._zlib.eof):
            raise _undecodable("it ends too early")
        return b"".join(pieces)

    def _inflate(self, data: bytes, pieces: list[bytes]) -> bytes:
        """Inflate into `pieces`; gives what lies behind the end of a member."""
        if self._zlib is None or self._zlib.eof:
            data = self._head + data
            if len(data) < self._head_bytes:
                self._head = data
                return b""
            self._head = b""
            self._zlib = self._begin(data)
        try:
            out = self._zlib.decompress(data, self._growth.allowed + 1)
        except zlib.error:
            raise _broken() from None
        self._growth.give(len(out))
        if out:
            pieces.append(out)
        return self._zlib.unused_data if self._zlib.eof else b""

    def _begin(self, data: bytes) -> zlib._Decompress:
        self._members += 1
        if self._is_gzip:
            if not data.startswith(_GZIP_MAGIC) or self._members > MEMBERS_MAX:
                raise _undecodable("it is not gzip from beginning to end")
            return zlib.decompressobj(16 + zlib.MAX_WBITS)
        if self._members > 1:
            raise _undecodable("there is data after its end")
        is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0  # RFC 1950 §2.2
        # To a server that takes `deflate` for raw, zlib's first byte begins a stored block, whose length follows twice
        # (RFC 1951 §3.2.4): where it does, there are two bodies in one.
        if is_zlib and int.from_bytes(data[1:3], "little") ^ int.from_bytes(data[3:5], "little") == 0xFFFF:
            raise _undecodable("it is zlib and raw deflate at once")
        return zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)


class _Brotli:
    """One brotli stream. Its format has no checksum, and large windows are refused as the RFC has none."""

    def __init__(self, growth: _Growth) -> None:
        self._growth = growth
        self._brotli = brotli.Decompressor()
        self._is_begun = False

    def decode(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        for start in range(0, len(data), SLICE_BYTES):
            piece = data[start : start + SLICE_BYTES]
            self._growth.take(len(piece))
            self._is_begun = True
            self._process(piece, pieces)
        return b"".join(pieces)

    def flush(self) -> bytes:
        if self._is_begun and not self._brotli.is_finished():
            raise _undecodable("it ends too early")
        return b""

    def _process(self, data: bytes, pieces: list[bytes]) -> None:
        if self._brotli.is_finished():
            raise _undecodable("there is data after its end")
        while True:
            try:
                out = self._brotli.process(data, output_buffer_limit=BROTLI_BLOCK_BYTES)
            except brotli.error:
                raise _broken() from None
            self._growth.give(len(out))
            pieces.append(out)
            # It may have taken all of the input and still hold output back: only an empty answer says that it has not.
            if self._brotli.is_finished() or not out:
                return
            data = b""


class _Zstd:
    """Any number of zstd frames, skippable ones among them (RFC 8878 §3.1)."""

    def __init__(self, growth: _Growth) -> None:
        self._growth = growth
        self._frame: zstd.ZstdDecompressor | None = None
        self._frames = 0

    def decode(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        for start in range(0, len(data), SLICE_BYTES):
            rest = data[start : start + SLICE_BYTES]
            self._growth.take(len(rest))
            while rest:
                rest = self._decode(rest, pieces)
        return b"".join(pieces)

    def flush(self) -> bytes:
        if self._frame is not None and not self._frame.eof:
            raise _undecodable("it ends too early")
        return b""

    def _decode(self, data: bytes, pieces: list[bytes]) -> bytes:
        """Decode into `pieces`; gives what lies behind the end of a frame."""
        if self._frame is None or self._frame.eof:
            self._frames += 1
            if self._frames > MEMBERS_MAX:
                raise _undecodable(f"it has more than {MEMBERS_MAX} frames")
            self._frame = zstd.ZstdDecompressor(
                options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG_MAX}
            )
        while True:
            try:
                out = self._frame.decompress(data, max_length=self._growth.allowed + 1)
            except zstd.ZstdError:
                raise _broken() from None
            self._growth.give(len(out))
            pieces.append(out)
            if self._frame.eof or self._frame.needs_input:
                return self._frame.unused_data if self._frame.eof else b""
            data = b""
