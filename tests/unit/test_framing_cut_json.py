"""A document that was cut off tells what was there, and never something that was not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.framing import cut_json
from extproc.framing.tolerant_json import loads, loads_prefix


@pytest.mark.parametrize(
    ("data", "document"),
    [
        (b'{"text": "Hel', {"text": "Hel"}),
        (b'{"a": [1, 2', {"a": [1]}),
        (b'{"a": [1, 2 ', {"a": [1]}),
        (b'{"a": [1, 2,', {"a": [1, 2]}),
        (b'{"a": -', {}),
        (b'{"a": true, "b', {"a": True}),
        (b'{"a": true, "b"', {"a": True}),
        (b'{"a": true, "b":', {"a": True}),
        (b'{"a": null', {"a": None}),
        (b'{"a": tru', {}),
        (b'{"a": {"b": [{"c": "d"}, {"e": "f', {"a": {"b": [{"c": "d"}, {"e": "f"}]}}),
        (b"[", []),
        (b' \n{"a" :{ }', {"a": {}}),
        (b'["x\\', ["x"]),
        (b'["x\\\\', ["x\\"]),
        (b'["x\\\\\\', ["x\\"]),
        (b'["\\u00e', [""]),
        (b'["x\\ud83d', ["x"]),
        (b'["x\\ud83d\\u', ["x"]),
        (b'["x\\ud83d\\ude00', ["x😀"]),
        (b'["\\\\ud83d', ["\\ud83d"]),
        ('["grü'.encode()[:-1], ["gr"]),
        ('["x😀'.encode()[:-1], ["x"]),
        (b'{"\\"}{[": "\\"]}', {'"}{[': '"]}'}),
    ],
)
def test_what_was_there_is_read(data: bytes, document: Any) -> None:
    assert loads_prefix(data) == (document, False)


@pytest.mark.parametrize(
    "name", ["model", "finish_reason", "finishReason", "id", "response_id", "name", "type", "role"]
)
def test_half_a_name_is_no_name(name: str) -> None:
    assert loads_prefix(f'{{"text": "a", "{name}": "gpt-4o'.encode()) == ({"text": "a"}, False)
    assert loads_prefix(f'{{"text": "a", "{name}": "gpt-4o"'.encode()) == ({"text": "a", name: "gpt-4o"}, False)


@pytest.mark.parametrize(
    "data", [b"", b" ", b"tru", b"{]", b'{"a":1}}', b'{"a":1} x', b"data: x", b"<html>", b"[1 2, 3"]
)
def test_what_is_no_beginning_of_a_document_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"line|char|Expecting"):
        loads_prefix(data)


def test_depth_is_bounded() -> None:
    for data in (b"[" * 1_000_000, b'{"a":' * 1_000_000, b"[" * (cut_json.DEPTH_MAX + 1)):
        with pytest.raises(ValueError, match="deep"):
            loads_prefix(data)
    assert loads_prefix(b"[" * cut_json.DEPTH_MAX)[1] is False


def test_what_only_the_tolerant_reader_takes_is_whole_or_cut_as_any_other() -> None:
    whole, is_whole = loads_prefix(b'["\\ud83d", NaN]')
    assert (whole[0], is_whole) == ("\ud83d", True)
    assert loads_prefix(b'["\\ud83d", NaN, "x') == (["\ud83d", pytest.approx(float("nan"), nan_ok=True), "x"], False)


def _is_prefix_of(part: Any, whole: Any) -> bool:
    """Everything in `part` is in `whole` at the same place; only the last string may be shorter."""
    if type(part) is not type(whole):
        return False
    if type(part) is str:
        return bool(whole.startswith(part))
    if type(part) is list:
        return len(part) <= len(whole) and all(map(_is_prefix_of, part, whole))
    if type(part) is dict:
        return list(part) == list(whole)[: len(part)] and all(_is_prefix_of(part[key], whole[key]) for key in part)
    return bool(part == whole)


DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text('ab"\\{}[],:é😀\n', max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab":\\', max_size=3), inner, max_size=4),
    max_leaves=15,
)


@given(
    st.dictionaries(st.text("ab", max_size=3), DOCUMENTS, max_size=4) | st.lists(DOCUMENTS, max_size=4), st.booleans()
)
@settings(max_examples=150, deadline=None)
def test_every_cut_of_a_document_gives_a_beginning_of_it(document: Any, ascii_only: bool) -> None:
    data = json.dumps(document, ensure_ascii=ascii_only).encode()
    longest = 0
    for end in range(1, len(data)):
        part, is_whole = loads_prefix(data[:end])
        assert not is_whole
        assert _is_prefix_of(part, document)
        longest = max(longest, len(json.dumps(part)))
    assert loads_prefix(data) == (document, True)


@given(st.text('{}[]",:\\u0d8e1.- \ntrunl', max_size=40).map(str.encode) | st.binary(max_size=40))
@settings(max_examples=400, deadline=None)
def test_arbitrary_bytes_give_a_document_or_a_value_error(data: bytes) -> None:
    try:
        _, is_whole = loads_prefix(data)
    except ValueError:
        return
    if is_whole:
        loads(data)
