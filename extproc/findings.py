"""Collects what the detectors hit in one request body, at each string's place, within the CPU budget and a bound.

Every string means keys too, and numbers that are long enough to be a card's or a telephone's, whatever the api says a
field is for: text must not pass because it stands in an unusual place. The exceptions are payloads in base64 that are
already reported as uninspected, and blobs that the provider encrypted itself, in which random letters look like keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

from extproc.errors import LimitExceeded
from extproc.framing.json_strings import Place, pointer, string_tokens, walk
from extproc.media import is_encrypted, payload_begin
from extproc.model import Finding, UninspectedPart
from extproc.redaction import Span

BUDGET_BYTES = 64 * 1024
"""`budget` is asked at least once for so many bytes of decoding or scanning."""
BUDGET_STRING_BYTES = 256
"""What a string costs beside its length, as bytes: a body of short strings must ask `budget` often as well."""
MEMO_CHARS_MAX = 64
MEMO_MAX = 4_096
"""Short strings (roles, types, keys) repeat: their hits are remembered, for so many different ones per body."""
VALUE_CHARS_MIN, VALUE_CHARS_MAX = 7, 256
"""A value of this length is looked at together with its key: shorter than a telephone number, or longer than a key that
was issued, it is none."""
NUMBER_MIN = 1_000_000
"""A smaller number is shorter than a telephone number; token ids are smaller, too."""
ESCAPES_DEEP_MAX = 8
"""JSON in a string of JSON in a string …: each level doubles the backslashes of the next one."""
_GLUED_ESCAPE = re.compile(rb"\\[nrtbf](?=[A-Za-z0-9+])")
"""An escape's letter before a word: `\\nAKIA…` must not read as the word `nAKIA…`."""
_URL_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_URL_ESCAPE_BYTES = 3


class Scanner(Protocol):
    """As `extproc.scanner.Scanner`."""

    def scan(self, text: bytes, budget: Callable[[], None], /) -> Sequence[ScannedSpan]: ...


class ScannedSpan(Span, Protocol):
    @property
    def data_class(self) -> str: ...
    @property
    def score(self) -> float: ...


class Findings:
    """Collects hits, at most `findings_max` and then only the first of each further entity: a body full of addresses
    must not hide the key at its end from policy."""

    def __init__(self, scanner: Scanner, findings_max: int, budget: Callable[[], None]) -> None:
        self.kept: list[Finding] = []
        self.truncated = False
        self._scanner = scanner
        self._findings_max = findings_max
        self._budget = budget
        self._unasked_bytes = 0
        self._entities: set[str] = set()
        self._memo: dict[str, Sequence[ScannedSpan]] = {}

    def scan_raw(self, text: bytes) -> None:
        """A body without JSON of one reading may still hold JSON strings (two readings; JSON lines; a form with JSON in
        it), and escapes must hide nothing there either: a string that holds more without its escapes is found whole.
        """
        plain = list(self._scan(text))
        for hits, span in self._behind_escapes(text, plain):
            self._keep(hits, "", whole=span)
        self._keep(plain, "")

    def hides(self, body: bytes, *, is_text: bool) -> bool:
        """Does a body that nobody can read hold hits all the same: between other bytes, or in UTF-16 and UTF-32, where
        zeros stand between the letters, or behind the escapes of a form (`%40`)?

        What only zeros or escapes hide in a body that passes as text is kept: nobody has to give leave for such a body,
        so policy has to know.
        """
        if not is_text and self._scanner.scan(body, self._budget):
            return True
        hidden: list[ScannedSpan] = []
        if b"\0" in body:
            hidden += self._scanner.scan(body.replace(b"\0", b""), self._budget)
        if is_text and _URL_ESCAPE.search(body) is not None:
            seen = {finding.entity for finding in self.kept}
            unescaped = self._scanner.scan(b"".join(self._unquoted(body)), self._budget)
            hidden += [hit for hit in unescaped if hit.entity not in seen]
        if is_text:
            self._keep(hidden, "", whole=(0, len(body)))
        return bool(hidden)

    def is_hit(self, name: str) -> bool:
        """Is something found in this name or id? Out of budget, nobody knows: then it counts as if."""
        try:
            self._spend(len(name))
            return bool(self._matches(name))
        except LimitExceeded:
            return True

    def _scan(self, text: bytes) -> Sequence[ScannedSpan]:
        """All hits in `text`, those too that an escape's letter before them would make another word."""
        hits = self._scanner.scan(text, self._budget)
        if b"\\" not in text:
            return hits
        bare = self._without_glued_escapes(text)
        if bare is None:
            return hits
        found = list(self._scanner.scan(bare, self._budget))
        at = 0
        merged: list[ScannedSpan] = []
        for hit in hits:  # both are sorted, and none overlaps another of its own
            while at < len(found) and found[at].end <= hit.start:
                at += 1
            if at == len(found) or found[at].start >= hit.end:
                merged.append(hit)
        return sorted((*merged, *found), key=attrgetter("start")) if merged else found

    def _without_glued_escapes(self, text: bytes) -> bytes | None:
        """`text` with spaces in the place of such escapes, so that all behind them stays where it is; None for none."""
        bare: bytearray | None = None
        for escape in _GLUED_ESCAPE.finditer(text):
            self._spend(0)
            if bare is None:
                bare = bytearray(text)
            bare[escape.start() : escape.end()] = b"  "
        return None if bare is None else bytes(bare)

    def _unquoted(self, text: bytes) -> Iterator[bytes]:
        """A form's text without its escapes, piece by piece."""
        begin = 0
        while begin < len(text):
            self._budget()
            end = begin + BUDGET_BYTES
            split = text.rfind(b"%", end - _URL_ESCAPE_BYTES + 1, end)  # an escape that goes on in the next piece
            end = split if split > begin else end
            yield unquote_to_bytes(text[begin:end].replace(b"+", b" "))
            begin = end

    def _behind_escapes(
        self, text: bytes, plain: Sequence[ScannedSpan], depth: int = 1
    ) -> Iterator[tuple[Sequence[ScannedSpan], tuple[int, int]]]:
        """JSON strings inside `text` that hold more hits than `plain` shows there: the hits, and what is between the
        quotes. Such strings may hold JSON again."""
        at = 0
        for start, end, unescaped in string_tokens(text):
            self._spend(end - start)
            if unescaped is None:
                continue
            hits = self._scan(unescaped)
            while at < len(plain) and plain[at].end <= start:
                at += 1
            seen = sum(1 for hit in islice(plain, at, at + len(hits)) if hit.end <= end)
            deeper: list[ScannedSpan] = []
            if depth < ESCAPES_DEEP_MAX and b"\\" in unescaped and b'"' in unescaped:
                deeper = [hit for found, _ in self._behind_escapes(unescaped, hits, depth + 1) for hit in found]
            if deeper or len(hits) > seen:
                yield (*hits, *deeper), (start + 1, end - 1)

    def scan_document(self, document: Any, uninspected: Sequence[UninspectedPart]) -> None:
        payload_fields = frozenset(part.field for part in uninspected)
        for place, is_key, text in walk(document, numbers_from=NUMBER_MIN):
            self._spend(len(text))
            if payload_fields and not is_key and (begin := payload_begin(text, place, payload_fields)) is not None:
                text = text[:begin]  # noqa: PLW2901 (of a payload only the head that says what it is)
            matches = self._matches(text) or self._named_by_its_key(text, place, is_key=is_key)
            # A tool's arguments are JSON in a string: what they escape, the tool will read without its escapes.
            deeper = list(self._behind_escapes(text.encode(), matches)) if "\\" in text and '"' in text else ()
            if matches or deeper:
                where = pointer(place, is_key=is_key)
                if is_key or not (_is_less_than_half(matches, text) and is_encrypted(document, where, text)):
                    for hits, span in deeper:
                        self._keep(hits, where, whole=span)
                    self._keep(matches, where)

    def _named_by_its_key(self, text: str, place: Place, *, is_key: bool) -> Sequence[ScannedSpan]:
        """Hits in what only its key makes a hit: `{"api_key": "…"}` in a tool's input, as `api_key: …` in text."""
        if is_key or place is None or not VALUE_CHARS_MIN <= len(text) <= VALUE_CHARS_MAX:
            return ()
        key = place[1]
        if type(key) is not str or len(key) > MEMO_CHARS_MAX or "\n" in key:
            return ()
        before = f"{key}: ".encode()
        hits = self._scanner.scan(before + text.encode(), self._budget)
        return [_shifted(hit, len(before)) for hit in hits if hit.start >= len(before)]

    def _spend(self, size_bytes: int) -> None:
        self._unasked_bytes += size_bytes + BUDGET_STRING_BYTES
        if self._unasked_bytes >= BUDGET_BYTES:
            self._unasked_bytes = 0
            self._budget()

    def _matches(self, text: str) -> Sequence[ScannedSpan]:
        if len(text) > MEMO_CHARS_MAX:
            return self._scan(text.encode())
        matches = self._memo.get(text)
        if matches is None:
            matches = self._scan(text.encode()) if text else ()
            if len(self._memo) < MEMO_MAX:
                self._memo[text] = matches
        return matches

    def _keep(self, matches: Iterable[ScannedSpan], field: str, whole: tuple[int, int] | None = None) -> None:
        """`whole`: the span to give each entity once, where the matches' own offsets mean nothing outside."""
        if whole is not None:
            matches = {match.entity: match for match in matches}.values()
        for match in matches:
            if len(self.kept) >= self._findings_max:
                self.truncated = True
                if match.entity in self._entities:
                    continue
            self._entities.add(match.entity)
            start, end = whole or (match.start, match.end)
            self.kept.append(Finding(match.entity, match.data_class, field, start, end, match.score))


def _is_less_than_half(matches: Sequence[ScannedSpan], text: str) -> bool:
    """A key by itself in the place of an encrypted blob is a key."""
    return 2 * sum(match.end - match.start for match in matches) < len(text)


@dataclass(frozen=True, slots=True)
class _Hit:
    """A `ScannedSpan`."""

    entity: str
    data_class: str
    start: int
    end: int
    score: float


def _shifted(hit: ScannedSpan, by: int) -> ScannedSpan:
    return _Hit(hit.entity, hit.data_class, hit.start - by, hit.end - by, hit.score)
