"""What a recorded response says about model and usage, independently of our codecs: a small reader for each api.

Usage is (input, output, cache read, cache creation, reasoning), as OTel GenAI counts: input includes what was cached,
output includes reasoning. None is what the provider did not say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.e2e.recorded import Recorded

Usage = tuple[int | None, int | None, int | None, int | None, int | None]
Documents = Sequence[Mapping[str, Any]]
NOTHING: Usage = (None, None, None, None, None)


def model_and_usage(recorded: Recorded) -> tuple[str | None, Usage]:
    """The response's model, and its usage."""
    objects = [document for document in recorded.documents if isinstance(document, dict)]
    read = READERS.get(recorded.api)
    return read(objects) if read is not None else (None, NOTHING)


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _sum(*values: int | None) -> int | None:
    said = [value for value in values if value is not None]
    return sum(said) if said else None


def _last(documents: Documents, *path: str) -> Any:
    """What stands last at `path`."""
    found = None
    for document in documents:
        value: Any = document
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        found = value or found
    return found


def _openai(chunks: Documents) -> tuple[str | None, Usage]:
    model = _last(chunks, "model")
    told = [chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") for chunk in chunks]
    usage = next((usage for usage in reversed(told) if usage), None)
    if usage is None:
        return model, NOTHING
    prompt, completion = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    asked, answered = usage["prompt_tokens"], usage["completion_tokens"]
    reasoning = completion.get("reasoning_tokens")
    # Gemini's compatible endpoint leaves its thinking out of the completion and counts it in the total only.
    unnamed = usage.get("total_tokens", 0) - asked - answered
    if unnamed > 0 and reasoning is None:
        answered, reasoning = answered + unnamed, unnamed
    return model, (
        asked,
        answered,
        # OpenAI; Mistral; what stands behind Hugging Face's router.
        _first(prompt.get("cached_tokens"), usage.get("num_cached_tokens"), usage.get("cached_tokens")),
        prompt.get("cache_write_tokens"),  # OpenRouter
        reasoning,
    )


def _responses(events: Documents) -> tuple[str | None, Usage]:
    """A whole response, or one inside of events; the last one has the usage."""
    wholes = [event.get("response", event) for event in events]
    usage = _last(wholes, "usage")
    model = _last(wholes, "model")
    if usage is None:
        return model, NOTHING
    asked, answered = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
    return model, (
        usage["input_tokens"],
        usage["output_tokens"],
        asked.get("cached_tokens"),
        asked.get("cache_write_tokens"),
        answered.get("reasoning_tokens"),
    )


def _vectors(documents: Documents) -> tuple[str | None, Usage]:
    """Embeddings and rerankers count what goes in; Voyage calls it the total."""
    usage = _last(documents, "usage") or {}
    return _last(documents, "model"), (_first(usage.get("prompt_tokens"), usage.get("total_tokens")), *NOTHING[1:])


def _anthropic(events: Documents) -> tuple[str | None, Usage]:
    """`message_delta` carries cumulative figures, laid over those of `message_start`."""
    model, usage = None, {}
    for event in events:
        message = event.get("message")
        message = message if isinstance(message, dict) else event
        model = model or message.get("model")
        for told in (message.get("usage"), event.get("usage")):
            usage |= {key: value for key, value in (told or {}).items() if value is not None}
    if "output_tokens" not in usage:
        return model, NOTHING
    read, created = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    thinking = (usage.get("output_tokens_details") or {}).get("thinking_tokens")
    return model, (_sum(usage.get("input_tokens"), read, created), usage["output_tokens"], read, created, thinking)


def _gemini(responses: Documents) -> tuple[str | None, Usage]:
    """Thoughts are not among the candidates' tokens, what tools put into the prompt is not among the prompt's."""
    usage = _last(responses, "usageMetadata") or {}
    thoughts = usage.get("thoughtsTokenCount")
    return _last(responses, "modelVersion"), (
        _sum(usage.get("promptTokenCount"), usage.get("toolUsePromptTokenCount")),
        _sum(usage.get("candidatesTokenCount"), thoughts),
        usage.get("cachedContentTokenCount"),
        None,
        thoughts,
    )


def _converse(events: Documents) -> tuple[str | None, Usage]:
    """Input tokens are those beside the cache. Nothing names a model."""
    usage = _last(events, "usage") or {}
    read = _first(usage.get("cacheReadInputTokens"), usage.get("cacheReadInputTokenCount"))
    written = _first(usage.get("cacheWriteInputTokens"), usage.get("cacheWriteInputTokenCount"))
    return None, (_sum(usage.get("inputTokens"), read, written), usage.get("outputTokens"), read, written, None)


def _invoke(events: Documents) -> tuple[str | None, Usage]:
    """Each vendor's own words; where a stream has none, Bedrock's own count in its last chunk."""
    if any(event.get("type", "").startswith("message") for event in events if isinstance(event.get("type"), str)):
        return _anthropic(events)
    if _last(events, "usage") or _last(events, "metadata", "usage"):  # Nova
        return _converse([event.get("metadata", event) for event in events])
    metrics = _last(events, "amazon-bedrock-invocationMetrics") or {}
    llama = (_last(events, "prompt_token_count"), _last(events, "generation_token_count"))
    titan = (_last(events, "inputTextTokenCount"), _last(events, "totalOutputTextTokenCount"))
    asked = _first(metrics.get("inputTokenCount"), llama[0], titan[0])
    return None, (asked, _first(metrics.get("outputTokenCount"), llama[1], titan[1]), *NOTHING[2:])


def _cohere(events: Documents) -> tuple[str | None, Usage]:
    """`tokens` are counted, `billed_units` are billed: only where nothing was counted do they stand for it."""
    ended = [event.get("response") or event.get("delta") or event for event in events]
    told = _last(ended, "usage") or _last(ended, "meta") or {}
    counted = told.get("tokens") or told.get("billed_units") or {}
    cached = told.get("cached_tokens")
    return None, (counted.get("input_tokens"), counted.get("output_tokens"), cached, None, None)


def _ollama(lines: Documents) -> tuple[str | None, Usage]:
    return _last(lines, "model"), (_last(lines, "prompt_eval_count"), _last(lines, "eval_count"), *NOTHING[2:])


READERS: Mapping[str, Callable[[Documents], tuple[str | None, Usage]]] = {
    "openai.chat": _openai,
    "openai.completions": _openai,
    "openai.responses": _responses,
    "openai.embeddings": _vectors,
    "openai.rerank": _vectors,
    "anthropic.messages": _anthropic,
    "anthropic.complete": lambda documents: (_last(documents, "model"), NOTHING),
    "gemini.generate_content": _gemini,
    "gemini.embed_content": _gemini,
    "bedrock.converse": _converse,
    "bedrock.invoke_model": _invoke,
    "cohere.v1.chat": _cohere,
    "cohere.v1.generate": _cohere,
    "cohere.v2.chat": _cohere,
    "cohere.v2.embed": _cohere,
    "ollama.chat": _ollama,
    "ollama.generate": _ollama,
    "ollama.embed": _ollama,
}
