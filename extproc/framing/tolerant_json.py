"""JSON as providers really send it: for reading answers, never for judging requests (that is `strict_json`).

A provider's stream may cut an emoji's surrogate pair in two, and a local model server may send NaN. Neither is a reason
not to count its tokens.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def loads(data: bytes) -> Any:
    """The document in `data`. Raises `ValueError` for what no parser reads. Strings may hold lone surrogates."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode("utf-8-sig", "replace"))
    except RecursionError:
        raise ValueError("nested too deep") from None


def loads_or_none(data: bytes | None) -> Any:
    """The document in `data`, None when there is nothing or nothing readable."""
    try:
        return loads(data) if data else None
    except ValueError:
        return None


def utf8_size(text: str) -> int:
    """UTF-8 bytes of `text`; a lone surrogate counts three."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
