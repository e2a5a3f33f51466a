"""A body's framing is told by its bytes, whatever was expected, and what was cut is read as far as it goes."""

from __future__ import annotations

import json
import pickle
import struct
import tracemalloc
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.framing.response_body import ResponseBody, StreamFormat

SSE, EVENTSTREAM, NDJSON, JSON_ARRAY = (
    StreamFormat.SSE,
    StreamFormat.EVENTSTREAM,
    StreamFormat.NDJSON,
    StreamFormat.JSON_ARRAY,
)
all_formats = pytest.mark.parametrize("expected", list(StreamFormat))
_MISSING = object()


@dataclass(frozen=True)
class Read:
    """What became of a body."""

    events: tuple[bytes, ...] = ()
    document: Any = _MISSING
    is_cut: bool = False
    is_broken: bool = False
    unknown_lines: int = 0


def read(*chunks: bytes, expected: StreamFormat = SSE, **limits: int) -> Read:
    body = ResponseBody(expected, **limits)
    events = [event for chunk in chunks for event in body.feed(chunk)] + body.flush()
    document = _MISSING
    if body.is_json:
        try:
            document = body.document()
        except ValueError:
            document = "UNREADABLE"
    data = tuple(b"OVERSIZED" if event.oversized else event.data for event in events)
    return Read(data, document, body.is_cut, body.is_broken, body.unknown_lines)


def bytewise(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def message(payload: bytes) -> bytes:
    """An eventstream's message without headers, by hand."""
    lengths = struct.pack(">II", 16 + len(payload), 0)
    start = lengths + struct.pack(">I", zlib.crc32(lengths)) + payload
    return start + struct.pack(">I", zlib.crc32(start))


PRETTY = b'{\n  "error": {\n    "code": 429,\n    "message": "slow, {down}"\n  }\n}\n'
ERROR = {"error": {"code": 429, "message": "slow, {down}"}}

CASES: list[tuple[StreamFormat, bytes, Read]] = [
    (SSE, b'data: {"a":1}\n\n', Read((b'{"a":1}',))),
    (SSE, b'{"a":1}', Read(document={"a": 1})),
    (SSE, b" \r\n\xef\xbb\xbf\n [1, 2]\n", Read(document=[1, 2])),
    (SSE, b': OPENROUTER PROCESSING\n\n\n{"a":1}', Read((b'{"a":1}',))),
    (SSE, PRETTY, Read(document=ERROR)),
    (SSE, b"<html>\n", Read(unknown_lines=1)),
    (SSE, message(b"{}"), Read((b"{}",))),
    (SSE, b"\x00\x01 nothing known\n", Read(unknown_lines=1)),
    (EVENTSTREAM, message(b"1") + message(b"2"), Read((b"1", b"2"))),
    (EVENTSTREAM, b'{"message":"denied"}', Read(document={"message": "denied"})),
    (EVENTSTREAM, b"data: {}\n\n", Read((b"{}",))),
    (EVENTSTREAM, message(b"1") + message(b"2")[:-1], Read((b"1",), is_cut=True)),
    (EVENTSTREAM, message(b"1") + b"\x00" * 20, Read((b"1",), is_broken=True)),
    (EVENTSTREAM, b"\x00" * 20, Read(is_broken=True)),
    (EVENTSTREAM, b"\x00\x00", Read(is_cut=True)),
    (NDJSON, b'{"a":1}\n{"b":2}\n', Read((b'{"a":1}', b'{"b":2}'))),
    (NDJSON, b'{"a":1}', Read((b'{"a":1}',))),
    (NDJSON, b'{"a":"{"}\n{"b":', Read((b'{"a":"{"}', b"{}"), is_cut=True)),
    (NDJSON, PRETTY, Read(document=ERROR)),
    (NDJSON, b"{\n", Read(document={}, is_cut=True)),
    (NDJSON, b'[{"a":1}]\n', Read(document=[{"a": 1}])),
    (NDJSON, b"data: {}\n\n", Read((b"{}",))),
    (NDJSON, b"404 page not found\n", Read(unknown_lines=1)),
    (JSON_ARRAY, b'[{"a":1}\r\n,\r\n{"b":2}]\r\n', Read((b'{"a":1}', b'{"b":2}'))),
    (JSON_ARRAY, b'[{"a":1},{"text":"Hel', Read((b'{"a":1}', b'{"text":"Hel"}'), is_cut=True)),
    (JSON_ARRAY, PRETTY, Read(document=ERROR)),
    (JSON_ARRAY, b"[" + PRETTY + b"]\n", Read((PRETTY.strip(),))),
    (JSON_ARRAY, b'data: {"a":1}\r\n\r\n' + PRETTY, Read((b'{"a":1}', PRETTY.strip()))),
    *((expected, b"", Read()) for expected in StreamFormat),
    *((expected, b" \n\n", Read()) for expected in StreamFormat),
]


@pytest.mark.parametrize(("expected", "body", "result"), CASES)
def test_a_body_is_read_for_what_it_is_whole_and_byte_by_byte(
    expected: StreamFormat, body: bytes, result: Read
) -> None:
    assert read(body, expected=expected) == result
    assert read(*bytewise(body), expected=expected) == result


# --- what was cut ---------------------------------------------------------------------------------------------------


@all_formats
def test_a_document_that_was_cut_gives_what_was_there(expected: StreamFormat) -> None:
    body = json.dumps({"choices": [{"text": "Hello", "n": 12}], "model": "m-1"}, indent=1).encode()
    for end in range(body.index(b"Hello"), len(body) - 1):
        got = read(body[:end], expected=expected)
        assert (got.is_cut, got.events) == (True, ())
        assert "Hello".startswith(got.document["choices"][0]["text"])
        assert got.document.get("model", "m-1") == "m-1"


def test_the_last_event_of_a_stream_gives_what_was_there() -> None:
    assert read(b'data: {"a":1}\n\ndata: {"text":"Hel') == Read((b'{"a":1}', b'{"text":"Hel"}'), is_cut=True)
    assert read(b'data: {"a":1}\n\ndata: {"a":2}') == Read((b'{"a":1}', b'{"a":2}'))
    assert read(b'data: {"a":1}\n\ndata: [DONE]') == Read((b'{"a":1}', b"[DONE]"))


def test_an_event_that_is_broken_in_mid_stream_is_not_mended() -> None:
    assert read(b'data: {"a":\n\ndata: {"a":2}\n\n') == Read((b'{"a":', b'{"a":2}'))


# --- more than one document -----------------------------------------------------------------------------------------


def test_documents_that_follow_each_other_are_events() -> None:
    assert read(b'{"a":1}\n{"b":2}') == Read((b'{"a":1}', b'{"b":2}'))
    assert read(b'{"a":1}{"text":"Hel') == Read((b'{"a":1}', b'{"text":"Hel"}'), is_cut=True)


def test_text_behind_a_document_is_broken_framing_and_the_document_counts() -> None:
    assert read(b'{"a":1}\n<html>') == Read(document={"a": 1}, is_broken=True)
    assert read(b'{"a":1}}') == Read(document={"a": 1}, is_broken=True)


def test_what_is_no_json_at_all_is_unreadable() -> None:
    assert read(b"{nothing}") == Read(document="UNREADABLE")
    assert read(b"[]]]") == Read(document=[], is_broken=True)


# --- limits ---------------------------------------------------------------------------------------------------------


def test_a_document_over_the_limit_is_dropped_and_said() -> None:
    body = ResponseBody(json_bytes_max=100)
    for _ in range(50):
        body.feed(b'{"a": "aaaaaaaaaaaaaaaa')
    assert (body.is_json, body.is_oversized, body.held_bytes, body.flush()) == (True, True, 0, [])
    with pytest.raises(ValueError, match="too large"):
        body.document()


@pytest.mark.parametrize(
    ("expected", "before"),
    [(SSE, b"data: "), (EVENTSTREAM, message(b"x" * 200)[:20]), (NDJSON, b'{"a":"'), (JSON_ARRAY, b'["')],
)
def test_what_is_held_of_an_event_is_bounded(expected: StreamFormat, before: bytes) -> None:
    body = ResponseBody(expected, event_bytes_max=100)
    body.feed(before)
    for _ in range(1_000):
        body.feed(b"x" * 10)
        assert body.held_bytes <= 110


def test_a_first_line_beyond_the_limit_is_an_oversized_event() -> None:
    stream = b'{"a":"' + b"x" * 500 + b'"}\n{"b":2}\n'
    for chunks in ([stream], bytewise(stream)):
        assert read(*chunks, expected=NDJSON, event_bytes_max=100) == Read((b"OVERSIZED", b'{"b":2}'))


@pytest.mark.parametrize("expected", [SSE, NDJSON, JSON_ARRAY])
def test_a_long_body_in_small_chunks_takes_linear_time(expected: StreamFormat) -> None:
    """4 MiB in 64-byte chunks: joined again at each chunk, this would be 128 GiB of copying."""
    body = ResponseBody(expected)
    body.feed(b'{"text":"')
    for _ in range(1 << 16):
        body.feed(b"x" * 64)
    events = [*body.feed(b'"}\n'), *body.flush()]
    document = body.document() if body.is_json else json.loads(events[0].data)
    assert len(document["text"]) == 4 << 20


def test_a_whole_body_is_read_in_slices() -> None:
    body = b'data: {"a":1}\n\n' * 300_000
    reader = ResponseBody()
    tracemalloc.start()
    try:
        assert sum(event.data == b'{"a":1}' for event in reader.read(body)) == 300_000
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < len(body)
    reader = ResponseBody()
    assert ([*reader.read(PRETTY)], reader.document()) == ([], ERROR)


def documents(body: bytes | None, expected: StreamFormat = SSE) -> tuple[list[Any], list[bytes | None], bool]:
    """(what was parsed, the type of each one's event, was it cut off?)"""
    reader = ResponseBody(expected)
    given = list(reader.documents(body))
    return [held for held, _ in given], [None if event is None else event.type for _, event in given], reader.is_cut


def test_the_documents_of_a_body_are_those_of_its_events_or_the_one_that_it_is() -> None:
    assert documents(b'event: a\ndata: {"a":1}\n\ndata: {"b":2}\n\n') == ([{"a": 1}, {"b": 2}], [b"a", b""], False)
    assert documents(b'{"a":1}\n{"b":2}\n', NDJSON) == ([{"a": 1}, {"b": 2}], [b"", b""], False)
    assert documents(b'{"a":1}', NDJSON) == ([{"a": 1}], [b""], False)
    assert documents(b'{"a": [1]}') == ([{"a": [1]}], [None], False)
    assert documents(None) == documents(b"") == ([], [], False)


def test_documents_come_as_far_as_they_go_and_what_cannot_be_read_is_left_out() -> None:
    assert documents(b'{"a": [1, {"b": "Hel') == ([{"a": [1, {"b": "Hel"}]}], [None], True)
    assert documents(b'data: {"a":\n\ndata: {"b":2}\n\ndata: {"c": "Hel') == (
        [{"b": 2}, {"c": "Hel"}],
        [b"", b""],
        True,
    )
    assert documents(b"data: [DONE]\n\n") == ([], [], False)
    assert documents(b"{nothing}") == ([], [], False)


# --- any bytes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("expected", "body", "result"), CASES)
def test_a_body_can_go_to_another_process_at_any_byte(expected: StreamFormat, body: bytes, result: Read) -> None:
    middle = len(body) // 2
    first = ResponseBody(expected)
    events = first.feed(body[:middle])
    second: ResponseBody = pickle.loads(pickle.dumps(first))
    events += [*second.feed(body[middle:]), *second.flush()]
    assert tuple(event.data for event in events) == result.events
    assert (second.is_json, second.is_cut) == (result.document is not _MISSING, result.is_cut)


BODIES = st.lists(
    st.sampled_from(
        [b"data: ", b"{", b"}", b"[", b"]", b'"', b"\\", b":", b",", b"\n", b"\n\n", b"\r\n", b"1", b'"a":', b"x",
         message(b"{}"), b"\x00", b"\xef\xbb\xbf", b"\xff", b'{"a":1}', b"event: error\n", b" "]
    ),
    max_size=14,
).map(b"".join)  # fmt: skip


@given(BODIES | st.binary(max_size=50), st.sampled_from(list(StreamFormat)), st.data())
@settings(max_examples=400, deadline=None)
def test_any_bytes_in_any_chunks_are_read_the_same_and_never_raise(
    body: bytes, expected: StreamFormat, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    chunks = [body[a:b] for a, b in pairwise([0, *cuts, len(body)])]
    whole = read(body, expected=expected)
    assert repr(read(*chunks, expected=expected)) == repr(whole)  # by words: NaN is not itself
    small = {"json_bytes_max": 30, "event_bytes_max": 30}
    assert repr(read(*chunks, expected=expected, **small)) == repr(read(body, expected=expected, **small))
