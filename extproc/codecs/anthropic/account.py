"""Answers in which no model speaks: a count, a list of models."""

from __future__ import annotations

from typing import Any

from extproc.dialects.anthropic_messages.errors import read_error
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.model import ErrorFacts, ResponseFacts
from extproc.shape import as_object


class PlainAnswerAccount:
    """An `extproc.accounting.Account`: only an error is worth a word."""

    def __init__(self, *, status: int) -> None:
        self.terminal = False
        self._succeeded = 200 <= status < 300
        self._error: ErrorFacts | None = None

    def take_event(self, event: StreamEvent) -> None:
        self.take_document(tolerant_json.loads(event.data))

    def take_document(self, document: Any) -> None:
        body = as_object(document)
        if body.get("type") == "error" or body.get("error") or not self._succeeded:
            self._error = read_error(body)

    def usage_is_final(self, *, complete: bool) -> bool:
        return complete

    def facts(self) -> ResponseFacts:
        return ResponseFacts(error=self._error)
