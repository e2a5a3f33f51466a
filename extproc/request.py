"""The request side of an exchange: holds the body until it is whole, within the limits. Pure."""

from __future__ import annotations

from extproc.memory import MemoryBudget


class RequestTrack:
    """Collects the body. Over a limit the content is let go and only counted: `too_large` says so."""

    def __init__(self, body_bytes_max: int, memory: MemoryBudget) -> None:
        self.total_bytes = 0
        self.too_large = False
        self._body_bytes_max = body_bytes_max
        self._memory = memory
        self._chunks: list[bytes] = []
        self._held_bytes = 0

    def feed(self, data: bytes) -> None:
        self.total_bytes += len(data)
        if self.too_large:
            return
        if self._held_bytes + len(data) > self._body_bytes_max or not self._memory.take(len(data)):
            self.too_large = True
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
