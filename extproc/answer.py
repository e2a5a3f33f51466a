"""What nearly every answer amounts to, whatever the api: names, a reason, calls, figures, an error."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from extproc.framing.stream_event import StreamEvent
from extproc.model import ErrorFacts, ResponseFacts, Usage
from extproc.usage import verbatim

CALLS_MAX = 1_024
"""Tool calls named in one response; further ones are not."""


class AnswerAccount(ABC):
    """An `extproc.accounting.Account`, but for how an api's events and documents are read, and its figures.

    Holds counters, ids and the last usage, never the text.
    """

    def __init__(self, *, status: int) -> None:
        self.terminal = False
        self._succeeded = 200 <= status < 300
        self._model = ""
        self._id = ""
        self._finish_reason = ""
        self._calls: list[str] = []
        self._text_bytes = 0
        self._usage: dict[str, Any] = {}
        """The last usage object, in the provider's words."""
        self._service_tier = ""
        self._error: ErrorFacts | None = None
        self._warnings: dict[str, None] = {}

    @abstractmethod
    def take_event(self, event: StreamEvent) -> None: ...

    @abstractmethod
    def take_document(self, document: Any) -> None: ...

    @abstractmethod
    def _said(self) -> Usage:
        """The provider's figures as OTel GenAI counts."""

    def usage_is_final(self, *, complete: bool) -> bool:
        return complete or self.terminal

    def facts(self) -> ResponseFacts:
        return ResponseFacts(
            model=self._model or None,
            response_id=self._id or None,
            finish_reasons=self._finish_reasons(),
            said=self._said(),
            provider_usage=verbatim(self._usage),
            service_tier=self._service_tier or None,
            tool_calls=tuple(self._calls),
            text_bytes=self._text_bytes,
            error=self._error,
            warnings=tuple(self._warnings),
        )

    def _finish_reasons(self) -> tuple[str, ...]:
        return (self._finish_reason,) if self._finish_reason else ()

    def _warn(self, code: str) -> None:
        self._warnings[code] = None

    def _name_call(self, name: str) -> None:
        if len(self._calls) < CALLS_MAX:
            self._calls.append(name)
