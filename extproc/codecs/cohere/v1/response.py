"""What a v1 chat answer amounts to, plain or streamed.

The last event of a stream holds the whole answer again, and calls of tools come piece by piece and then whole: what is
said twice counts once. The answer does not name its model.
"""

from __future__ import annotations

from typing import Any

from extproc.codecs.cohere.errors import ERROR, is_error, read_error, stream_error
from extproc.codecs.cohere.usage import normalised
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import ErrorFacts, ResponseFacts
from extproc.shape import as_list, as_name, as_object, as_text, json_text
from extproc.usage import verbatim

CALLS_MAX = 1_024
"""Tool calls named in one response; further ones are not."""
END_EVENT = "stream-end"


class ChatAccount:
    """An `extproc.accounting.Account`."""

    def __init__(self, *, status: int) -> None:
        self.terminal = False
        self._succeeded = 200 <= status < 300
        self._response_id = ""
        self._generation_id = ""
        self._finish_reason = ""
        self._streamed_bytes = 0
        self._streamed_call_bytes = 0
        self._whole_bytes = 0
        self._whole_call_bytes = 0
        self._begun_calls: list[str] = []
        self._calls: list[str] = []
        self._meta: dict[str, Any] = {}
        self._error: ErrorFacts | None = None

    def take_event(self, event: StreamEvent) -> None:
        data = event.data.strip()
        if not data or data == b"[DONE]":
            return
        chunk = as_object(tolerant_json.loads(data))
        kind = chunk.get("event_type")
        self._generation_id = self._generation_id or as_name(chunk.get("generation_id"))
        if kind == END_EVENT:
            self.terminal = True
            self._take_answer(as_object(chunk.get("response")))
            self._finish_reason = as_name(chunk.get("finish_reason")) or self._finish_reason
            self._take_failure(chunk)
        elif kind is None:  # a plain answer or error, read as a stream of one line
            self.take_document(chunk)
        else:
            self._streamed_bytes += utf8_size(as_text(chunk.get("text"))) if kind != "tool-calls-generation" else 0
            self._take_calls(chunk)
            if kind == "search-queries-generation":
                self._streamed_bytes += _queries_bytes(chunk)

    def take_document(self, document: Any) -> None:
        self.terminal = True
        answer = as_object(document)
        if is_error(answer) or not self._succeeded:
            self._error = read_error(answer)
        else:
            self._take_answer(answer)
            self._take_failure(answer)

    def usage_is_final(self, *, complete: bool) -> bool:
        return complete or self.terminal

    def facts(self) -> ResponseFacts:
        return ResponseFacts(
            response_id=self._response_id or self._generation_id or None,
            finish_reasons=(self._finish_reason,) if self._finish_reason else (),
            said=normalised(self._meta),
            provider_usage=verbatim(self._meta),
            tool_calls=tuple(self._calls or self._begun_calls),
            text_bytes=max(self._streamed_bytes, self._whole_bytes)
            + max(self._streamed_call_bytes, self._whole_call_bytes),
            error=self._error,
        )

    def _take_answer(self, answer: dict[str, Any]) -> None:
        """The whole answer."""
        self._response_id = as_name(answer.get("response_id"))
        self._generation_id = as_name(answer.get("generation_id")) or self._generation_id
        self._finish_reason = as_name(answer.get("finish_reason"))
        self._meta = as_object(answer.get("meta")) or {
            key: value for key, value in answer.items() if key == "token_count"
        }
        self._whole_bytes = utf8_size(as_text(answer.get("text"))) + _queries_bytes(answer)
        self._take_calls(answer)

    def _take_failure(self, told: dict[str, Any]) -> None:
        if told.get("error") or self._finish_reason == ERROR:
            self._error = stream_error(told.get("error"), self._finish_reason)

    def _take_calls(self, told: dict[str, Any]) -> None:
        """Calls that are whole, and the pieces of those that are not yet."""
        if calls := [as_object(call) for call in as_list(told.get("tool_calls"))]:
            self._calls = [name for call in calls[:CALLS_MAX] if (name := as_name(call.get("name")))]
            self._whole_call_bytes = sum(utf8_size(called_parameters(call)) for call in calls)
        piece = as_object(told.get("tool_call_delta"))
        self._streamed_call_bytes += utf8_size(as_text(piece.get("parameters")))
        if (name := as_name(piece.get("name"))) and len(self._begun_calls) < CALLS_MAX:
            self._begun_calls.append(name)


def called_parameters(call: dict[str, Any]) -> str:
    """A call's parameters as JSON text."""
    return json_text(call.get("parameters", {}))


def _queries_bytes(told: dict[str, Any]) -> int:
    return sum(utf8_size(as_text(as_object(query).get("text"))) for query in as_list(told.get("search_queries")))
