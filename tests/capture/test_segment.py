"""The spool's bytes: what was encoded comes back, or an answer that says what is wrong. Never other bytes."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.spool.segment import (
    FRAME_HEADER_BYTES,
    FRAME_MAGIC,
    PAYLOAD_BYTES_MAX,
    SEGMENT_HEADER_BYTES,
    Damage,
    Frame,
    NeedMore,
    SegmentHeader,
    decode_frame,
    decode_segment_header,
    encode_end,
    encode_frame,
    encode_frame_header,
    encode_segment_header,
)

INCARNATION = "0192f0c0-7a1b-7c3d-8e4f-a1b2c3d4e5f6"
HEADER, SEED = encode_segment_header(incarnation=INCARNATION, number=3, base_offset=70_000)

payloads = st.binary(max_size=300)
offsets = st.integers(0, 2**63)


def test_the_layout_is_the_documented_one() -> None:
    assert HEADER[:8] == bytes.fromhex("89 48 47 53 45 47 0d 0a".replace(" ", ""))
    assert HEADER[8:12] == b"\x01\x00\x30\x00"
    assert HEADER[12:16] == (3).to_bytes(4, "little")
    assert HEADER[16:24] == (70_000).to_bytes(8, "little")
    assert HEADER[24:40].hex() == INCARNATION.replace("-", "")
    assert len(HEADER) == SEGMENT_HEADER_BYTES == 48
    frame = encode_frame(b"hello", offset=0, seed=SEED)
    assert frame[:12] == b"\xf5HGf\x01\x00\x00\x00\x05\x00\x00\x00"
    assert frame[20:] == b"hello"
    assert len(frame) - 5 == FRAME_HEADER_BYTES == 20


def test_a_segment_header_comes_back_whole() -> None:
    assert decode_segment_header(HEADER + b"more") == SegmentHeader(INCARNATION, 3, 70_000, SEED)


def test_an_incarnation_that_is_no_uuid_is_refused() -> None:
    with pytest.raises(ValueError, match="UUID"):
        encode_segment_header(incarnation="abcd", number=1, base_offset=0)


@pytest.mark.parametrize("size", range(SEGMENT_HEADER_BYTES))
def test_a_segment_header_that_is_cut_anywhere_asks_for_more(size: int) -> None:
    assert decode_segment_header(HEADER[:size]) == NeedMore(SEGMENT_HEADER_BYTES)


@given(st.integers(0, SEGMENT_HEADER_BYTES * 8 - 1))
@settings(deadline=None)
def test_a_segment_header_with_any_one_bit_flipped_is_damage(bit: int) -> None:
    data = bytearray(HEADER)
    data[bit // 8] ^= 1 << bit % 8
    assert isinstance(decode_segment_header(data), Damage)


def test_a_segment_of_a_later_version_says_so() -> None:
    head = bytearray(HEADER)
    head[8] = 2
    head[44:] = zlib.crc32(head[:44], 0x48474453).to_bytes(4, "little")
    assert decode_segment_header(head) == Damage("unknown_version")


@given(payloads, offsets, st.binary(max_size=40))
@settings(deadline=None)
def test_a_frame_comes_back_whole_whatever_follows_it(payload: bytes, offset: int, trailing: bytes) -> None:
    frame = encode_frame(payload, offset=offset, seed=SEED)
    item = decode_frame(frame + trailing, offset=offset, seed=SEED)
    assert isinstance(item, Frame)
    assert item.payload == payload
    assert item.size == FRAME_HEADER_BYTES + len(payload)


@given(payloads, offsets)
@settings(max_examples=30, deadline=None)
def test_a_frame_that_arrives_byte_by_byte_asks_for_more_until_it_is_whole(payload: bytes, offset: int) -> None:
    frame = encode_frame(payload, offset=offset, seed=SEED)
    for size in range(len(frame)):
        item = decode_frame(frame[:size], offset=offset, seed=SEED)
        assert item == NeedMore(FRAME_HEADER_BYTES if size < FRAME_HEADER_BYTES else len(frame))
    assert isinstance(decode_frame(frame, offset=offset, seed=SEED), Frame)


@given(payloads, offsets, st.data())
@settings(deadline=None)
def test_a_frame_with_any_one_bit_flipped_is_never_a_frame(payload: bytes, offset: int, data: st.DataObject) -> None:
    frame = bytearray(encode_frame(payload, offset=offset, seed=SEED))
    bit = data.draw(st.integers(0, len(frame) * 8 - 1))
    frame[bit // 8] ^= 1 << bit % 8
    item = decode_frame(frame, offset=offset, seed=SEED)
    assert isinstance(item, Damage)
    assert item.code == ("bad_payload" if bit // 8 >= FRAME_HEADER_BYTES else "bad_frame_header")


def test_a_rotten_payload_still_tells_where_the_next_frame_begins() -> None:
    frame = bytearray(encode_frame(b"payload", offset=9, seed=SEED))
    frame[-1] ^= 1
    assert decode_frame(frame, offset=9, seed=SEED) == Damage("bad_payload", len(frame))


@pytest.mark.parametrize("size", [1, 4, 19, 20, 21, 4096])
def test_zeroes_are_damage_and_no_empty_frames(size: int) -> None:
    assert decode_frame(bytes(size), offset=0, seed=SEED) == Damage("bad_frame_header")


@pytest.mark.parametrize("size", [0, 1, 4, 19, 20, 4096])
def test_zeroes_after_the_magic_are_no_frame_either(size: int) -> None:
    item = decode_frame(FRAME_MAGIC + bytes(size), offset=0, seed=SEED)
    assert isinstance(item, Damage if size >= 16 else NeedMore)


def test_a_frame_is_no_frame_at_another_place() -> None:
    frame = encode_frame(b"x" * 100, offset=500, seed=SEED)
    _, other_seed = encode_segment_header(incarnation=INCARNATION, number=4, base_offset=70_000)
    assert isinstance(decode_frame(frame, offset=501, seed=SEED), Damage)
    assert isinstance(decode_frame(frame, offset=500, seed=other_seed), Damage)


def test_the_end_mark_is_a_frame_without_a_payload() -> None:
    mark = encode_end(offset=12, seed=SEED)
    assert decode_frame(mark, offset=12, seed=SEED) == Frame(None, FRAME_HEADER_BYTES)


def test_an_empty_payload_is_a_payload_and_no_end_mark() -> None:
    item = decode_frame(encode_frame(b"", offset=12, seed=SEED), offset=12, seed=SEED)
    assert isinstance(item, Frame)
    assert item.payload == b""


def test_a_length_beyond_the_limit_is_refused_when_writing() -> None:
    with pytest.raises(ValueError, match="at most"):
        encode_frame_header(length=PAYLOAD_BYTES_MAX + 1, crc=0, offset=0, seed=SEED)
