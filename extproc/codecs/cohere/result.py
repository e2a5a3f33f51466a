"""What an answer without words amounts to: vectors, a ranking. Only its id, its model and `meta` are looked at."""

from __future__ import annotations

from typing import Any

from extproc.codecs.cohere.errors import is_error, read_error
from extproc.codecs.cohere.usage import normalised
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.model import ErrorFacts, ResponseFacts
from extproc.shape import as_name, as_object
from extproc.usage import verbatim


class ResultAccount:
    """An `extproc.accounting.Account`."""

    def __init__(self, *, status: int) -> None:
        self.terminal = False
        self._succeeded = 200 <= status < 300
        self._model = ""
        self._id = ""
        self._meta: dict[str, Any] = {}
        self._error: ErrorFacts | None = None

    def take_event(self, event: StreamEvent) -> None:
        """There is no stream here: whatever comes as one is read as the answer it holds."""
        if event.data.strip():
            self.take_document(tolerant_json.loads(event.data))

    def take_document(self, document: Any) -> None:
        answer = as_object(document)
        if is_error(answer) or not self._succeeded:
            self._error = read_error(answer)
            return
        self._model = as_name(answer.get("model"))  # vLLM's; Cohere names none
        self._id = as_name(answer.get("id"))
        self._meta = as_object(answer.get("meta")) or as_object(answer.get("usage"))

    def usage_is_final(self, *, complete: bool) -> bool:
        return complete or self.terminal

    def facts(self) -> ResponseFacts:
        return ResponseFacts(
            model=self._model or None,
            response_id=self._id or None,
            said=normalised(self._meta),
            provider_usage=verbatim(self._meta),
            error=self._error,
        )
