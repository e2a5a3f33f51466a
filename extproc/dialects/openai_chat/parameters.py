"""What else of a request steers the model: numbers, flags and words of an enumeration, never text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from extproc.shape import Fields, as_object, as_word

CHAT = """frequency_penalty presence_penalty logprobs top_logprobs top_p top_k min_p top_a repetition_penalty seed store
    parallel_tool_calls reasoning_effort reasoning_format include_reasoning service_tier verbosity tool_choice
    min_tokens ignore_eos safe_prompt prompt_mode search_mode prompt_cache_retention echo best_of""".split()  # noqa: SIM905 (a text reads better than one line for each word)
INNER_CHAT = (
    "response_format.type",
    "reasoning.effort",
    "reasoning.max_tokens",
    "reasoning.enabled",
    "thinking.type",
    "thinking.budget_tokens",
    "web_search_options.search_context_size",
)
"""Members of objects in the body."""


def parameters(body: Fields, keys: Iterable[str]) -> dict[str, float | int | bool | str]:
    """Those of `keys` that hold a number, a flag or a word of an enumeration; `a.b` is `b` in the object `a`."""
    return {key: value for key in keys if (value := _scalar(_at(body, key))) is not None}


def _at(body: Fields, path: str) -> Any:
    key, *inner = path.split(".")
    value = body.raw(key)
    for name in inner:
        value = as_object(value).get(name)
    return value


def _scalar(value: Any) -> float | int | bool | str | None:
    return value if type(value) in (int, float, bool) else as_word(value)
