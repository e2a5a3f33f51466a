"""What a request in a vendor's own grammar gives the model to read, and what of it is a picture, a video or a sound.

Source: Amazon Bedrock user guide, "Inference request parameters and response fields for foundation models".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from extproc.framing.json_strings import Place, walk
from extproc.model import Part
from extproc.shape import as_list, as_name, as_object, as_text, json_text

PROMPT_KEYS = ("prompt", "inputText", "message", "inputPrompt", "query")
"""The text that is asked, as Llama, Titan, Command R, Pegasus and a reranker call it."""
MEDIA_KEYS = ("image", "images", "inputImage", "init_image", "mediaSource", "video", "inputVideo", "audio")
TEXT_KEYS = """texts inputs text_prompts textToImageParams imageVariationParams inPaintingParams outPaintingParams
    colorGuidedGenerationParams virtualTryOnParams backgroundRemovalParams negative_prompt search_prompt select_prompt
    singleEmbeddingParams segmentedEmbeddingParams""".split()  # noqa: SIM905 (a text reads better than one line for each word)
"""Members that are texts, or hold some among other things."""

_TEXT_NAMES = ("text", "negativetext", "maskprompt", "value", "texts")
_PROMPT_NAMES = ("negative_prompt", "search_prompt", "select_prompt")
_MEDIA_WORDS = ("image", "mask", "video", "audio", "base64", "bytes")
_KIND_WORDS = (("video", "video"), ("mediasource", "video"), ("audio", "audio"))
_ADDRESS_WORDS = ("uri", "url")
SCHEMES = ("data:", "s3://", "http://", "https://")
SCHEME_CHARS = 8
_PAYLOAD = re.compile(r"[A-Za-z0-9+/_\-\r\n]{64,}={0,2}\s?")


def prompt_parts(body: dict[str, Any]) -> Iterator[Part]:
    """The prompt, then what goes with it: results of tools, documents, texts to embed, pictures. Tolerant."""
    for key in PROMPT_KEYS:
        if text := as_text(body.get(key)):
            yield Part("text", text)
    for result in as_list(body.get("tool_results")):
        yield Part("tool_result", json_text(result))
    for document in as_list(body.get("documents")):
        yield Part("text", document if type(document) is str else json_text(document))
    for place, is_key, text in walk({key: body[key] for key in (*TEXT_KEYS, *MEDIA_KEYS) if key in body}):
        if is_key:
            continue
        if is_media(place, text):
            yield Part(media_kind(place))
        elif text and member_name(place) in (*_TEXT_NAMES, *_PROMPT_NAMES):
            yield Part("text", text)


def call_part(call: dict[str, Any]) -> Part:
    """A tool call in Command R's words."""
    return Part(
        "tool_call", tool_name=as_name(call.get("name")) or None, arguments=json_text(call.get("parameters", {}))
    )


def turn_parts(turn: dict[str, Any]) -> Iterator[Part]:
    """A turn of Command R's `chat_history`."""
    if text := as_text(turn.get("message")):
        yield Part("text", text)
    for call in map(as_object, as_list(turn.get("tool_calls"))):
        yield call_part(call)
    for result in as_list(turn.get("tool_results")):
        yield Part("tool_result", json_text(result))


def is_media(place: Place, text: str) -> bool:
    """Is a string, by its member's name and its look, the base64 of a picture, or where one lies?"""
    name = member_name(place)
    named = any(word in name for word in _MEDIA_WORDS)
    if text[:SCHEME_CHARS].lower().startswith(SCHEMES):
        return named or name in _ADDRESS_WORDS
    return named and _PAYLOAD.fullmatch(text) is not None


def media_kind(place: Place) -> str:
    """`video` or `audio` where a member around it says so, else `image`."""
    while place is not None:
        place, key = place
        for word, kind in _KIND_WORDS:
            if type(key) is str and word in key.lower():
                return kind
    return "image"


def member_name(place: Place) -> str:
    """The name of the member that a string is, or stands in a list of, in lower case."""
    while place is not None:
        place, key = place
        if type(key) is str:
            return key.lower()
    return ""
