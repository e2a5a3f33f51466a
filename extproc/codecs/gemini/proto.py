"""Requests to Google's APIs, read strictly as Google's own JSON parser reads them.

Google parses JSON into protobuf messages (protobuf.dev, "ProtoJSON Format"), so one request has many spellings:

    {"system_instruction": …} = {"systemInstruction": …}     each field has two names
    {"parts": {"text": "Hi"}} = {"parts": [{"text": "Hi"}]}  one message stands for a list of one
    {"maxOutputTokens": "9"}  = {"maxOutputTokens": 9}       numbers may be strings

All of these are read here; a body that gives both names of one field, or a name that is neither, is refused, since
nobody can say which of the two the provider would take.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from extproc.errors import ClientError
from extproc.framing.json_strings import escape
from extproc.shape import invalid

_INTEGER = re.compile(r"-?\d{1,18}")
_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?")
_CAPITAL = re.compile(r"(?<!^)([A-Z])")


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of one kind of message that we read."""

    names: Mapping[str, str]
    """Spelling as it may stand in a body → the field's name in camelCase."""
    fields: frozenset[str]
    """The names in camelCase."""
    folded: frozenset[str]
    """The names without underscores and case: what looks like one of them must be one of them."""


def shape(names: str) -> Shape:
    """The message with these fields: camelCase names, separated by white space."""
    fields = names.split()
    snakes = {_CAPITAL.sub(r"_\1", name).lower(): name for name in fields}
    return Shape({**snakes, **{name: name for name in fields}}, frozenset(fields), frozenset(map(_fold, fields)))


def _fold(name: str) -> str:
    return name.replace("_", "").casefold()


class ProtoObject:
    """One message of a request: its fields by their camelCase names. JSON null is the same as absent."""

    __slots__ = ("_holder", "_members", "_place", "_spelled")

    def __init__(
        self, value: Any, kind: Shape, holder: ProtoObject | None = None, place: str | tuple[str, int] = ""
    ) -> None:
        """`value` stands in `holder` at the field `place`, or in the list there: (field, index).

        Raises `ClientError` (`invalid_request`, `ambiguous_key`).
        """
        self._holder = holder
        self._place = place
        self._spelled = _AS_NAMED
        if type(value) is not dict:
            raise invalid(_in_words(self.where) or "the body", "an object")
        self._members: dict[str, Any] = value if kind.fields.issuperset(value) else self._named_members(value, kind)

    def _named_members(self, value: dict[str, Any], kind: Shape) -> dict[str, Any]:
        """The members by the names of their fields."""
        members: dict[str, Any] = {}
        spelled: dict[str, str] = {}
        for key, held in value.items():
            name = kind.names.get(key)
            if name is None:
                if _fold(key) in kind.folded:
                    raise ClientError("ambiguous_key", "a key differs from a field's name only in case or underscores")
                name = key
            elif name in members:
                raise ClientError("ambiguous_key", f"{name!r} is given by two names: keep one")
            elif name != key:
                spelled[name] = key
            members[name] = held
        self._spelled = spelled
        return members

    @property
    def where(self) -> str:
        """JSON Pointer of this message in the body. Only what cannot be read, or an error, asks for it."""
        if self._holder is None:
            return ""
        if type(self._place) is tuple:
            name, index = self._place
            return f"{self._holder.pointer(name)}/{index}"
        assert type(self._place) is str
        return self._holder.pointer(self._place)

    def __contains__(self, name: str) -> bool:
        return self._members.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        """The names of all fields that are there; one that we do not know as it is spelled."""
        return (name for name, value in self._members.items() if value is not None)

    def raw(self, name: str) -> Any:
        return self._members.get(name)

    def pointer(self, name: str) -> str:
        """JSON Pointer of the field, as it is spelled in the body."""
        return f"{self.where}/{escape(self._spelled.get(name, name))}"

    def text(self, name: str) -> str | None:
        value = self._members.get(name)
        if value is not None and type(value) is not str:
            raise invalid(self._named(name), "a string")
        return value

    def flag(self, name: str) -> bool | None:
        value = self._members.get(name)
        if type(value) is str and value in ("true", "false"):
            return value == "true"
        if value is not None and type(value) is not bool:
            raise invalid(self._named(name), "true or false")
        return value

    def integer(self, name: str, *, at_least: int = 0) -> int | None:
        value = self._members.get(name)
        if (type(value) is str and _INTEGER.fullmatch(value)) or (type(value) is float and value.is_integer()):
            value = int(value)
        if value is not None and type(value) is not int:
            raise invalid(self._named(name), "an integer")
        if value is not None and value < at_least:
            raise invalid(self._named(name), f"at least {at_least}")
        return value

    def number(self, name: str) -> float | None:
        value = self._members.get(name)
        if type(value) is str and _NUMBER.fullmatch(value):
            value = float(value)
        if value is not None and type(value) is not int and type(value) is not float:
            raise invalid(self._named(name), "a number")
        return None if value is None else float(value)

    def object(self, name: str, kind: Shape) -> ProtoObject:
        """The message at `name`; absent is an empty one."""
        value = self._members.get(name)
        return ProtoObject({} if value is None else value, kind, self, name)

    def objects(self, name: str, kind: Shape) -> Iterator[ProtoObject]:
        """The messages in the list at `name`, or the one that stands there by itself; absent is none."""
        value = self._members.get(name)
        if type(value) is list:
            for index, item in enumerate(value):
                yield ProtoObject(item, kind, self, (name, index))
        elif type(value) is dict:
            yield ProtoObject(value, kind, self, name)
        elif value is not None:
            raise invalid(self._named(name), "a list of objects")

    def _named(self, name: str) -> str:
        return _in_words(self.pointer(name))


_AS_NAMED: Mapping[str, str] = {}
"""Nothing is spelled otherwise."""


def _in_words(where: str) -> str:
    """A pointer as an error names it: `contents[3].parts[0].text`. Holds names of fields, never content."""
    words = ""
    for token in where.split("/")[1:]:
        words += f"[{token}]" if token.isdigit() else f".{token}" if words else token
    return words
