"""What a response of the Responses API amounts to, plain or streamed.

    response.created ─ response.output_item.added ─ response.output_text.delta … ─ response.output_item.done ─ …
        ─ response.completed | response.incomplete | response.failed       (or an `error` event at any time)

The last event repeats the whole response with all its output, so text is counted either by the deltas or by the output,
whichever is more, never by both: a cut stream has only deltas, some servers end with an empty output.

The finish reason is what a careful person reads: `incomplete_details.reason` where there is one (`max_output_tokens`,
`content_filter`), else the status once it is final (`completed`, `failed`, `cancelled`, `incomplete`). One response has
one answer, so one reason; a response that is still `queued` or `in_progress` has none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from extproc.codecs.openai.responses.items import call_name, call_names, generated_bytes, is_call, kind_of
from extproc.dialects.openai_chat.errors import read_error
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import ErrorFacts, ResponseFacts, Usage
from extproc.shape import as_count, as_list, as_name, as_object, as_text
from extproc.usage import verbatim

DONE = b"[DONE]"
ITEMS_MAX = 1_024
"""Output items told apart in one response; more count as one, and their calls are not named."""

FINAL_STATUSES = frozenset({"completed", "incomplete", "failed", "cancelled"})
_TERMINAL_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_OF_NO_MODEL = frozenset(
    {"response.audio.delta", "response.output_audio.delta", "response.shell_call_output_content.delta"}
)
"""Deltas that are no text that the model wrote: sound, and what a command printed."""


class ResponsesAccount:
    """An `extproc.accounting.Account`."""

    def __init__(self, *, status: int) -> None:
        self.terminal = False
        self.status = ""
        """The response's own word: `completed`, `queued`, …"""
        self.is_background = False
        self._succeeded = 200 <= status < 300
        self._model = ""
        self._id = ""
        self._service_tier = ""
        self._reason = ""
        self._usage: dict[str, Any] = {}
        self._web_searches: int | None = None
        self._error: ErrorFacts | None = None
        self._item_bytes: dict[Any, int] = {}
        self._calls: dict[Any, str] = {}
        self._earlier_bytes = 0
        self._earlier_calls: tuple[str, ...] = ()
        """Of responses before this one in the same body."""

    def take_event(self, event: StreamEvent) -> None:
        data = event.data.strip()
        if data == DONE:
            self.terminal = True
        elif data:
            body = as_object(tolerant_json.loads(data))
            kind = as_text(body.get("type")) or event.type.decode("ascii", "replace")
            if kind.endswith(".delta"):
                self._take_delta(kind, body)
            elif kind in ("response.output_item.added", "response.output_item.done"):
                self._take_item(body)
            elif kind == "error" or (body.get("error") and not kind.startswith("response.")):
                self.terminal = True
                self._error = read_error(body)
            elif type(body.get("response")) is dict:
                self._take_response(body["response"], is_last=kind in _TERMINAL_EVENTS)

    def take_document(self, document: Any) -> None:
        whole = as_object(document)
        self._take_response(whole, is_last=True)
        if not self._succeeded and self._error is None:
            self._error = read_error(document)

    def usage_is_final(self, *, complete: bool) -> bool:
        return complete or bool(self._usage)

    def facts(self) -> ResponseFacts:
        return ResponseFacts(
            model=self._model or None,
            response_id=self._id or None,
            finish_reasons=(self._reason,) if self._reason else (),
            said=replace(normalised(self._usage), web_searches=self._web_searches),
            provider_usage=verbatim(self._usage),
            service_tier=self._service_tier or None,
            tool_calls=(*self._earlier_calls, *self._calls.values()),
            text_bytes=self._earlier_bytes + sum(self._item_bytes.values()),
            error=self._error,
        )

    def _take_delta(self, kind: str, body: dict[str, Any]) -> None:
        delta = body.get("delta")
        text = delta if type(delta) is str else as_text(as_object(delta).get("text"))
        if text and kind not in _OF_NO_MODEL:
            key = self._key(body)
            self._item_bytes[key] = self._item_bytes.get(key, 0) + utf8_size(text)

    def _take_item(self, body: dict[str, Any]) -> None:
        item = as_object(body.get("item"))
        key = self._key(body)
        if is_call(kind_of(item)) and (name := call_name(item)) and key is not None:
            self._calls[key] = name
        if (size := generated_bytes(item)) > self._item_bytes.get(key, 0):  # what came without deltas
            self._item_bytes[key] = size

    def _key(self, body: dict[str, Any]) -> Any:
        """Which output item an event is of; None for all beyond `ITEMS_MAX`."""
        index = body.get("output_index")
        key = (
            index
            if type(index) is int
            else as_name(body.get("item_id")) or as_name(as_object(body.get("item")).get("id"))
        )
        known = key in self._item_bytes or key in self._calls
        return key if known or len(self._item_bytes) + len(self._calls) < ITEMS_MAX else None

    def _take_response(self, response: dict[str, Any], *, is_last: bool) -> None:
        response_id = as_name(response.get("id"))
        if response_id and self._id and response_id != self._id:
            self._begin_anew()
        self._id = response_id or self._id
        self._model = as_name(response.get("model")) or self._model
        self._service_tier = as_name(response.get("service_tier")) or self._service_tier
        self.is_background = self.is_background or response.get("background") is True
        self.status = as_name(response.get("status")) or self.status
        if response.get("error") and not self._error:
            self._error = read_error(response)
        if usage := as_object(response.get("usage")):
            self._usage = usage
            ran = as_object(as_object(response.get("tool_usage")).get("web_search"))
            self._web_searches = as_count(ran.get("num_requests"))
        if is_last:
            self.terminal = True
            self._reason = self._finish_reason(response)
            self._take_output(as_list(response.get("output")))

    def _finish_reason(self, response: dict[str, Any]) -> str:
        reason = as_name(as_object(response.get("incomplete_details")).get("reason"))
        return reason or (self.status if self.status in FINAL_STATUSES else "")

    def _take_output(self, output: list[Any]) -> None:
        if not output:
            return
        size = sum(map(generated_bytes, output))
        if size > sum(self._item_bytes.values()):
            self._item_bytes = {None: size}
        if names := [name for name, _ in zip(call_names(output), range(ITEMS_MAX), strict=False)]:
            self._calls = dict(enumerate(names))

    def _begin_anew(self) -> None:
        """Another response in the same body: some record the turns of one run so."""
        self._earlier_bytes += sum(self._item_bytes.values())
        self._earlier_calls = (*self._earlier_calls, *self._calls.values())[:ITEMS_MAX]
        self._item_bytes.clear()
        self._calls.clear()


def normalised(said: dict[str, Any]) -> Usage:
    """The provider's `usage` as OTel GenAI counts. Its figures include cached and reasoning tokens already, but where
    `total_tokens` says that some were left out: those are output."""
    input_details = as_object(said.get("input_tokens_details"))
    output_details = as_object(said.get("output_tokens_details"))
    input_tokens = as_count(said.get("input_tokens"))
    output_tokens = as_count(said.get("output_tokens"))
    total = as_count(said.get("total_tokens"))
    if input_tokens is not None and output_tokens is not None and total is not None:
        output_tokens = max(output_tokens, total - input_tokens)
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_input_tokens=as_count(input_details.get("cached_tokens")),
        cache_creation_input_tokens=as_count(input_details.get("cache_write_tokens")),
        reasoning_output_tokens=as_count(output_details.get("reasoning_tokens")),
        input_audio_tokens=as_count(input_details.get("audio_tokens")),
        output_audio_tokens=as_count(output_details.get("audio_tokens")),
    )
