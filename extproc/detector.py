"""What a detector has to offer. Adding one is one file in `detectors/`, one line in `detectors.DETECTORS`, its hits and
misses in `tests/detectors/`.

Detectors work on UTF-8 bytes with linear-time matching only (google-re2): Python's `re` on hostile text is a denial of
service. They are pure and hold no state between calls.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Match:
    """One hit in one string: UTF-8 byte offsets, half-open."""

    entity: str
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class EntityPattern:
    """One pattern of a detector, as the shared prefilter (`re2.Set`) needs it."""

    entity: str
    pattern: str
    """RE2 syntax, on bytes."""
    trigger: str
    """RE2 syntax: is found in every text that holds a hit of the pattern. Short, because all triggers together are one
    automaton."""
    starts: frozenset[int]
    """The bytes that a hit may begin with: at any other one, a stream has nothing to hold back for this pattern."""
    match_bytes_max: int
    """No hit of the pattern is longer."""


@dataclass(frozen=True, slots=True)
class EntityNote:
    """An entity for people: `headgate scan --list`, docs/entities.md."""

    name: str
    what: str
    form: str
    """Its published form, or an example that is no real value. Empty where the words before it say enough."""
    presidio: bool
    """The name is Presidio's."""


class Detector(Protocol):
    name: str
    data_class: str
    """What rules speak of: `pii`, `secret`, `network`, `injection`, or a deployment's own."""
    notes: tuple[EntityNote, ...]
    """Every entity that it finds."""
    patterns: tuple[EntityPattern, ...]
    """All patterns; a text in which no trigger is found is not given to `scan`."""
    match_bytes_max: int
    """No match is longer; a longer one is cut here and redacted open-ended in streams."""

    def scan(self, text: bytes, seen: Collection[int]) -> Iterable[Match]:
        """Verified hits (checksums, context) of the patterns in `seen`: indices of those whose trigger was found."""
