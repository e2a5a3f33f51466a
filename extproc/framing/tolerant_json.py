"""JSON as providers really send it: for reading answers, never for judging requests (that is `strict_json`).

A provider's stream may cut an emoji's surrogate pair in two, and a local model server may send NaN. Neither is a reason
not to count its tokens.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from extproc.framing import cut_json


def loads(data: bytes) -> Any:
    """The document in `data`. Raises `ValueError` for what no parser reads. Strings may hold lone surrogates."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _loads_odd(data)


def loads_prefix(data: bytes) -> tuple[Any, bool]:
    """(the document in `data`, is it whole?): of a document that was cut off, all that is there of it, see `cut_json`.

    Raises `ValueError` for what is neither a document nor the beginning of one.
    """
    try:
        return orjson.loads(data), True
    except orjson.JSONDecodeError:
        pass
    closed = cut_json.closed(data)
    return (_loads_odd(data), True) if closed is None else (loads(closed), False)


def loads_or_none(data: bytes | None) -> Any:
    """The document in `data`, None when there is nothing or nothing readable."""
    try:
        return loads(data) if data else None
    except ValueError:
        return None


def loads_prefix_or_none(data: bytes | None) -> Any:
    """What there is of the document in `data`, None when there is nothing or nothing readable."""
    try:
        return loads_prefix(data)[0] if data else None
    except ValueError:
        return None


def _loads_odd(data: bytes) -> Any:
    """What only the standard library's parser reads: NaN, lone surrogates, broken UTF-8."""
    try:
        return json.loads(data.decode("utf-8-sig", "replace"))
    except RecursionError:
        raise ValueError("nested too deep") from None


def utf8_size(text: str) -> int:
    """UTF-8 bytes of `text`; a lone surrogate counts three."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
