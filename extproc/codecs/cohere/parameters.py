"""What else of a request steers the model, as facts: numbers, flags and the words of Cohere's enumerations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from extproc.shape import Fields, as_object

_WORDS = frozenset(
    """ACCURATE AUTO AUTO_PRESERVE_ORDER CONTEXTUAL DISABLED ENABLED END FAST NONE OFF REQUIRED START STRICT
    clustering classification disabled enabled image json_object search_document search_query text""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
"""A word that is none of these could be text or a secret."""


def parameters(
    body: Fields, keys: Iterable[str], inner: Iterable[tuple[str, str]] = ()
) -> dict[str, float | int | bool | str]:
    """Those of `keys` that the request sets. `inner` are (object, member), told as `thinking.token_budget`."""
    told = {key: value for key in keys if (value := _scalar(body.raw(key))) is not None}
    for holder, key in inner:
        if (value := _scalar(as_object(body.raw(holder)).get(key))) is not None:
            told[f"{holder}.{key}"] = value
    return told


def _scalar(value: Any) -> float | int | bool | str | None:
    if type(value) in (int, float, bool) or (type(value) is str and value in _WORDS):
        scalar: float | int | bool | str = value
        return scalar
    return None
