"""Arguments of a function call that come piece by piece (Vertex AI, "Stream function call arguments").

    {"functionCall": {"name": "cook", "willContinue": true}}
    {"functionCall": {"partialArgs": [{"jsonPath": "$.steps[0]", "stringValue": "Pre", "willContinue": true}], …}}
    {"functionCall": {"partialArgs": [{"jsonPath": "$.steps[0]", "stringValue": "heat"}], "willContinue": true}}
    {"functionCall": {}}

Pieces of one string come one after the other; other values come whole. Nothing is ever filled up to an index: an
element beyond a list's end is its next one, so a path cannot ask for memory.
"""

from __future__ import annotations

import re
from typing import Any

from extproc.shape import as_text

DEPTH_MAX = 64
"""Values deeper than this are left out."""
PATHS_MAX = 100_000
"""Values in the arguments of one call; further ones are left out."""

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
"""One step of a JSONPath (RFC 9535 §2.3): `.name`, `[0]`, `['name']`, `["name"]`."""
_ESCAPED = re.compile(r"\\(.)")
_INDEX_DIGITS_MAX = 9


class PartialArgs:
    """The arguments of one call, put together."""

    def __init__(self) -> None:
        self._strings: dict[str, list[str]] = {}
        self._others: dict[str, Any] = {}
        self._order: dict[str, None] = {}

    def add(self, piece: dict[str, Any]) -> None:
        """One of `partialArgs`. What has no path or no value is left out."""
        path = as_text(piece.get("jsonPath"))
        if not path or (path not in self._order and len(self._order) >= PATHS_MAX):
            return
        if type(text := piece.get("stringValue")) is str:
            self._strings.setdefault(path, []).append(text)
        elif "numberValue" in piece:
            self._others[path] = piece["numberValue"]
        elif "boolValue" in piece:
            self._others[path] = piece["boolValue"]
        elif "nullValue" in piece:
            self._others[path] = None
        else:
            return
        self._order[path] = None

    def into(self, whole: dict[str, Any]) -> dict[str, Any]:
        """`whole`, the arguments that came in one piece, with the others in their places."""
        for path in self._order:
            steps = _steps(path)
            if steps is not None and 0 < len(steps) <= DEPTH_MAX:
                text = self._strings.get(path)
                _put(whole, steps, self._others.get(path) if text is None else "".join(text))
        return whole


def _steps(path: str) -> list[str | int] | None:
    """The names and indexes of `$.a[0]['b']`; None for what is no such path."""
    at = 1
    steps: list[str | int] = []
    while path[:1] == "$" and at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            return None
        name, index, single, double = match.groups()
        quoted = single if single is not None else double
        if index is not None:
            steps.append(int(index[:_INDEX_DIGITS_MAX]))
        else:
            steps.append(name if name is not None else _ESCAPED.sub(r"\1", quoted or ""))
        at = match.end()
    return steps


def _put(holder: Any, steps: list[str | int], value: Any) -> None:
    """Puts `value` where `steps` lead to; what stands in the way of another type stays."""
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        made: Any = value if following is None else [] if type(following) is int else {}
        if type(holder) is dict and type(step) is str:
            holder[step] = made if following is None else holder.get(step, made)
            holder = holder[step]
        elif type(holder) is list and type(step) is int:
            if step >= len(holder):
                holder.append(made)
                holder = made
            else:
                holder[step] = made if following is None else holder[step]
                holder = holder[step]
        else:
            return
