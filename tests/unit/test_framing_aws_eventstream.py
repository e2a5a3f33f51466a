"""Eventstreams are read as AWS' own vectors and SDK read them; a wrong checksum ends reading, whatever the chunks."""

from __future__ import annotations

import base64
import json
import os
import struct
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.framing.aws_eventstream import (
    BrokenMessage,
    EventStreamParser,
    HeaderValue,
    decode_message,
    encode_message,
    is_prelude,
)
from extproc.framing.stream_event import StreamEvent

LIMIT = 1 << 20

EVENT = {":message-type": "event", ":event-type": "chunk"}


def message(headers: bytes, payload: bytes, *, total: int | None = None) -> bytes:
    """A message put together by hand, not by the code under test."""
    lengths = struct.pack(">II", 16 + len(headers) + len(payload) if total is None else total, len(headers))
    start = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return start + struct.pack(">I", zlib.crc32(start))


def string_header(name: str, value: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()


def _event(payload: bytes, kind: str = "chunk") -> bytes:
    return message(string_header(":message-type", "event") + string_header(":event-type", kind), payload)


def _events(*chunks: bytes, limit: int = LIMIT) -> tuple[list[StreamEvent], bool, bool]:
    parser = EventStreamParser(event_bytes_max=limit)
    events = [event for chunk in chunks for event in parser.feed(chunk)] + parser.flush()
    return events, parser.is_broken, parser.is_cut


def _bytewise(stream: bytes) -> list[bytes]:
    return [stream[i : i + 1] for i in range(len(stream))]


def test_events_exceptions_and_errors_are_told_apart() -> None:
    exception = message(
        string_header(":message-type", "exception") + string_header(":exception-type", "throttlingException"),
        b'{"message":"slow down"}',
    )
    error = message(
        string_header(":message-type", "error")
        + string_header(":error-code", "InternalFailure")
        + string_header(":error-message", "gone é"),
        b"",
    )
    stream = _event(b'{"p":"ab"}', "messageStart") + message(b"", b"") + exception + error
    expected = [
        StreamEvent(b"messageStart", b'{"p":"ab"}'),
        StreamEvent(b"", b""),
        StreamEvent(b"throttlingException", b'{"message":"slow down"}', is_error=True),
        StreamEvent(b"InternalFailure", '{"message":"gone é"}'.encode(), is_error=True),
    ]
    assert _events(stream) == (expected, False, False)
    assert _events(*_bytewise(stream)) == (expected, False, False)


@pytest.mark.parametrize("at", range(len(_event(b"{}"))))
def test_any_wrong_byte_ends_reading_and_is_said(at: int) -> None:
    stream = bytearray(_event(b"{}"))
    stream[at] ^= 0x10
    events, is_broken, _ = _events(_event(b"1") + bytes(stream) + _event(b"3"))
    assert ([event.data for event in events], is_broken) == ([b"1"], True)


@pytest.mark.parametrize(
    "broken",
    [
        message(b"", b"", total=15),
        message(b"", b"", total=0),
        message(string_header("a", "b"), b"", total=16),
        message(b"\x00\x07\x00\x00", b""),  # a header without a name
        message(b"\x01a\x0a", b""),  # a type that there is not
        message(b"\x01a\x07\x00\x05abc", b""),  # a value beyond its headers
        message(b"\x05a", b""),
        message(b"\x01a", b""),
        message(b"\x01\xff\x00", b""),  # a name that is not UTF-8
        message(string_header("a", "1") * 2, b""),
    ],
)
def test_a_message_that_cannot_be_ends_reading(broken: bytes) -> None:
    assert _events(broken + _event(b"{}")) == ([], True, False)
    with pytest.raises(BrokenMessage):
        decode_message(broken)


def test_half_a_message_gives_nothing_and_is_said() -> None:
    stream = _event(b"{}")
    for end in range(1, len(stream)):
        assert _events(_event(b"1") + stream[:end]) == ([StreamEvent(b"chunk", b"1")], False, True)


def test_a_message_over_the_limit_is_named_without_its_data_and_the_next_is_whole() -> None:
    stream = _event(b"x" * 500) + _event(b"next")
    expected = [StreamEvent(b"", b"", oversized=True), StreamEvent(b"chunk", b"next")]
    for chunks in ([stream], _bytewise(stream)):
        assert _events(*chunks, limit=100) == (expected, False, False)
    parser = EventStreamParser(event_bytes_max=100)
    for byte in _bytewise(stream):
        parser.feed(byte)
        assert parser.held_bytes <= 100


def test_many_messages_in_one_chunk_take_linear_time() -> None:
    """50,000 messages: were the rest copied after each, this would move 100 GB."""
    stream = _event(b"{}") * 50_000
    assert len(_events(stream)[0]) == 50_000


def test_what_is_encoded_here_is_read_by_the_providers_own_sdk() -> None:
    encoded = encode_message({":message-type": "exception", ":exception-type": "é"}, b'{"message":"no"}')
    buffer = EventStreamBuffer()
    buffer.add_data(encoded)
    [read] = list(buffer)
    assert (read.headers, read.payload) == (
        {":message-type": "exception", ":exception-type": "é"},
        b'{"message":"no"}',
    )
    assert encoded == message(
        string_header(":message-type", "exception") + string_header(":exception-type", "é"), read.payload
    )
    for headers in ({"": "x"}, {"n" * 256: "x"}, {"n": "x" * 2**15}):
        with pytest.raises(ValueError, match="too long"):
            encode_message(headers, b"")


def _expected_value(header: dict[str, Any]) -> HeaderValue:
    value = header["value"]
    match header["type"]:
        case 6:
            return base64.b64decode(value)
        case 7:
            return base64.b64decode(value).decode()
        case 9:
            return UUID(bytes=base64.b64decode(value))
        case _:
            assert isinstance(value, bool | int)
            return value


def test_the_vectors_of_the_providers_sdks_hold() -> None:
    root = os.environ.get("HEADGATE_CORPUS")
    if not root:
        pytest.skip("HEADGATE_CORPUS does not name a corpus with security/eventstream_vectors")
    seen = {"positive": 0, "negative": 0}
    for file in sorted((Path(root) / "security" / "eventstream_vectors").glob("*.bin")):
        data, kind = file.read_bytes(), file.name.partition("-")[0]
        seen[kind] += 1
        if kind == "negative":
            assert _events(data)[1], file.name
            continue
        expected = json.loads(file.with_suffix(".expected").read_bytes())
        got = decode_message(data)
        assert dict(got.headers) == {header["name"]: _expected_value(header) for header in expected["headers"]}, (
            file.name
        )
        assert got.payload == base64.b64decode(expected["payload"]), file.name
        assert is_prelude(data)
    assert seen["positive"] >= 4
    assert seen["negative"] >= 2


@given(st.lists(st.binary(max_size=30), max_size=4), st.binary(max_size=20), st.data())
@settings(max_examples=150, deadline=None)
def test_any_bytes_in_any_chunks_give_the_same_events_and_no_exception(
    payloads: list[bytes], junk: bytes, data: st.DataObject
) -> None:
    stream = b"".join(map(_event, payloads)) + junk
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    chunks = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]
    whole = _events(stream)
    assert _events(*chunks) == whole
    assert [event.data for event in whole[0]] == payloads


@given(st.binary(max_size=80))
@settings(max_examples=300, deadline=None)
def test_arbitrary_headers_give_a_message_or_a_typed_error(headers: bytes) -> None:
    sent = message(headers, b"payload")
    try:
        got = decode_message(sent)
    except BrokenMessage:
        assert _events(sent) == ([], True, False)
        return
    assert got.payload == b"payload"
    assert len(_events(sent)[0]) == 1
