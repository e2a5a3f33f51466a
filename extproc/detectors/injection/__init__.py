"""Prompt injection and jailbreaks: data class `injection`. What a text does, not what it holds: a signal for rules, of
which none is proof. Precision comes before recall: a pattern engine cannot find all of them, and people stop looking at
an alarm that is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from extproc.detector import Match
from extproc.detectors.injection.cues import CUES, NOTE, CueDetector
from extproc.detectors.injection.encoded import ENCODED
from extproc.detectors.injection.hidden import HIDDEN
from extproc.detectors.injection.languages import LANGUAGES
from extproc.detectors.injection.phrases import FORGERY, ORDERS, PHRASES, TRIGGERS
from extproc.recogniser import Entity, PatternDetector, Recogniser, always

_PHRASE_BYTES_MAX: Final = 512


def _phrase(pattern: str) -> Recogniser:
    score = 0.7 if pattern in FORGERY or pattern in ORDERS else 0.85
    return Recogniser(pattern, always(score), _PHRASE_BYTES_MAX, trigger=TRIGGERS.get(pattern, ""))


def _foreign(pattern: str) -> Recogniser:
    """The prefilter looks for what stands before the first gap."""
    return Recogniser(pattern, always(0.85), _PHRASE_BYTES_MAX, trigger=pattern.partition("[^")[0])


class InjectionDetector:
    """Patterns for `PROMPT_INJECTION`, cues for `JAILBREAK`, as one detector."""

    def __init__(self, phrases: PatternDetector, cues: CueDetector) -> None:
        self.name = phrases.name
        self.data_class = phrases.data_class
        self._phrases = phrases
        self._cues = cues
        self.notes = (*phrases.notes, NOTE)
        self.patterns = (*phrases.patterns, *cues.patterns)
        self.match_bytes_max = max(phrases.match_bytes_max, cues.match_bytes_max)

    def scan(self, text: bytes, seen: Collection[int]) -> Iterator[Match]:
        first = len(self._phrases.patterns)
        yield from self._phrases.scan(text, [index for index in seen if index < first])
        yield from self._cues.scan(text, [index - first for index in seen if index >= first])


DETECTOR: Final = InjectionDetector(
    PatternDetector(
        "injection",
        "injection",
        (
            Entity(
                "PROMPT_INJECTION",
                "Orders that are not the reader's to give: overriding instructions, asking for the system prompt, forged "
                "roles, hidden or encoded text, in a score of languages",
                (
                    *map(_phrase, PHRASES),
                    *(_foreign(pattern) for patterns in LANGUAGES.values() for pattern in patterns),
                    *HIDDEN,
                    *ENCODED,
                ),
            ),
        ),
    ),
    CueDetector("JAILBREAK", CUES),
)
