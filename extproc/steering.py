"""What else of a request steers the model, as facts: numbers, flags and words of an enumeration, never text.

    STEERING = Steering("seed reasoning.effort text.format.type")
    STEERING.of({"model": "m", "seed": 7, "reasoning": {"effort": "low"}})  →  {"seed": 7, "reasoning.effort": "low"}

An api knows dozens of such members and a request has a few, so the names are made into a tree once, and a request's own
members are looked up in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from extproc.shape import as_word

Parameters = dict[str, float | int | bool | str]

_Tree = dict[str, tuple[str, "_Tree"]]
"""Member → (the name it is told by, "" when only members of it are; these)."""
_SCALARS = frozenset({int, float, bool})


def is_setting(value: Any, is_word: Callable[[str], object] = as_word) -> bool:
    """Is this a number, a flag or a word?"""
    kind = type(value)
    return kind in _SCALARS or (kind is str and bool(is_word(value)))


class Steering:
    """The members of an api's requests that steer the model."""

    __slots__ = ("_is_word", "_tree")

    def __init__(self, names: str, words: frozenset[str] | None = None) -> None:
        """`names` as the api has them, separated by white space; `a.b` is the member `b` of the object `a`. `words` are
        those of the api's enumerations, where they are not such as `shape.as_word` knows."""
        self._is_word: Callable[[str], object] = as_word if words is None else words.__contains__
        self._tree: _Tree = {}
        for name in names.split():
            tree = self._tree
            *holders, member = name.split(".")
            for holder in holders:
                tree = tree.setdefault(holder, ("", {}))[1]
            tree[member] = (name, tree[member][1] if member in tree else {})

    def of(self, members: Mapping[str, Any]) -> Parameters:
        """Those that `members` has and that hold a number, a flag or a word."""
        found: Parameters = {}
        self._take(members, self._tree, found)
        return found

    def _take(self, members: Mapping[str, Any], tree: _Tree, found: Parameters) -> None:
        for member, value in members.items():
            if value is None or member not in tree:
                continue
            name, below = tree[member]
            if type(value) is dict:
                if below:
                    self._take(value, below, found)
            elif name and is_setting(value, self._is_word):
                found[name] = value
