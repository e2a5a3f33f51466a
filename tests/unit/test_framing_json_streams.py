"""Lines of JSON and growing arrays give their elements as they come, whatever the chunks, within their limit."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.framing.json_array import JsonArrayParser, concatenated
from extproc.framing.ndjson import NdjsonParser
from extproc.framing.stream_event import StreamEvent

LIMIT = 1 << 20

Parser = JsonArrayParser | NdjsonParser


def _data(parser: Parser, *chunks: bytes) -> list[bytes]:
    events = [event for chunk in chunks for event in parser.feed(chunk)] + parser.flush()
    return [b"OVERSIZED" if event.oversized else event.data for event in events]


def _bytewise(stream: bytes) -> list[bytes]:
    return [stream[i : i + 1] for i in range(len(stream))]


def _array() -> JsonArrayParser:
    return JsonArrayParser(event_bytes_max=LIMIT)


@pytest.mark.parametrize(
    ("stream", "elements"),
    [
        (b'[{"a": 1}\n,\r\n{"b": "]}, {\\"["}\n]\n', [b'{"a": 1}', b'{"b": "]}, {\\"["}']),
        (b"[]", []),
        (b"[ \n ]", []),
        (b'[1, "a,]" ,null,[2,[3]], {}, -4.5]', [b"1", b'"a,]"', b"null", b"[2,[3]]", b"{}", b"-4.5"]),
        (b'[{"a":"\\\\"},{"b":"\\\\\\""}]', [b'{"a":"\\\\"}', b'{"b":"\\\\\\""}']),
        (b'[{"a": [{"b": 1}, {"c": 2}]}]', [b'{"a": [{"b": 1}, {"c": 2}]}']),
        (b'[{"a":1}]\n[{"b":2}]', [b'{"a":1}', b'{"b":2}']),
        (b'[{"a":1}]\n{"error": {"code": 499}}', [b'{"a":1}', b'{"error": {"code": 499}}']),
        ('[{"text": "grün\u2028"}]'.encode(), ['{"text": "grün\u2028"}'.encode()]),
    ],
)
def test_an_array_gives_its_elements_whole_and_byte_by_byte(stream: bytes, elements: list[bytes]) -> None:
    for chunks in ([stream], _bytewise(stream)):
        parser = _array()
        assert _data(parser, *chunks) == elements
        assert (parser.is_ended or b"error" in stream, parser.is_cut, parser.has_junk) == (True, False, False)


def test_an_element_is_given_with_its_last_bracket_and_the_end_with_the_arrays() -> None:
    parser = _array()
    assert parser.feed(b'[{"a": {"b": 1}') == []
    assert parser.feed(b"}") == [StreamEvent(b"", b'{"a": {"b": 1}}')]
    assert parser.feed(b"\r\n,\r\n") == []
    assert not parser.is_ended
    assert parser.feed(b"]") == []
    assert parser.is_ended


@pytest.mark.parametrize(
    ("stream", "elements"),
    [(b'[{"a":1},{"b":', [b'{"a":1}', b'{"b":']), (b'[{"a":1}', [b'{"a":1}']), (b"[", []), (b"[1", [b"1"])],
)
def test_an_array_without_its_end_is_cut(stream: bytes, elements: list[bytes]) -> None:
    parser = _array()
    assert (_data(parser, stream), parser.is_cut, parser.is_ended) == (elements, True, False)


def test_documents_that_follow_each_other_are_told_apart() -> None:
    def read(data: bytes) -> tuple[list[bytes], bool, bool]:
        events, parser = concatenated(data, event_bytes_max=LIMIT)
        return [event.data for event in events], parser.is_cut, parser.has_junk

    assert read(b'{"a":1}{"b":[2]}\n[3]') == ([b'{"a":1}', b'{"b":[2]}', b"[3]"], False, False)
    assert read(b'{"a":1}\n{"b":') == ([b'{"a":1}', b'{"b":'], True, False)
    assert read(b'{"a":1}\n<html>') == ([b'{"a":1}'], False, True)
    assert read(b'x{"a":1}') == ([b'{"a":1}'], False, True)
    assert read(b'{"a":1}}') == ([b'{"a":1}'], False, True)


@pytest.mark.parametrize(
    ("stream", "lines"),
    [
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\r\n\r\n \n{"b":2}', [b'{"a":1}', b'{"b":2}']),
        ('{"a":"\u2028\u0085"}\n'.encode(), ['{"a":"\u2028\u0085"}'.encode()]),
        (b"", []),
        (b"\n\n", []),
    ],
)
def test_lines_are_given_whole_and_byte_by_byte(stream: bytes, lines: list[bytes]) -> None:
    for chunks in ([stream], _bytewise(stream)):
        assert _data(NdjsonParser(event_bytes_max=LIMIT), *chunks) == lines


PARSERS: list[tuple[Callable[..., Parser], bytes]] = [
    (JsonArrayParser, b'[{"a":"%s"},{"next":1}]'),
    (JsonArrayParser, b'["%s",{"next":1}]'),
    (NdjsonParser, b'{"a":"%s"}\n{"next":1}\n'),
]


@pytest.mark.parametrize(("make", "stream"), PARSERS)
def test_an_element_over_the_limit_is_named_without_its_data_and_the_next_is_whole(
    make: Callable[..., Parser], stream: bytes
) -> None:
    stream = stream % (b"x" * 500)
    for chunks in ([stream], _bytewise(stream)):
        parser = make(event_bytes_max=50)
        assert _data(parser, *chunks) == [b"OVERSIZED", b'{"next":1}']
    parser = make(event_bytes_max=50)
    for chunk in _bytewise(stream):
        parser.feed(chunk)
        assert parser.held_bytes <= 50


@pytest.mark.parametrize(("make", "stream"), PARSERS)
def test_a_long_element_in_small_chunks_takes_linear_time(make: Callable[..., Parser], stream: bytes) -> None:
    """4 MiB in 64-byte chunks: searched or joined again at each chunk, this would be 128 GiB of copying."""
    parser = make(event_bytes_max=8 << 20)
    before, after = stream.split(b"%s")
    parser.feed(before)
    for _ in range(1 << 16):
        parser.feed(b'\\\\\\"{[x]}' * 8)
    first, *_ = parser.feed(after)
    assert len(first.data) >= 4 << 20


VALUES = st.recursive(
    st.none() | st.integers() | st.text('a"\\{}[],\n', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"{\\', max_size=2), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(VALUES, max_size=5), st.sampled_from([None, 1]), st.data())
@settings(max_examples=150, deadline=None)
def test_any_array_in_any_chunks_gives_its_elements(values: list[Any], indent: int | None, data: st.DataObject) -> None:
    stream = json.dumps(values, indent=indent).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    chunks = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]
    parser = _array()
    assert list(map(json.loads, _data(parser, *chunks))) == values
    assert parser.is_ended
    assert not parser.is_cut


@given(st.text('[]{}",\\: 1a\n', max_size=40).map(str.encode) | st.binary(max_size=40), st.data(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_in_any_chunks_give_the_same_events(stream: bytes, data: st.DataObject, lines: bool) -> None:
    def make() -> Parser:
        return NdjsonParser(event_bytes_max=12) if lines else JsonArrayParser(event_bytes_max=12)

    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    chunks = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]
    assert _data(make(), *chunks) == _data(make(), stream)
    assert _data(make(), *_bytewise(stream)) == _data(make(), stream)
