"""Content codings come off incrementally, and a bomb is a typed error before it is memory."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.errors import ClientError
from extproc.framing.content_encoding import CODINGS_MAX, RATIO_FREE_BYTES, decode_all, decoder

BYTES_MAX = 16 << 20
RATIO_MAX = 100
TEXT = 'data: {"text": "grün"}\n\n'.encode() * 50


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


ENCODED = [
    ("gzip", gzip.compress(TEXT, mtime=0)),
    ("X-GZIP", gzip.compress(TEXT, mtime=0)),
    ("gzip", gzip.compress(TEXT[:100], mtime=0) + gzip.compress(TEXT[100:], mtime=0)),  # two members, RFC 1952 §2.2
    ("deflate", zlib.compress(TEXT)),
    ("deflate", _raw_deflate(TEXT)),
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


def test_a_flushed_stream_is_decoded_as_far_as_it_came() -> None:
    compressor = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    one = decoder("gzip", bytes_max=BYTES_MAX, ratio_max=RATIO_MAX)
    for _ in range(3):
        chunk = compressor.compress(b"data: x\n\n") + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert one.decode(chunk) == b"data: x\n\n"


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, br", "aes128gcm", "gz\xefp"])
def test_codings_we_have_no_library_for_are_refused_not_passed_over(encoding: str) -> None:
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
    ],
)
def test_what_does_not_follow_its_coding_is_undecodable(encoding: str, data: bytes) -> None:
    assert _code(data, encoding) == ("undecodable_content", 400)


def test_a_bomb_stops_at_the_ratio() -> None:
    bomb = gzip.compress(bytes(10 << 20), mtime=0)
    assert len(bomb) * RATIO_MAX < 10 << 20
    assert _code(bomb, "gzip") == ("undecodable_content", 400)


def test_short_text_may_shrink_as_much_as_it_likes() -> None:
    assert _decode(gzip.compress(bytes(RATIO_FREE_BYTES), mtime=0), "gzip") == bytes(RATIO_FREE_BYTES)


def test_what_decodes_to_more_than_the_limit_is_too_large() -> None:
    assert _code(gzip.compress(TEXT, mtime=0), "gzip", len(TEXT) - 1) == ("decoded_too_large", 413)
    assert _decode(gzip.compress(TEXT, mtime=0), "gzip", len(TEXT)) == TEXT


def test_a_bomb_in_many_members_is_refused() -> None:
    assert _code(gzip.compress(b"", mtime=0) * 5_000, "gzip") == ("undecodable_content", 400)


def test_no_call_gives_more_than_the_limit_allows() -> None:
    one = decoder("gzip", bytes_max=1_000, ratio_max=10_000)
    with pytest.raises(ClientError):
        one.decode(gzip.compress(bytes(50 << 20), mtime=0))


@given(st.binary(max_size=80), st.sampled_from(["gzip", "deflate", "gzip, deflate"]))
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_give_bytes_or_a_typed_error(data: bytes, encoding: str) -> None:
    try:
        decoded: bytes | None = _decode(data, encoding)
    except ClientError as error:
        decoded, code = None, error.code
    assert decoded is not None or code == "undecodable_content"


@given(st.binary(max_size=3_000), st.sampled_from(["gzip", "deflate"]), st.lists(st.integers(1, 200), max_size=20))
@settings(max_examples=100, deadline=None)
def test_any_chunking_gives_the_same_bytes(data: bytes, encoding: str, sizes: list[int]) -> None:
    encoded = gzip.compress(data, mtime=0) if encoding == "gzip" else zlib.compress(data)
    one = decoder(encoding, bytes_max=BYTES_MAX, ratio_max=RATIO_MAX)
    out, at = b"", 0
    for size in sizes:
        out += one.decode(encoded[at : at + size])
        at += size
    assert out + one.decode(encoded[at:]) + one.flush() == data
