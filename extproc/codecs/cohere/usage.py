"""Cohere's figures: what the model counted, and what the bill counts.

    {"billed_units": {"input_tokens": 7, "output_tokens": 36}, "tokens": {"input_tokens": 212, "output_tokens": 36},
     "cached_tokens": 208}

`tokens` are those the model read and wrote, Cohere's own preamble included; `billed_units` is what the client pays for.
Calls that put nothing around the client's text (embed, generate) say only the latter, which is then both. v2 chat has
these members in `usage`, everything else in `meta`, beside the version and warnings.

Source: Cohere API reference, "Chat" (v1, v2), "Embed", "Rerank"; `ApiMeta` and `Usage` of the SDKs.
"""

from __future__ import annotations

from typing import Any

from extproc.model import Usage
from extproc.shape import as_count, as_object


def normalised(said: dict[str, Any]) -> Usage:
    """A `usage` or `meta` object as OTel GenAI counts."""
    tokens = as_object(said.get("tokens"))
    billed = as_object(said.get("billed_units"))
    legacy = as_object(said.get("token_count"))
    counted = (
        (tokens.get("input_tokens"), tokens.get("output_tokens")),
        (legacy.get("prompt_tokens"), legacy.get("response_tokens")),
        (_billed_input(billed), billed.get("output_tokens")),
        (said.get("total_tokens"), None),  # vLLM, which reranks in this grammar too
    )
    input_tokens, output_tokens = next(
        (
            (as_count(given), as_count(made))
            for given, made in counted
            if as_count(given) is not None or as_count(made) is not None
        ),
        (None, None),
    )
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_input_tokens=as_count(said.get("cached_tokens")),
        billed_input_tokens=_billed_input(billed),
        billed_output_tokens=as_count(billed.get("output_tokens")),
        billed_search_units=as_count(billed.get("search_units")),
    )


def _billed_input(billed: dict[str, Any]) -> int | None:
    """Images are tokens too, but whether `input_tokens` holds them is nowhere said: the larger figure."""
    whole = as_count(billed.get("input_tokens"))
    parts = [count for key in ("text_tokens", "image_tokens") if (count := as_count(billed.get(key))) is not None]
    return max(whole or 0, sum(parts)) if parts or whole is not None else None
