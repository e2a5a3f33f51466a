"""Sets one member of a JSON document, every other byte as it was.

    /stream_options/include_usage = true
    {"stream": true}                            →  {"stream": true,"stream_options":{"include_usage":true}}
    {"stream_options": {"x": 1}, "n": 1}        →  {"stream_options": {"x": 1,"include_usage":true}, "n": 1}
    {"stream_options": {"include_usage": 0}}    →  {"stream_options": {"include_usage": true}}

Each byte is read at most once, and nothing recurses: the depth of a document is not the depth of our stack.
"""

from __future__ import annotations

import re

import orjson

from extproc.framing.json_strings import unescape

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],:]', re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*+")
_SCALAR = re.compile(rb"[^ \t\r\n,}\]]*+")
_WHITESPACE = b" \t\r\n"
_QUOTE, _COMMA, _COLON, _OPEN_OBJECT, _OPEN_ARRAY = b'",:{['


def set_member(body: bytes, pointer: str, value_json: bytes) -> bytes:
    """`body` with `value_json` as the value at `pointer` (RFC 6901).

    A value that is there is replaced. Else its object gets it as a new last member; an object that is missing itself,
    or null, is made, but only one. `body` must be JSON that `strict_json.parse` accepts, `value_json` any JSON. Raises
    `LookupError` when the pointer leads through what is no object, or to an element that an array does not have.
    """
    tokens = [unescape(token) for token in pointer.split("/")[1:]]
    at = _begin_of_value(body, 0)
    for position, token in enumerate(tokens):
        left = tokens[position + 1 :]
        found, at = _find(body, at, token)
        if not found:
            if len(left) > 1:
                raise LookupError("the object that would hold this member has no place either")
            return _with_member(body, at, token, _wrapped(left, value_json))
        if len(left) == 1 and body.startswith(b"null", at):
            return _replaced(body, at, _wrapped(left, value_json))
    return _replaced(body, at, value_json)


def _begin_of_value(body: bytes, at: int) -> int:
    space = _SPACE.match(body, at)
    return space.end() if space else at


def _find(body: bytes, begin: int, name: str) -> tuple[bool, int]:
    """Of the container that begins at `begin`: (True, where the value called `name` begins), or for an object without
    it (False, where its closing bracket stands)."""
    opening = body[begin : begin + 1]
    if opening == b"{":
        return _find_member(body, begin, name)
    if opening == b"[":
        return True, _find_element(body, begin, name)
    raise LookupError("the pointer leads into a value that has no members")


def _find_member(body: bytes, begin: int, name: str) -> tuple[bool, int]:
    depth = 0
    at_key = False
    is_it = False
    for token in _TOKEN.finditer(body, begin):
        kind = body[token.start()]
        if kind == _QUOTE:
            if at_key:
                at_key = False
                is_it = orjson.loads(token.group()) == name
        elif kind == _COLON:
            if is_it:
                return True, _begin_of_value(body, token.end())
        elif kind == _COMMA:
            at_key = depth == 1
        elif kind in (_OPEN_OBJECT, _OPEN_ARRAY):
            depth += 1
            at_key = depth == 1
        else:
            depth -= 1
            at_key = False
            if depth == 0:
                return False, token.start()
    raise LookupError("the body is not JSON")


def _find_element(body: bytes, begin: int, name: str) -> int:
    depth = index = 0
    wanted = int(name) if name.isascii() and name.isdigit() and len(name) < 10 else -1
    at = _begin_of_value(body, begin + 1)
    if wanted == 0 and body[at : at + 1] != b"]":
        return at
    for token in _TOKEN.finditer(body, begin):
        kind = body[token.start()]
        if kind == _COMMA and depth == 1:
            index += 1
            if index == wanted:
                return _begin_of_value(body, token.end())
        elif kind in (_OPEN_OBJECT, _OPEN_ARRAY):
            depth += 1
        elif kind not in (_QUOTE, _COMMA, _COLON):
            depth -= 1
            if depth == 0:
                break
    raise LookupError("the array has no such element")


def _end_of_value(body: bytes, begin: int) -> int:
    depth = 0
    if body[begin : begin + 1] not in (b"{", b"[", b'"'):
        scalar = _SCALAR.match(body, begin)
        return scalar.end() if scalar else begin
    for token in _TOKEN.finditer(body, begin):
        kind = body[token.start()]
        if kind in (_OPEN_OBJECT, _OPEN_ARRAY):
            depth += 1
        elif kind not in (_QUOTE, _COMMA, _COLON):
            depth -= 1
        if depth == 0:
            return token.end()
    raise LookupError("the body is not JSON")


def _wrapped(left: list[str], value_json: bytes) -> bytes:
    """The value, in the object that is missing around it."""
    return b"{" + orjson.dumps(left[0]) + b":" + value_json + b"}" if left else value_json


def _with_member(body: bytes, closing: int, name: str, value_json: bytes) -> bytes:
    end = closing
    while body[end - 1] in _WHITESPACE:
        end -= 1
    comma = b"" if body[end - 1] == _OPEN_OBJECT else b","
    return b"".join((body[:end], comma, orjson.dumps(name), b":", value_json, body[end:]))


def _replaced(body: bytes, begin: int, value_json: bytes) -> bytes:
    return b"".join((body[:begin], value_json, body[_end_of_value(body, begin) :]))
