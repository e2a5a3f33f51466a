"""Orders in disguise: base64, hexadecimal, ROT13, digits for letters, letters set apart.

The prefilter looks for what a telling word becomes in the disguise (for base64 in each of its three alignments), so that
blobs cost nothing. A candidate is undone within bounds, and the plain text has to be an order itself.
"""

from __future__ import annotations

import base64
import binascii
import codecs
from collections.abc import Callable, Iterable
from typing import Final

import re2

from extproc.detectors.injection.phrases import EXFILTRATION, OVERRIDES
from extproc.prefilter import Prefilter
from extproc.recogniser import Recogniser, Span, options

BLOB_BYTES_MAX: Final = 64 * 1024
"""A blob is undone up to here."""
BLOB_BYTES_MIN: Final = 20
"""`ignore all rules` takes 22 characters of base64."""
REPORTED_BYTES_MAX: Final = 4096
_WORDS: Final = (
    "ignore",
    "Ignore",
    "IGNORE",
    "disregard",
    "Disregard",
    "instructions",
    "INSTRUCTIONS",
    "system prompt",
)

_PATTERNS: Final = (*OVERRIDES, *EXFILTRATION)
_ORDERS: Final = tuple(re2.compile(pattern.encode(), options()) for pattern in _PATTERNS)
_ANY_ORDER: Final = Prefilter(_PATTERNS)


def _is_order(plain: bytes) -> bool:
    return bool(_ANY_ORDER.seen(plain)) and any(regex.search(plain) is not None for regex in _ORDERS)


def base64_forms(word: str) -> tuple[str, ...]:
    """What `word` looks like inside base64, by alignment: only the characters that it alone decides."""
    forms = []
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + word.encode()).decode()
        first = -(-offset * 8 // 6) if offset else 0
        last = (offset + len(word)) * 8 // 6
        forms.append(encoded[first:last])
    return tuple(forms)


def _blob(undo: Callable[[bytes], bool]) -> Callable[[bytes, int, int], Iterable[Span]]:
    def check(text: bytes, start: int, end: int) -> Iterable[Span]:
        if end - start < BLOB_BYTES_MIN or not undo(text[start : min(end, start + BLOB_BYTES_MAX)]):
            return ()
        return ((start, end, 0.9),)

    return check


def _from_base64(blob: bytes) -> bool:
    """Any of the four beginnings: other letters may stand before it."""
    blob = blob.replace(b"-", b"+").replace(b"_", b"/").replace(b"=", b"")
    for skipped in range(4):
        piece = blob[skipped:]
        if len(piece) % 4 == 1:
            piece = piece[:-1]
        try:
            if _is_order(base64.b64decode(piece + b"=" * (-len(piece) % 4))):
                return True
        except (binascii.Error, ValueError):
            continue
    return False


def _from_hex(blob: bytes) -> bool:
    return any(_is_order(bytes.fromhex(blob[at : at + (len(blob) - at) // 2 * 2].decode("ascii"))) for at in range(2))


_NEAR_BYTES: Final = 160


def _undone_near(undo: Callable[[bytes], bytes], score: float) -> Callable[[bytes, int, int], Iterable[Span]]:
    """The disguise is letter by letter, so the order stands in the undone text where it stands in the given one."""

    def check(text: bytes, start: int, end: int) -> Iterable[Span]:
        first, last = max(0, start - _NEAR_BYTES), min(len(text), end + _NEAR_BYTES)
        window = text[first:last]
        plain = undo(window)
        if plain == window or not _ANY_ORDER.seen(plain):
            return ()
        for regex in _ORDERS:
            hit = regex.search(plain)
            if hit is not None and window[hit.start() : hit.end()] != plain[hit.start() : hit.end()]:
                begin, stop = first + hit.start(), first + hit.end()
                return ((begin, stop, score),) if begin <= start < stop else ()
        return ()

    return check


def _rot13(window: bytes) -> bytes:
    return codecs.encode(window.decode("latin-1"), "rot13").encode("latin-1")


_LEET: Final = bytes.maketrans(b"0134578@$!|", b"oieastbasii")


def _plain_letters(window: bytes) -> bytes:
    return window.translate(_LEET)


def _set_apart(text: bytes, start: int, end: int) -> Iterable[Span]:
    """`i g n o r e   p r e v i o u s`: single letters with one separator, words with more."""
    window = text[start : min(len(text), start + 600)]
    separator = window[1:2]
    words = [word.replace(separator, b"") for word in window.split(separator * 2)]
    spaced = b" ".join(word.strip() for word in words)
    if _is_order(spaced) or _is_order(_regrouped(window.replace(separator, b""))):
        return ((start, end, 0.85),)
    return ()


def _regrouped(letters: bytes) -> bytes:
    """Without any white space: the words that orders are made of, set apart again."""
    for word in (
        b"ignore",
        b"disregard",
        b"forget",
        b"all",
        b"previous",
        b"prior",
        b"above",
        b"the",
        b"your",
        b"of",
        b"instructions",
        b"rules",
    ):
        letters = letters.replace(word, b" " + word + b" ")
    return b" ".join(letters.split())


_HEX_WORDS: Final = "|".join(
    "".join(f"[{c >> 4 & ~2:x}{c >> 4 | 2:x}]{c & 15:x}" for c in word)
    for word in (b"ignore", b"disregard", b"instructions")
)
_BASE64_WORDS: Final = "|".join(sorted({form.replace("+", r"\+") for word in _WORDS for form in base64_forms(word)}))

ENCODED: Final = (
    Recogniser(
        f"[A-Za-z0-9+/_-]*(?:{_BASE64_WORDS})[A-Za-z0-9+/_-]*=*",
        _blob(_from_base64),
        REPORTED_BYTES_MAX,
        trigger=f"(?:{_BASE64_WORDS})",
        is_whole=True,
    ),
    Recogniser(
        f"[0-9a-fA-F]*(?i:{_HEX_WORDS})[0-9a-fA-F]*",
        _blob(_from_hex),
        REPORTED_BYTES_MAX,
        trigger=f"(?i)(?:{_HEX_WORDS})",
        is_whole=True,
    ),
    Recogniser(
        r"(?i)\b(?:vtaber|qvfertneq|sbetrg|erirny|cevag|ercrng)\b[^.\n]{0,80}?\b(?:vafgehpgvba|cebzcg|ehyrf|thvqryvar|nobir)",
        _undone_near(_rot13, 0.9),
        2 * _NEAR_BYTES,
        begins_elsewhere=True,
    ),
    Recogniser(
        r"(?i)\b(?:[i1!|]gn[o0]r[e3]|d[i1!]sr[e3]g[a4@]rd|f[o0]rg[e3][t7]|r[e3]v[e3][a4@][l1])\b[^.\n]{0,80}?"
        r"(?:[i1!|]n[s5$][t7]ruc|pr[o0]mp[t7]|rul[e3][s5$]|gu[i1!]d[e3]l|[a4@]b[o0]v[e3])",
        _undone_near(_plain_letters, 0.85),
        2 * _NEAR_BYTES,
        begins_elsewhere=True,
        trigger=r"(?i)\b(?:[i1!|]gn[o0]r[e3]|d[i1!]sr[e3]g[a4@]rd|f[o0]rg[e3][t7]|r[e3]v[e3][a4@][l1])\b",
    ),
    Recogniser(
        r"(?i)(?:i[ ._*-]g[ ._*-]n[ ._*-]o[ ._*-]r[ ._*-]e|d[ ._*-]i[ ._*-]s[ ._*-]r[ ._*-]e[ ._*-]g[ ._*-]a[ ._*-]r[ ._*-]d|f[ ._*-]o[ ._*-]r[ ._*-]g[ ._*-]e[ ._*-]t)(?:[ ._*-]+[a-z])*",
        _set_apart,
        600,
        is_whole=True,
        trigger=r"(?i)(?:i[ ._*-]g[ ._*-]n[ ._*-]o[ ._*-]r|i[ ._*-]s[ ._*-]r[ ._*-]e[ ._*-]g|f[ ._*-]o[ ._*-]r[ ._*-]g[ ._*-]e[ ._*-]t)",
    ),
)
