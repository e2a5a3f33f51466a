"""Patterns that a deployment adds in a data file (`detectors.patterns_file`), without code.

    patterns:
      - entity: EMPLOYEE_ID
        data_class: pii
        what: Number of an employee
        pattern: '\\bE-[0-9]{6}\\b'
        context: [employee, staff]        # one of them stands before a hit; none: the pattern is enough
        checksum: none                    # luhn, iban or none
        score: 0.8
        examples:
          hits: ["employee E-123456"]
          misses: ["part E-123456"]

A file with a fault stops start-up, and so does an example that is not found or that is: a pattern which silently finds
nothing is worse than none. Everything is checked where the file is read; what workers are handed is plain data.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

import re2
from pydantic import Field

from extproc.checksums import iban_valid, luhn
from extproc.config import Settings, load_settings
from extproc.detector import Detector
from extproc.detectors import DETECTORS
from extproc.errors import OperatorError
from extproc.recogniser import Check, Entity, PatternDetector, Recogniser, Span, after_words, digits_of, options
from extproc.scanner import Scanner

PATTERNS_MAX: Final = 500
PATTERN_CHARS_MAX: Final = 1_000
PROGRAM_SIZE_MAX: Final = 1_000
"""RE2's own measure of a compiled pattern. Larger ones, such as counted repetitions of wide classes, would make all
texts dearer: they are part of one automaton with every other pattern."""
_ASCII: Final = frozenset(range(0x80))
_CHECKSUMS: Final = {
    "luhn": lambda value: luhn(digits_of(value)),
    "iban": lambda value: len(value) > 4 and iban_valid(value.translate(None, b" -").upper()),
}


class Examples(Settings):
    hits: tuple[str, ...] = Field(min_length=1, description="Texts in which the pattern has a hit")
    misses: tuple[str, ...] = Field((), description="Texts in which it has none")


class CustomPattern(Settings):
    """One entry of the file."""

    entity: str = Field(
        pattern=r"^[A-Z][A-Z0-9_]{2,62}$", description="Name of the entity; none of those in docs/entities.md"
    )
    data_class: str = Field(
        pattern=r"^[a-z][a-z0-9_]{1,31}$",
        description="What rules speak of: `pii`, `secret`, or a class of your own, which `data_classes` must then name",
    )
    what: str = Field("", max_length=200, description="What it is, for `headgate scan --list`")
    pattern: str = Field(
        min_length=2,
        max_length=PATTERN_CHARS_MAX,
        description="RE2 syntax on UTF-8 bytes: classes of characters are ASCII. A capturing group is what is reported",
    )
    context: tuple[str, ...] = Field(
        (), description="Words of which one stands before a hit, within 48 bytes, in any case (ASCII)"
    )
    checksum: Literal["none", "luhn", "iban"] = Field("none", description="What the value's digits must satisfy")
    score: float = Field(0.8, gt=0, le=1, description="Of each hit; where hits overlap, the higher one wins")
    match_bytes_max: int = Field(256, ge=1, le=4096, description="No hit is longer; a longer one is cut")
    examples: Examples = Field(description="Checked whenever the file is read")


class PatternsFile(Settings):
    """The file that `detectors.patterns_file` names."""

    patterns: tuple[CustomPattern, ...] = Field(max_length=PATTERNS_MAX, description="Patterns of your own")


def load_patterns(path: Path) -> tuple[CustomPattern, ...]:
    """Read and check the file. Raises `OperatorError` with the file, the entry and what is wrong with it."""
    patterns = load_settings(PatternsFile, path).patterns
    built_in = {note.name for detector in DETECTORS for note in detector.notes}
    classes: dict[str, str] = {}
    for index, pattern in enumerate(patterns):
        where = f"{path}: patterns.{index} ({pattern.entity})"
        if pattern.entity in built_in:
            raise OperatorError("config_invalid", f"{where}: is an entity of Headgate's own: choose another name")
        if classes.setdefault(pattern.entity, pattern.data_class) != pattern.data_class:
            raise OperatorError("config_invalid", f"{where}: an entity has one data class")
        if fault := _fault(pattern):
            raise OperatorError("config_invalid", f"{where}: {fault}")
    return patterns


def all_detectors(custom: Sequence[CustomPattern] = ()) -> tuple[Detector, ...]:
    """Headgate's own detectors, and one for each data class of `custom`, which has been checked."""
    by_class: defaultdict[str, list[CustomPattern]] = defaultdict(list)
    for pattern in custom:
        by_class[pattern.data_class].append(pattern)
    return (*DETECTORS, *(_detector(data_class, patterns) for data_class, patterns in by_class.items()))


def _fault(pattern: CustomPattern) -> str | None:
    try:
        compiled = re2.compile(pattern.pattern.encode(), options())
    except re2.error as error:
        return f"pattern: not RE2 syntax: {_reason(error)}"
    if compiled.groups > 1:
        return "pattern: more than one capturing group: write the others as (?:…)"
    if compiled.search(b"") is not None:
        return "pattern: matches nothing at all, and so everywhere"
    if compiled.programsize > PROGRAM_SIZE_MAX:
        return (
            f"pattern: too large ({compiled.programsize} of {PROGRAM_SIZE_MAX}): write * or + in place of counted "
            "repetitions, or fewer alternatives"
        )
    if any(not word.strip() for word in pattern.context):
        return "context: an empty word"
    scanner = Scanner([_detector(pattern.data_class, [pattern])])
    for index, text in enumerate(pattern.examples.hits):
        if not scanner.scan(text.encode()):
            return f"examples.hits.{index}: nothing is found in it"
    for index, text in enumerate(pattern.examples.misses):
        if scanner.scan(text.encode()):
            return f"examples.misses.{index}: something is found in it"
    return None


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _detector(data_class: str, patterns: Iterable[CustomPattern]) -> PatternDetector:
    by_entity: defaultdict[str, list[CustomPattern]] = defaultdict(list)
    for pattern in patterns:
        by_entity[pattern.entity].append(pattern)
    return PatternDetector(
        f"custom {data_class}",
        data_class,
        [
            Entity(entity, next((p.what for p in given if p.what), "Added here"), tuple(map(_recogniser, given)))
            for entity, given in by_entity.items()
        ],
    )


def _recogniser(pattern: CustomPattern) -> Recogniser:
    check = _check(pattern)
    recogniser = Recogniser(pattern.pattern, check, pattern.match_bytes_max)
    if pattern.context:
        words, foreign = _words(pattern.context)
        recogniser = after_words(pattern.pattern, words, check, pattern.match_bytes_max, foreign=foreign)
    # Where it may begin inside a character, its hits begin before that.
    return replace(recogniser, begins_elsewhere=not recogniser.starts() <= _ASCII)


def _words(context: Sequence[str]) -> tuple[str, str]:
    """As `after_words` wants them: those that begin in ASCII, the others."""
    ascii_words = [re.escape(word) for word in context if word[0].isascii()]
    others = [re.escape(word) for word in context if not word[0].isascii()]
    return "|".join(ascii_words), "|".join(others)


def _check(pattern: CustomPattern) -> Check:
    valid = _CHECKSUMS.get(pattern.checksum)
    score = pattern.score

    def check(text: bytes, start: int, end: int) -> Iterable[Span]:
        if start >= end or (valid is not None and not valid(text[start:end])):
            return ()
        # A pattern with `.` or a negated class may begin or end inside a character: a hit is whole ones.
        while start > 0 and text[start] & 0xC0 == 0x80:
            start -= 1
        while end < len(text) and text[end] & 0xC0 == 0x80:
            end += 1
        return ((start, end, score),)

    return check
