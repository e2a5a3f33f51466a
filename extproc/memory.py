"""One bound on all bodies that a process holds at once. Plain counting, no I/O: part of the core."""

from __future__ import annotations


class MemoryBudget:
    """`take` before holding bytes, `give` when they are let go. A refused `take` has a documented answer: an enforced
    route answers 503, a shadow route drops the content and the row says so."""

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.used_bytes = 0

    def take(self, count: int) -> bool:
        if self.used_bytes + count > self.bytes_max:
            return False
        self.used_bytes += count
        return True

    def give(self, count: int) -> None:
        assert 0 <= count <= self.used_bytes, "more memory was given back than was taken"
        self.used_bytes -= count
