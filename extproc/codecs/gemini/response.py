"""What a `GenerateContentResponse` amounts to, plain or streamed.

A stream is SSE (with `alt=sse`, CRLF, no `[DONE]`) or one JSON array that grows; each event is a whole response that
holds what is new. Usage is repeated in each and grows, or not: early events leave out `candidatesTokenCount`, name a
larger prompt, or have nothing but `trafficType`. So the last object that counts anything is the provider's word, taken
whole: a figure that it leaves out is none of its own (protobuf leaves out zeros).

There is no terminal event. The response is at its end when each candidate that said something has a finish reason, and
no longer when one goes on: the first models gave a finish reason in every event.

A blocked prompt has no candidates: it is an error, `BLOCKED_` and the block reason, as OTel's Google instrumentation
names it. A filtered answer has a finish reason (`SAFETY`, `RECITATION`, …) and is none.
"""

from __future__ import annotations

from typing import Any

from extproc.answer import AnswerAccount
from extproc.codecs.gemini.enumerations import block_reason, finish_reason
from extproc.codecs.gemini.errors import MESSAGE_CHARS_MAX, read_error
from extproc.codecs.gemini.usage import counts_something, normalised, service_tier
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import ErrorFacts, Usage
from extproc.shape import as_list, as_name, as_object, as_text, text_size

CANDIDATES_MAX = 1_024
"""Candidates told apart; the api allows 8."""


class GenerateAccount(AnswerAccount):
    """An `extproc.accounting.Account`."""

    def __init__(self, *, status: int, is_vertex: bool) -> None:
        super().__init__(status=status)
        self._is_vertex = is_vertex
        self._reasons: dict[int, str] = {}
        self._unfinished: set[int] = set()
        self._usage_is_final = False

    def take_event(self, event: StreamEvent) -> None:
        if data := event.data.strip():
            self._take(tolerant_json.loads(data))

    def take_document(self, document: Any) -> None:
        self._take(document)
        self.terminal = True
        self._usage_is_final = True
        if not self._succeeded and self._error is None:
            self._error = read_error(document)

    def usage_is_final(self, *, complete: bool) -> bool:
        return self._usage_is_final or (complete and self.terminal)

    def _said(self) -> Usage:
        return normalised(self._usage)

    def _finish_reasons(self) -> tuple[str, ...]:
        return tuple(dict(sorted(self._reasons.items())).values())

    def _take(self, document: Any) -> None:
        for item in document if type(document) is list else (document,):
            self._take_response(unwrapped(as_object(item)))

    def _take_response(self, response: dict[str, Any]) -> None:
        self._model = as_name(response.get("modelVersion")) or self._model
        self._id = self._id or as_name(response.get("responseId"))
        for position, candidate in enumerate(as_list(response.get("candidates"))):
            if type(candidate) is dict:
                self._take_candidate(candidate, position)
        self.terminal = bool(self._reasons) and not self._unfinished
        if (blocked := blocked_prompt(response)) is not None:
            self._error = blocked
            self.terminal = True
        if metadata := as_object(response.get("usageMetadata")):
            self._take_usage(metadata)
        if response.get("error"):
            self._error = read_error(response)

    def _take_candidate(self, candidate: dict[str, Any], position: int) -> None:
        index = candidate.get("index")
        number = index if type(index) is int else position
        size_before, calls_before = self._text_bytes, len(self._calls)
        for part in as_list(as_object(candidate.get("content")).get("parts")):
            if type(part) is dict:
                self._take_part(part)
        said_something = self._text_bytes > size_before or len(self._calls) > calls_before
        if reason := finish_reason(candidate.get("finishReason"), is_vertex=self._is_vertex):
            if number in self._reasons or len(self._reasons) < CANDIDATES_MAX:
                self._reasons[number] = reason
            self._unfinished.discard(number)
        elif said_something and len(self._unfinished) < CANDIDATES_MAX:
            self._unfinished.add(number)

    def _take_part(self, part: dict[str, Any]) -> None:
        if type(text := part.get("text")) is str:
            self._text_bytes += utf8_size(text)
        if call := as_object(part.get("functionCall")):
            if name := as_name(call.get("name")):
                self._name_call(name)  # without a name, a streamed call goes on, or ends
            self._text_bytes += text_size(call.get("args"))
            for piece in as_list(call.get("partialArgs")):
                self._text_bytes += utf8_size(as_text(as_object(piece).get("stringValue")))
        if code := as_object(part.get("executableCode")):
            self._text_bytes += utf8_size(as_text(code.get("code")))
        if called := as_object(part.get("toolCall")):
            self._text_bytes += text_size(called.get("args"))

    def _take_usage(self, metadata: dict[str, Any]) -> None:
        self._service_tier = service_tier(metadata) or self._service_tier
        if counts_something(metadata) or not counts_something(self._usage):
            self._usage = metadata
            self._usage_is_final = self.terminal


def unwrapped(response: dict[str, Any]) -> dict[str, Any]:
    """The response itself, where Code Assist holds it in `response`."""
    inner = response.get("response")
    return inner if type(inner) is dict and "candidates" not in response and "error" not in response else response


def blocked_prompt(response: dict[str, Any]) -> ErrorFacts | None:
    """Why the prompt was not answered at all; None where it was."""
    feedback = as_object(response.get("promptFeedback"))
    reason = block_reason(feedback.get("blockReason"))
    message = as_text(feedback.get("blockReasonMessage"))
    if not reason and not message:
        return None
    named = reason if reason and reason != "BLOCK_REASON_UNSPECIFIED" else ""
    return ErrorFacts(
        f"BLOCKED_{named}" if named else "BLOCKED",
        message[:MESSAGE_CHARS_MAX] or f"the prompt was blocked{named and ': ' + named}",
    )
