"""Reads a completions request strictly (OpenAI API reference, "Completions").

    "prompt": "text" | ["text", …] | [token, …] | [[token, …], …]

Each prompt is answered `n` times. Tokens are numbers that only the model can read, so such a prompt is uninspected.
"""

from __future__ import annotations

from typing import Any

from extproc.dialects.openai_chat.parameters import COMPLETIONS
from extproc.dialects.openai_chat.request import fallback_models, output_limit
from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts
from extproc.model import RequestFacts
from extproc.shape import Fields, invalid, text_size

KNOWN_KEYS = frozenset(
    """best_of echo frequency_penalty guided_json logit_bias logprobs max_tokens metadata model n presence_penalty
    prompt seed stop stream stream_options suffix temperature top_p user""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_PROMPT = "a string, or a list of strings or of tokens"


def read_request(document: Any, *, named: str | None) -> RequestFacts:
    """Raises `ClientError` (`invalid_request`, `ambiguous_key`). `named`: the model that the path names."""
    body = Fields(document)
    body.refuse_lookalikes(KNOWN_KEYS)
    parts = Parts()
    count, text_bytes = _read_prompts(body.raw("prompt"), parts)
    if body.raw("prompt_embeds") is not None:  # vLLM
        parts.add("unknown", "/prompt_embeds")
    choices = body.integer("n", at_least=1) or 1
    return RequestFacts(
        model=named or body.text("model"),
        fallback_models=fallback_models(body),
        stream=body.flag("stream"),
        max_output_tokens=output_limit(body, "max_tokens"),
        choices=choices * max(count, 1),
        temperature=body.number("temperature"),
        message_count=count,
        text_bytes=text_bytes + utf8_size(body.text("suffix") or "") + text_size(body.raw("response_format")),
        uninspected_parts=tuple(parts),
        asks_stream_usage=body.fields("stream_options").flag("include_usage"),
        parameters=COMPLETIONS.of(body.members),
    )


def _read_prompts(prompt: Any, parts: Parts) -> tuple[int, int]:
    """(prompts, UTF-8 bytes of their text)."""
    if prompt is None:  # the model begins on its own
        return 0, 0
    if type(prompt) is str:
        return 1, utf8_size(prompt)
    if type(prompt) is not list:
        raise invalid("prompt", _PROMPT)
    if is_tokens(prompt):
        parts.add("unknown", "/prompt")
        return 1, 0
    text_bytes = 0
    for index, one in enumerate(prompt):
        if type(one) is str:
            text_bytes += utf8_size(one)
        elif is_tokens(one):
            parts.add("unknown", f"/prompt/{index}")
        else:
            raise invalid("prompt", _PROMPT)
    return len(prompt), text_bytes


def is_tokens(value: Any) -> bool:
    """A list of token ids; an empty list is none, but no prompt either."""
    return type(value) is list and bool(value) and all(type(token) is int for token in value)
