"""Detectors made of a pattern and a check: what most detectors are.

RE2 has no look-around, so a pattern only finds a candidate; a `check` looks at the text around it, at checksums and at
context, and says what the hit is worth. Everything is UTF-8 bytes matched byte by byte (RE2's Latin-1 mode): faster
than decoding, and case folding stays within ASCII. Patterns begin and end on ASCII, so no hit ever splits a character.

Counted repetitions of wide classes are poison to the automaton of the shared prefilter: `[A-Za-z0-9.-]{0,63}@` alone
made random text ten times dearer. So patterns say `*`, and checks count; or the pattern has a `trigger`, a shorter one
for the prefilter: the literal that a token begins with, or the words without which its check says no.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import re2

from extproc.detector import EntityNote, EntityPattern, Match
from extproc.first_bytes import ALL, UnreadablePatternError, first_bytes

Span = tuple[int, int, float]
"""Start, end (UTF-8 bytes, half-open) and score."""
Check = Callable[[bytes, int, int], Iterable[Span]]
"""Given the text and the candidate's span: the hits in it, none when it is no hit after all."""

CONTEXT_BYTES: Final = 48
"""How far back a context word may stand."""

RESTART_BYTES_MAX: Final = 64
"""A rejected candidate up to this long is searched again from its second byte; a longer one is skipped whole, or
hostile text could make the search quadratic."""

_DFA_BYTES_MAX: Final = 4 * 1024 * 1024
"""RE2's bound on one pattern's automaton, built lazily; out of it RE2 goes on, slower and still in linear time."""


def options(*, max_mem_bytes: int = _DFA_BYTES_MAX) -> Any:
    """RE2 options that every pattern here is compiled with."""
    chosen = re2.Options()
    chosen.encoding = re2.Options.Encoding.LATIN1
    chosen.max_mem = max_mem_bytes
    chosen.log_errors = False
    return chosen


@dataclass(frozen=True, slots=True)
class Recogniser:
    """One pattern and its check. A capturing group, if there is one, is what is reported."""

    pattern: str
    """RE2 syntax on bytes; begins and ends on whole characters."""
    check: Check
    match_bytes_max: int
    trigger: str = ""
    """What the prefilter looks for instead of the pattern: found in every text in which `check` accepts a candidate."""
    is_whole: bool = False
    """A rejected candidate hides no other one inside it."""
    begins_elsewhere: bool = False
    """`check` may let a hit begin with a byte that the pattern (its group) cannot begin with."""

    def starts(self) -> frozenset[int]:
        """The bytes that a hit may begin with; all of them where that cannot be read from the pattern."""
        if self.begins_elsewhere:
            return ALL
        try:
            return first_bytes(self.pattern)
        except UnreadablePatternError:
            return ALL


@dataclass(frozen=True, slots=True)
class Entity:
    """What one name stands for, and how it is found."""

    name: str
    what: str
    recognisers: tuple[Recogniser, ...]
    form: str = ""
    presidio: bool = False


def always(score: float) -> Check:
    """For patterns that are proof enough."""

    def check(_text: bytes, start: int, end: int) -> Iterable[Span]:
        return ((start, end, score),)

    return check


class PatternDetector:
    """A `Detector` of recognisers. Holds compiled patterns only; safe to share."""

    def __init__(self, name: str, data_class: str, entities: Iterable[Entity]) -> None:
        self.name = name
        self.data_class = data_class
        given = tuple(entities)
        self.notes = tuple(EntityNote(e.name, e.what, e.form, e.presidio) for e in given)
        self._compiled = tuple(
            (e.name, r, re2.compile(r.pattern.encode(), options())) for e in given for r in e.recognisers
        )
        self.patterns = tuple(
            EntityPattern(e, r.pattern, r.trigger or r.pattern, r.starts(), r.match_bytes_max)
            for e, r, _ in self._compiled
        )
        self.match_bytes_max = max(r.match_bytes_max for _, r, _ in self._compiled)

    def scan(self, text: bytes, seen: Collection[int]) -> Iterator[Match]:
        """Verified hits of the patterns in `seen`, pattern by pattern; overlaps are the scanner's business."""
        for index in seen:
            entity, recogniser, regex = self._compiled[index]
            group = min(regex.groups, 1)
            candidates = regex.finditer(text)
            while (candidate := next(candidates, None)) is not None:
                start, end = candidate.span(group)
                hits = tuple(recogniser.check(text, start, end))
                for hit_start, hit_end, score in hits:
                    # A hit longer than its bound is cut: what a stream holds back is bounded by it too.
                    yield Match(entity, hit_start, min(hit_end, hit_start + recogniser.match_bytes_max), score)
                if not hits:
                    if not recogniser.is_whole and candidate.end() - candidate.start() <= RESTART_BYTES_MAX:
                        candidates = regex.finditer(text, candidate.start() + 1)  # it may hide a good one inside it
                elif hits[-1][1] != candidate.end():  # a check may end its hit elsewhere than the pattern did
                    candidates = regex.finditer(text, hits[-1][1])


# ── what checks are made of ──────────────────────────────────────────────────────────────────────────────────────────


def byte_before(text: bytes, start: int) -> bytes:
    return text[start - 1 : start] if start else b""


def byte_after(text: bytes, end: int) -> bytes:
    return text[end : end + 1]


def context(text: bytes, start: int, *, bytes_max: int = CONTEXT_BYTES) -> bytes:
    """What stands before a candidate, in ASCII lower case."""
    return text[max(0, start - bytes_max) : start].lower()


def entropy_bits(value: bytes) -> float:
    """Shannon entropy of the value's bytes, in bits per byte: words about 3, random base64 of 40 bytes about 4.8."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in Counter(value).values()) if size else 0.0


def token_start(text: bytes, start: int) -> bool:
    """Nothing of a longer token stands before it."""
    before = byte_before(text, start)
    return not (before.isalnum() or before in (b"-", b"_"))


def token_end(text: bytes, end: int) -> bool:
    """Nothing of a longer token follows."""
    after = byte_after(text, end)
    return not (after.isalnum() or after in (b"-", b"_"))


def whole_token(score: float, entropy_bits_min: float = 0.0) -> Check:
    """The candidate is all of its token, and looks random enough."""

    def check(text: bytes, start: int, end: int) -> Iterable[Span]:
        if not (token_start(text, start) and token_end(text, end)):
            return ()
        if entropy_bits_min and entropy_bits(text[start:end]) < entropy_bits_min:
            return ()
        return ((start, end, score),)

    return check


_NOT_DIGITS: Final = bytes(range(0x30)) + bytes(range(0x3A, 0x100))


def digits_of(text: bytes) -> bytes:
    """Without everything that is no ASCII digit."""
    return text.translate(None, _NOT_DIGITS)


def stands_alone(text: bytes, start: int, end: int) -> bool:
    """No piece of a longer number, date, fraction, version or path: `1.` before it, `-2` behind it."""
    if byte_before(text, start) in (b"-", b".", b"/", b"+", b"_") and text[max(0, start - 2) : start - 1].isalnum():
        return False
    return not (byte_after(text, end) in (b"-", b".", b"/", b"_") and text[end + 1 : end + 2].isalnum())


def number(valid: Callable[[bytes], bool], score: float) -> Check:
    """A number that stands alone and whose digits are `valid`; not the same digit throughout."""

    def check(text: bytes, start: int, end: int) -> Iterable[Span]:
        digits = digits_of(text[start:end])
        if not valid(digits) or digits.count(digits[:1]) == len(digits) or not stands_alone(text, start, end):
            return ()
        return ((start, end, score),)

    return check


def code(valid: Callable[[bytes], bool], score: float) -> Check:
    """As `number`, for codes with letters: `valid` gets them in upper case, without separators."""

    def check(text: bytes, start: int, end: int) -> Iterable[Span]:
        if not valid(text[start:end].translate(None, b" -./").upper()) or not stands_alone(text, start, end):
            return ()
        return ((start, end, score),)

    return check


def words_pattern(words: str, foreign: str = "") -> str:
    """RE2 syntax for any of `words` (alternatives) at the beginning of a word, in any case, or of `foreign` anywhere:
    those that do not begin in ASCII, where RE2 knows no beginning of a word."""
    told = [rf"(?:\b|_)(?:{words})"] if words else []
    return "(?i)" + "|".join([*told, foreign] if foreign else told)


def after_words(
    pattern: str,
    words: str,
    check: Check,
    match_bytes_max: int,
    *,
    foreign: str = "",
    bytes_max: int = CONTEXT_BYTES,
) -> Recogniser:
    """A recogniser of what is nothing without one of `words` before it: a bare number, most of the time."""
    trigger = words_pattern(words, foreign)
    compiled = re2.compile(trigger.encode(), options())

    def checked(text: bytes, start: int, end: int) -> Iterable[Span]:
        hits = tuple(check(text, start, end))
        if hits and compiled.search(text, max(0, start - bytes_max), start) is None:
            return ()
        return hits

    return Recogniser(pattern, checked, match_bytes_max, trigger, is_whole=" " not in pattern and "-]" not in pattern)
