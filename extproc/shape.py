"""Reading parsed JSON by shape, in two tempers.

Requests are judged, so they are read strictly: `Fields` raises `ClientError` `invalid_request` for a value of another
type than the api has there, because a sloppy reading lets text pass unseen. Responses are only counted, so the `as_*`
functions read them tolerantly: what has the wrong shape is not there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import orjson

from extproc.errors import ClientError
from extproc.framing.tolerant_json import utf8_size
from extproc.model import UNKNOWN_PART_CHARS_MAX, Part

NAME_CHARS_MAX = 256
TOKENS_MAX = 1_000_000_000
"""A larger figure counts no tokens of one call, but is a mistake or malice: a hundred times the longest context that is
sold, and already thousands of dollars of somebody's budget."""
WHOLE_FLOAT_MAX = 2.0**53
"""Whole numbers beyond it have neighbours that a double does not know."""

_WORD = re.compile(r"[a-z][a-z_]{0,23}")
"""No digits, no capitals: too little to hold a key."""

_NO_OBJECT: dict[str, Any] = {}
_NO_LIST: list[Any] = []


def as_object(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else _NO_OBJECT


def as_list(value: Any) -> list[Any]:
    return value if type(value) is list else _NO_LIST


def as_text(value: Any) -> str:
    return value if type(value) is str else ""


def as_name(value: Any) -> str:
    """A model's, tool's or role's name, an id, a reason: short by nature, so cut at `NAME_CHARS_MAX`. Always UTF-8: a
    JSON string may hold half of a surrogate pair, which no frame can."""
    if type(value) is not str:
        return ""
    name = value[:NAME_CHARS_MAX]
    return name if name.isascii() else name.encode("utf-8", "replace").decode("utf-8")


def as_word(value: Any) -> str | None:
    """A word of an enumeration (`high`, `json_schema`, `auto`), None for anything that could be text or a secret."""
    return value if type(value) is str and _WORD.fullmatch(value) else None


def as_count(value: Any) -> int | None:
    """A count of tokens: an integer from 0 to `TOKENS_MAX`, also when it is written `12.0`."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= TOKENS_MAX else None


def joined(texts: Iterable[str | None]) -> str | None:
    """Texts one below the other; None when there is none."""
    return "\n\n".join(text for text in texts if text) or None


def json_text(value: Any) -> str:
    """`value` as compact JSON. What UTF-8 cannot say (a lone surrogate) or orjson will not (an integer beyond 64 bits)
    is escaped or written out, never dropped."""
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        try:
            return json.dumps(value, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError):
            return "{}"


def unknown_part(value: Any) -> Part:
    """What a later api brings, kept as its JSON."""
    return Part("unknown", json_text(value)[:UNKNOWN_PART_CHARS_MAX])


def text_size(document: Any) -> int:
    """UTF-8 bytes of all keys and strings in `document`: what a model reads of a tool's definition, about."""
    if type(document) is str:
        return utf8_size(document)
    size = 0
    open_containers = [document]  # not recursive: the depth of a document must not be the depth of our stack
    while open_containers:
        held = open_containers.pop()
        if type(held) is dict:
            size += sum(map(utf8_size, held))
            held = held.values()
        elif type(held) is not list:
            continue
        for value in held:
            if type(value) is str:
                size += utf8_size(value)
            elif type(value) is dict or type(value) is list:
                open_containers.append(value)
    return size


def invalid(where: str, expected: str) -> ClientError:
    """The refusal of a request that is not the api's shape. `where` names a field and never quotes content."""
    return ClientError("invalid_request", f"{where} must be {expected}")


@lru_cache(maxsize=256)  # the codecs' own sets, one for each kind of object
def _by_folded(known: frozenset[str]) -> dict[str, str]:
    return {name.casefold(): name for name in known}


class Fields:
    """The members of one object of a request, read strictly. JSON null is the same as absent, as in every api here."""

    __slots__ = ("_holder", "_key", "_members")

    def __init__(self, value: Any, holder: Fields | None = None, key: str | tuple[str, int] = "") -> None:
        """`value` stands in `holder` at `key`, or in the list there: (key, index). Only an error spells that out."""
        self._holder = holder
        self._key = key
        if type(value) is not dict:
            raise invalid(self._name() or "the body", "an object")
        self._members: dict[str, Any] = value

    @property
    def members(self) -> Mapping[str, Any]:
        """The object itself, to be looked at as it is."""
        return self._members

    def refuse_lookalikes(self, known: frozenset[str]) -> None:
        """Raises `ClientError` `ambiguous_key` for `Model` or `MESSAGES`: some servers would take them for the real."""
        if known.issuperset(self._members):
            return
        for key in self._members:
            if key not in known and (meant := _by_folded(known).get(key.casefold())) is not None:
                raise ClientError("ambiguous_key", f"a key differs from {meant!r} only in case")

    def raw(self, key: str) -> Any:
        return self._members.get(key)

    def text(self, key: str) -> str | None:
        value: str | None = self._typed(key, (str,), "a string")
        return value

    def flag(self, key: str) -> bool:
        return bool(self._typed(key, (bool,), "true or false"))

    def integer(self, key: str, *, at_least: int = 0) -> int | None:
        """Also written `256.0`, as clients send it that have no integers (JSON Schema counts it as one)."""
        value: int | float | None = self._members.get(key)
        if type(value) is float and value.is_integer() and abs(value) <= WHOLE_FLOAT_MAX:
            value = int(value)
        elif value is not None and type(value) is not int:
            raise invalid(self.named(key), "an integer")
        if value is not None and value < at_least:
            raise invalid(self.named(key), f"at least {at_least}")
        return value

    def number(self, key: str) -> float | None:
        value = self._typed(key, (int, float), "a number")
        return None if value is None else float(value)

    def fields(self, key: str) -> Fields:
        """The object at `key`; absent is an empty one."""
        value = self._typed(key, (dict,), "an object")
        return Fields({} if value is None else value, self, key)

    def listed(self, key: str) -> list[Any]:
        """The list at `key`, which is to be one of objects; absent is an empty list."""
        value: list[Any] | None = self._typed(key, (list,), "a list of objects")
        return _NO_LIST if value is None else value

    def objects(self, key: str) -> Iterator[tuple[int, Fields]]:
        """The objects in the list at `key`, with their index; absent is an empty list."""
        for index, item in enumerate(self.listed(key)):
            yield index, Fields(item, self, (key, index))

    def texts(self, key: str) -> Iterator[str]:
        """The strings in the list at `key`; absent is an empty list."""
        value: list[Any] = self._typed(key, (list,), "a list of strings") or []
        for item in value:
            if type(item) is not str:
                raise invalid(self.named(key), "a list of strings")
            yield item

    def named(self, key: str) -> str:
        """The field at `key` in words, for an error: `messages[3].content`."""
        where = self._name()
        return f"{where}.{key}" if where else key

    def _name(self) -> str:
        if self._holder is None:
            return ""
        if type(self._key) is tuple:
            key, index = self._key
            return f"{self._holder.named(key)}[{index}]"
        assert type(self._key) is str
        return self._holder.named(self._key)

    def _typed(self, key: str, kinds: tuple[type, ...], expected: str) -> Any:
        value = self._members.get(key)
        if value is not None and type(value) not in kinds:  # not isinstance: true is no integer here
            raise invalid(self.named(key), expected)
        return value
