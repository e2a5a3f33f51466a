"""Reads the requests of vendors that take one prompt, texts to embed or a picture to draw, strictly.

One reader for all of them: no word means two things. Source: Amazon Bedrock user guide, "Inference request parameters
and response fields for foundation models", vendor by vendor.
"""

from __future__ import annotations

import re
from typing import Any

from extproc.framing.json_strings import Place, pointer, walk
from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts, base64_part, url_part
from extproc.model import RequestFacts, UninspectedPart
from extproc.shape import Fields, as_list, as_object, as_word

PROMPT_KEYS = ("prompt", "inputText", "message", "inputPrompt", "query")
"""The text that is asked, as Llama, Titan, Command R, Pegasus and a reranker call it."""
_TEXT_KEYS = frozenset(
    """preamble chat_history documents tools tool_results texts inputs text_prompts textToImageParams
    imageVariationParams inPaintingParams outPaintingParams colorGuidedGenerationParams virtualTryOnParams
    negative_prompt search_prompt select_prompt singleEmbeddingParams segmentedEmbeddingParams responseFormat
    response_format system""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_ASIDE = frozenset({"preamble", "chat_history", "tools", "response_format", "responseFormat", "system"})
"""Texts that are no turn of their own."""
_MEDIA_KEYS = frozenset({"image", "images", "inputImage", "init_image", "mediaSource", "video", "inputVideo", "audio"})
_LIMIT_KEYS = ("max_tokens", "max_gen_len", "maxTokens", "max_tokens_to_sample", "max_new_tokens")
_COUNT_KEYS = ("num_generations", "numResults", "n")
KNOWN_KEYS = frozenset(
    {*PROMPT_KEYS, *_TEXT_KEYS, *_MEDIA_KEYS, *_LIMIT_KEYS, *_COUNT_KEYS, "textGenerationConfig", "taskType",
     "imageGenerationConfig", "temperature", "stream", "messages"}
)  # fmt: skip
_TELLING_KEYS = frozenset({*PROMPT_KEYS, *_TEXT_KEYS, *_MEDIA_KEYS, "taskType"})
_PICTURE_KEYS = frozenset({"taskType", "imageGenerationConfig", "text_prompts", "aspect_ratio", "negative_prompt"})

_MEDIA_WORDS = ("image", "mask", "video", "audio", "base64", "bytes")
_ADDRESS_WORDS = ("uri", "url")
_SCHEMES = ("data:", "s3://", "http://", "https://")
_SCHEME_CHARS = 8
_PAYLOAD = re.compile(r"[A-Za-z0-9+/_\-\r\n]{64,}={0,2}\s?")
_PARAMETER_KEYS = """top_p top_k topP topK k p seed steps cfg_scale frequency_penalty presence_penalty truncate
    input_type dimensions normalize return_prompt search_queries_only raw_prompting mode output_format
    top_n""".split()  # noqa: SIM905 (as above)


def read_request(document: Any) -> RequestFacts:
    """The facts but for model and stream, which the path says. A body of none of these shapes is one unknown part.

    Raises `ClientError` (`invalid_request`, `ambiguous_key`).
    """
    body = Fields(document)
    body.refuse_lookalikes(KNOWN_KEYS)
    settings = body.fields("textGenerationConfig")
    limits = [limit for key in _LIMIT_KEYS if (limit := body.integer(key)) is not None]
    limits += [limit for key in ("maxTokenCount",) if (limit := settings.integer(key)) is not None]
    temperature = body.number("temperature")
    choices = [count for key in _COUNT_KEYS if (count := body.integer(key, at_least=1)) is not None]
    members = as_object(document)
    return RequestFacts(
        max_output_tokens=max(limits, default=None),
        choices=max(choices, default=1),
        temperature=settings.number("temperature") if temperature is None else temperature,
        tools=tuple(tool.text("name") or "unknown" for _, tool in body.objects("tools")),
        message_count=message_count(members),
        has_system_text=bool(body.text("preamble")),
        text_bytes=_text_bytes(body, members),
        uninspected_parts=tuple(_parts(members)),
        asks_stream_usage=True,
        parameters=_parameters(members, settings),
        image_count=_image_count(body, members),
    )


def message_count(body: dict[str, Any]) -> int:
    """The turns before, and the one that is asked."""
    return len(as_list(body.get("chat_history"))) + any(body.get(key) for key in (*PROMPT_KEYS, *_TEXT_KEYS - _ASIDE))


def _text_bytes(body: Fields, members: dict[str, Any]) -> int:
    size = sum(utf8_size(body.text(key) or "") for key in PROMPT_KEYS)
    for key in _TEXT_KEYS:
        for place, is_key, text in walk(members.get(key)):
            if is_key or not is_media(place, text):
                size += utf8_size(text)
    return size


def _parts(members: dict[str, Any]) -> Parts:
    """Media by the names of their members; all of it, where nothing of the body is known."""
    parts = Parts()
    if not members.keys() & _TELLING_KEYS:
        parts.add("unknown", "")
        return parts
    for place, is_key, text in walk({key: value for key, value in members.items() if key not in PROMPT_KEYS}):
        if not is_key and is_media(place, text):
            parts.append(_media_part(pointer(place), text))
    return parts


def is_media(place: Place, text: str) -> bool:
    """Is a string, by its member's name and its look, the base64 of a picture, or where one lies?"""
    name = _member_name(place)
    if text[:_SCHEME_CHARS].lower().startswith(_SCHEMES):
        return name in _ADDRESS_WORDS or any(word in name for word in _MEDIA_WORDS)
    return any(word in name for word in _MEDIA_WORDS) and _PAYLOAD.fullmatch(text) is not None


def _member_name(place: Place) -> str:
    """The name of the member that a string is, or stands in a list of."""
    while place is not None:
        place, key = place
        if type(key) is str:
            return key.lower()
    return ""


def _media_part(where: str, text: str) -> UninspectedPart:
    kind = next((kind for kind in ("video", "audio") if kind in where.lower()), "image")
    if text[:_SCHEME_CHARS].lower().startswith(_SCHEMES):
        return url_part(kind, where, text)
    return base64_part(kind, where, text, "")


def _image_count(body: Fields, members: dict[str, Any]) -> int | None:
    """How many pictures are to be drawn; None where none are."""
    asked = body.fields("imageGenerationConfig").integer("numberOfImages", at_least=1)
    return asked or (1 if members.keys() & _PICTURE_KEYS else None)


def _parameters(members: dict[str, Any], settings: Fields) -> dict[str, float | int | bool | str]:
    found: dict[str, float | int | bool | str] = {}
    if (top_p := settings.number("topP")) is not None:
        found["topP"] = top_p
    for key in _PARAMETER_KEYS:
        value = members.get(key)
        if type(value) is int or type(value) is float or type(value) is bool:
            found[key] = value
        elif (word := as_word(value)) is not None:
            found[key] = word
    return found
