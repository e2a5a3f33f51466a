"""Google's token counts as OTel GenAI counts (Gemini API reference, "UsageMetadata").

    totalTokenCount = promptTokenCount + toolUsePromptTokenCount + candidatesTokenCount + thoughtsTokenCount

`promptTokenCount` includes `cachedContentTokenCount`; what tools brought in is read by the model as well, so it is
input; `candidatesTokenCount` excludes thoughts. The total is the referee: some gateways count thoughts among the
candidates, and some models did not name their thoughts at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from extproc.model import Usage
from extproc.shape import TOKENS_MAX, as_count, as_list, as_name, as_object

COUNTS = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount")
"""A usage object without any of these (the first ones of a Vertex stream have only `trafficType`) counts nothing."""

_MODALITIES = {1: "TEXT", 2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}
_TRAFFIC_TYPES = {1: "ON_DEMAND", 2: "PROVISIONED_THROUGHPUT"}
"""Enumerations as numbers, as `$alt=json;enum-encoding=int` asks for them (REST transport of Google's Python SDKs)."""


def counts_something(metadata: Mapping[str, Any]) -> bool:
    return any(as_count(metadata.get(name)) is not None for name in COUNTS)


def normalised(metadata: Mapping[str, Any]) -> Usage:
    """`usageMetadata` of a response."""
    prompt = as_count(metadata.get("promptTokenCount"))
    tool_use = as_count(metadata.get("toolUsePromptTokenCount"))
    input_tokens = None if prompt is None else prompt + (tool_use or 0)
    output_tokens, thoughts = _output(metadata, input_tokens, prompt)
    prompt_details = as_list(metadata.get("promptTokensDetails")) + as_list(metadata.get("toolUsePromptTokensDetails"))
    said_details = as_list(metadata.get("candidatesTokensDetails"))
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_input_tokens=as_count(metadata.get("cachedContentTokenCount")),
        reasoning_output_tokens=thoughts,
        input_audio_tokens=of_modality(prompt_details, "AUDIO"),
        output_audio_tokens=of_modality(said_details, "AUDIO"),
        output_image_tokens=of_modality(said_details, "IMAGE"),
    )


def service_tier(metadata: Mapping[str, Any]) -> str | None:
    """Gemini's `serviceTier` (`standard`, `flex`, `priority`) or Vertex' `trafficType` (`ON_DEMAND`, …)."""
    traffic = metadata.get("trafficType")
    named = _TRAFFIC_TYPES.get(traffic) if type(traffic) is int else traffic
    return as_name(metadata.get("serviceTier")) or as_name(named) or None


def of_modality(details: list[Any], wanted: str, count: str = "tokenCount") -> int | None:
    """Tokens of one modality in a list of `ModalityTokenCount`; None where it is not among them."""
    found = None
    for item in details:
        modality = as_object(item).get("modality")
        named = _MODALITIES.get(modality) if type(modality) is int else modality
        if type(named) is str and named.upper() == wanted and (tokens := as_count(item.get(count))) is not None:
            found = min((found or 0) + tokens, TOKENS_MAX)
    return found


def _output(metadata: Mapping[str, Any], input_tokens: int | None, prompt: int | None) -> tuple[int | None, int | None]:
    """Output tokens with their thoughts, and those thoughts."""
    candidates = as_count(metadata.get("candidatesTokenCount"))
    thoughts = as_count(metadata.get("thoughtsTokenCount"))
    total = as_count(metadata.get("totalTokenCount"))
    rest = None if total is None or input_tokens is None else total - input_tokens
    if candidates is None and thoughts is None:
        return rest if rest is not None and rest > 0 else None, None
    output = (candidates or 0) + (thoughts or 0)
    if rest is None or prompt is None or total is None or total - prompt == output:
        return output, thoughts
    if thoughts and rest == candidates:  # a gateway's sum: the thoughts are among the candidates
        return candidates, thoughts
    if rest > output:  # nobody named them, but they are in the total
        return rest, thoughts or rest - output
    return output, thoughts
