"""Credentials: tokens that announce themselves by a prefix, keys in PEM, and values assigned to a telling name.

Forms follow what the issuers document (or, where they do not, what their published secret scanners look for). A value
that stands where people put placeholders is no secret.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from typing import Final

import re2

from extproc.recogniser import PatternDetector, Recogniser, Span, always, byte_after, byte_before, entropy_bits, options

_PEM_BYTES_MAX: Final = 16 * 1024
"""A private key block is looked for up to here; one without an end is reported up to here."""

_PEM_BODY_BYTES_MIN: Final = 40
"""The shortest key in use (Ed25519 in PKCS #8) takes 64 characters."""

_PLACEHOLDER: Final = re2.compile(
    rb"(?i)example|placeholder|changeme|change_me|your|dummy|redacted|insert|replace|xxxx|\*\*\*|\.\.\.|<|\$\{|\{\{|%s"
    rb"|(?:^|[^a-z])(?:test|fake|sample|todo|null|none|true|false|undefined|password|passwd|secret|pass|token)(?:$|[^a-z0-9])",
    options(),
)


def _token_end(text: bytes, end: int) -> bool:
    after = byte_after(text, end)
    return not (after.isalnum() or after in (b"-", b"_"))


def _token_start(text: bytes, start: int) -> bool:
    before = byte_before(text, start)
    return not (before.isalnum() or before in (b"-", b"_"))


def _whole_token(score: float, entropy_bits_min: float = 0.0) -> Callable[[bytes, int, int], Iterable[Span]]:
    """The candidate is all of its token, and looks random enough."""

    def check(text: bytes, start: int, end: int) -> Iterable[Span]:
        if not (_token_start(text, start) and _token_end(text, end)):
            return ()
        if entropy_bits_min and entropy_bits(text[start:end]) < entropy_bits_min:
            return ()
        return ((start, end, score),)

    return check


def _random_key(text: bytes, start: int, end: int) -> Iterable[Span]:
    """`sk-…`: also the beginning of hyphenated words, so the rest must look random: digits, letters, entropy."""
    if not (_token_start(text, start) and _token_end(text, end)):
        return ()
    value = text[start + 3 : end]
    if b"T3BlbkFJ" in value:  # "OpenAI" in base64, in every key it issues
        return ((start, end, 0.98),)
    letters = sum(c > 0x40 for c in value)
    if entropy_bits(value) < 3.4 or letters == len(value) or letters < 4:
        return ()
    return ((start, end, 0.9),)


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


def _jwt(text: bytes, start: int, end: int) -> Iterable[Span]:
    """RFC 7519: the first part is base64url of a JSON object that names its algorithm."""
    if not _token_end(text, end):
        return ()
    header = text[start:end].partition(b".")[0]
    if len(header) > 4096:
        return ()
    try:
        decoded = json.loads(base64.urlsafe_b64decode(header + b"=" * (-len(header) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return ()
    return ((start, end, 0.95),) if isinstance(decoded, dict) and "alg" in decoded else ()


def _url_password(text: bytes, start: int, end: int) -> Iterable[Span]:
    value = text[start:end]
    if len(value) > 128 or len(set(value)) < 3 or _PLACEHOLDER.search(value) is not None:
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

DETECTOR: Final = PatternDetector(
    "secrets",
    "secret",
    (
        Recogniser(
            "AWS_ACCESS_KEY", r"\b(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b", _whole_token(0.95, 1.5), 20
        ),
        Recogniser("AWS_BEDROCK_KEY", r"\bABSK[A-Za-z0-9+/]{100,280}={0,2}", always(0.95), 290),
        Recogniser(
            "AWS_SECRET_KEY",
            r"(?i)\baws[a-z0-9_ .-]{0,24}(?:secret|sk)[a-z0-9_ .-]{0,24}[\"']?\s{0,4}(?:=|:|=>|:=)\s{0,4}[\"']?"
            r"([a-z0-9/+]{40})\b",
            _whole_token(0.9, 3.5),
            40,
        ),
        Recogniser("GITHUB_TOKEN", r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b", _whole_token(0.95, 3.0), 260),
        Recogniser("GITHUB_TOKEN", r"\bgithub_pat_[A-Za-z0-9_]{82}\b", _whole_token(0.95, 3.0), 93),
        Recogniser(
            "GITLAB_TOKEN",
            r"\bgl(?:pat|dt|rt|soat|cbt|imt|ptt|agent|oas)-[A-Za-z0-9_-]{20,80}",
            _whole_token(0.95, 3.0),
            90,
        ),
        Recogniser("SLACK_TOKEN", r"\bxox[abeoprs]-(?:[0-9]{8,13}-){1,3}[A-Za-z0-9]{20,64}\b", always(0.95), 120),
        Recogniser(
            "SLACK_WEBHOOK",
            r"\bhttps?://hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9]+(?:/[A-Za-z0-9]+){2,3}\b",
            always(0.95),
            160,
        ),
        Recogniser("GOOGLE_API_KEY", r"\bAIza[A-Za-z0-9_-]{35}", _whole_token(0.95, 3.0), 39),
        Recogniser("ANTHROPIC_API_KEY", r"\bsk-ant-[a-z]{3,6}[0-9]{2}-[A-Za-z0-9_-]{32,128}", _random_key, 150),
        Recogniser("OPENAI_API_KEY", r"\bsk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,200}", _random_key, 220),
        Recogniser("OPENAI_API_KEY", r"\bsk-[A-Za-z0-9]{32,64}", _random_key, 68),
        Recogniser("STRIPE_KEY", r"\b[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,247}\b", _whole_token(0.95, 3.0), 256),
        Recogniser(
            "PRIVATE_KEY",
            r"-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----",
            _private_key,
            _PEM_BYTES_MAX,
        ),
        Recogniser("JSON_WEB_TOKEN", r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}", _jwt, 8192),
        Recogniser(
            "URL_PASSWORD",
            r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s:/@?#\"'<>]*:([^\s:/@?#\"'<>]{3,})@[A-Za-z0-9\[]",
            _url_password,
            128,
        ),
        Recogniser(
            "API_KEY",
            rf"(?i){_TELLING_NAME}[\"'`]?\s{{0,4}}(?:=|:|=>|:=)\s{{0,4}}[\"'`]?([a-z0-9_\-+/=.~]{{16,128}})",
            _assigned,
            128,
        ),
    ),
)
