"""What an interaction amounts to, plain or streamed (Gemini API reference, "Interactions", `Usage` and its events).

    total_tokens = total_input_tokens + total_tool_use_tokens + total_output_tokens + total_thought_tokens

The finish reason is the interaction's status (`completed`, `requires_action`, `incomplete`, `failed`, …), which is all
that the api says of it. Usage comes once, with the event that ends the stream.
"""

from __future__ import annotations

from typing import Any

from extproc.answer import AnswerAccount
from extproc.codecs.gemini.errors import read_error
from extproc.codecs.gemini.interactions.items import FUNCTION_CALL, is_call
from extproc.codecs.gemini.usage import of_modality
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import Usage
from extproc.shape import as_count, as_list, as_name, as_object, as_text, text_size

DONE = b"[DONE]"

_GOES_ON = frozenset({"", "in_progress", "queued"})
_LAST_EVENTS = frozenset({"interaction.completed", "interaction.complete"})


class InteractionAccount(AnswerAccount):
    """An `extproc.accounting.Account`."""

    def __init__(self, *, status: int) -> None:
        super().__init__(status=status)
        self._status = ""
        self._called_at: int | None = None
        """Index of the last call that was named."""

    def take_event(self, event: StreamEvent) -> None:
        data = event.data.strip()
        if data == DONE:
            self.terminal = True
            return
        document = as_object(tolerant_json.loads(data)) if data else {}
        kind = as_name(document.get("event_type")) or event.type.decode("latin-1")
        if interaction := as_object(document.get("interaction")):
            self._take_interaction(interaction)
        elif kind == "interaction.status_update":
            self._take_status(document)
        elif (step := as_object(document.get("step")) or as_object(document.get("content"))) and kind != "error":
            self._take_item(step, document.get("index"))
        elif delta := as_object(document.get("delta")):
            self._take_item(delta, document.get("index"))
        if kind == "error" or document.get("error"):
            self._error = read_error(document)
        if kind in _LAST_EVENTS:
            self.terminal = True

    def take_document(self, document: Any) -> None:
        body = as_object(document)
        if not self._succeeded or body.get("error"):
            self._error = read_error(document)
        self._take_interaction(body)

    def usage_is_final(self, *, complete: bool) -> bool:
        del complete
        return self.terminal

    def _said(self) -> Usage:
        return normalised(self._usage)

    def _finish_reasons(self) -> tuple[str, ...]:
        return () if self._status in _GOES_ON else (self._status,)

    def _take_interaction(self, interaction: dict[str, Any]) -> None:
        self._model = as_name(interaction.get("model")) or as_name(interaction.get("agent")) or self._model
        self._id = as_name(interaction.get("id")) or self._id
        self._service_tier = as_name(interaction.get("service_tier")) or self._service_tier
        for index, item in enumerate(as_list(interaction.get("steps")) or as_list(interaction.get("outputs"))):
            if type(item) is dict and item.get("type") != "user_input":
                self._take_item(item, index)
        self._take_status(interaction)

    def _take_status(self, holder: dict[str, Any]) -> None:
        self._status = as_name(holder.get("status")) or self._status
        self._usage = as_object(holder.get("usage")) or self._usage
        for error in as_list(holder.get("errors")):
            self._error = read_error({"error": error})

    def _take_item(self, item: dict[str, Any], index: Any) -> None:
        """A step, a content, or what is new of one."""
        kind = as_name(item.get("type"))
        if type(text := item.get("text")) is str:
            self._text_bytes += utf8_size(text)
        if is_call(kind) or kind == "arguments_delta":
            self._text_bytes += text_size(item.get("arguments"))
        if kind == FUNCTION_CALL and (name := as_name(item.get("name"))):
            number = index if type(index) is int else -1
            if self._called_at != number:
                self._name_call(name)
            self._called_at = number
        for inner in (item.get("content"), item.get("summary")):
            for held in inner if type(inner) is list else (inner,):
                self._text_bytes += utf8_size(as_text(as_object(held).get("text")))
        if failed := as_object(item.get("error")):
            self._error = read_error({"error": failed})


def normalised(usage: dict[str, Any]) -> Usage:
    """The `usage` of an interaction as OTel GenAI counts."""
    input_tokens = as_count(usage.get("total_input_tokens"))
    output_tokens = as_count(usage.get("total_output_tokens"))
    thoughts = as_count(usage.get("total_thought_tokens"))
    input_details = as_list(usage.get("input_tokens_by_modality")) + as_list(usage.get("tool_use_tokens_by_modality"))
    output_details = as_list(usage.get("output_tokens_by_modality"))
    nothing_said = output_tokens is None and thoughts is None
    return Usage(
        input_tokens=None
        if input_tokens is None
        else input_tokens + (as_count(usage.get("total_tool_use_tokens")) or 0),
        output_tokens=None if nothing_said else (output_tokens or 0) + (thoughts or 0),
        cache_read_input_tokens=as_count(usage.get("total_cached_tokens")),
        reasoning_output_tokens=thoughts,
        input_audio_tokens=of_modality(input_details, "AUDIO", "tokens"),
        output_audio_tokens=of_modality(output_details, "AUDIO", "tokens"),
        output_image_tokens=of_modality(output_details, "IMAGE", "tokens"),
        web_searches=_searches(usage),
    )


def _searches(usage: dict[str, Any]) -> int | None:
    for counted in map(as_object, as_list(usage.get("grounding_tool_count"))):
        if counted.get("type") == "google_search":
            return as_count(counted.get("count"))
    return None
