"""What an answer in Converse's grammar amounts to, plain or streamed.

`inputTokens` leaves out what was read from or written to the cache (Amazon Bedrock user guide, "Prompt caching": total
input = inputTokens + cacheReadInputTokens + cacheWriteInputTokens), so OTel's input adds these. Each cache figure may
come twice, `cacheReadInputTokens` and `cacheReadInputTokenCount`: one figure, two names.

Events need no regular order: `metadata`, with the usage, was seen before `messageStop`, and not at all.
"""

from __future__ import annotations

from typing import Any

from extproc.answer import AnswerAccount
from extproc.dialects.converse.errors import read_error
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import Usage
from extproc.shape import as_count, as_list, as_name, as_object, as_text, text_size

_EXCEPTION = "Exception"
_OPTIMIZED = "optimized"
"""A latency, told beside the tier; it has a price of its own, so it is told as the tier."""


def event_of(event: StreamEvent) -> tuple[str, dict[str, Any]]:
    """(type, body) of an event: by the framing's own word, or, in Nova's InvokeModel streams, by the one member.

    Raises `ValueError` when its data cannot be read.
    """
    kind = event.type.decode("utf-8", "replace")
    if event.is_error and not event.data:
        return kind, {}
    body = as_object(tolerant_json.loads(event.data))
    if kind and kind != "chunk":
        return kind, body
    return next(((member, value) for member, value in body.items() if type(value) is dict), ("", body))


class ConverseAccount(AnswerAccount):
    """An `extproc.accounting.Account`."""

    def __init__(self, *, status: int) -> None:
        super().__init__(status=status)
        self._status = status
        self._usage_is_final = False

    def take_event(self, event: StreamEvent) -> None:
        kind, body = event_of(event)
        if event.is_error or kind.endswith(_EXCEPTION):
            self._error = read_error(body, kind=kind)
            return
        match kind:
            case "contentBlockDelta":
                self._take_delta(as_object(body.get("delta")))
            case "contentBlockStart":
                self._take_call(as_object(as_object(body.get("start")).get("toolUse")))
            case "messageStop":
                self._finish_reason = as_name(body.get("stopReason"))
                self.terminal = self._usage_is_final
            case "metadata":
                self._take_end(body)
                self.terminal = bool(self._finish_reason)

    def take_document(self, document: Any) -> None:
        body = as_object(document)
        message = as_object(as_object(body.get("output")).get("message"))
        for block in map(as_object, as_list(message.get("content"))):
            self._text_bytes += generated_size(block)
            self._take_call(as_object(block.get("toolUse")))
        self._finish_reason = as_name(body.get("stopReason"))
        self._take_end(body)
        if not self._succeeded or (not message and (body.keys() & {"message", "Message", "__type", "Output"})):
            self._error = read_error(body, status=self._status)

    def usage_is_final(self, *, complete: bool) -> bool:
        del complete  # only `metadata` has figures: without it there are none, however the stream ended
        return self._usage_is_final

    def _said(self) -> Usage:
        return normalised(self._usage)

    def _take_delta(self, delta: dict[str, Any]) -> None:
        self._text_bytes += utf8_size(as_text(delta.get("text")))
        self._text_bytes += utf8_size(as_text(as_object(delta.get("toolUse")).get("input")))
        self._text_bytes += utf8_size(as_text(as_object(delta.get("reasoningContent")).get("text")))

    def _take_call(self, call: dict[str, Any]) -> None:
        if call:
            self._name_call(as_name(call.get("name")))

    def _take_end(self, body: dict[str, Any]) -> None:
        """Usage, tier and router's choice: members of a document, or of the event `metadata`."""
        if usage := as_object(body.get("usage")):
            self._usage = usage
            self._usage_is_final = True
        tier = as_name(as_object(body.get("serviceTier")).get("type"))
        if as_object(body.get("performanceConfig")).get("latency") == _OPTIMIZED:
            tier = _OPTIMIZED
        self._service_tier = tier or self._service_tier
        router = as_object(as_object(body.get("trace")).get("promptRouter"))
        self._model = as_name(router.get("invokedModelId")) or self._model


def generated_size(block: dict[str, Any]) -> int:
    """UTF-8 bytes of what the model wrote in a content block: text, reasoning, a tool's arguments."""
    reasoning = as_object(as_object(block.get("reasoningContent")).get("reasoningText"))
    cited = as_list(as_object(block.get("citationsContent")).get("content"))
    return (
        utf8_size(as_text(block.get("text")))
        + utf8_size(as_text(reasoning.get("text")))
        + text_size(as_object(as_object(block.get("toolUse")).get("input")))
        + sum(utf8_size(as_text(as_object(piece).get("text"))) for piece in cited)
    )


def normalised(said: dict[str, Any]) -> Usage:
    """Bedrock's `TokenUsage` as OTel GenAI counts."""
    cache_read = _either(said, "cacheReadInputTokens", "cacheReadInputTokenCount")
    cache_write = _either(said, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    uncached = as_count(said.get("inputTokens"))
    for_an_hour = [
        count
        for detail in map(as_object, as_list(said.get("cacheDetails")))
        if detail.get("ttl") == "1h" and (count := as_count(detail.get("inputTokens"))) is not None
    ]
    return Usage(
        input_tokens=None if uncached is None else uncached + (cache_read or 0) + (cache_write or 0),
        output_tokens=as_count(said.get("outputTokens")),
        cache_read_input_tokens=cache_read,
        cache_creation_input_tokens=cache_write,
        cache_creation_1h_input_tokens=sum(for_an_hour) if for_an_hour else None,
    )


def _either(said: dict[str, Any], *keys: str) -> int | None:
    return next((count for key in keys if (count := as_count(said.get(key))) is not None), None)
