"""The event stream parser follows WHATWG HTML §9.2, whatever the chunks, within its limit."""

from __future__ import annotations

import base64
import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.framing.sse import SseParser
from extproc.framing.stream_event import StreamEvent

LIMIT = 1 << 20


def _events(*chunks: bytes, limit: int = LIMIT, flush: bool = True) -> list[StreamEvent]:
    parser = SseParser(event_bytes_max=limit)
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + parser.flush() if flush else events


def _byte_by_byte(stream: bytes, limit: int = LIMIT) -> list[StreamEvent]:
    return _events(*(stream[i : i + 1] for i in range(len(stream))), limit=limit)


CASES: list[tuple[bytes, list[tuple[bytes, bytes]]]] = [
    (b"data: one\n\ndata: two\n\n", [(b"", b"one"), (b"", b"two")]),
    (b"data: one\r\n\r\ndata: two\r\rdata: three\n\n", [(b"", b"one"), (b"", b"two"), (b"", b"three")]),
    (b"data: a\r\ndata: b\rdata: c\n\r\n", [(b"", b"a\nb\nc")]),
    (b"event: ping\ndata: {}\n\n", [(b"ping", b"{}")]),
    (b"event: gone\n\ndata: x\n\n", [(b"", b"x")]),  # no data: dropped, and the type with it
    (b": comment\n:\n\ndata:no space\n\n", [(b"", b"no space")]),
    (b"data:  two spaces\n\n", [(b"", b" two spaces")]),
    (b"data\n\ndata\ndata\n\n", [(b"", b""), (b"", b"\n")]),
    (b"\xef\xbb\xbfdata: after a mark\n\n", [(b"", b"after a mark")]),
    (b"\n\n\ndata: x\n\n\n\n", [(b"", b"x")]),
    (b"data: no end", [(b"", b"no end")]),
    (b"data: no blank line\n", [(b"", b"no blank line")]),
    (b"data: cut\r", [(b"", b"cut")]),
    ("data: line\u2028separator\u0085\u000b\n\n".encode(), [(b"", "line\u2028separator\u0085\u000b".encode())]),
    (b"unknown: field\ndata: x\nalso\n\n", [(b"", b"x")]),
    (b"", []),
    (b"\xef\xbb", []),
]


@pytest.mark.parametrize(("stream", "expected"), CASES)
def test_a_stream_gives_its_events_whole_and_byte_by_byte(stream: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    assert [(event.type, event.data) for event in _events(stream)] == expected
    assert _byte_by_byte(stream) == _events(stream)


def test_ids_stay_until_they_change_and_retry_is_remembered() -> None:
    parser = SseParser(event_bytes_max=LIMIT)
    events = parser.feed(b"id: 1\ndata: a\n\ndata: b\n\nid: bad\0\ndata: c\n\nid\nretry: 10\nretry: x1\ndata: d\n\n")
    assert [(event.id, event.data) for event in events] == [(b"1", b"a"), (b"1", b"b"), (b"1", b"c"), (b"", b"d")]
    assert parser.retry_ms == 10


def test_unknown_lines_are_counted_not_guessed_at() -> None:
    parser = SseParser(event_bytes_max=LIMIT)
    parser.feed(b"<html>\nfoo\n: fine\nerror: in words\n\n")
    assert parser.unknown_lines == 3


ERROR = b'{\n  "error": {\n\n    "message": "a } b",\n    "data": ["x"]\n  }\n}'

BARE: list[tuple[bytes, list[tuple[bytes, bytes]]]] = [
    (b"data: a\n\n" + ERROR + b"\n\n", [(b"", b"a"), (b"", ERROR.replace(b"\n\n", b"\n"))]),
    (b"data: a\n\n" + ERROR, [(b"", b"a"), (b"", ERROR.replace(b"\n\n", b"\n"))]),
    (b"data: a\n" + ERROR + b"\ndata: b\n\n", [(b"", b"a"), (b"", ERROR.replace(b"\n\n", b"\n")), (b"", b"b")]),
    (b'event: error\n{"error": "one line"}\n\ndata: b\n\n', [(b"error", b'{"error": "one line"}'), (b"", b"b")]),
    (b'data: a\n\nerror: {"code": 500}\n\ndata: b\n\n', [(b"", b"a"), (b"error", b'{"code": 500}'), (b"", b"b")]),
    (b'error:{"cut": "no e', [(b"error", b'{"cut": "no e')]),
    (b'data: a\n\n[{"x": 1},\r\n2]\r\nfoo\n', [(b"", b"a"), (b"", b'[{"x": 1},\n2]')]),
    (b'data: a\n\n{\n  "cut": {\ndata: b\n\n', [(b"", b"a"), (b"", b'{\n  "cut": {'), (b"", b"b")]),
    (b'data: a\n\n{\n  "cut": "no e', [(b"", b"a"), (b"", b'{\n  "cut": "no e')]),
    (b'data: a\n\n{"x": 1}\n{"y": 2}\n', [(b"", b"a"), (b"", b'{"x": 1}'), (b"", b'{"y": 2}')]),
]


@pytest.mark.parametrize(("stream", "expected"), BARE)
def test_json_that_nothing_announces_is_an_event_of_its_own(stream: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    parser = SseParser(event_bytes_max=LIMIT)
    events = parser.feed(stream) + parser.flush()
    assert [(event.type, event.data) for event in events] == expected
    assert _byte_by_byte(stream) == events
    assert parser.unknown_lines == stream.count(b"foo")


def test_json_that_nothing_announces_is_held_to_the_limit_too() -> None:
    stream = b"data: a\n\n{\n" + b'"x": 1,\n' * 100 + b"}\ndata: b\n\n"
    for events in (_events(stream, limit=50), _byte_by_byte(stream, limit=50)):
        assert [(event.data, event.oversized) for event in events] == [(b"a", False), (b"", True), (b"b", False)]


@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + b"x" * 100 + b"\n\ndata: next\n\n",
        b"data: " + b"x" * 30 + b"\ndata: " + b"y" * 30 + b"\ndata: z\n\ndata: next\n\n",
        b"data:\n" * 100 + b"\ndata: next\n\n",
        b"event: " + b"x" * 100 + b"\ndata: small\n\ndata: next\n\n",
    ],
)
def test_an_event_over_the_limit_is_named_without_its_data_and_the_next_is_whole(stream: bytes) -> None:
    for events in (_events(stream, limit=50), _byte_by_byte(stream, limit=50)):
        assert [(event.data, event.oversized) for event in events] == [(b"", True), (b"next", False)]


def test_what_is_held_is_bounded_for_a_line_that_never_ends() -> None:
    parser = SseParser(event_bytes_max=1_000)
    for _ in range(5_000):
        assert parser.feed(b"x" * 100) == []
    assert sum(map(len, parser._line)) <= 1_100


def test_a_long_event_in_small_chunks_takes_linear_time() -> None:
    """4 MiB in 64-byte chunks: searched or joined again at each chunk, this would be 128 GiB of copying."""
    parser = SseParser(event_bytes_max=8 << 20)
    parser.feed(b"data: ")
    for _ in range(1 << 16):
        parser.feed(b"x" * 64)
    [event] = parser.feed(b"\n\n")
    assert len(event.data) == 4 << 20


STREAMS = st.lists(
    st.sampled_from(
        [b"{", b"}", b'{"a":1}', b"[",
         b"data: x", b"data:", b"data", b"event: e", b"id: 7", b":c", b"retry: 5", b"\n", b"\r", b"\r\n", b"\n\n",
         b"\xef\xbb\xbf", "é\u2028".encode(), b" ", b"d"]
    ),
    max_size=20,
).map(b"".join)  # fmt: skip


@given(STREAMS | st.binary(max_size=60), st.data())
@settings(max_examples=300, deadline=None)
def test_chunks_never_change_the_events(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    assert _events(*chunks, limit=12) == _events(stream, limit=12)
    assert _events(*chunks) == _events(stream)


def test_the_public_cases_of_another_parser_hold_here_too() -> None:
    root = os.environ.get("HEADGATE_CORPUS")
    if not root:
        pytest.skip("HEADGATE_CORPUS does not name a corpus with security/sse_httpx_sse_cases.jsonl")
    lines = (Path(root) / "security" / "sse_httpx_sse_cases.jsonl").read_bytes().split(b"\n")
    checked = 0
    for line in filter(None, lines):
        case = json.loads(line)
        if "expected" not in case:
            continue
        chunks = [base64.b64decode(chunk) for chunk in case["chunks_b64"]]
        got = [((e.type or b"message").decode(), e.data.decode(), e.id.decode()) for e in _events(*chunks, flush=False)]
        # That parser also reports events without data, which the standard drops.
        want = [(e["event"], e["data"], e["id"]) for e in case["expected"] if e["data"] or b"data" in b"".join(chunks)]
        assert got == want, case["name"]
        checked += 1
    assert checked > 5
