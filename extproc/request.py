"""The request side of an exchange: holds the body until it is whole, within the limits. Pure."""

from __future__ import annotations

from typing import Final

from extproc.memory import MemoryBudget
from extproc.model import Problem

TOO_LARGE: Final = Problem("body_too_large", "the request body is larger than this gateway inspects", 413)
NO_ROOM: Final = Problem("inflight_full", "the gateway holds as many request bodies as it may: try again", 503)


class RequestTrack:
    """Collects the body. Over a limit the content is let go and only counted: `problem` says which."""

    def __init__(self, body_bytes_max: int, memory: MemoryBudget) -> None:
        self.total_bytes = 0
        self.problem: Problem | None = None
        self._body_bytes_max = body_bytes_max
        self._memory = memory
        self._chunks: list[bytes] = []
        self._held_bytes = 0

    def feed(self, data: bytes) -> None:
        self.total_bytes += len(data)
        if self.problem is not None:
            return
        if self._held_bytes + len(data) > self._body_bytes_max:
            self.problem = TOO_LARGE
        elif not self._memory.take(len(data)):
            self.problem = NO_ROOM
        if self.problem is not None:
            self.release()
            return
        self._held_bytes += len(data)
        if data:
            self._chunks.append(data)

    def whole(self) -> bytes:
        """The body. Its memory stays accounted for until `release`."""
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def release(self) -> None:
        self._memory.give(self._held_bytes)
        self._held_bytes = 0
        self._chunks = []
