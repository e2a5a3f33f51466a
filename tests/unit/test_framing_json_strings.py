"""Strings are found wherever they stand, and replaced without touching a byte beside them."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.errors import LimitExceeded
from extproc.framing.json_strings import POINTER_CHARS_MAX, replace_strings, string_at, strings, value_at

NAMES = st.text('ab/~#"\\é key', max_size=6) | st.sampled_from(["a", "a#key", "#key", "~2key", "0", ""])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=25,
)


def test_values_and_keys_are_found_in_document_order() -> None:
    document = {"m": [{"role": "user", "n": 1}, "x", ["y"]], "a/b~c": {"": "z"}}
    assert list(strings(document)) == [
        ("/m#key", "m"),
        ("/m/0/role#key", "role"),
        ("/m/0/role", "user"),
        ("/m/0/n#key", "n"),
        ("/m/1", "x"),
        ("/m/2/0", "y"),
        ("/a~1b~0c#key", "a/b~c"),
        ("/a~1b~0c/#key", ""),
        ("/a~1b~0c/", "z"),
    ]
    assert list(strings("root")) == [("", "root")]
    assert list(strings(7)) == []


def test_a_name_that_ends_like_the_key_mark_has_a_place_of_its_own() -> None:
    document = {"a": "x", "a#key": "y"}
    assert dict(strings(document)) == {"/a#key": "a", "/a": "x", "/a~2key#key": "a#key", "/a~2key": "y"}
    assert replace_strings(b'{"a":"x","a#key":"y"}', {"/a~2key": "Y", "/a#key": "A"}) == b'{"A":"x","a#key":"Y"}'


def test_only_the_edited_tokens_change() -> None:
    body = b'\n{ "a\\u0062" :\t"caf\\u00e9 1.0", "n": 1.00e0 , "l":[ "x" ,{"k" : "\\"q\\""}]}  '
    edits = {"/ab": 'n"ew', "/l/1/k#key": "K", "/l/0": "é"}
    assert replace_strings(body, edits) == (
        b'\n{ "a\\u0062" :\t"n\\"ew", "n": 1.00e0 , "l":[ "\xc3\xa9" ,{"K" : "\\"q\\""}]}  '
    )


def test_a_whole_document_may_be_the_string() -> None:
    assert replace_strings(b' "old" ', {"": "new"}) == b' "new" '


@pytest.mark.parametrize("where", ["/nowhere", "/a/0", "/n", "/l/1", "/l/01", "/zzz#key", ""])
def test_an_edit_that_meets_no_string_is_an_error(where: str) -> None:
    with pytest.raises(LookupError):
        replace_strings(b'{"a":"x","n":1,"l":["y"]}', {where: "new"})


def test_a_place_too_long_to_name_is_a_limit_and_costs_nothing_before() -> None:
    document = {"k" * POINTER_CHARS_MAX: ["short"]}
    with pytest.raises(LimitExceeded):
        list(strings(document))


def test_a_deep_document_is_walked_without_recursion() -> None:
    deep: Any = "bottom"
    for _ in range(1_000):
        deep = [deep]
    [(where, text)] = list(strings(deep))
    assert (where, text) == ("/0" * 1_000, "bottom")


@given(DOCUMENTS)
@settings(max_examples=150, deadline=None)
def test_every_string_is_found_again_at_its_pointer(document: Any) -> None:
    found = list(strings(document))
    assert len({where for where, _ in found}) == len(found)
    for where, text in found:
        assert string_at(document, where) == text


@given(DOCUMENTS, st.data(), st.booleans(), st.sampled_from([(",", ":"), (" , ", "\n:\t")]))
@settings(max_examples=200, deadline=None)
def test_edits_change_the_document_as_meant_and_no_other_byte(
    document: Any, data: st.DataObject, ensure_ascii: bool, separators: tuple[str, str]
) -> None:
    body = json.dumps(document, ensure_ascii=ensure_ascii, separators=separators).encode()
    values = [where for where, _ in strings(document) if not where.endswith("#key")]
    chosen = data.draw(st.lists(st.sampled_from(values), unique=True)) if values else []
    edits = {where: data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=5)) for where in chosen}

    new = replace_strings(body, edits)

    expected = copy.deepcopy(document)
    for where, text in edits.items():
        if where == "":
            expected = text
        else:
            parent, _, token = where.rpartition("/")
            holder = value_at(expected, parent)
            if isinstance(holder, list):
                holder[int(token)] = text
            else:
                name = token.replace("~2", "#").replace("~1", "/").replace("~0", "~")
                holder[name] = text
    assert json.loads(new) == expected
    assert _without_strings(new) == _without_strings(body)
    if not edits:
        assert new == body


def _without_strings(body: bytes) -> bytes:
    return re.sub(rb'"(?:[^"\\]|\\.)*"', b'""', body, flags=re.DOTALL)


@given(st.dictionaries(NAMES, st.text("ab", max_size=2), min_size=1, max_size=4), st.data())
@settings(max_examples=100, deadline=None)
def test_a_key_is_replaced_in_its_place(document: dict[str, str], data: st.DataObject) -> None:
    keys = [where for where, _ in strings(document) if where.endswith("#key")]
    where = data.draw(st.sampled_from(keys))
    old = string_at(document, where)
    new = json.loads(replace_strings(json.dumps(document).encode(), {where: "<NEW>"}))
    assert list(new.items()) == [("<NEW>" if key == old else key, value) for key, value in document.items()]
