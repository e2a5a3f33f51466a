"""What a chat completion amounts to, plain or streamed, in the dialects of all who speak this api.

Traps, each with a recording in tests/codecs: usage in a last chunk without choices, on the last chunk with choices, on
every chunk, inside of a choice (Moonshot), in `x_groq.usage`, or never; content that is a list; three names for
reasoning; an `error` beside choices or in one (OpenRouter); `finish_reason` twice; a stream that ends in `event: error`
without `[DONE]`; a last chunk that repeats the whole message beside its delta (Perplexity, Writer).
"""

from __future__ import annotations

from typing import Any

from extproc.answer import AnswerAccount
from extproc.dialects.openai_chat.errors import read_error
from extproc.dialects.openai_chat.tool_calls import CallSlots, called_arguments, calls_in, legacy_call
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import ResponseFacts, Usage
from extproc.shape import as_count, as_list, as_name, as_object, as_text, text_size

DONE = b"[DONE]"
CHOICES_MAX = 1_024
"""Choices whose finish reason is kept; the api allows 128."""

_USAGE_KEYS = frozenset(
    """prompt_tokens completion_tokens total_tokens prompt_tokens_details completion_tokens_details reasoning_tokens
    cached_tokens num_cached_tokens prompt_cache_hit_tokens cache_read_input_tokens cache_creation_input_tokens
    audio_prompt_tokens prompt_audio_seconds num_search_queries server_tool_use""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
"""What `normalised` reads. Some chunks say null of what an earlier one said, so these are kept until said anew."""


class ChatAccount(AnswerAccount):
    """An `extproc.accounting.Account`."""

    def __init__(self, *, status: int) -> None:
        super().__init__(status=status)
        self._reasons: dict[int, str] = {}
        self._slots = CallSlots()
        self._figures: dict[str, Any] = {}
        """Of all usage objects, each as it was said last."""
        self._usage_is_final = False

    def take_event(self, event: StreamEvent) -> None:
        data = event.data.strip()
        if data == DONE:
            self.terminal = True
            self._usage_is_final = True
        elif data:
            chunk = as_object(tolerant_json.loads(data))
            self.take_chunk(chunk)
            if self._error is None and (event.type == b"error" or chunk.get("object") == "error"):
                self._error = read_error(chunk)

    def take_document(self, document: Any) -> None:
        if type(document) is list and document:  # an error in Google's way
            document = document[0]
        whole = as_object(document)
        self.take_chunk(whole)
        self._usage_is_final = True
        if self._error is None and (not self._succeeded or whole.get("object") == "error"):
            self._error = read_error(document)

    def usage_is_final(self, *, complete: bool) -> bool:
        return complete or self._usage_is_final

    def facts(self) -> ResponseFacts:
        self._calls = list(filter(None, self._slots.names))
        return super().facts()

    def _said(self) -> Usage:
        return normalised(self._figures)

    def _finish_reasons(self) -> tuple[str, ...]:
        return tuple(dict(sorted(self._reasons.items())).values())

    def take_chunk(self, chunk: dict[str, Any]) -> None:
        """A chunk of a stream, or the one document."""
        named = as_name(chunk.get("model")) or as_name(chunk.get("model_id"))  # watsonx
        self._model = named or self._model  # the last that is no "": Azure begins with one
        if not self._id:
            self._id = as_name(chunk.get("id"))
        self._service_tier = as_name(chunk.get("service_tier")) or self._service_tier
        usage = as_object(chunk.get("usage"))
        for place, choice in enumerate(as_list(chunk.get("choices"))):
            if type(choice) is dict:
                self.take_choice(choice, place)
                usage = usage or as_object(choice.get("usage"))
                if choice.get("error") and self._error is None:
                    self._error = read_error(choice)
        if usage := usage or as_object(as_object(chunk.get("x_groq")).get("usage")):
            self._usage = usage
            for key, value in usage.items():
                if key in _USAGE_KEYS and value is not None:
                    self._figures[key] = value
            self._usage_is_final = bool(self._reasons)
        if chunk.get("error"):
            self._error = read_error(chunk)

    def take_choice(self, choice: dict[str, Any], place: int) -> None:
        said = spoken(choice)
        number = choice_number(choice, place)
        reason = as_name(choice.get("finish_reason"))
        if reason and (number in self._reasons or len(self._reasons) < CHOICES_MAX):
            self._reasons[number] = reason
        self._text_bytes += said_bytes(said)
        if said.get("tool_calls"):
            for call in calls_in(said):
                self._slots.number(number, call)
                self._text_bytes += utf8_size(called_arguments(call))
        if legacy := legacy_call(said):
            self._slots.number(number, legacy)
            self._text_bytes += utf8_size(called_arguments(legacy))


def spoken(choice: dict[str, Any]) -> dict[str, Any]:
    """What a choice adds: a stream's `delta`, else the whole `message`. A delta is never alone: the last chunk of some
    (Perplexity, Writer) has both, and their message repeats what all deltas said."""
    delta = choice.get("delta")
    return delta if type(delta) is dict else as_object(choice.get("message"))


def choice_number(choice: dict[str, Any], place: int) -> int:
    """Which answer this is of: by `index`; by its place in the list where nobody says."""
    index = choice.get("index")
    return index if type(index) is int else place


def said_bytes(said: dict[str, Any]) -> int:
    """UTF-8 bytes of the text, refusal and reasoning in a message or delta. Reasoning said twice counts once."""
    size = 0
    content = said.get("content")
    if type(content) is str:
        size += utf8_size(content)
    elif content:
        size += _parts_bytes(content)
    for key in ("reasoning_content", "reasoning"):
        if type(reasoning := said.get(key)) is str and reasoning:
            size += utf8_size(reasoning)
            break
    else:
        if details := said.get("reasoning_details"):
            size += _parts_bytes(details)
        elif type(said.get("reasoning_content")) is dict:
            size += utf8_size(reasoning_in_object(said))
    if refusal := said.get("refusal"):
        size += utf8_size(as_text(refusal))
    if audio := said.get("audio"):
        size += utf8_size(as_text(as_object(audio).get("transcript")))
    return size


def reasoning_in_object(said: dict[str, Any]) -> str:
    """Envoy AI Gateway hands Bedrock's reasoning on as an object: `{"text": "…"}` in a delta, `{"reasoningText":
    {"text": "…"}}` in a message."""
    held = as_object(said.get("reasoning_content"))
    return as_text(held.get("text")) or as_text(as_object(held.get("reasoningText")).get("text"))


def _parts_bytes(parts: Any) -> int:
    """Text in a list of parts, at most one list deeper (Mistral's thinking)."""
    size = 0
    for part in as_list(parts):
        for key in ("text", "thinking", "summary", "reasoning", "refusal"):
            value = as_object(part).get(key)
            if type(value) is list:
                size += sum(utf8_size(as_text(as_object(inner).get("text"))) for inner in value)
            else:
                size += text_size(as_text(value))
    return size


def normalised(said: dict[str, Any]) -> Usage:
    """A provider's `usage` object as OTel GenAI counts.

    `total_tokens` is the referee: xAI and Gemini leave reasoning out of `completion_tokens`, but not out of the total.
    Where Mistral heard a recording, the total has tokens of it, which are billed by the second: those are no output.
    """
    input_details = as_object(said.get("prompt_tokens_details"))
    output_details = as_object(said.get("completion_tokens_details"))
    input_tokens = as_count(said.get("prompt_tokens"))
    output_tokens = as_count(said.get("completion_tokens"))
    reasoning = as_count(output_details.get("reasoning_tokens"))
    total = as_count(said.get("total_tokens"))
    is_heard = bool(as_count(said.get("prompt_audio_seconds")))
    if input_tokens is not None and output_tokens is not None and total is not None and not is_heard:
        unnamed = total - input_tokens - output_tokens
        if unnamed > 0:
            output_tokens += unnamed
            reasoning = reasoning or unnamed
    if reasoning is None:  # Perplexity: beside the other figures, and for deep research more than the output
        reasoning = as_count(said.get("reasoning_tokens"))
        if reasoning is not None and output_tokens is not None and reasoning > output_tokens:
            output_tokens += reasoning
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_input_tokens=_first_count(
            input_details.get("cached_tokens"),
            said.get("prompt_cache_hit_tokens"),  # DeepSeek
            said.get("cached_tokens"),  # Moonshot
            said.get("num_cached_tokens"),  # Mistral
            said.get("cache_read_input_tokens"),  # Databricks, LiteLLM
        ),
        cache_creation_input_tokens=_first_count(
            input_details.get("cache_write_tokens"),  # OpenRouter
            input_details.get("cache_creation_tokens"),  # LiteLLM
            input_details.get("cache_creation_input_tokens"),  # Alibaba
            said.get("cache_creation_input_tokens"),
        ),
        reasoning_output_tokens=reasoning,
        input_audio_tokens=_first_count(input_details.get("audio_tokens"), said.get("audio_prompt_tokens")),
        output_audio_tokens=as_count(output_details.get("audio_tokens")),
        web_searches=_first_count(
            said.get("num_search_queries"),  # Perplexity
            as_object(said.get("server_tool_use")).get("web_search_requests"),  # OpenRouter
        ),
    )


def _first_count(*values: Any) -> int | None:
    for value in values:
        if value is not None and (count := as_count(value)) is not None:
            return count
    return None
