"""One request body read for the decision, and rewritten after it. Pure functions of bytes; see decision record 001.

    bytes ─► content coding off ─► one strict reading ─► the api's facts ─► every string past the detectors

Every string means keys too, whatever the api says a field is for: text must not pass because it stands in an unusual
place. The exceptions are payloads in base64 that are already reported as uninspected, and blobs that the provider
encrypted itself, in which random letters look like keys.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol

from extproc.codec import Codec
from extproc.errors import ClientError, HeadgateError, LimitExceeded
from extproc.framing import strict_json
from extproc.framing.content_encoding import decoder
from extproc.framing.json_strings import (
    KEY_MARK,
    Place,
    pointer,
    replace_strings,
    string_at,
    string_tokens,
    walk,
)
from extproc.framing.tolerant_json import utf8_size
from extproc.media import is_encrypted, is_payload, media_type_or_none
from extproc.model import Call, Finding, Inspection, Limits, Problem, RequestFacts, UninspectedPart
from extproc.redaction import FreshNames, Span, redact_text

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
REWRITE_DEPTH_MAX = 1_000
"""Deeper than any configured `json_depth_max`: what was inspected can be parsed again."""

NAME_BYTES_MAX = 256
"""A longer model or tool name is no name."""
OVERLONG_NAME = "(overlong)"
WITHHELD_NAME = "(withheld)"
"""Every tool's name where something was found in one: which of them it was is not worth a look."""
_TOOLS = ("/tools/", "/functions/")
_NAMES = ("/name", "/type")


class Scanner(Protocol):
    """As `extproc.scanner.Scanner`."""

    def scan(self, text: bytes, budget: Callable[[], None], /) -> Sequence[ScannedSpan]: ...


class ScannedSpan(Span, Protocol):
    @property
    def data_class(self) -> str: ...
    @property
    def score(self) -> float: ...


def inspect_request(
    codec: Codec,
    call: Call,
    body: bytes,
    *,
    scanner: Scanner,
    limits: Limits,
    budget: Callable[[], None],
) -> Inspection:
    """Facts, findings, and the problem when the body cannot be judged as it came. Never raises for any `body`.

    A model's name that is too long, or in which something was found, is left out of the facts, a tool's is replaced:
    names go to policy, into messages and to readers who may not read text.

    `budget` raises `LimitExceeded` when the CPU allowance is spent: the problem is then `inspect_budget`. A body of the
    api `opaque` has no form to be wrong, so it is no problem when nobody can read it: it is one uninspected part.
    """
    read = _Reading()
    found = _Findings(scanner, limits.findings_max, budget)
    try:
        read.read(codec, call, body, limits, budget)
        if read.is_json:
            found.scan_document(read.document, read.facts.uninspected_parts)
        elif read.text is not None:
            found.scan_raw(read.text)
        if not read.is_json and read.plain is not None:
            read.hides = found.hides(read.plain, is_text=read.text is not None)
    except LimitExceeded as error:
        read.problem = read.problem or Problem("inspect_budget", error.message, 413)
        found.truncated = True
    if body and codec.api == "opaque" and not read.is_json and read.text is None:
        part = UninspectedPart(
            "unknown", "", media_type_or_none((call.content_type or "").partition(";")[0]), len(body)
        )
        read.facts = RequestFacts(uninspected_parts=(part,))
    return Inspection(
        facts=_storable_names(read.facts, found.kept),
        findings=tuple(found.kept),
        findings_truncated=found.truncated,
        problem=read.problem,
        decoded_body=read.plain if read.plain is not body else None,
        hides_findings=read.hides,
    )


def rewrite_request(body: bytes, findings: Sequence[Finding], entities: Iterable[str]) -> bytes:
    """`body` with the findings of these entities replaced by placeholders, every other byte as it was.

    `body` is what `inspect_request` gave the findings for, content coding off. Raises `HeadgateError`
    (`rewrite_failed`) when the findings do not fit it: then it must not be forwarded.
    """
    wanted = frozenset(entities)
    by_field: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.entity in wanted:
            by_field[finding.field].append(finding)
    if not by_field:
        return body
    try:
        document = _document_of(body, by_field)
        if document is None:
            return redact_text(body, by_field[""])
        rewritten = replace_strings(body, _edits(document, by_field))
        strict_json.parse(rewritten, depth_max=REWRITE_DEPTH_MAX)
    except (ClientError, LookupError, UnicodeDecodeError):
        raise HeadgateError("rewrite_failed", "a redaction did not fit the body it was made for") from None
    return rewritten


class _Reading:
    """What one body turned out to be, as far as it could be read."""

    def __init__(self) -> None:
        self.plain: bytes | None = None
        """Without content coding; None when that could not be taken off."""
        self.text: bytes | None = None
        """`plain`, when it is UTF-8 but not JSON of one reading."""
        self.is_json = False
        self.document: Any = None
        self.facts = RequestFacts()
        self.problem: Problem | None = None
        self.hides = False
        """Something is in `plain` that has no place which could be redacted."""

    def read(
        self,
        codec: Codec,
        call: Call,
        body: bytes,
        limits: Limits,
        budget: Callable[[], None],
    ) -> None:
        """Raises `LimitExceeded` when the budget is spent."""
        refuse = self._ignore if codec.api == "opaque" else self._refuse
        try:
            self.plain = _decoded(body, call.content_encoding, limits, budget)
        except ClientError as error:
            refuse(error)
            return
        try:
            _refuse_other_types(call.content_type)
        except ClientError as error:
            refuse(error)
        try:
            self.document = strict_json.parse(self.plain, depth_max=limits.json_depth_max)
            self.is_json = True
            budget()
            self.facts = codec.request(self.document, call)
        except ClientError as error:
            refuse(error)
        if not self.is_json and _is_utf8(self.plain):
            self.text = self.plain

    def _refuse(self, error: ClientError) -> None:
        self.problem = self.problem or Problem(error.code, error.message, error.status)

    def _ignore(self, error: ClientError) -> None:
        """Opaque bodies need no form."""


def _decoded(body: bytes, content_encoding: str | None, limits: Limits, budget: Callable[[], None]) -> bytes:
    """The body without its content coding: the very same object when there is none."""
    if len(body) > limits.body_bytes_max:
        raise ClientError("body_too_large", f"the body is larger than {limits.body_bytes_max} bytes", 413)
    if (content_encoding or "identity").strip().lower() == "identity":
        return body
    coding = decoder(content_encoding, bytes_max=limits.body_bytes_max, ratio_max=limits.decoded_ratio_max)
    pieces = []
    for start in range(0, len(body), BUDGET_BYTES):
        budget()
        pieces.append(coding.decode(body[start : start + BUDGET_BYTES]))
    pieces.append(coding.flush())
    return b"".join(pieces)


def _refuse_other_types(content_type: str | None) -> None:
    """JSON by any of its names, in UTF-8, or nothing said: the body is read as JSON anyway."""
    if not content_type or not content_type.strip():
        return
    essence, *parameters = (piece.strip().lower() for piece in content_type.split(";"))
    if essence == "application/json" or (re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+\+json", essence)):
        charsets = [
            value.strip().strip('"') for name, _, value in (p.partition("=") for p in parameters) if name == "charset"
        ]
        if all(charset in ("utf-8", "utf8") for charset in charsets):
            return
    raise ClientError("unsupported_content_type", "this API takes content-type: application/json in UTF-8", 415)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class _Findings:
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
        plain = list(self._scanner.scan(text, self._budget))
        for hits, span in self._behind_escapes(text, plain):
            self._keep(hits, "", whole=span)
        self._keep(plain, "")

    def hides(self, body: bytes, *, is_text: bool) -> bool:
        """Does a body that nobody can read hold hits all the same: between other bytes, or in UTF-16 and UTF-32, where
        zeros stand between the letters?"""
        if not is_text and self._scanner.scan(body, self._budget):
            return True
        return b"\0" in body and bool(self._scanner.scan(body.replace(b"\0", b""), self._budget))

    def _behind_escapes(
        self, text: bytes, plain: Sequence[ScannedSpan]
    ) -> Iterator[tuple[Sequence[ScannedSpan], tuple[int, int]]]:
        """JSON strings inside `text` that hold more hits than `plain` shows there: the hits, and what is between the
        quotes."""
        at = 0
        for start, end, unescaped in string_tokens(text):
            self._spend(end - start)
            if unescaped is None:
                continue
            hits = self._scanner.scan(unescaped, self._budget)
            while at < len(plain) and plain[at].end <= start:
                at += 1
            seen = sum(1 for hit in islice(plain, at, at + len(hits)) if hit.end <= end)
            if len(hits) > seen:
                yield hits, (start + 1, end - 1)

    def scan_document(self, document: Any, uninspected: Sequence[UninspectedPart]) -> None:
        payload_fields = frozenset(part.field for part in uninspected)
        for place, is_key, text in walk(document):
            self._spend(len(text))
            if payload_fields and not is_key and is_payload(text, place, payload_fields):
                continue
            matches = self._matches(text) or self._named_by_its_key(text, place, is_key=is_key)
            # A tool's arguments are JSON in a string: what they escape, the tool will read without its escapes.
            deeper = list(self._behind_escapes(text.encode(), matches)) if "\\" in text and '"' in text else ()
            if matches or deeper:
                where = pointer(place, is_key=is_key)
                if is_key or not is_encrypted(document, where, text):
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
            return self._scanner.scan(text.encode(), self._budget)
        matches = self._memo.get(text)
        if matches is None:
            matches = self._scanner.scan(text.encode(), self._budget) if text else ()
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


def _storable_names(facts: RequestFacts, findings: Sequence[Finding]) -> RequestFacts:
    """Without what is no name: too long, or something was found in it."""
    fields = {finding.field for finding in findings}
    if facts.model is not None and ("/model" in fields or utf8_size(facts.model) > NAME_BYTES_MAX):
        facts = replace(facts, model=None)
    if any(field.startswith("/models/") for field in fields):
        facts = replace(facts, fallback_models=(WITHHELD_NAME,) * len(facts.fallback_models))
    if any(utf8_size(name) > NAME_BYTES_MAX for name in facts.tools):
        facts = replace(
            facts, tools=tuple(OVERLONG_NAME if utf8_size(name) > NAME_BYTES_MAX else name for name in facts.tools)
        )
    if any(field.startswith(_TOOLS) and field.endswith(_NAMES) for field in fields):
        facts = replace(facts, tools=(WITHHELD_NAME,) * len(facts.tools))
    return facts


def _document_of(body: bytes, by_field: Mapping[str, object]) -> Any:
    """The parsed body; None when the findings are of raw bytes, which is how a body is scanned that does not parse."""
    try:
        document = strict_json.parse(body, depth_max=REWRITE_DEPTH_MAX)
    except ClientError:
        if "" in by_field:
            return None
        raise
    return None if "" in by_field and type(document) is not str else document


def _edits(document: Any, by_field: Mapping[str, Sequence[Finding]]) -> dict[str, str]:
    edits: dict[str, str] = {}
    names = FreshNames(document)
    for where, findings in by_field.items():
        text = redact_text(string_at(document, where).encode(), findings).decode("utf-8")
        edits[where] = names.fresh(where, text) if where.endswith(KEY_MARK) else text
    return edits
