"""What an answer without words amounts to: vectors, a ranking. Only its id, its model and `meta` are looked at."""

from __future__ import annotations

from typing import Any

from extproc.answer import AnswerAccount
from extproc.codecs.cohere.errors import is_error, read_error
from extproc.codecs.cohere.usage import normalised
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.model import Usage
from extproc.shape import as_name, as_object


class ResultAccount(AnswerAccount):
    """An `extproc.accounting.Account`."""

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
        self._usage = as_object(answer.get("meta")) or as_object(answer.get("usage"))

    def _said(self) -> Usage:
        return normalised(self._usage)
