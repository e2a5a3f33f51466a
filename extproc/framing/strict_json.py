"""JSON with exactly one reading, or a typed error (RFC 8259, I-JSON of RFC 7493).

A policy that reads one thing while the provider reads another protects nobody, so everything on which parsers differ
is refused: duplicate keys (also after unescaping, and after case folding, because Go's `encoding/json` takes `Model`
and even a long s in `stream` for the field), trailing data, a byte order mark, NaN and Infinity, lone surrogates,
invalid UTF-8, numbers that fit neither 64 bits nor a finite double, and nesting beyond a stated depth.

orjson gives the document, and keeps the last of two equal keys silently. That none was lost is shown by counting: every
colon of the text stands behind a key or in a string, so the text has as many as the document has keys and its strings
have colons, unless a key was lost with its value, or a colon is written as an escape. Where the sum does not come out,
the body is read again by the standard library's parser, which shows the pairs.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import orjson

from extproc.errors import ClientError

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**64 - 1
"""Integers beyond these are doubles to some parsers, errors to others, and exact to a few."""

VALUES_MAX = 4_000_000
"""A document takes up to 100 bytes of memory per value, so a body of 64 MiB could take 3 GB. Commas and brackets are
counted, those in strings too: prose of 64 MiB holds about a million."""

_WHITESPACE = b" \t\r\n"
_ESCAPED_COLON = re.compile(rb"003[aA](?<=\\u003[aA])")
"""Looked for by its rarest part: code is full of backslashes."""

# What orjson says, and what it means here. Its messages name positions, never content. Checked by tests, in this order.
_MEANINGS: tuple[tuple[str, str, str], ...] = (
    ("UTF-8 byte order mark", "malformed_json", "the body begins with a byte order mark"),
    ("depth limit", "too_deep", "the body is nested too deep"),
    ("after document", "trailing_data", "there is data after the JSON document"),
    ("surrogate in string", "invalid_utf8", "a string holds half of a surrogate pair"),
    ("infinity", "number_out_of_range", "a number is too large"),
)


def parse(body: bytes, *, depth_max: int) -> Any:
    """The document in `body`, as `dict`, `list`, `str`, `int`, `float`, `bool` or `None`.

    `depth_max` counts nested arrays and objects; 0 allows only a bare scalar. Time is linear in the body.
    Raises `ClientError` with code `malformed_json`, `duplicate_key`, `invalid_utf8`, `trailing_data`, `too_deep` or
    `number_out_of_range`, or `body_too_large` for a document of more than `VALUES_MAX` values. Messages give positions,
    never content.
    """
    if len(body) > VALUES_MAX and sum(map(body.count, (b",", b"[", b"{"))) > VALUES_MAX:
        raise ClientError("body_too_large", f"the body holds more than {VALUES_MAX} JSON values: send less", 413)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _refuse(body, error.msg, error.lineno, error.colno)
    colons, has_large_number = _survey(document, depth_max)
    if has_large_number or body.count(b":") != colons or _ESCAPED_COLON.search(body) is not None:
        _read_pair_by_pair(body)
    return document


def _refuse(body: bytes, reason: str, line: int, column: int) -> NoReturn:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ClientError("invalid_utf8", f"the body is not UTF-8 (byte {error.start})") from None
    for said, code, message in _MEANINGS:
        if said in reason:
            raise ClientError(code, f"{message} (line {line}, column {column})") from None
    if not body.strip(_WHITESPACE):
        raise ClientError("malformed_json", "the body is empty where JSON was expected") from None
    raise ClientError("malformed_json", f"the body is not valid JSON (line {line}, column {column})") from None


def _survey(document: Any, depth_max: int) -> tuple[int, bool]:
    """Count the keys and the colons in strings; check depth and folded duplicates; note numbers whose literal has to be
    looked at.

    Level by level and not recursive: the depth of a document must not be the depth of our stack.
    """
    colons = 0
    has_large_number = False
    shapes: dict[tuple[str, ...], int] = {}
    level: list[Any] = [document]
    depth = -1
    while level:
        depth += 1
        below: list[Any] = []
        for value in level:
            kind = type(value)
            if kind is str:
                colons += value.count(":")
            elif kind is dict:
                shape = tuple(value)
                known = shapes.get(shape)
                if known is None:
                    known = shapes[shape] = _colons_of(shape)
                colons += known
                below.extend(value.values())
            elif kind is list:
                below.extend(value)
            elif kind is float and not INTEGER_MIN < value < INTEGER_MAX:  # orjson rounds integers beyond to these
                has_large_number = True
        if depth >= depth_max and any(type(value) is dict or type(value) is list for value in level):
            raise ClientError("too_deep", f"the body is nested deeper than {depth_max} levels")
        level = below
    return colons, has_large_number


def _colons_of(keys: tuple[str, ...]) -> int:
    """Of an object's keys and behind them. Raises `ClientError` when two differ only in case."""
    joined = "".join(keys)
    folds_to_itself = joined == joined.lower() and joined.isascii()  # so that no two can be alike
    if not folds_to_itself and len(set(map(str.casefold, keys))) != len(keys):
        raise ClientError("duplicate_key", "two keys of one object differ only in case")
    return len(keys) + joined.count(":")


def _read_pair_by_pair(body: bytes) -> None:
    """Raises `ClientError` for duplicate keys and integers out of range. Only for what orjson could read."""
    try:
        json.loads(body.decode("utf-8"), object_pairs_hook=_refuse_duplicates, parse_int=_refuse_large)
    except RecursionError:  # only where `depth_max` was set beyond Python's own limit
        raise ClientError("too_deep", "the body is nested too deep") from None


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    # Gives None for the object: nobody reads this second document, so it must not take the memory.
    if len({key for key, _ in pairs}) != len(pairs):
        raise ClientError("duplicate_key", "an object has the same key twice")


def _refuse_large(literal: str) -> int:
    if len(literal) > 20 or not INTEGER_MIN <= (value := int(literal)) <= INTEGER_MAX:
        raise ClientError("number_out_of_range", "an integer does not fit into 64 bits")
    return value
