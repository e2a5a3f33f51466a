"""Spans into placeholders that name the entity, so that a model can still follow: `<EMAIL_ADDRESS>`."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Protocol


class Span(Protocol):
    """A `Finding` or a `ScannedMatch`: UTF-8 byte offsets, half-open."""

    @property
    def entity(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


def placeholder(entity: str) -> str:
    """What stands for a hit of `entity`. No detector takes it for a hit again."""
    return f"<{entity}>"


def redact_text(text: bytes, findings: Iterable[Span]) -> bytes:
    """UTF-8 `text` with each span replaced. Spans that overlap become one, named after the first."""
    pieces: list[bytes] = []
    copied = 0
    for finding in sorted(findings, key=attrgetter("start")):
        if finding.start >= copied:
            pieces += (text[copied : finding.start], placeholder(finding.entity).encode())
        copied = max(copied, finding.end)
    pieces.append(text[copied:])
    return b"".join(pieces)
