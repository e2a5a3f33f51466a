"""What the simulated providers received: the witness of tests."""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from dataclasses import dataclass
from typing import Final

from extproc.upstream.answers import Json
from extproc.upstream.http import Request

REQUESTS_KEPT_MAX: Final = 2_000
BODIES_KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Older bodies are dropped first; their hashes stay."""


@dataclass(slots=True)
class Received:
    """One request as it arrived."""

    key: str
    record: Json
    body: bytes | None


class Journal:
    """The last requests, within a bound."""

    def __init__(self) -> None:
        self._entries: deque[Received] = deque(maxlen=REQUESTS_KEPT_MAX)
        self._bytes = 0

    def add(self, request: Request) -> None:
        record: Json = {
            "method": request.method,
            "path": request.target,
            "headers": dict(request.headers),
            "body_bytes": len(request.body),
            "body_sha256": hashlib.sha256(request.body).hexdigest(),
        }
        if len(self._entries) == REQUESTS_KEPT_MAX:
            self._bytes -= len(self._entries[0].body or b"")
        self._entries.append(Received(request.headers.get("x-sim-key", ""), record, request.body))
        self._bytes += len(request.body)
        for entry in self._entries:
            if self._bytes <= BODIES_KEPT_BYTES_MAX:
                break
            self._bytes -= len(entry.body or b"")
            entry.body = None

    def clear(self) -> None:
        self._entries.clear()
        self._bytes = 0

    def listed(self, key: str | None) -> list[Json]:
        return [
            entry.record
            | {"key": entry.key}
            | {"body_base64": None if entry.body is None else base64.b64encode(entry.body).decode()}
            for entry in self._entries
            if key is None or entry.key == key
        ]
