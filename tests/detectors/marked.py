"""How hits are written down: `before «the hit» after`. The marks go before scanning, and must be found again."""

from __future__ import annotations

from extproc.scanner import Scanner


def hits_of(marked: str) -> list[str]:
    return [piece.partition("»")[0] for piece in marked.split("«")[1:]]


def plain(marked: str) -> str:
    return marked.replace("«", "").replace("»", "")


def found(scanner: Scanner, text: str) -> list[tuple[str, str]]:
    data = text.encode()
    return [(hit.entity, data[hit.start : hit.end].decode()) for hit in scanner.scan(data)]
