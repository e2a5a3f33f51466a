"""Detectors made of a pattern and a check: what most detectors are.

RE2 has no look-around, so a pattern only finds a candidate; a `check` looks at the text around it, at checksums and at
context, and says what the hit is worth. Everything is UTF-8 bytes matched byte by byte (RE2's Latin-1 mode): faster
than decoding, and case folding stays within ASCII. Patterns begin and end on ASCII, so no hit ever splits a character.

Counted repetitions of wide classes are poison to the automaton of the shared prefilter: `[A-Za-z0-9.-]{0,63}@` alone
made random text ten times dearer. So patterns say `*`, and checks count.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import re2

from extproc.detector import EntityPattern, Match

Span = tuple[int, int, float]
"""Start, end (UTF-8 bytes, half-open) and score."""

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
    """One pattern of an entity. A capturing group, if there is one, is what is reported."""

    entity: str
    pattern: str
    """RE2 syntax on bytes; begins and ends on an ASCII character."""
    check: Callable[[bytes, int, int], Iterable[Span]]
    """Given the text and the candidate's span: the hits in it, none when it is no hit after all."""
    match_bytes_max: int


def always(score: float) -> Callable[[bytes, int, int], Iterable[Span]]:
    """For patterns that are proof enough."""

    def check(_text: bytes, start: int, end: int) -> Iterable[Span]:
        return ((start, end, score),)

    return check


class PatternDetector:
    """A `Detector` of recognisers. Holds compiled patterns only; safe to share."""

    def __init__(self, name: str, data_class: str, recognisers: Iterable[Recogniser]) -> None:
        self.name = name
        self.data_class = data_class
        self._compiled = tuple((r, re2.compile(r.pattern.encode("ascii"), options())) for r in recognisers)
        self.patterns = tuple(EntityPattern(r.entity, r.pattern) for r, _ in self._compiled)
        self.match_bytes_max = max(r.match_bytes_max for r, _ in self._compiled)

    def scan(self, text: bytes, entities: frozenset[str]) -> Iterator[Match]:
        """Verified hits among `entities`, pattern by pattern; overlaps are the scanner's business."""
        for recogniser, regex in self._compiled:
            if recogniser.entity not in entities:
                continue
            group = min(regex.groups, 1)
            candidates = regex.finditer(text)
            while (candidate := next(candidates, None)) is not None:
                start, end = candidate.span(group)
                hits = tuple(recogniser.check(text, start, end))
                for hit_start, hit_end, score in hits:
                    # A hit longer than its bound is cut: what a stream holds back is bounded by it too.
                    yield Match(
                        recogniser.entity, hit_start, min(hit_end, hit_start + recogniser.match_bytes_max), score
                    )
                if not hits:
                    if candidate.end() - candidate.start() <= RESTART_BYTES_MAX:
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
