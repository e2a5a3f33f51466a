"""One member of a document is set; every byte beside it stays."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.framing.json_edit import set_member
from extproc.framing.json_strings import escape

USAGE = "/stream_options/include_usage"

CASES: list[tuple[bytes, str, bytes, bytes]] = [
    (b'{"stream": true}', USAGE, b"true", b'{"stream": true,"stream_options":{"include_usage":true}}'),
    (b"{}", USAGE, b"true", b'{"stream_options":{"include_usage":true}}'),
    (b' { \n } ', USAGE, b"true", b' {"stream_options":{"include_usage":true} \n } '),
    (
        b'{"stream_options" : { "x" : [1, {"a":"}"}] } , "n":1}',
        USAGE,
        b"true",
        b'{"stream_options" : { "x" : [1, {"a":"}"}],"include_usage":true } , "n":1}',
    ),
    (b'{"stream_options":{"include_usage": false }}', USAGE, b"true", b'{"stream_options":{"include_usage": true }}'),
    (b'{"stream_options": null, "n": 1}', USAGE, b"true", b'{"stream_options": {"include_usage":true}, "n": 1}'),
    (b'{"n1":1,"a":{"n":2}}', "/n", b"[3]", b'{"n1":1,"a":{"n":2},"n":[3]}'),
    (b'{"a":"b","b":"a"}', "/b", b'"c"', b'{"a":"b","b":"c"}'),
    (b'{"mod\\u0065l":"x"}', "/model", b'"y"', b'{"mod\\u0065l":"y"}'),
    (b'{"a\\"}":{"n":-1.5e3 }}', '/a"}/n', b"2", b'{"a\\"}":{"n":2 }}'),
    (b'{"a/b":{"~":1}}', "/a~1b/~0", b"2", b'{"a/b":{"~":2}}'),
    (b'{"a":[1,{"b":2},[]]}', "/a/1/b", b"3", b'{"a":[1,{"b":3},[]]}'),
    (b'{"a":[1,{"b":2},[]]}', "/a/1/c", b"3", b'{"a":[1,{"b":2,"c":3},[]]}'),
    (b'{"a":[ 1 ,{"b":2},[]]}', "/a/0", b"3", b'{"a":[ 3 ,{"b":2},[]]}'),
    (b'{"a":[1,{"b":2},[0]]}', "/a/2", b"3", b'{"a":[1,{"b":2},3]}'),
    (b' {"a":1} ', "", b"[]", b" [] "),
]  # fmt: skip


@pytest.mark.parametrize(("body", "pointer", "value", "expected"), CASES)
def test_a_member_is_set_where_it_belongs(body: bytes, pointer: str, value: bytes, expected: bytes) -> None:
    assert set_member(body, pointer, value) == expected


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"stream_options": "yes"}', USAGE),
        (b'{"stream_options": [1]}', USAGE),
        (b'{"a": 1}', "/b/c/d"),
        (b'{"a": {}}', "/a/b/c/d"),
        (b'{"a": [1]}', "/a/1"),
        (b'{"a": []}', "/a/0"),
        (b'{"a": [[2], 3]}', "/a/-1"),
        (b"[]", USAGE),
        (b'"text"', "/a"),
    ],
)
def test_a_place_that_is_no_object_is_a_lookup_error(body: bytes, pointer: str) -> None:
    with pytest.raises(LookupError):
        set_member(body, pointer, b"1")


def test_the_depth_of_a_document_is_not_the_depth_of_the_stack() -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    assert set_member(b'{"a":' + deep + b',"b":1}', "/b", b"2") == b'{"a":' + deep + b',"b":2}'


NAMES = st.text('ab"\\/~#é{', min_size=1, max_size=3)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text('a"\\{}[],:', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, DOCUMENTS, max_size=4)


def _reference(document: Any, path: list[str], value: Any) -> Any:
    """Parse, modify, compare: what `set_member` says it does, on the parsed document. Raises `LookupError`."""
    *holders, last = path
    node = document
    for position, name in enumerate(holders):
        if type(node) is list:
            if not (name.isascii() and name.isdigit()):
                raise LookupError
            if node[int(name)] is None and position == len(holders) - 1:
                node[int(name)] = {}
            node = node[int(name)]
        elif type(node) is not dict:
            raise LookupError
        else:
            if node.get(name) is None:
                if position != len(holders) - 1:
                    raise LookupError
                node[name] = {}
            node = node[name]
    if type(node) is list:
        if not (last.isascii() and last.isdigit() and int(last) < len(node)):
            raise LookupError
        node[int(last)] = value
    elif type(node) is dict:
        node[last] = value
    else:
        raise LookupError
    return document


def _paths(document: Any) -> list[list[str]]:
    """Where something is, and beside it."""
    found: list[list[str]] = [["new"], ["new", "x"], ["new", "x", "y"]]
    level: list[tuple[Any, list[str]]] = [(document, [])]
    while level:
        node, path = level.pop()
        members = node.items() if type(node) is dict else enumerate(node) if type(node) is list else ()
        for name, inner in members:
            here = [*path, str(name)]
            found += [here, [*here, "x"], [*here, "0"]]
            level.append((inner, here))
    return found


@given(OBJECTS, st.data(), DOCUMENTS, st.booleans(), st.sampled_from([None, 1]))
@settings(max_examples=300, deadline=None)
def test_it_is_what_parsing_and_changing_gives(
    document: dict[str, Any], data: st.DataObject, value: Any, ascii_only: bool, indent: int | None
) -> None:
    path = data.draw(st.sampled_from(_paths(document)))
    body = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    value_json = json.dumps(value).encode()
    try:
        expected = _reference(copy.deepcopy(document), path, value)
    except LookupError:
        with pytest.raises(LookupError):
            set_member(body, _pointer(path), value_json)
        return
    edited = set_member(body, _pointer(path), value_json)
    assert json.loads(edited) == expected
    # What was inserted or replaced is one span: all before it and all behind it is as it was.
    begin = next((i for i, (a, b) in enumerate(zip(body, edited, strict=False)) if a != b), min(len(body), len(edited)))
    kept = 0
    while kept < min(len(body), len(edited)) - begin and body[-1 - kept] == edited[-1 - kept]:
        kept += 1
    assert len(edited) - begin - kept <= len(value_json) + len(json.dumps(path)) + 8


def _pointer(path: list[str]) -> str:
    return "".join("/" + escape(name) for name in path)
