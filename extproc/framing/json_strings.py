"""The strings of a JSON document: where they are, and how to replace some without touching any other byte.

A place is written as a JSON Pointer (RFC 6901): `/messages/0/content`. An object key is its value's pointer plus
`#key`. A member whose *name* ends in `#key` would read the same, so that `#` is written `~2`, which RFC 6901 leaves
unused:

    {"a": "x", "a#key": "y"}       key "a"  →  /a#key        value "y"  →  /a~2key        key "a#key"  →  /a~2key#key

Nothing here recurses, and a pointer is only written out when it is asked for: a document of many strings below one long
key would otherwise cost its square.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import orjson

from extproc.errors import LimitExceeded

KEY_MARK = "#key"
POINTER_CHARS_MAX = 2_048
"""Longer pointers are refused: they are stored with every finding."""

Place: TypeAlias = "tuple[Place, str | int] | None"
"""A place as (container's place, key or index); None is the document itself."""


NO_NUMBERS = math.inf


def walk(document: Any, *, numbers_from: float = NO_NUMBERS) -> Iterator[tuple[Place, bool, str]]:
    """Every string in document order as (place, is it the key of that place, text), and whole numbers that are at least
    `numbers_from`, as `number_text` writes them."""
    if type(document) is str:
        yield None, False, document
        return
    open_containers: list[tuple[Iterator[tuple[str | int, Any]], Place, bool]] = []
    _enter(open_containers, document, None)
    while open_containers:
        members, place, has_keys = open_containers[-1]
        for token, value in members:
            here = (place, token)
            if has_keys:
                assert type(token) is str
                yield here, True, token
            if type(value) is str:
                yield here, False, value
            elif type(value) is dict or type(value) is list:
                _enter(open_containers, value, here)
                break
            elif (
                type(value) is not bool and value is not None and value >= numbers_from and (text := number_text(value))
            ):
                yield here, False, text
        else:
            open_containers.pop()


def number_text(value: float) -> str | None:
    """A whole number in decimal digits, also when it was written `12.0`; None for any other."""
    if type(value) is float:
        return str(int(value)) if value.is_integer() else None
    return str(value)


def _enter(
    open_containers: list[tuple[Iterator[tuple[str | int, Any]], Place, bool]], value: Any, place: Place
) -> None:
    if type(value) is dict:
        open_containers.append((iter(value.items()), place, True))
    elif type(value) is list:
        open_containers.append((enumerate(value), place, False))


def pointer(place: Place, *, is_key: bool = False) -> str:
    """`place` in words. Raises `LimitExceeded` (`pointer_too_long`) beyond `POINTER_CHARS_MAX`."""
    tokens: list[str] = []
    length = len(KEY_MARK) if is_key else 0
    while place is not None:
        place, token = place
        text = escape(token) if type(token) is str else str(token)
        length += len(text) + 1
        if length > POINTER_CHARS_MAX:
            raise LimitExceeded(
                "pointer_too_long", f"a place in the body takes over {POINTER_CHARS_MAX} characters to name"
            )
        tokens.append(text)
    tokens.append("")
    return "/".join(reversed(tokens)) + (KEY_MARK if is_key else "")


def escape(name: str) -> str:
    """A member's name as a pointer token."""
    token = name.replace("~", "~0").replace("/", "~1")
    return token[: -len(KEY_MARK)] + "~2key" if token.endswith(KEY_MARK) else token


def unescape(token: str) -> str:
    """The inverse of `escape`."""
    return token.replace("~2", "#").replace("~1", "/").replace("~0", "~")


def strings(document: Any) -> Iterator[tuple[str, str]]:
    """Every string value and object key as (pointer, text), in document order. Raises `LimitExceeded` as `pointer`."""
    for place, is_key, text in walk(document):
        yield pointer(place, is_key=is_key), text


def string_at(document: Any, where: str) -> str:
    """The string at a pointer as `strings` gives it. Raises `LookupError` when there is none."""
    if where.endswith(KEY_MARK):
        holder, _, token = where.removesuffix(KEY_MARK).rpartition("/")
        name = unescape(token)
        if name not in value_at(document, holder):
            raise LookupError("no key at this pointer")
        return name
    text = value_at(document, where)
    if type(text) is not str:
        raise LookupError("no string at this pointer")
    return text


def text_at(document: Any, where: str) -> str:
    """As `string_at`; a whole number counts as its digits."""
    if not where.endswith(KEY_MARK):
        value = value_at(document, where)
        if type(value) in (int, float) and (text := number_text(value)) is not None:
            return text
    return string_at(document, where)


def value_at(document: Any, where: str) -> Any:
    """The value at a pointer without `#key`. Raises `LookupError` when there is none."""
    value = document
    for token in where.split("/")[1:]:
        try:
            value = value[int(token)] if type(value) is list else value[unescape(token)]
        except (KeyError, IndexError, ValueError, TypeError):
            raise LookupError("nothing at this pointer") from None
    return value


_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A JSON string token, or a quote and all that follows when nothing closes it: never tried twice, so linear."""


def string_tokens(text: bytes) -> Iterator[tuple[int, int, bytes | None]]:
    """What looks like a JSON string in any text: (start, end, what it says without its escapes). Quotes included in the
    offsets; None when it has no escapes, or is none."""
    for token in _STRING.finditer(text):
        unescaped: bytes | None = None
        if b"\\" in token.group():
            with contextlib.suppress(orjson.JSONDecodeError):
                unescaped = orjson.loads(token.group()).encode()
        yield token.start(), token.end(), unescaped


class _Edits:
    """A tree of the places to edit, walked beside the text: a container without edits below it has no node."""

    __slots__ = ("below", "key", "value")

    def __init__(self) -> None:
        self.below: dict[str, _Edits] = {}
        self.key: str | None = None
        self.value: str | None = None

    @classmethod
    def plan(cls, edits: Mapping[str, str]) -> _Edits:
        root = cls()
        for where, text in edits.items():
            node = root
            for token in where.removesuffix(KEY_MARK).split("/")[1:]:
                node = node.below.setdefault(unescape(token), cls())
            if where.endswith(KEY_MARK):
                node.key = text
            else:
                node.value = text
        return root


# Possessive throughout: no backtracking, so linear whatever comes.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],]', re.DOTALL)
_TOKEN_OR_NUMBER = re.compile(_TOKEN.pattern + rb"|-?[0-9][0-9.eE+-]*+", re.DOTALL)
_QUOTE, _COMMA, _OPEN_OBJECT, _OPEN_ARRAY, _CLOSE_OBJECT, _CLOSE_ARRAY = b'",{[}]'


def replace_strings(body: bytes, edits: Mapping[str, str], *, numbers: bool = False) -> bytes:
    """`body` with the strings at the given pointers replaced and every other byte as it was. With `numbers`, a pointer
    may name a number too, in whose place a string then stands.

    `body` must be JSON that `strict_json.parse` accepts. Raises `LookupError` when a pointer names no string of it:
    then nothing must be forwarded, since something that was to be replaced would stay.
    """
    tree = _Edits.plan(edits)
    pieces: list[bytes] = []
    copied = applied = 0
    outer: list[tuple[_Edits | None, bool, int]] = []
    # Of the container we are in: its node, whether it has keys, the current member's index; then the member's node.
    node: _Edits | None = None
    has_keys, at_key, index = False, False, 0
    member: _Edits | None = tree
    for match in (_TOKEN_OR_NUMBER if numbers else _TOKEN).finditer(body):
        start = match.start()
        kind = body[start]
        if kind == _QUOTE:
            if at_key:
                at_key = False
                member = node.below.get(orjson.loads(match.group())) if node else None
                text = member.key if member else None
            else:
                text = member.value if member else None
            if text is not None:
                pieces += (body[copied:start], orjson.dumps(text))
                copied = match.end()
                applied += 1
        elif kind == _COMMA:
            at_key = has_keys
            if not has_keys:
                index += 1
                member = node.below.get(str(index)) if node else None
        elif kind in (_OPEN_OBJECT, _OPEN_ARRAY):
            outer.append((node, has_keys, index))
            node, has_keys, index = member, kind == _OPEN_OBJECT, 0
            at_key = has_keys
            member = node.below.get("0") if node and not has_keys else None
        elif kind in (_CLOSE_OBJECT, _CLOSE_ARRAY):
            node, has_keys, index = outer.pop()
            at_key = False
        elif member is not None and member.value is not None:
            pieces += (body[copied:start], orjson.dumps(member.value))
            copied = match.end()
            applied += 1
    if applied != len(edits):
        raise LookupError("an edit points at no string of this body")
    pieces.append(body[copied:])
    return b"".join(pieces)
