"""What the answers of vendors with a grammar of their own amount to: each says a text, a reason and, mostly, tokens.

    Titan     {"inputTextTokenCount": 5, "results": [{"tokenCount": 9, "outputText": "…", "completionReason": …}]}
    Llama     {"generation": "…", "prompt_token_count": 8, "generation_token_count": 35, "stop_reason": "stop"}
    Mistral   {"outputs": [{"text": "…", "stop_reason": "stop"}]}       DeepSeek the same as `choices`
    Cohere    {"generations": [{"text": "…", "finish_reason": "COMPLETE"}]}, {"text": "…", "finish_reason": "COMPLETE"}
    J2        {"completions": [{"data": {"text": "…"}, "finishReason": {"reason": "endoftext"}}]}
    Claude 2  {"completion": "…", "stop_reason": "stop_sequence"}
    pictures  {"images": ["<base64>"], "error": null}, {"artifacts": [{"base64": "…", "finishReason": "SUCCESS"}]}
    vectors   {"embedding": […], "inputTextTokenCount": 5}, {"embeddings": …, "id": "…"}

In streams the same members come in pieces, and running totals with them, which are never added up. Where a vendor says
no tokens, Bedrock's headers do (`x-amzn-bedrock-input-token-count`), but they are not in the body. Source: Amazon
Bedrock user guide, "Inference request parameters and response fields for foundation models".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.codecs.bedrock.chunks import GUARDRAIL_ACTION
from extproc.dialects.converse.errors import read_error
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import ErrorFacts, ResponseFacts, Usage
from extproc.shape import as_count, as_list, as_name, as_object, as_text, text_size
from extproc.usage import verbatim

CALLS_MAX = 1_024
"""Tool calls named in one response; further ones are not."""
CHOICES_MAX = 1_024

_ANSWER_LISTS = ("results", "outputs", "choices", "generations", "completions")
_INPUT_KEYS = ("prompt_token_count", "inputTextTokenCount", "prompt_tokens", "input_tokens", "inputTokenCount")
_OUTPUT_KEYS = ("generation_token_count", "totalOutputTextTokenCount", "completion_tokens", "output_tokens")
_REASON_KEYS = ("stop_reason", "completionReason", "finish_reason", "finishReason")
_TEXT_KEYS = ("completion", "generation", "outputText", "text")


def answers(document: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(which answer, what holds its text and reason): items of a list, or the document itself."""
    for key in _ANSWER_LISTS:
        items = as_list(document.get(key))
        if items:
            for place, item in enumerate(items):
                index = as_object(item).get("index")
                yield index if type(index) is int else place, as_object(item)
            return
    if document.get("event_type") != "stream-end":  # Cohere's last event repeats the whole answer
        yield 0, document


def text_of(answer: dict[str, Any]) -> str:
    """What one answer, or a piece of it, says."""
    if type(data := answer.get("data")) is dict:
        return as_text(data.get("text"))
    said = next((text for key in _TEXT_KEYS if (text := as_text(answer.get(key)))), "")
    if not said and "finishReason" in answer:  # Pegasus calls it the message, which is an error elsewhere
        return as_text(answer.get("message"))
    return said


def calls_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Command R's tool calls: {"name", "parameters"}. Streams say them in an event, and again in their last."""
    if document.get("event_type") == "stream-end":
        return []
    return [as_object(call) for call in as_list(document.get("tool_calls"))]


def reason_of(answer: dict[str, Any]) -> str:
    for key in _REASON_KEYS:
        reason = answer.get(key)
        if reason := as_name(as_object(reason).get("reason")) or as_name(reason):
            return reason
    return ""


class PlainAccount:
    """An `extproc.accounting.Account`."""

    def __init__(self) -> None:
        self.terminal = False
        self._model = ""
        self._id = ""
        self._text_bytes = 0
        self._reasons: dict[int, str] = {}
        self._calls: list[str] = []
        self._input_tokens: int | None = None
        self._output_tokens: int | None = None
        self._billed: dict[str, Any] = {}
        self._figures: dict[str, Any] = {}
        self._error: ErrorFacts | None = None

    def take_event(self, event: StreamEvent) -> None:
        self.take_document(tolerant_json.loads(event.data))

    def take_document(self, document: Any) -> None:
        body = as_object(document)
        self._model = as_name(body.get("model")) or self._model
        self._id = self._id or _id_of(body)
        for number, answer in answers(body):
            self._text_bytes += utf8_size(text_of(answer))
            self._take_reason(number, reason_of(answer))
        if body.get("event_type") == "stream-end":
            self._take_reason(0, reason_of(body))
        for place, reason in enumerate(as_list(body.get("finish_reasons"))):  # Stability: null, or what was refused
            self._take_reason(place, as_name(reason))
        for artifact in as_list(body.get("artifacts")):
            self._take_reason(len(self._reasons), as_name(as_object(artifact).get("finishReason")))
        for call in calls_of(body):
            if len(self._calls) < CALLS_MAX:
                self._calls.append(as_name(call.get("name")))
            self._text_bytes += text_size(call.get("parameters"))
        self._take_figures(body)
        if type(error := body.get("error")) is str and error:
            self._error = read_error(body)
        if body.get(GUARDRAIL_ACTION) == "INTERVENED":
            self.terminal = True

    def usage_is_final(self, *, complete: bool) -> bool:
        return complete or self.terminal or bool(self._reasons)

    def facts(self) -> ResponseFacts:
        billed = self._billed
        return ResponseFacts(
            model=self._model or None,
            response_id=self._id or None,
            finish_reasons=tuple(reason for _, reason in sorted(self._reasons.items())),
            said=Usage(
                input_tokens=self._input_tokens,
                output_tokens=self._output_tokens,
                billed_input_tokens=as_count(billed.get("input_tokens")),
                billed_output_tokens=as_count(billed.get("output_tokens")),
                billed_search_units=as_count(billed.get("search_units")),
            ),
            provider_usage=verbatim(self._figures),
            tool_calls=tuple(self._calls),
            text_bytes=self._text_bytes,
            error=self._error,
        )

    def _take_reason(self, number: int, reason: str) -> None:
        if reason and (number in self._reasons or len(self._reasons) < CHOICES_MAX):
            self._reasons[number] = reason

    def _take_figures(self, body: dict[str, Any]) -> None:
        """Tokens, wherever they stand: the last word counts. Titan's plain answers count each result for itself."""
        usage = as_object(body.get("usage"))
        meta = as_object(body.get("meta")) or as_object(as_object(body.get("response")).get("meta"))
        billed, tokens = as_object(meta.get("billed_units")), as_object(meta.get("tokens"))
        for holder in (tokens, usage, body):
            if (count := _first(holder, _INPUT_KEYS)) is not None:
                self._input_tokens = count
            if (count := _first(holder, _OUTPUT_KEYS)) is not None:
                self._output_tokens = count
        results = [as_object(result).get("tokenCount") for result in as_list(body.get("results"))]
        counts = [count for result in results if (count := as_count(result)) is not None]
        if counts:
            self._output_tokens = sum(counts)
        self._billed = billed or self._billed
        if billed and not tokens:
            self._input_tokens = as_count(billed.get("input_tokens"))
            self._output_tokens = as_count(billed.get("output_tokens"))
        said = usage or meta or {key: body[key] for key in (*_INPUT_KEYS, *_OUTPUT_KEYS) if body.get(key) is not None}
        if counts and not usage and not meta:
            said = {**said, "tokenCount": counts[0] if len(counts) == 1 else counts}
        self._figures = said if usage or meta else {**self._figures, **said}


def _id_of(body: dict[str, Any]) -> str:
    for key in ("id", "response_id", "generation_id"):
        value = body.get(key)
        if name := as_name(value) or (str(value) if type(value) is int else ""):
            return name
    return as_name(as_object(body.get("response")).get("response_id"))


def _first(holder: dict[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((count for key in keys if (count := as_count(holder.get(key))) is not None), None)
