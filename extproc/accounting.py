"""The part of a response decoder that is the same for every api whose answer is one JSON document or an event stream.

An api's codec brings an `Account`, which reads one event or one document; `AccountingDecoder` cuts the bytes, survives
what cannot be read, and turns it into stable warnings.
"""

from __future__ import annotations

from typing import Any, Protocol

from extproc.framing.json_or_sse import JsonOrSse
from extproc.framing.sse import SseEvent
from extproc.model import ResponseFacts


class Account(Protocol):
    """What one response amounts to so far. Holds counters, ids and the last usage, never the text."""

    terminal: bool

    def take_event(self, event: SseEvent) -> None:
        """The next event of a stream. Raises `ValueError` when its data cannot be read."""

    def take_document(self, document: Any) -> None:
        """A whole JSON body."""

    def facts(self, *, complete: bool, warnings: tuple[str, ...]) -> ResponseFacts:
        """End of the response."""


class AccountingDecoder:
    """An `extproc.codec.ResponseDecoder` over an account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._body = JsonOrSse()
        self._warnings: dict[str, None] = {}

    @property
    def terminal(self) -> bool:
        return self._account.terminal

    @property
    def held_bytes(self) -> int:
        return self._body.held_bytes

    def feed(self, data: bytes) -> None:
        for event in self._body.feed(data):
            self._take(event)

    def finish(self, *, complete: bool) -> ResponseFacts:
        for event in self._body.flush():
            self._take(event)
        if self._body.is_json:
            self._take_document()
        if self._body.unknown_lines:
            self._warn("unknown_sse_field")
        return self._account.facts(complete=complete, warnings=tuple(self._warnings))

    def _take_document(self) -> None:
        try:
            document = self._body.document()
        except ValueError:
            self._warn("response_too_large" if self._body.is_oversized else "undecodable_body")
            return
        self._account.terminal = True
        self._account.take_document(document)

    def _take(self, event: SseEvent) -> None:
        if event.oversized:
            self._warn("oversized_event")
            return
        try:
            self._account.take_event(event)
        except ValueError:
            self._warn("undecodable_event")

    def _warn(self, code: str) -> None:
        self._warnings[code] = None
