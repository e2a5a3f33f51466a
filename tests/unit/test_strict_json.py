"""`strict_json` accepts exactly one reading, and says which rule a body breaks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.errors import ClientError
from extproc.framing.strict_json import VALUES_MAX, parse

DEPTH_MAX = 128

DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('abc\\":/#~ é', max_size=4), inner, max_size=4),
    max_leaves=20,
)


def _code(body: bytes, depth_max: int = DEPTH_MAX) -> str:
    with pytest.raises(ClientError) as refused:
        parse(body, depth_max=depth_max)
    return refused.value.code


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b' {"a": [1, -2.5, "x", true, false, null]}\r\n\t', {"a": [1, -2.5, "x", True, False, None]}),
        (b'{"a:b":"c:d","e":{":":":"}}', {"a:b": "c:d", "e": {":": ":"}}),
        (b'{"a\\\\":1,"a\\"":2,"a":3}', {"a\\": 1, 'a"': 2, "a": 3}),
        (b'"\\u00e9\\ud83d\\ude00"', "é😀"),
        (b"18446744073709551615", 2**64 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"[123e45, 1E22]", [123e45, 1e22]),
        (b'[{"k": 1}, {"k": 2}, {"K": 3}]', [{"k": 1}, {"k": 2}, {"K": 3}]),
    ],
)
def test_what_has_one_reading_is_read(body: bytes, document: Any) -> None:
    assert parse(body, depth_max=DEPTH_MAX) == document


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"a" : 1, "b": {"x":1, "x" :2}}',
        b'{"a\\\\":1,"a\\\\":2,"b":":"}',  # a colon in a string must not make up for the lost key
        b'[{"text": "a \\": b", "text": ""}]',
        b'{"model":"a","Model":"b"}',
        b'{"stream":true,"\xc5\xbftream":false}',  # LATIN SMALL LETTER LONG S folds to s
        b'{"key":1,"\xe2\x84\xaaey":2}',  # KELVIN SIGN folds to k
        b'{"STRASSE":1,"stra\xc3\x9fe":2}',
    ],
)
def test_keys_that_are_the_same_to_some_parser_are_refused(body: bytes) -> None:
    assert _code(body) == "duplicate_key"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "malformed_json"),
        (b" \n", "malformed_json"),
        (b"{", "malformed_json"),
        (b"[1,]", "malformed_json"),
        (b"{'a':1}", "malformed_json"),
        (b"NaN", "malformed_json"),
        (b"[Infinity]", "malformed_json"),
        (b"01", "malformed_json"),
        (b'"\x01"', "malformed_json"),
        (b"\x0c1", "malformed_json"),
        (b'\xef\xbb\xbf{"a":1}', "malformed_json"),
        (b"{} {}", "trailing_data"),
        (b"{}x", "trailing_data"),
        (b"{}\x00", "trailing_data"),
        (b'"\xff"', "invalid_utf8"),
        (b'"\xed\xa0\x80"', "invalid_utf8"),  # a surrogate in UTF-8's clothes
        (b'"\xc0\xaf"', "invalid_utf8"),  # overlong
        (b'"\\ud800"', "invalid_utf8"),
        (b'"\\ude00\\ud83d"', "invalid_utf8"),
        (b'{"\\udc00": 1}', "invalid_utf8"),
        (b"1e999", "number_out_of_range"),
        (b"-1e999", "number_out_of_range"),
        (b"18446744073709551616", "number_out_of_range"),
        (b"[-9223372036854775809]", "number_out_of_range"),
        (b"1" * 10_000, "number_out_of_range"),
    ],
)
def test_each_way_to_be_read_differently_has_its_code(body: bytes, code: str) -> None:
    assert _code(body) == code


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_a_depth_bomb_is_refused_whatever_its_size(opening: bytes) -> None:
    assert _code(opening * 1_000_000) == "too_deep"


def test_depth_counts_nested_containers() -> None:
    at_limit = b"[" * 3 + b"1" + b"]" * 3
    assert parse(at_limit, depth_max=3) == [[[1]]]
    assert _code(at_limit, depth_max=2) == "too_deep"
    assert _code(b"[[[{}]]]", depth_max=3) == "too_deep"
    assert parse(b'"scalar"', depth_max=0) == "scalar"
    assert _code(b"[]", depth_max=0) == "too_deep"


def test_more_values_than_memory_allows_are_refused_before_they_are_built() -> None:
    with pytest.raises(ClientError) as refused:
        parse(b"[" + b"1," * VALUES_MAX + b"1]", depth_max=DEPTH_MAX)
    assert (refused.value.code, refused.value.status) == ("body_too_large", 413)


def test_a_refusal_never_quotes_the_body() -> None:
    secret = "hunter2-secret"
    bodies = [f'{{"{secret}":1,"{secret}":2}}', f'["{secret}"', f"{{}} {secret}", f'"{secret}\\ud800"']
    for body in bodies:
        with pytest.raises(ClientError) as refused:
            parse(body.encode(), depth_max=DEPTH_MAX)
        assert secret not in refused.value.message
        assert refused.value.__cause__ is None


@given(DOCUMENTS, st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_document_survives_every_way_to_write_it(
    document: Any, separators: tuple[str, str], ensure_ascii: bool
) -> None:
    body = json.dumps(document, separators=separators, ensure_ascii=ensure_ascii).encode()
    folded = []
    json.loads(body, object_pairs_hook=lambda pairs: folded.append([key.casefold() for key, _ in pairs]))
    if any(len(set(keys)) != len(keys) for keys in folded):
        assert _code(body) == "duplicate_key"
    else:
        assert parse(body, depth_max=DEPTH_MAX) == document


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", ":", "a:"]), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=4
    ),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_colons_written_as_escapes_make_up_for_no_lost_key(members: list[tuple[str, int, int]], upper: bool) -> None:
    escape = "\\u003A" if upper else "\\u003a"
    body = ",".join(f'"{key}":"{":" * plain}{escape * escaped}"' for key, plain, escaped in members)
    if len({key for key, _, _ in members}) == len(members):
        assert len(parse(f"{{{body}}}".encode(), depth_max=1)) == len(members)
    else:
        assert _code(f"{{{body}}}".encode()) == "duplicate_key"


@given(
    st.lists(st.tuples(st.text('ab\\":', max_size=2), st.text('x\\":', max_size=3)), min_size=1, max_size=5),
    st.sampled_from([(",", ":"), (" , ", " :")]),
)
@settings(max_examples=300, deadline=None)
def test_no_text_in_strings_can_hide_a_duplicate(pairs: list[tuple[str, str]], separators: tuple[str, str]) -> None:
    members = [f"{json.dumps(key)}{separators[1]}{json.dumps(value)}" for key, value in pairs]
    body = ("{" + separators[0].join(members) + "}").encode()
    if len({key for key, _ in pairs}) == len(pairs):
        assert parse(body, depth_max=DEPTH_MAX) == dict(pairs)
    else:
        assert _code(body) == "duplicate_key"


@given(st.binary(max_size=60) | st.text('{}[]",:\\u0d8e+-. \n', max_size=40).map(str.encode))
@settings(max_examples=400, deadline=None)
def test_arbitrary_bytes_give_a_document_or_a_typed_error(body: bytes) -> None:
    try:
        document = parse(body, depth_max=4)
    except ClientError:
        return
    assert document == json.loads(body)


def _corpus() -> list[Path]:
    root = os.environ.get("HEADGATE_CORPUS")
    return sorted((Path(root) / "security" / "json_parsing").glob("*.json")) if root else []


# What we decide where the test suite (nst/JSONTestSuite) leaves it to the implementation, and the one file it accepts
# that has two readings.
_OURS = {
    "i_number_double_huge_neg_exp.json": None,
    "i_number_real_underflow.json": None,
    "y_object_duplicated_key.json": "duplicate_key",
    "y_object_duplicated_key_and_value.json": "duplicate_key",
}


def test_the_json_parsing_corpus_is_read_as_its_names_say() -> None:
    files = _corpus()
    if not files:
        pytest.skip("HEADGATE_CORPUS does not name a corpus with security/json_parsing")
    seen = {"y": 0, "n": 0, "i": 0}
    for file in files:
        kind = file.name[0]
        if kind not in seen:
            continue
        seen[kind] += 1
        refusal = None
        try:
            parse(file.read_bytes(), depth_max=DEPTH_MAX)
        except ClientError as error:
            refusal = error.code
        if file.name in _OURS:
            assert refusal == _OURS[file.name], file.name
        else:
            assert (refusal is None) == (kind == "y"), file.name
    assert seen["y"] > 10
    assert seen["n"] > 50
    assert seen["i"] > 10
