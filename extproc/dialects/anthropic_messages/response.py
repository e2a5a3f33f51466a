"""What an answer of the Messages API amounts to, plain or streamed.

Usage in `message_delta` is cumulative and may correct that of `message_start` (702 → 1,591 input tokens were seen), so
the last figure counts and nothing is summed. Some servers that speak this api say 0 there for all that went in, which
corrects nothing. `iterations` may bill another model, or a summary, beyond the figures: where they come to more than
these, a warning says so. (A fallback's figures are those of its last attempt; a sum of attempts is more.)
"""

from __future__ import annotations

from typing import Any

from extproc.answer import AnswerAccount
from extproc.dialects.anthropic_messages.errors import read_error
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import Usage
from extproc.shape import as_count, as_list, as_name, as_object, as_text, text_size

_INPUT_KEYS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_FAST = "fast"
"""A speed, told beside the tier; it has a price of its own, so it is told as the tier."""
_COUNT_KEYS = (*_INPUT_KEYS, "output_tokens")
_DELTA_TEXT_KEYS = ("text", "partial_json", "thinking", "content")


class MessageAccount(AnswerAccount):
    """An `extproc.accounting.Account`."""

    def __init__(self, *, status: int) -> None:
        super().__init__(status=status)
        self._counts: dict[str, int] = {}
        self._usage_is_final = False

    def take_event(self, event: StreamEvent) -> None:
        body = as_object(tolerant_json.loads(event.data))
        match body.get("type"):
            case "content_block_delta":
                delta = as_object(body.get("delta"))
                for key in _DELTA_TEXT_KEYS:
                    if type(text := delta.get(key)) is str:
                        self._text_bytes += utf8_size(text)
            case "message_start":
                self._take_message(as_object(body.get("message")))
            case "content_block_start":
                self._take_block(as_object(body.get("content_block")))
            case "message_delta":
                self._finish_reason = as_name(as_object(body.get("delta")).get("stop_reason")) or self._finish_reason
                self._take_usage(as_object(body.get("usage")))
                self._usage_is_final = True
            case "message_stop":
                self.terminal = True
            case "error":
                self._error = read_error(body)
            case _:
                if event.type == b"error":
                    self._error = read_error(body)

    def take_document(self, document: Any) -> None:
        body = as_object(document)
        if body.get("type") == "error" or body.get("error") or not self._succeeded:
            self._error = read_error(body)
        self._take_message(body)
        self._usage_is_final = bool(self._counts)

    def usage_is_final(self, *, complete: bool) -> bool:
        del complete  # a stream says the last of output in message_delta: without that it was cut, however it ended
        return self._usage_is_final

    def _take_message(self, message: dict[str, Any]) -> None:
        self._model = as_name(message.get("model"))
        self._id = as_name(message.get("id"))
        self._finish_reason = as_name(message.get("stop_reason"))
        for block in as_list(message.get("content")):
            self._take_block(as_object(block))
        self._take_usage(as_object(message.get("usage")))

    def _take_block(self, block: dict[str, Any]) -> None:
        kind = as_name(block.get("type"))
        if kind in ("text", "thinking", "compaction"):
            self._text_bytes += sum(utf8_size(as_text(block.get(key))) for key in ("text", "thinking", "content"))
        elif kind == "fallback":  # from here on another model speaks
            self._model = as_name(as_object(block.get("to")).get("model")) or self._model
        elif kind.endswith("tool_use"):
            self._name_call(as_name(block.get("name")))
            if given := block.get("input"):
                self._text_bytes += text_size(given)

    def _take_usage(self, usage: dict[str, Any]) -> None:
        self._usage = usage or self._usage
        tier = _FAST if usage.get("speed") == _FAST else as_name(usage.get("service_tier"))
        self._service_tier = tier or self._service_tier
        counts = {key: count for key in _INPUT_KEYS if (count := as_count(usage.get(key))) is not None}
        if any(counts.values()) or not any(self._counts.get(key) for key in _INPUT_KEYS):
            self._counts |= counts
        for name, value in (
            ("output_tokens", usage.get("output_tokens")),
            ("thinking_tokens", as_object(usage.get("output_tokens_details")).get("thinking_tokens")),
            ("1h_input_tokens", as_object(usage.get("cache_creation")).get("ephemeral_1h_input_tokens")),
            ("web_searches", as_object(usage.get("server_tool_use")).get("web_search_requests")),
        ):
            if (count := as_count(value)) is not None:
                self._counts[name] = count
        if (iterations := as_list(usage.get("iterations"))) and _total(iterations) > _total([self._counts]):
            self._warn("usage_beyond_total")

    def _said(self) -> Usage:
        """The api's `input_tokens` is what was neither read from nor written to the cache; OTel's includes these."""
        usage = self._counts
        cache_read = usage.get("cache_read_input_tokens")
        cache_creation = usage.get("cache_creation_input_tokens")
        uncached = usage.get("input_tokens")
        for_an_hour = usage.get("1h_input_tokens")
        if for_an_hour is not None and cache_creation is not None:  # only `message_start` tells it; the sum may change
            for_an_hour = min(for_an_hour, cache_creation)
        return Usage(
            input_tokens=None if uncached is None else uncached + (cache_read or 0) + (cache_creation or 0),
            output_tokens=usage.get("output_tokens"),
            cache_read_input_tokens=cache_read,
            cache_creation_input_tokens=cache_creation,
            reasoning_output_tokens=usage.get("thinking_tokens"),
            cache_creation_1h_input_tokens=for_an_hour,
            web_searches=usage.get("web_searches"),
        )


def _total(counted: list[Any]) -> int:
    """All tokens, in and out, of usage objects."""
    return sum(as_count(as_object(usage).get(key)) or 0 for usage in counted for key in _COUNT_KEYS)
