"""Content codings come off incrementally, and a bomb is a typed error before it is memory."""

from __future__ import annotations

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from itertools import islice

import brotli
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.errors import ClientError
from extproc.framing.content_encoding import (
    BROTLI_BLOCK_BYTES,
    CODINGS_MAX,
    MEMBERS_MAX,
    RATIO_FREE_BYTES,
    ZSTD_WINDOW_LOG_MAX,
    decode_all,
    decoder,
)

BYTES_MAX = 16 << 20
RATIO_MAX = 100
TEXT = 'data: {"text": "grün"}\n\n'.encode() * 50


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def _zstd_of_window(data: bytes, window_log: int) -> bytes:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: window_log})
    return compressor.compress(data) + compressor.flush()


SKIPPABLE_FRAME = b"\x5e\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"  # RFC 8878 §3.1.2

ENCODED = [
    ("gzip", gzip.compress(TEXT, mtime=0)),
    ("X-GZIP", gzip.compress(TEXT, mtime=0)),
    ("gzip", gzip.compress(TEXT[:100], mtime=0) + gzip.compress(TEXT[100:], mtime=0)),  # two members, RFC 1952 §2.2
    ("deflate", zlib.compress(TEXT)),
    ("deflate", _raw_deflate(TEXT)),
    ("br", brotli.compress(TEXT)),
    ("BR", brotli.compress(TEXT, quality=0)),
    ("zstd", zstd.compress(TEXT)),
    ("zstd", zstd.compress(TEXT, level=19)),
    ("zstd", _zstd_of_window(TEXT, 23)),
    ("zstd", zstd.compress(TEXT[:100]) + SKIPPABLE_FRAME + zstd.compress(TEXT[100:]) + SKIPPABLE_FRAME),
    ("br, zstd, gzip", gzip.compress(zstd.compress(brotli.compress(TEXT)), mtime=0)),
    ("identity", TEXT),
    (None, TEXT),
    ("", TEXT),
    ("gzip, gzip", gzip.compress(gzip.compress(TEXT, mtime=0), mtime=0)),
    ("deflate , identity, gzip", gzip.compress(zlib.compress(TEXT), mtime=0)),
]


def _decode(data: bytes, encoding: str | None, bytes_max: int = BYTES_MAX) -> bytes:
    return decode_all(data, encoding, bytes_max=bytes_max, ratio_max=RATIO_MAX)


def _code(data: bytes, encoding: str, bytes_max: int = BYTES_MAX) -> tuple[str, int]:
    with pytest.raises(ClientError) as refused:
        _decode(data, encoding, bytes_max)
    return refused.value.code, refused.value.status


@pytest.mark.parametrize(("encoding", "data"), ENCODED)
def test_a_coding_comes_off_whole_and_byte_by_byte(encoding: str | None, data: bytes) -> None:
    assert _decode(data, encoding) == TEXT
    one = decoder(encoding, bytes_max=BYTES_MAX, ratio_max=RATIO_MAX)
    assert b"".join(one.decode(data[i : i + 1]) for i in range(len(data))) + one.flush() == TEXT


def _gzip_chunks(piece: bytes) -> Iterator[bytes]:
    compressor = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    while True:
        yield compressor.compress(piece) + compressor.flush(zlib.Z_SYNC_FLUSH)


def _brotli_chunks(piece: bytes) -> Iterator[bytes]:
    compressor = brotli.Compressor()
    while True:
        yield compressor.process(piece) + compressor.flush()


def _zstd_chunks(piece: bytes) -> Iterator[bytes]:
    compressor = zstd.ZstdCompressor()
    while True:
        yield compressor.compress(piece, zstd.ZstdCompressor.FLUSH_BLOCK)


@pytest.mark.parametrize(
    ("encoding", "chunks"), [("gzip", _gzip_chunks), ("br", _brotli_chunks), ("zstd", _zstd_chunks)]
)
def test_a_flushed_stream_is_decoded_as_far_as_it_came(
    encoding: str, chunks: Callable[[bytes], Iterator[bytes]]
) -> None:
    one = decoder(encoding, bytes_max=BYTES_MAX, ratio_max=RATIO_MAX)
    for chunk in islice(chunks(b"data: x\n\n"), 3):
        assert one.decode(chunk) == b"data: x\n\n"
    with pytest.raises(ClientError, match="too early"):
        one.flush()


@pytest.mark.parametrize("encoding", ["compress", "gzip, compress", "aes128gcm", "dcb", "gz\xefp"])
def test_codings_we_do_not_know_are_refused_not_passed_over(encoding: str) -> None:
    assert _code(TEXT, encoding) == ("unsupported_content_encoding", 415)


def test_more_codings_than_anyone_stacks_are_refused() -> None:
    data = TEXT
    for _ in range(CODINGS_MAX + 1):
        data = gzip.compress(data, mtime=0)
    assert _code(data, ",".join(["gzip"] * (CODINGS_MAX + 1))) == ("unsupported_content_encoding", 415)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", b"not gzip at all"),
        ("gzip", TEXT),
        ("gzip", gzip.compress(TEXT, mtime=0)[:-1]),
        ("gzip", gzip.compress(TEXT, mtime=0)[:1]),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"trailing"),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"\x1f"),
        ("gzip", gzip.compress(TEXT, mtime=0)[:-8] + bytes(8)),  # wrong checksum
        ("deflate", zlib.compress(TEXT) + b"xx"),
        ("deflate", b"\xff\xff\xff"),
        ("br", brotli.compress(TEXT)[:-1]),
        ("br", brotli.compress(TEXT) + b"xx"),
        ("br", brotli.compress(TEXT) + brotli.compress(TEXT)),
        ("br", brotli.compress(bytes(3 * BROTLI_BLOCK_BYTES)) + b"xx"),
        ("br", b"\xff" * 100),
        ("zstd", zstd.compress(TEXT)[:-1]),
        ("zstd", zstd.compress(TEXT)[:3]),
        ("zstd", zstd.compress(TEXT) + b"xxxx"),
        ("zstd", TEXT),
        ("zstd", SKIPPABLE_FRAME[:-1]),
        ("zstd", _zstd_of_window(TEXT, ZSTD_WINDOW_LOG_MAX + 1)),
    ],
)
def test_what_does_not_follow_its_coding_is_undecodable(encoding: str, data: bytes) -> None:
    assert _code(data, encoding) == ("undecodable_content", 400)


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "br": lambda data: bytes(brotli.compress(data, quality=5)),
    "zstd": zstd.compress,
}
all_codings = pytest.mark.parametrize("encoding", list(COMPRESS))


@all_codings
def test_a_bomb_stops_at_the_ratio(encoding: str) -> None:
    bomb = COMPRESS[encoding](bytes(10 << 20))
    assert len(bomb) * RATIO_MAX < 10 << 20
    assert _code(bomb, encoding) == ("undecodable_content", 400)


@all_codings
def test_short_text_may_shrink_as_much_as_it_likes(encoding: str) -> None:
    assert _decode(COMPRESS[encoding](bytes(RATIO_FREE_BYTES)), encoding) == bytes(RATIO_FREE_BYTES)


@all_codings
def test_what_decodes_to_the_limit_passes_and_a_byte_more_does_not(encoding: str) -> None:
    text = random.Random(7).randbytes(300_000)
    assert _decode(COMPRESS[encoding](text), encoding, len(text)) == text
    assert _code(COMPRESS[encoding](text), encoding, len(text) - 1) == ("decoded_too_large", 413)


def test_what_decodes_to_more_than_the_limit_is_too_large() -> None:
    assert _code(gzip.compress(TEXT, mtime=0), "gzip", len(TEXT) - 1) == ("decoded_too_large", 413)
    assert _decode(gzip.compress(TEXT, mtime=0), "gzip", len(TEXT)) == TEXT


@pytest.mark.parametrize(("encoding", "member"), [("gzip", gzip.compress(b"", mtime=0)), ("zstd", zstd.compress(b""))])
def test_a_bomb_in_many_members_is_refused(encoding: str, member: bytes) -> None:
    assert _decode(member * MEMBERS_MAX, encoding) == b""
    assert _code(member * (MEMBERS_MAX + 1), encoding) == ("undecodable_content", 400)


@all_codings
def test_a_bomb_takes_no_more_memory_than_is_allowed(encoding: str) -> None:
    bomb = COMPRESS[encoding](bytes(64 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ClientError):
            decoder(encoding, bytes_max=1 << 20, ratio_max=1_000_000).decode(bomb)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 << 20


def _two_in_one() -> bytes:
    """A body that is zlib of one text and, to who takes `deflate` for raw, another: zlib's two bytes are the beginning
    of a stored block of raw deflate, whose length (0x9c) says where that one goes on."""
    for_zlib = b"z" * 0xFF63
    stored = b"\x78\x9c" + b"\x00" + b"\x63\xff" + b"\x9c\x00" + for_zlib
    checksum = zlib.adler32(for_zlib).to_bytes(4, "big")
    return stored + b"\x01\x00\x00\xff\xff" + checksum


@pytest.mark.parametrize("step", [1, 3, 1_000_000])
def test_a_deflate_body_with_two_readings_is_refused(step: int) -> None:
    body = _two_in_one()
    assert zlib.decompress(body) == b"z" * 0xFF63
    assert zlib.decompressobj(-zlib.MAX_WBITS).decompress(body[: 5 + 0x9C]) == b"\x9c\x00" + b"z" * (0x9C - 2)
    pieces = (body[begin : begin + step] for begin in range(0, len(body), step))
    with pytest.raises(ClientError) as refused:
        list(map(decoder("deflate", bytes_max=1_000_000, ratio_max=1_000).decode, pieces))
    assert refused.value.code == "undecodable_content"


@pytest.mark.parametrize("text", [b"", b"a", b"ab"])
def test_a_raw_deflate_body_of_a_few_bytes_is_read(text: bytes) -> None:
    body = _raw_deflate(text)
    assert len(body) <= 5
    one = decoder("deflate", bytes_max=100, ratio_max=100)
    assert b"".join((*(one.decode(body[at : at + 1]) for at in range(len(body))), one.flush())) == text


@given(st.binary(max_size=80), st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, br"]))
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_give_bytes_or_a_typed_error(data: bytes, encoding: str) -> None:
    try:
        decoded: bytes | None = _decode(data, encoding)
    except ClientError as error:
        decoded, code = None, error.code
    assert decoded is not None or code == "undecodable_content"


@given(st.binary(max_size=3_000), st.sampled_from(list(COMPRESS)), st.lists(st.integers(1, 200), max_size=20))
@settings(max_examples=150, deadline=None)
def test_any_chunking_gives_the_same_bytes(data: bytes, encoding: str, sizes: list[int]) -> None:
    encoded = COMPRESS[encoding](data)
    one = decoder(encoding, bytes_max=BYTES_MAX, ratio_max=RATIO_MAX)
    out, at = b"", 0
    for size in sizes:
        out += one.decode(encoded[at : at + size])
        at += size
    assert out + one.decode(encoded[at:]) + one.flush() == data


@given(st.binary(min_size=1, max_size=500), st.sampled_from(list(COMPRESS)), st.data())
@settings(max_examples=200, deadline=None)
def test_a_changed_byte_gives_bytes_or_a_typed_error_however_it_is_cut(
    text: bytes, encoding: str, data: st.DataObject
) -> None:
    encoded = bytearray(COMPRESS[encoding](text))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(encoded)))

    def outcome(*chunks: bytes) -> bytes | str:
        one = decoder(encoding, bytes_max=BYTES_MAX, ratio_max=RATIO_MAX)
        try:
            return b"".join(map(one.decode, chunks)) + one.flush()
        except ClientError as error:
            return error.code

    whole = bytes(encoded)
    assert outcome(whole[:cut], whole[cut:]) == outcome(whole)
