"""Runs all detectors over one text: the prefilter first, then only the patterns whose trigger it saw.

So text without anything that looks sensitive is nearly free. Time is linear in the text; long texts are scanned in
windows so that no C call runs long.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from extproc.detector import Detector
from extproc.prefilter import Prefilter

WINDOW_BYTES: Final = 256 * 1024
"""Longer texts are scanned in pieces of this size, which overlap so that no hit is lost between two. Hostile ones cost
some 100 ms, and `budget` is asked between two."""
BUDGET_MATCHES: Final = 1024
"""`budget` is asked again after this many hits."""


@dataclass(frozen=True, slots=True)
class ScannedMatch:
    """One hit in one text: UTF-8 byte offsets, half-open."""

    entity: str
    data_class: str
    start: int
    end: int
    score: float


def _no_budget() -> None:
    return None


class Scanner:
    """All detectors as one. Immutable after construction; each process builds its own."""

    def __init__(self, detectors: Sequence[Detector], *, window_bytes: int = WINDOW_BYTES) -> None:
        self._window_bytes = window_bytes
        self._detectors = tuple(detectors)
        self._places = [(place, index) for place, d in enumerate(detectors) for index in range(len(d.patterns))]
        self._prefilter = Prefilter([pattern.trigger for detector in detectors for pattern in detector.patterns])
        self._match_bytes_max = max((detector.match_bytes_max for detector in detectors), default=0)
        self.data_class_of = _data_classes(detectors)
        """Every entity that can be found, with its data class."""

    @property
    def match_bytes_max(self) -> int:
        """No hit of any detector is longer."""
        return self._match_bytes_max

    def scan(self, text: bytes, budget: Callable[[], None] = _no_budget) -> list[ScannedMatch]:
        """All hits in UTF-8 `text`, sorted. None overlaps another of its layer: secrets win, then personal data, then
        the higher score, then the longer hit.

        Hits of different layers may overlap: policy must hear of each. `budget` is called between steps of bounded work
        and may raise to stop the scan.
        """
        if len(text) > self._window_bytes:
            matches = self._scan_windows(text, budget)
        elif seen := self._prefilter.seen(text):
            matches = self._scan_patterns(text, seen)
        else:
            return []  # nearly all texts
        found: list[ScannedMatch] = []
        for match in matches:
            found.append(match)
            if len(found) % BUDGET_MATCHES == 0:
                budget()
        return _by_layers(found) if len(found) > 1 else found

    def _scan_windows(self, text: bytes, budget: Callable[[], None]) -> Iterator[ScannedMatch]:
        margin = self._match_bytes_max
        for begin in range(0, len(text), self._window_bytes):
            budget()
            end = begin + self._window_bytes
            left = max(0, begin - margin)
            window = text[left : end + margin]
            for hit in self._scan_patterns(window, self._prefilter.seen(window)):
                # A hit belongs to the window it begins in; the margins give it its surroundings and its end.
                if begin <= hit.start + left < end:
                    yield ScannedMatch(hit.entity, hit.data_class, hit.start + left, hit.end + left, hit.score)

    def _scan_patterns(self, text: bytes, seen: Sequence[int]) -> Iterator[ScannedMatch]:
        wanted: defaultdict[int, list[int]] = defaultdict(list)
        for one in seen:
            place, index = self._places[one]
            wanted[place].append(index)
        for place in sorted(wanted):
            detector = self._detectors[place]
            for match in detector.scan(text, sorted(wanted[place])):
                yield ScannedMatch(match.entity, detector.data_class, match.start, match.end, match.score)


def _data_classes(detectors: Sequence[Detector]) -> dict[str, str]:
    owner: dict[str, Detector] = {}
    for detector in detectors:
        for note in detector.notes:
            if note.name in owner:
                raise ValueError(f"entity {note.name} belongs to two detectors")
            owner[note.name] = detector
    return {entity: detector.data_class for entity, detector in owner.items()}


_VALUES: Final = frozenset(("secret", "pii", "network"))
"""Classes of values, which are one thing each: they share a layer. What a sentence does (injection) and what a
deployment looks for on its own are layers for themselves, so that neither hides an address inside it."""


def _by_layers(found: list[ScannedMatch]) -> list[ScannedMatch]:
    layers: defaultdict[str, list[ScannedMatch]] = defaultdict(list)
    for match in found:
        layers["" if match.data_class in _VALUES else match.data_class].append(match)
    if len(layers) == 1:
        return _without_overlaps(found)
    kept = [match for layer in layers.values() for match in _without_overlaps(layer)]
    return sorted(kept, key=lambda m: (m.start, m.end, m.entity))


def _without_overlaps(found: list[ScannedMatch]) -> list[ScannedMatch]:
    """The best hits whole; of a hit that overlaps better ones, the pieces that stick out. Sorted by start.

    So every byte that was part of a hit stays part of one. Secrets come first whatever their score: rules are stricter
    about them, and one must not pass as the milder thing around it (a password in `https://u:p@host.com` is also the
    beginning of something like an e-mail address).
    """
    found.sort(key=lambda m: m.start)
    kept: list[ScannedMatch] = []
    cluster: list[ScannedMatch] = []
    cluster_end = 0
    for match in found:
        if cluster and match.start >= cluster_end:
            kept += _resolved(cluster)
            cluster = []
        cluster.append(match)
        cluster_end = max(cluster_end, match.end)
    return kept + _resolved(cluster)


def _resolved(cluster: list[ScannedMatch]) -> list[ScannedMatch]:
    if len(cluster) == 1:
        return cluster
    kept: list[ScannedMatch] = []  # disjoint, by start
    for match in sorted(cluster, key=_rank, reverse=True):
        position = match.start
        index = bisect_right(kept, match.start, key=lambda k: k.end)
        while position < match.end:
            ahead = kept[index] if index < len(kept) else None
            end = match.end if ahead is None else min(match.end, ahead.start)
            if position < end:
                kept.insert(index, replace(match, start=position, end=end))
                index += 1
            if ahead is None:
                break
            position = ahead.end
            index += 1
    return kept


_CLASS_RANK: Final = {"secret": 2, "network": 0}


def _rank(match: ScannedMatch) -> tuple[int, float, int, int, str]:
    return _CLASS_RANK.get(match.data_class, 1), match.score, match.end - match.start, -match.start, match.entity
