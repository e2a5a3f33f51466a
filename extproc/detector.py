"""What a detector has to offer. Adding one is one file in `detectors/`, one line in `detectors.DETECTORS`, its hits and
misses in `tests/detectors/`.

Detectors work on UTF-8 bytes with linear-time matching only (google-re2): Python's `re` on hostile text is a denial of
service. They are pure and hold no state between calls.
"""

from __future__ import annotations

from collections.abc import Iterable
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


class Detector(Protocol):
    name: str
    data_class: str
    """`pii` or `secret`: what rules speak of."""
    patterns: tuple[EntityPattern, ...]
    """All patterns; a text in which none matches is not given to `scan`."""
    match_bytes_max: int
    """No match is longer; a longer one is cut here and redacted open-ended in streams."""

    def scan(self, text: bytes, entities: frozenset[str]) -> Iterable[Match]:
        """Verified hits (checksums, context) among `entities`, the ones whose pattern the prefilter saw."""
