"""Reads the requests of vendors that take one prompt, texts to embed or a picture to draw, strictly.

One reader for all of them: no word means two things. Source: Amazon Bedrock user guide, "Inference request parameters
and response fields for foundation models", vendor by vendor.
"""

from __future__ import annotations

from typing import Any

from extproc.codecs.bedrock.plain_prompt import (
    MEDIA_KEYS,
    PROMPT_KEYS,
    SCHEME_CHARS,
    SCHEMES,
    TEXT_KEYS,
    is_media,
    media_kind,
    prompt_parts,
)
from extproc.framing.json_strings import Place, pointer, walk
from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts, base64_part, url_part
from extproc.model import RequestFacts, UninspectedPart
from extproc.shape import Fields, as_list, as_object
from extproc.steering import Parameters, Steering

_READ_KEYS = (*TEXT_KEYS, "preamble", "chat_history", "documents", "tools", "tool_results", "response_format")
"""Beside the prompt: members whose strings the model reads."""
_LIMIT_KEYS = ("max_tokens", "max_gen_len", "maxTokens", "max_tokens_to_sample", "max_new_tokens")
_COUNT_KEYS = ("num_generations", "numResults", "n")
_TELLING_KEYS = frozenset({*PROMPT_KEYS, *TEXT_KEYS, *MEDIA_KEYS, "chat_history", "documents", "taskType"})
"""One of these at least stands in every body that this reader knows."""
KNOWN_KEYS = frozenset(
    {*_TELLING_KEYS, *_READ_KEYS, *_LIMIT_KEYS, *_COUNT_KEYS, "textGenerationConfig", "imageGenerationConfig",
     "temperature", "stream", "messages"}
)  # fmt: skip
_PICTURE_KEYS = frozenset({"taskType", "imageGenerationConfig", "text_prompts", "aspect_ratio", "negative_prompt"})
_EMBEDDING_KEYS = frozenset({"singleEmbeddingParams", "segmentedEmbeddingParams"})
_STEERING = Steering(
    """top_p top_k topP topK k p seed steps cfg_scale frequency_penalty presence_penalty truncate input_type
    dimensions normalize return_prompt search_queries_only raw_prompting mode output_format top_n"""
)


def read_request(document: Any) -> RequestFacts:
    """The facts but for model and stream, which the path says. A body of none of these shapes is one unknown part.

    Raises `ClientError` (`invalid_request`, `ambiguous_key`).
    """
    body = Fields(document)
    body.refuse_lookalikes(KNOWN_KEYS)
    settings = body.fields("textGenerationConfig")
    limits = [limit for key in _LIMIT_KEYS if (limit := body.integer(key)) is not None]
    if (limit := settings.integer("maxTokenCount")) is not None:
        limits.append(limit)
    temperature = body.number("temperature")
    choices = [count for key in _COUNT_KEYS if (count := body.integer(key, at_least=1)) is not None]
    members = as_object(document)
    prompt_bytes = sum(utf8_size(body.text(key) or "") for key in PROMPT_KEYS)
    return RequestFacts(
        max_output_tokens=max(limits, default=None),
        choices=max(choices, default=1),
        temperature=settings.number("temperature") if temperature is None else temperature,
        tools=tuple(tool.text("name") or "unknown" for _, tool in body.objects("tools")),
        message_count=len(as_list(members.get("chat_history"))) + any(True for _ in prompt_parts(members)),
        has_system_text=bool(body.text("preamble")),
        text_bytes=prompt_bytes + _text_bytes(members),
        uninspected_parts=tuple(_parts(members)),
        asks_stream_usage=True,
        parameters=_parameters(members, settings),
        image_count=_image_count(body, members),
    )


def _text_bytes(members: dict[str, Any]) -> int:
    return sum(
        utf8_size(text)
        for place, is_key, text in walk({key: members[key] for key in _READ_KEYS if key in members})
        if (not is_key or place is None or place[0] is not None) and (is_key or not is_media(place, text))
    )


def _parts(members: dict[str, Any]) -> Parts:
    """Media by the names of their members; all of it, where nothing of the body is known."""
    parts = Parts()
    if _TELLING_KEYS.isdisjoint(members):
        parts.add("unknown", "")
        return parts
    for place, is_key, text in walk({key: value for key, value in members.items() if key not in PROMPT_KEYS}):
        if not is_key and is_media(place, text):
            parts.append(_media_part(place, text))
    return parts


def _media_part(place: Place, text: str) -> UninspectedPart:
    where, kind = pointer(place), media_kind(place)
    if text[:SCHEME_CHARS].lower().startswith(SCHEMES):
        return url_part(kind, where, text)
    return base64_part(kind, where, text, "")


def _image_count(body: Fields, members: dict[str, Any]) -> int | None:
    """How many pictures are to be drawn; None where none are."""
    asked = body.fields("imageGenerationConfig").integer("numberOfImages", at_least=1)
    draws = not _PICTURE_KEYS.isdisjoint(members) and _EMBEDDING_KEYS.isdisjoint(members)
    return asked or (1 if draws else None)


def _parameters(members: dict[str, Any], settings: Fields) -> Parameters:
    top_p = settings.number("topP")
    return ({} if top_p is None else {"topP": top_p}) | _STEERING.of(members)
