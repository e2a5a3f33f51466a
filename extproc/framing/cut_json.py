"""JSON that ends too early: closed at the cut, so that what was there can be read. For answers, never for requests.

    {"text": "Hel          →  {"text": "Hel"}
    {"a": [1, 2            →  {"a": [1]}            2 may be the beginning of 23
    {"a": true, "b         →  {"a": true}
    {"a": 1, "model": "gp  →  {"a": 1}              half a name would be another name

Brackets and strings are told apart by one pass over the text, without a stack of ours: O(n), nothing recurses.
"""

from __future__ import annotations

import re

DEPTH_MAX = 512
"""Containers open at the cut: deeper ones are no answer that anybody meant."""

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\],:]', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_QUOTE, _COMMA, _COLON, _OPEN_OBJECT, _OPEN_ARRAY, _CLOSE_OBJECT = b'",:{[}'
_WORD = re.compile(rb"\s*(?:true|false|null)\s*")

# At the end of a cut string: half an escape, half a surrogate pair, half a character of UTF-8. The first two need an
# even number of backslashes before them, which `_closed_string` sees to.
_HALF_ESCAPE_CHARS = 5
_HIGH_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}")
_HALF_CHARACTER = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")

_NAMES = ("id", "type", "role", "model", "name", "reason", "status", "code", "object", "tier", "version")
"""A member whose key ends so (`finish_reason`, `finishReason`) says a word, not text."""


def closed(data: bytes) -> bytes | None:
    """`data` with the strings, arrays and objects closed that are open at its end; None when nothing is open there.

    Raises `ValueError` beyond `DEPTH_MAX`. The result is JSON when `data` is the beginning of JSON.
    """
    open_containers = bytearray()  # the brackets that will close them, outermost first
    safe_end = safe_depth = 0  # up to here, closing that many containers gives a whole document
    key = b""
    at_key = False
    value_begin = 0  # behind the last token: where a number or a word would stand
    for token in _TOKEN.finditer(data):
        kind = data[token.start()]
        end = token.end()
        if kind == _QUOTE:
            if end == len(data) and _STRING.fullmatch(data, token.start()) is None:
                if not at_key and not _is_name(key):
                    return data[: token.start()] + _closed_string(data[token.start() :]) + open_containers[::-1]
                break
            if at_key:
                key = data[token.start() : end]
            else:
                safe_end, safe_depth = end, len(open_containers)
        elif kind == _COMMA:
            safe_end, safe_depth = token.start(), len(open_containers)
            at_key = open_containers[-1:] == b"}"
            key = key if at_key else b""
        elif kind == _COLON:
            at_key = False
        elif kind in (_OPEN_OBJECT, _OPEN_ARRAY):
            open_containers.append(_CLOSE_OBJECT if kind == _OPEN_OBJECT else 0x5D)
            if len(open_containers) > DEPTH_MAX:
                raise ValueError("nested too deep")
            safe_end, safe_depth = end, len(open_containers)
            at_key = kind == _OPEN_OBJECT
            key = b""
        elif open_containers:
            open_containers.pop()
            safe_end, safe_depth = end, len(open_containers)
            at_key = False
        value_begin = end
    else:
        if not open_containers:
            return None
        if not at_key and _WORD.fullmatch(data, value_begin):
            safe_end, safe_depth = len(data), len(open_containers)
    return data[:safe_end] + open_containers[:safe_depth][::-1]


def _is_name(key: bytes) -> bool:
    return key.rstrip(b'"').decode("utf-8", "replace").lower().endswith(_NAMES)


def _closed_string(text: bytes) -> bytes:
    """`text` begins with a quote that nothing closes."""
    body = text
    backslash = body.rfind(b"\\", max(0, len(body) - _HALF_ESCAPE_CHARS))
    if backslash >= 0 and _begins_escape(body, backslash):
        is_unicode = body[backslash + 1 : backslash + 2] == b"u"
        if len(body) - backslash < (6 if is_unicode else 2):
            body = body[:backslash]
    if _HIGH_SURROGATE.fullmatch(body, len(body) - 6) and _begins_escape(body, len(body) - 6):
        body = body[:-6]
    return _HALF_CHARACTER.sub(b"", body) + b'"'


def _begins_escape(text: bytes, at: int) -> bool:
    """Is the backslash at `at` not itself escaped?"""
    before = len(text[:at]) - len(text[:at].rstrip(b"\\"))
    return before % 2 == 0
