"""Which answer of the Responses API is the one that tells what a response cost.

A response is kept by the provider and can be asked for again, so its usage passes more than once:

| call | its answer | counts |
|---|---|---|
| POST | a whole response, or a stream of one | yes |
| POST with `background` | `queued` or `in_progress`, no usage yet | nothing yet, so no estimate |
| GET of a background response | its end | yes: no other answer tells them |
| GET of a background response | still running | nothing |
| GET of any other | what the POST said already | nothing |

Whatever counts, `said` and `provider_usage` show what this answer says. A client that asks for a finished background
response twice counts it twice: `response_id` tells.
"""

from __future__ import annotations

from dataclasses import replace

from extproc.accounting import AccountingDecoder
from extproc.codecs.openai.responses.response import ResponsesAccount
from extproc.model import RequestFacts, ResponseFacts, Usage

_RUNNING = frozenset({"queued", "in_progress"})


class ResponsesDecoder(AccountingDecoder):
    """An `extproc.codec.ResponseDecoder`. `is_asked_again`: the call only asks for a response that was made before."""

    def __init__(self, *, status: int, request: RequestFacts, is_asked_again: bool) -> None:
        self._responses = ResponsesAccount(status=status)
        self._is_asked_again = is_asked_again
        super().__init__(self._responses, status=status, request=request)

    def finish(self, *, complete: bool) -> ResponseFacts:
        facts = super().finish(complete=complete)
        return facts if self._counts() else replace(facts, usage=Usage())

    def _counts(self) -> bool:
        seen = self._responses
        if seen.is_background and seen.terminal and seen.status in _RUNNING:
            return False
        return seen.is_background if self._is_asked_again else True
