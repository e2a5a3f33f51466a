"""Reads the request that creates an interaction strictly (Gemini API reference, "Interactions")."""

from __future__ import annotations

from typing import Any

from extproc.codecs.gemini.interactions.items import (
    HOLDERS,
    ITEMS_DEEP_MAX,
    MEDIA_KINDS,
    holds_contents,
    is_call,
    is_content,
    is_media,
    is_result,
)
from extproc.codecs.gemini.parts import media_kind
from extproc.codecs.gemini.proto import ProtoObject
from extproc.codecs.gemini.shapes import INTERACTION, INTERACTION_CONFIG, INTERACTION_ITEM, INTERACTION_TOOL
from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts, base64_part, media_type_or_none
from extproc.model import RequestFacts, UninspectedPart
from extproc.shape import as_word, invalid, text_size

_ANY_INTEGER = -(2**63)


def read_request(document: Any) -> RequestFacts:
    """Raises `ClientError` (`invalid_request`, `ambiguous_key`)."""
    body = ProtoObject(document, INTERACTION)
    if "input" not in body and "continuationToken" not in body:
        raise invalid("input", "a string, an object or a list")
    read = _Read()
    system = body.text("systemInstruction") or ""
    config = body.object("generationConfig", INTERACTION_CONFIG)
    read.text_bytes += utf8_size(system) + sum(text_size(body.raw(name)) for name in ("tools", "responseFormat"))
    count = read.read_input(body)
    for name in ("cachedContent", "environment"):
        if name in body:
            read.uninspected.add("reference", body.pointer(name))
    return RequestFacts(
        model=body.text("model") or body.text("agent"),
        stream=bool(body.flag("stream")),
        max_output_tokens=config.integer("maxOutputTokens"),
        temperature=config.number("temperature"),
        tools=_tool_names(body),
        message_count=count,
        has_system_text=bool(system),
        text_bytes=read.text_bytes,
        uninspected_parts=tuple(read.uninspected),
        asks_stream_usage=True,
        parameters=_parameters(body, config),
        previous_response_id=body.text("previousInteractionId"),
    )


def _tool_names(body: ProtoObject) -> tuple[str, ...]:
    """Functions by their name, what the provider runs itself by its type."""
    names = []
    for tool in body.objects("tools", INTERACTION_TOOL):
        kind = tool.text("type") or "function"
        names.append((tool.text("name") if kind == "function" else None) or kind)
    return tuple(names)


def _parameters(body: ProtoObject, config: ProtoObject) -> dict[str, float | int | bool | str]:
    words = {name: config.raw(name) for name in ("thinkingLevel", "thinkingSummaries", "toolChoice")}
    words["serviceTier"] = body.raw("serviceTier")
    found: dict[str, float | int | bool | str | None] = {
        "topP": config.number("topP"),
        "seed": config.integer("seed", at_least=_ANY_INTEGER),
        "store": body.flag("store"),
        "background": body.flag("background"),
        **{name: as_word(word) for name, word in words.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


class _Read:
    """Counts the text of an interaction's input, and notes what is none."""

    def __init__(self) -> None:
        self.text_bytes = 0
        self.uninspected = Parts()

    def read_input(self, body: ProtoObject) -> int:
        """The number of messages: of steps or turns, or one for contents by themselves. Raises `ClientError`."""
        value = body.raw("input")
        if value is None:
            return 0
        self._read_value(body, "input", depth=0)
        if type(value) is not list:
            return 1
        return len(value) if not all(map(is_content, value)) else min(len(value), 1)

    def _read_value(self, holder: ProtoObject, name: str, *, depth: int) -> None:
        """Text, an item or a list of items."""
        value = holder.raw(name)
        if type(value) is str:
            self.text_bytes += utf8_size(value)
            return
        for item in holder.objects(name, INTERACTION_ITEM):
            self._read_item(item, depth)

    def _read_item(self, item: ProtoObject, depth: int) -> None:
        kind = item.text("type") or ("turn" if "content" in item else "")
        if depth > ITEMS_DEEP_MAX:
            self.uninspected.add("unknown", item.where)
        elif kind == "text":
            self.text_bytes += utf8_size(item.text("text") or "")
        elif kind in MEDIA_KINDS:
            self._read_media(item, MEDIA_KINDS[kind])
        elif kind == "turn" or kind in HOLDERS:
            self._read_value(item, "content", depth=depth + 1)
        elif kind == "thought":
            self._read_value(item, "summary", depth=depth + 1)
        elif is_call(kind):
            self.text_bytes += utf8_size(item.text("name") or "") + text_size(item.raw("arguments"))
        elif is_result(kind):
            self.text_bytes += utf8_size(item.text("name") or "")
            if holds_contents(item.raw("result")):
                self._read_value(item, "result", depth=depth + 1)
            else:
                self._read_data(item)
        else:
            self.uninspected.add("unknown", item.where)

    def _read_data(self, item: ProtoObject) -> None:
        """A result that is text or data. Contents among other things in a list are no text that anybody can read."""
        result = item.raw("result")
        self.text_bytes += text_size(result)
        if type(result) is list and any(type(inner) is dict and is_media(inner) for inner in result):
            self.uninspected.add("unknown", item.pointer("result"))

    def _read_media(self, item: ProtoObject, kind: str) -> None:
        media_type = item.text("mimeType") or ""
        kind = kind if kind != "file" or not media_type else media_kind(media_type)
        if (data := item.text("data")) is not None:
            self.uninspected.append(base64_part(kind, item.where, data, media_type))
        else:
            item.text("uri")
            self.uninspected.append(UninspectedPart(kind, item.where, media_type_or_none(media_type)))
