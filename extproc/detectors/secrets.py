"""Credentials told by where they stand: private keys in their blocks, web tokens, chat hooks, passwords in URLs and
assignments, values given to a telling name.

A value that stands where people put placeholders is no secret.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any, Final

import re2

from extproc.recogniser import (
    Entity,
    PatternDetector,
    Recogniser,
    Span,
    always,
    byte_after,
    byte_before,
    entropy_bits,
    options,
    token_end,
    token_start,
)

_PEM_BYTES_MAX: Final = 16 * 1024
"""A private key block is looked for up to here; one without an end is reported up to here."""

_PEM_BODY_BYTES_MIN: Final = 40
"""The shortest key in use (Ed25519 in PKCS #8) takes 64 characters."""

_PLACEHOLDER: Final = re2.compile(
    rb"(?i)example|placeholder|changeme|change_me|your|dummy|redacted|insert|replace|xxxx|\*\*\*|\.\.\.|<|\$\{|\{\{|%s"
    rb"|(?:^|[^a-z])(?:test|fake|sample|todo|null|none|true|false|undefined|password|passwd|secret|pass|token)(?:$|[^a-z0-9])",
    options(),
)


def _private_key(text: bytes, start: int, end: int) -> Iterable[Span]:
    """From BEGIN through its END; without an END, everything that can still be the key."""
    stop = text.find(b"-----END", end, start + _PEM_BYTES_MAX)
    if stop >= 0:
        if stop - end < _PEM_BODY_BYTES_MIN:
            return ()  # somebody talks about such blocks
        dashes = text.find(b"-----", stop + 8, stop + 8 + 64)
        return ((start, dashes + 5 if dashes >= 0 else stop + 8, 0.99),)
    body = _PEM_BODY.match(text, end, min(len(text), start + _PEM_BYTES_MAX))
    if body is None or body.end() - end < _PEM_BODY_BYTES_MIN:
        return ()
    return ((start, start + len(text[start : body.end()].rstrip()), 0.9),)


_PEM_BODY: Final = re2.compile(rb"[A-Za-z0-9+/=\s\\:,-]*", options())


def _putty_key(text: bytes, start: int, end: int) -> Iterable[Span]:
    """A .ppk file, through its MAC; without one, its header."""
    stop = text.find(b"Private-MAC:", end, start + _PEM_BYTES_MAX)
    if stop < 0 or text.find(b"Private-Lines:", end, stop) < 0:
        return ()
    line_end = text.find(b"\n", stop, stop + 256)
    return ((start, line_end if line_end >= 0 else min(len(text), stop + 80), 0.95),)


_JWT_HEADER_BYTES_MAX: Final = 4096


def _jwt(text: bytes, start: int, end: int) -> Iterable[Span]:
    """RFC 7519: the first part is base64url of a JSON object that names its algorithm. An unsigned one has two parts,
    of which the second is JSON too."""
    if not token_end(text, end):
        return ()
    parts = text[start:end].split(b".")
    header = _decoded_object(parts[0])
    if header is None or "alg" not in header:
        return ()
    return () if len(parts) == 2 and _decoded_object(parts[1]) is None else ((start, end, 0.95),)


def _decoded_object(part: bytes) -> dict[str, Any] | None:
    if len(part) > _JWT_HEADER_BYTES_MAX:
        return None
    try:
        decoded = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _bot_token(text: bytes, start: int, end: int) -> Iterable[Span]:
    """Discord: the first part is the bot's id, decimal digits, in base64."""
    if not (token_start(text, start) and token_end(text, end)):
        return ()
    first = text[start:end].partition(b".")[0]
    try:
        number = base64.urlsafe_b64decode(first + b"=" * (-len(first) % 4))
    except (binascii.Error, ValueError):
        return ()
    return ((start, end, 0.95),) if number.isdigit() else ()


def _telegram_token(text: bytes, start: int, end: int) -> Iterable[Span]:
    value = text[start:end].partition(b":")[2]
    if not token_end(text, end) or entropy_bits(value) < 3.8:
        return ()
    return ((start, end, 0.95),)


def _basic_auth(text: bytes, start: int, end: int) -> Iterable[Span]:
    """RFC 7617: base64 of name, colon, password."""
    value = text[start:end]
    try:
        decoded = base64.b64decode(value + b"=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return ()
    _, colon, password = decoded.partition(b":")
    printable = all(0x20 <= c < 0x7F for c in decoded)
    return ((start, end, 0.85),) if colon and password and printable and not _is_placeholder(password) else ()


def _curl_user(text: bytes, start: int, end: int) -> Iterable[Span]:
    """`curl -u name:password`: the password, or the name where that is all there is."""
    name, _, password = text[start:end].partition(b":")
    value = password or name
    if len(value) < 4 or value[:1] in b"$<{%*" or _is_placeholder(value):
        return ()
    begin = text.index(value, start, end)
    return ((begin, begin + len(value), 0.8),)


def _is_placeholder(value: bytes) -> bool:
    return len(set(value)) < 3 or _PLACEHOLDER.search(value) is not None


def _url_password(text: bytes, start: int, end: int) -> Iterable[Span]:
    value = text[start:end]
    if len(value) > 128 or _is_placeholder(value):
        return ()
    return ((start, end, 0.85),)


def _assigned(text: bytes, start: int, end: int) -> Iterable[Span]:
    """A value given to a telling name: random, with letters and digits, and neither code nor a placeholder."""
    value = text[start:end]
    if byte_after(text, end) in (b"(", b"[", b"$", b"{", b"<") or _PLACEHOLDER.search(value) is not None:
        return ()
    if not (any(0x30 <= c <= 0x39 for c in value) and any(c > 0x40 for c in value)):
        return ()
    if entropy_bits(value) < 3.5 or _UUID_OR_VERSION.fullmatch(value) is not None:
        return ()
    return ((start, end, 0.7),)


def _password(text: bytes, start: int, end: int) -> Iterable[Span]:
    """A quoted value, or one in a connection string: not a word, a path or code."""
    value = text[start:end]
    if (
        byte_after(text, end) in (b"(", b"[", b"{", b"<")
        or _is_placeholder(value)
        or _WORD.fullmatch(value) is not None
    ):
        return ()
    if not {0x28, 0x5B}.isdisjoint(value) and byte_before(text, start) not in (b'"', b"'", b"`"):
        return ()  # a call, an index
    kinds = sum((any(map(kind, value)) for kind in (_is_lower, _is_upper, _is_digit)), start=not value.isalnum())
    return ((start, end, 0.75),) if kinds >= 2 and entropy_bits(value) >= 2.5 else ()


def _is_lower(byte: int) -> bool:
    return 0x61 <= byte <= 0x7A


def _is_upper(byte: int) -> bool:
    return 0x41 <= byte <= 0x5A


def _is_digit(byte: int) -> bool:
    return 0x30 <= byte <= 0x39


_WORD: Final = re2.compile(
    rb"[A-Za-z][a-z]*(?:[-_. ]?[A-Z]?[a-z]+)*[:.!?]?|[A-Z_]+|.*[./\\]{2}.*|[/~].*"
    rb"|(?:self|this|process|os|env|config|args|req|request|settings)\b.*",
    options(),
)
"""`userPassword`, `PASSWORD_FIELD`, `../secret`, `process.env.X`: names, paths and code."""

_UUID_OR_VERSION: Final = re2.compile(
    rb"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?:[a-z]+[-._]?)?[0-9]+(?:[-._][a-z0-9]{1,10})*"
    rb"|[a-z]{2,12}(?:[-._][a-z0-9]{1,8})*",
    options(),
)
"""UUIDs name things; `gpt-4o-mini-2024-07-18` and `v1.2.3-beta.4` are names and versions."""

_TELLING_NAME: Final = (
    r"(?:api[_-]?key|apikey|secret[_-]?key|secret[_-]?access[_-]?key|client[_-]?secret|access[_-]?token|auth[_-]?token"
    r"|refresh[_-]?token|bearer[_-]?token|private[_-]?token|app[_-]?secret|signing[_-]?key|encryption[_-]?key)"
)

_ASSIGNMENT: Final = r"[\"'`]?\s{0,4}(?:=|:|=>|:=)\s{0,4}"

DETECTOR: Final = PatternDetector(
    "secrets",
    "secret",
    (
        Entity(
            "PRIVATE_KEY",
            "Private key: PEM, OpenSSH, PGP, PuTTY",
            (
                Recogniser(
                    r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----", _private_key, _PEM_BYTES_MAX
                ),
                Recogniser(
                    r"PuTTY-User-Key-File-[23]: ?[a-z0-9-]{3,40}", _putty_key, _PEM_BYTES_MAX, trigger="PuTTY-User"
                ),
            ),
            form="-----BEGIN … PRIVATE KEY-----",
        ),
        Entity(
            "JSON_WEB_TOKEN",
            "JSON web token (the first part names an algorithm)",
            (
                Recogniser(
                    r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*)?",
                    _jwt,
                    8192,
                    trigger=r"\beyJ[A-Za-z0-9_-]{10}",
                ),
            ),
            form="eyJ….….…",
        ),
        Entity(
            "SLACK_WEBHOOK",
            "Slack incoming webhook",
            (
                Recogniser(
                    r"\bhttps?://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9]+(?:/[A-Za-z0-9]+){2,3}\b",
                    always(0.95),
                    160,
                    trigger=r"//hooks\.slack\.com/",
                ),
            ),
            form="https://hooks.slack.com/services/…",
        ),
        Entity(
            "DISCORD_TOKEN",
            "Discord bot token or webhook",
            (
                Recogniser(
                    r"\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}",
                    _bot_token,
                    80,
                    trigger=r"\b[MNO][A-Za-z0-9_-]{23,27}\.",
                ),
                Recogniser(
                    r"\bhttps://(?:[a-z]+\.)?discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]{15,21}/[A-Za-z0-9_-]{50,90}",
                    always(0.95),
                    200,
                    trigger=r"discord(?:app)?\.com/api/",
                ),
            ),
            form="M….….…",
        ),
        Entity(
            "TELEGRAM_TOKEN",
            "Telegram bot token",
            (Recogniser(r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}", _telegram_token, 46),),
            form="999999999:AA…",
        ),
        Entity(
            "URL_PASSWORD",
            "Password in a URL",
            (
                Recogniser(
                    r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@?#\"'<>]*:([^\s:/@?#\"'<>]{3,})@[A-Za-z0-9\[]",
                    _url_password,
                    128,
                    trigger=r"://[^\s:/@?#\"'<>]*:[^\s:/@?#\"'<>]+@",
                ),
            ),
            form="scheme://name:password@host",
        ),
        Entity(
            "BASIC_AUTH",
            "Name and password of HTTP's basic authentication",
            (
                Recogniser(
                    r"(?i)\bbasic\s{1,4}([A-Za-z0-9+/]{8,200}={0,2})",
                    _basic_auth,
                    204,
                    trigger=r"(?i)\bbasic\s{1,4}[A-Za-z0-9+/]{8}",
                ),
                Recogniser(
                    r"\bcurl\b[^\n]*?\s(?:-u|--user)[ =]{0,2}[\"']?([^\s\"':]*:[^\s\"']*)",
                    _curl_user,
                    200,
                    trigger=r"\bcurl\b",
                ),
                Recogniser(
                    r"(?:^|\s)(?:-u|--user)[ =][\"']?([^\s\"':]+:[^\s\"']{4,})[^\n]*\bcurl\b",
                    _curl_user,
                    200,
                    trigger=r"\bcurl\b",
                ),
            ),
            form="Basic …, curl -u name:…",
        ),
        Entity(
            "PASSWORD",
            "Password in an assignment or a connection string",
            (
                Recogniser(
                    rf"(?i)(?:password|passwd|passphrase|pwd){_ASSIGNMENT}[\"'`]([^\s\"'`]{{6,128}})[\"'`]",
                    _password,
                    128,
                    trigger=rf"(?i)(?:password|passwd|passphrase|pwd){_ASSIGNMENT}[\"'`]",
                ),
                Recogniser(
                    r"(?i)(?:^|[;\s\"'])(?:password|pwd)=([^\s;\"'`&]{6,128})",
                    _password,
                    128,
                    trigger=r"(?i)(?:^|[;\s\"'])(?:password|pwd)=",
                ),
            ),
            form='password = "…"',
        ),
        Entity(
            "API_KEY",
            "Random value given to a telling name (entropy)",
            (
                Recogniser(
                    rf"(?i){_TELLING_NAME}{_ASSIGNMENT}[\"'`]?([a-z0-9_\-+/=.~]{{16,128}})",
                    _assigned,
                    128,
                    trigger=rf"(?i){_TELLING_NAME}{_ASSIGNMENT}",
                ),
                Recogniser(
                    r"(?i)//[^\s:]*:_(?:authToken|auth|password)\s{0,4}=\s{0,4}[\"']?([a-z0-9_\-+/=.~]{16,128})",
                    _assigned,
                    128,
                    trigger="(?i):_(?:auth|password)",
                ),
            ),
            form='api_key = "…"',
        ),
    ),
)
