"""What of a client's or provider's own words may stand where no text may: in policy's input and in the facts tree.

Numbers and flags may. A word may where it looks like the word of an enumeration, an id where it looks like an id, a
name where it is no longer than one. What does not is left out, never cut: half a text is text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from extproc.framing.tolerant_json import utf8_size

NAME_BYTES_MAX: Final = 256
"""A longer model or tool name is no name."""
NAMES_MAX: Final = 1_000
"""Names listed for one request; those beyond are left out."""
PARAMETERS_MAX: Final = 64
"""Parameters listed for one request: no api that was seen has over 40."""
INTEGER_MAX: Final = 2**63 - 1
"""What JSON readers and the archive's columns can hold."""

_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{0,31}")
"""`standard`, `ON_DEMAND`, `not_available`. No digits: too little to hold a key."""
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=+@~-]{0,255}")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}")
_NAME = re.compile(r"[!-~]{1,256}|[^\s\x00-\x1f\x7f-\x9f]{1,64}")
"""Languages without white space say a sentence in 64 characters, but rarely name anything in more."""
WITHHELD_NAME: Final = "(withheld)"
"""In the place of a name that could be text, or in which something was found."""
_LEFT_OUT: Final = object()


def word(value: str | None) -> str | None:
    """A word of an enumeration, None for anything that could be text or a secret."""
    return value if value is not None and _WORD.fullmatch(value) else None


def identifier(value: str | None) -> str | None:
    """An id without white space, None for anything that could be a sentence."""
    return value if value is not None and _ID.fullmatch(value) else None


def said_name(value: str | None) -> str | None:
    """What a provider calls its model, an answer, an error; None for anything that could be a sentence."""
    return value if value is not None and _NAME.fullmatch(value) else None


def said_names(values: tuple[str, ...]) -> tuple[str, ...]:
    """Reasons and tools as the model and its provider call them; `WITHHELD_NAME` for what could be a sentence."""
    return tuple(said_name(value) or WITHHELD_NAME for value in values)


def is_name(value: str) -> bool:
    """No longer than a name may be."""
    return utf8_size(value) <= NAME_BYTES_MAX


def parameters(values: Mapping[str, float | int | bool | str]) -> str | None:
    """`RequestFacts.parameters` as canonical JSON (sorted keys, no white space); None for none."""
    kept = {name: value for name, value in sorted(values.items())[:PARAMETERS_MAX] if _is_parameter(name, value)}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode() if kept else None


def _is_parameter(name: str, value: object) -> bool:
    if not _KEY.fullmatch(name):
        return False
    if type(value) is str:
        return word(value) is not None
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is bool or (type(value) is int and abs(value) <= INTEGER_MAX)


def provider_usage(verbatim: str | None) -> str | None:
    """A provider's usage object (`usage.verbatim`) without what could be text: strings that are no words (a model's
    name may have digits), and members whose key is none. Untouched when there is nothing of the kind."""
    if verbatim is None:
        return None
    try:
        document = orjson.loads(verbatim)
    except ValueError:
        return None
    if type(document) is not dict:
        return None
    kept = _figures("", document)
    if kept == document:
        return verbatim
    return orjson.dumps(kept).decode() if kept else None


def _figures(key: str, value: Any) -> Any:
    """`value` without its text; `_LEFT_OUT` when it is nothing else. Depth is bounded by who wrote the object: orjson
    writes none deeper than 254."""
    if type(value) is str:
        fits = _MODEL if key == "model" else _WORD
        return value if fits.fullmatch(value) else _LEFT_OUT
    if type(value) is list:
        return [kept for kept in (_figures(key, item) for item in value) if kept is not _LEFT_OUT]
    if type(value) is dict:
        members = ((name, _figures(name, item)) for name, item in value.items() if _KEY.fullmatch(name))
        return {name: kept for name, kept in members if kept is not _LEFT_OUT}
    return value
