"""Decisions by the exact bytes of their input, for one policy. Bounded in entries and bytes; when full, oldest out.

The key is the input itself, not a hash of it: two inputs that differ in one byte cannot meet.
"""

from __future__ import annotations

from typing import Final

from extproc.model import Decision

ENTRY_BYTES: Final = 1024
"""What an entry is taken to need beside its input and its texts: objects of Python."""


class Memo:
    """Holds at most `entries_max` decisions, and `bytes_max` bytes of inputs and decisions (estimated).

    A decision that alone would be more than a sixteenth of `bytes_max` is not kept: one caller's odd inputs shall not
    push out everybody else's.
    """

    __slots__ = ("_bytes_max", "_entries", "_entries_max", "used_bytes")

    def __init__(self, *, bytes_max: int, entries_max: int) -> None:
        self._bytes_max = bytes_max
        self._entries_max = entries_max
        self._entries: dict[bytes, tuple[Decision, int]] = {}
        self.used_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, document: bytes) -> Decision | None:
        found = self._entries.get(document)
        return None if found is None else found[0]

    def put(self, document: bytes, decision: Decision) -> None:
        """Keep a decision; of two for one input the first stays, they are equal."""
        cost = _cost(document, decision)
        if document in self._entries or cost * 16 > self._bytes_max:
            return
        self._entries[document] = (decision, cost)
        self.used_bytes += cost
        while self.used_bytes > self._bytes_max or len(self._entries) > self._entries_max:
            oldest = next(iter(self._entries))
            self.used_bytes -= self._entries.pop(oldest)[1]

    def clear(self) -> None:
        self._entries.clear()
        self.used_bytes = 0


def _cost(document: bytes, decision: Decision) -> int:
    """Bytes: a character is taken for four, so that no alphabet is cheaper than it is."""
    texts = sum(len(reason.rule) + len(reason.message) for reason in decision.reasons)
    names = sum(len(name) for name in decision.mask_entities)
    return len(document) + ENTRY_BYTES + 4 * (texts + names)
