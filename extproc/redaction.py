"""Spans into placeholders that name the entity, so that a model can still follow (`placeholders`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Protocol

from extproc.framing.json_strings import KEY_MARK, escape, unescape, value_at
from extproc.model import Finding
from extproc.placeholders import placeholder


class Span(Protocol):
    """A `Finding` or a `ScannedMatch`: UTF-8 byte offsets, half-open."""

    @property
    def entity(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


def redact_text(text: bytes, findings: Iterable[Span], key: bytes | None = None) -> bytes:
    """UTF-8 `text` with each span replaced. Spans that overlap become one, named after the first. `key`: of the
    team and period (`placeholders`); None gives plain placeholders."""
    pieces: list[bytes] = []
    copied = 0
    for entity, start, end in _joined(findings):
        pieces += (text[copied:start], placeholder(entity, text[start:end], key).encode())
        copied = end
    pieces.append(text[copied:])
    return b"".join(pieces)


def _joined(findings: Iterable[Span]) -> Iterator[tuple[str, int, int]]:
    """(entity, start, end) in order, none overlapping another."""
    entity, start, end = "", 0, 0
    for finding in sorted(findings, key=attrgetter("start")):
        if entity and finding.start < end:
            end = max(end, finding.end)
            continue
        if entity:
            yield entity, start, end
        entity, start, end = finding.entity, finding.start, finding.end
    if entity:
        yield entity, start, end


def storable_fields(findings: Sequence[Finding]) -> Mapping[str, str]:
    """Each finding's field → the field as it may be written down.

    A field names the keys on the way to it, and a key may be what was found: `/contacts/ann@example.org/phone` becomes
    `/contacts/<EMAIL_ADDRESS>/phone`.
    """
    in_keys: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.field.endswith(KEY_MARK):
            in_keys[finding.field].append(finding)
    return {finding.field: _storable(finding.field, in_keys) for finding in findings}


def _storable(field: str, in_keys: Mapping[str, Sequence[Finding]]) -> str:
    if not in_keys:
        return field
    mark = KEY_MARK if field.endswith(KEY_MARK) else ""
    told, where = [""], ""
    for token in field.removesuffix(KEY_MARK).split("/")[1:]:
        where = f"{where}/{token}"
        found = in_keys.get(where + KEY_MARK)
        if found:
            name = redact_text(unescape(token).encode(), found).decode("utf-8", "replace")
            told.append(escape(name))
        else:
            told.append(token)
    return "/".join(told) + mark


class FreshNames:
    """Names for keys that were redacted: two addresses as keys of one object must not become the same key twice."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._taken: dict[str, set[str]] = {}
        self._used: defaultdict[tuple[str, str], int] = defaultdict(int)

    def fresh(self, where: str, name: str) -> str:
        """`name`, or with a number behind it, for the key at `where` (ends in `#key`)."""
        parent = where.removesuffix(KEY_MARK).rpartition("/")[0]
        taken = self._taken.get(parent)
        if taken is None:
            taken = {key.casefold() for key in value_at(self._document, parent)}
            self._taken[parent] = taken
        candidate = name
        while candidate.casefold() in taken:
            self._used[parent, name] += 1
            candidate = f"{name}_{self._used[parent, name] + 1}"
        taken.add(candidate.casefold())
        return candidate
