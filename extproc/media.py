"""Parts of a request that no detector reads, as facts: what they are, where, how large. Shared by the codecs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from extproc.errors import ClientError
from extproc.framing.json_strings import Place, pointer, value_at
from extproc.model import UninspectedPart

PARTS_MAX = 10_000
"""Uninspected parts in one request; each is kept with its place, so more are refused."""

_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}")
_DATA_URL_HEAD_CHARS_MAX = 512

_PAYLOAD_CHARS_MIN = 1_024
"""A shorter payload is scanned like any text: no detector sees a key in so few random letters, and no key is longer."""
_KINDS = frozenset({"image", "audio", "video"})
_OF_NO_KIND = frozenset({"application/octet-stream", "binary/octet-stream"})
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\r\n]*={0,2}\s?")

_ENCRYPTED = re.compile(
    r"(?:/messages/\d+(?:/(?:content|citations|reasoning_details)(?:/\d+)?)+|/input/\d+)/"
    r"(signature|data|encrypted_content|encrypted_index|encrypted_stdout)"
)
_ENCRYPTED_BY_PLACE = re.compile(
    r"/messages/\d+/content/\d+/reasoningContent/(?:reasoningText/signature|redactedContent)"
    r"|/messages/\d+(?:/tool_calls/\d+)?/extra_content/google/thought_signature"
    r"|(?:/request|/generateContentRequest)?/contents(?:/\d+)?/parts(?:/\d+)?/(?:thoughtSignature|thought_signature)"
)
"""Where a union's member says all, so that no type stands beside it (Bedrock's Converse, Gemini's parts and
the chat completions it speaks)."""
_ENCRYPTED_KEYS: Mapping[str, frozenset[str]] = {
    "thinking": frozenset({"signature"}),
    "redacted_thinking": frozenset({"data"}),
    "web_search_result": frozenset({"encrypted_content"}),
    "web_search_result_location": frozenset({"encrypted_index"}),
    "compaction": frozenset({"signature", "encrypted_content"}),
    "advisor_redacted_result": frozenset({"encrypted_content"}),
    "encrypted_code_execution_result": frozenset({"encrypted_stdout"}),
    "reasoning": frozenset({"encrypted_content", "signature"}),
    "reasoning.encrypted": frozenset({"data"}),
    "reasoning.text": frozenset({"signature"}),
    **dict.fromkeys(
        (
            "thought",
            "function_call",
            "code_execution_call",
            "code_execution_result",
            "google_search_call",
            "google_search_result",
            "url_context_call",
            "url_context_result",
            "google_maps_call",
            "google_maps_result",
            "file_search_call",
            "file_search_result",
        ),
        frozenset({"signature"}),  # the steps of Gemini's Interactions
    ),
}
"""Block type → keys whose value only the provider that made it can read."""


class Parts(list[UninspectedPart]):
    """The uninspected parts of one request, in order. Raises `ClientError` beyond `PARTS_MAX`."""

    def append(self, part: UninspectedPart) -> None:
        if len(self) >= PARTS_MAX:
            raise ClientError("invalid_request", f"the request holds more than {PARTS_MAX} parts that are not text")
        super().append(part)

    def add(self, kind: str, field: str) -> None:
        self.append(UninspectedPart(kind, field))


def base64_part(kind: str, field: str, data: str, media_type: str) -> UninspectedPart:
    """A part whose bytes stand in the body. A `media_type` that is none, the client's text, is left out."""
    return UninspectedPart(kind, field, media_type_or_none(media_type), len(data))


def url_part(kind: str, field: str, url: str) -> UninspectedPart:
    """A part by URL: a `data:` URL (RFC 2397) holds it, any other says where it lies."""
    if url[:5].lower() != "data:":
        return UninspectedPart(kind, field)
    head, comma, _ = url[:_DATA_URL_HEAD_CHARS_MAX].partition(",")
    media_type = media_type_or_none(head[5:].partition(";")[0])
    return UninspectedPart(_kind_of(media_type, kind), field, media_type, len(url) - len(head) - len(comma))


def _kind_of(media_type: str | None, asked: str) -> str:
    """What a `data:` URL holds by its own word: who may send images may not send a PDF as one."""
    if asked == "file" or media_type is None or media_type in _OF_NO_KIND:
        return asked
    kind = media_type.partition("/")[0]
    return kind if kind in _KINDS else "file"


def media_type_or_none(text: str) -> str | None:
    """`text` in lower case when it is a media type without parameters (RFC 9110 §8.3.1), else None."""
    named = text.strip().lower()
    return named if _MEDIA_TYPE.fullmatch(named) else None


def payload_begin(text: str, place: Place, payload_fields: frozenset[str]) -> int | None:
    """Where in `text` the base64 of a part begins that is reported as uninspected: behind the head of a `data:` URL, or
    at once. None for text in its stead."""
    if len(text) < _PAYLOAD_CHARS_MIN:
        return None
    begin = 0
    if text[:5].lower() == "data:":
        head = text[:_DATA_URL_HEAD_CHARS_MAX].partition(",")[0]
        if not head.lower().endswith(";base64"):
            return None
        begin = len(head) + 1
    if not _BASE64.fullmatch(text, begin):
        return None
    where = pointer(place)
    while where not in payload_fields:
        if not where:
            return None
        where = where.rpartition("/")[0]
    return begin


def is_encrypted(document: Any, where: str, text: str) -> bool:
    """Is this a blob that the provider made for itself, in the place where it belongs?"""
    if not _BASE64.fullmatch(text):
        return False
    if _ENCRYPTED_BY_PLACE.fullmatch(where):
        return True
    match = _ENCRYPTED.fullmatch(where)
    if match is None:
        return False
    block = value_at(document, where.rpartition("/")[0])
    return match[1] in _ENCRYPTED_KEYS.get(str(block.get("type")) if type(block) is dict else "", ())
