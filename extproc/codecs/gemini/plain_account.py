"""A response of one JSON body with no model's words in it: what is worth knowing is whether it is an error."""

from __future__ import annotations

from typing import Any

from extproc.codecs.gemini.errors import read_error
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.model import ErrorFacts, ResponseFacts, Usage
from extproc.usage import verbatim


class PlainAccount:
    """An `extproc.accounting.Account`."""

    def __init__(self, *, status: int) -> None:
        self.terminal = False
        self._succeeded = 200 <= status < 300
        self._error: ErrorFacts | None = None
        self.said = Usage()
        self.words: dict[str, Any] = {}
        """The provider's usage object."""

    def take_event(self, event: StreamEvent) -> None:
        self.take_document(tolerant_json.loads(event.data))

    def take_document(self, document: Any) -> None:
        holder = document[0] if type(document) is list and document else document
        if not self._succeeded or (type(holder) is dict and holder.get("error")):
            self._error = read_error(document)
        elif type(holder) is dict:
            self.read(holder)

    def read(self, answer: dict[str, Any]) -> None:
        """What a successful answer says of usage: nothing."""

    def usage_is_final(self, *, complete: bool) -> bool:
        del complete
        return True

    def facts(self) -> ResponseFacts:
        return ResponseFacts(said=self.said, provider_usage=verbatim(self.words), error=self._error)
