"""Bodies of JSON that have no one reading, and what an enforced route says to each."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = {"content-type": "application/json"}
GZIP = {**JSON, "content-encoding": "gzip"}

Build = Callable[[Mapping[str, Any]], bytes]


def _plain(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()


def _first_key(key: bytes, value: bytes) -> Build:
    """A good document with one more member in front."""
    return lambda document: b"{" + key + b": " + value + b", " + _plain(document)[1:]


def _with_user_text(text: bytes) -> Build:
    return lambda document: _plain(document).replace(b'"hello"', b'"' + text + b'"')


@dataclass(frozen=True)
class Bad:
    """A body that has no one reading, what is wrong with it, and what of it may be kept."""

    name: str
    build: Build
    problem: str
    status: int = 400
    headers: Mapping[str, str] = field(default_factory=lambda: JSON)
    kept: str = "exact"
    """`request_content_state` where the obligations are `redacted`: text that nobody could search is not kept."""


BAD = (
    Bad("not json", lambda _: b"model=gpt-4o-mini", "malformed_json"),
    Bad("cut short", lambda d: _plain(d)[:-2], "malformed_json"),
    Bad("single quotes", lambda d: _plain(d).replace(b'"', b"'"), "malformed_json"),
    Bad("a comment", lambda d: b"/* hello */" + _plain(d), "malformed_json"),
    Bad("a byte order mark", lambda d: b"\xef\xbb\xbf" + _plain(d), "malformed_json"),
    Bad("not a number", _first_key(b'"temperature"', b"NaN"), "malformed_json"),
    Bad("white space alone", lambda _: b" \r\n\t ", "malformed_json"),
    Bad("the same key twice", _first_key(b'"model"', b'"gpt-5"'), "duplicate_key"),
    Bad("the same key escaped", _first_key(rb'"\u006dodel"', b'"gpt-5"'), "duplicate_key"),
    Bad("the same key in capitals", _first_key(b'"MODEL"', b'"gpt-5"'), "duplicate_key"),
    Bad("the same key but for a long s", _first_key(rb'"me\u017f\u017fages"', b"[]"), "duplicate_key"),
    Bad("twice far down", _with_user_text(b'hello", "content": "bye'), "duplicate_key"),
    Bad("a key that folds to a known one", lambda d: _plain(d).replace(b'"model"', b'"Model"'), "ambiguous_key"),
    Bad("bytes that are no utf-8", _with_user_text(b"\xff\xfe"), "invalid_utf8", kept="undecodable"),
    Bad("an overlong slash", _with_user_text(b"\xc0\xaf"), "invalid_utf8", kept="undecodable"),
    Bad("half a surrogate pair", _with_user_text(rb"\ud800"), "invalid_utf8", kept="undecodable"),
    Bad("garbage behind", lambda d: _plain(d) + b"}", "trailing_data"),
    Bad("a second document", lambda d: _plain(d) + b"\n" + _plain(d), "trailing_data"),
    Bad("a zero behind", lambda d: _plain(d) + b"\0", "trailing_data"),
    Bad("a depth bomb", lambda _: b"[" * 100_000, "too_deep"),
    Bad("nested too deep", _first_key(b'"metadata"', b'{"a":' * 200 + b"1" + b"}" * 200), "too_deep"),
    Bad("a number too large", _first_key(b'"seed"', b"1e400"), "number_out_of_range"),
    Bad("an integer too large", _first_key(b'"seed"', b"123456789012345678901234567890"), "number_out_of_range"),
    Bad("a list", lambda d: b"[" + _plain(d) + b"]", "invalid_request"),
    Bad("messages that are no list", lambda d: _plain({**d, "messages": "hello"}), "invalid_request"),
    Bad("a model that is no text", lambda d: _plain({**d, "model": ["gpt-4o-mini"]}), "invalid_request"),
    Bad("text/plain", _plain, "unsupported_content_type", 415, {"content-type": "text/plain"}),
    Bad("a form", _plain, "unsupported_content_type", 415, {"content-type": "application/x-www-form-urlencoded"}),
    Bad("utf-16", _plain, "unsupported_content_type", 415, {"content-type": "application/json; charset=utf-16"}),
    Bad("LZW", _plain, "unsupported_content_encoding", 415, {**JSON, "content-encoding": "compress"}, "undecodable"),
    Bad("not brotli", _plain, "undecodable_content", 400, {**JSON, "content-encoding": "br"}, "undecodable"),
    Bad("not gzip", _plain, "undecodable_content", 400, GZIP, "undecodable"),
    Bad("cut gzip", lambda d: gzip.compress(_plain(d))[:-6], "undecodable_content", 400, GZIP, "undecodable"),
    Bad(
        "a gzip bomb",
        lambda d: gzip.compress(_with_user_text(b"0" * 30_000_000)(d)),
        "undecodable_content",
        400,
        GZIP,
        "undecodable",
    ),
    Bad("gzip around bad json", lambda d: gzip.compress(_plain(d)[:-2]), "malformed_json", 400, GZIP),
)
