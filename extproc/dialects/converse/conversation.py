"""The conversation in a stored Converse exchange: for people and SQL, so what cannot be read is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from extproc.dialects.converse.request import MEDIA_KINDS, media_type
from extproc.dialects.converse.response import event_of
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody, StreamFormat
from extproc.framing.stream_event import StreamEvent
from extproc.model import Conversation, Message, Part
from extproc.shape import as_list, as_name, as_object, as_text, joined, json_text, unknown_part

_BLOCKS_MAX = 65_536
"""Blocks put together from one stream."""
_NO_CONTENT = frozenset({"cachePoint", "type"})


def read_conversation(request_body: bytes | None, response_body: bytes | None) -> Conversation:
    """Plain, or an eventstream."""
    reader = ResponseBody(StreamFormat.EVENTSTREAM)
    blocks: list[Any] = streamed_blocks(reader.read(response_body))
    if reader.is_json:
        blocks = answer_blocks(reader.document_or_none())
    return conversation_of(request_body, blocks, is_cut=reader.is_cut)


def conversation_of(request_body: bytes | None, answer: list[Any], *, is_cut: bool = False) -> Conversation:
    """A request's messages and the answer's content blocks."""
    request = as_object(tolerant_json.loads_prefix_or_none(request_body))
    asked = [
        Message(as_name(message.get("role")) or "unknown", tuple(_parts(message.get("content"))))
        for message in map(as_object, as_list(request.get("messages")))
    ]
    said = tuple(_parts(answer))
    systems = [part for message in asked if message.role == "system" for part in message.parts]
    every = [part for message in asked for part in message.parts] + list(said)
    warnings = ("unknown_part",) if any(part.type == "unknown" for part in every) else ()
    return Conversation(
        system_text=joined(part.text for part in (*_parts(request.get("system")), *systems) if part.type == "text"),
        messages=(*asked, Message("assistant", said)) if said else tuple(asked),
        request_message_count=len(asked),
        response_text="".join(part.text or "" for part in said if part.type == "text") or None,
        reasoning_text=joined(part.text for part in said if part.type == "thinking"),
        tool_calls=tuple(part for part in said if part.type == "tool_call"),
        tools=tuple(_tool_names(request)),
        warnings=(*warnings, "truncated") if is_cut else warnings,
    )


def answer_blocks(document: Any) -> list[Any]:
    """The content blocks of a plain answer."""
    return as_list(as_object(as_object(as_object(document).get("output")).get("message")).get("content"))


def _tool_names(request: dict[str, Any]) -> Iterator[str]:
    for tool in map(as_object, as_list(as_object(request.get("toolConfig")).get("tools"))):
        for key in ("toolSpec", "systemTool"):
            if key in tool:
                yield as_name(as_object(tool[key]).get("name")) or key
    additional = as_object(request.get("additionalModelRequestFields"))
    for tool in map(as_object, as_list(additional.get("tools"))):
        yield as_name(tool.get("type")) or as_name(tool.get("name")) or "unknown"


def _parts(content: Any) -> Iterator[Part]:
    if type(content) is str:
        if content:
            yield Part("text", content)
        return
    for block in map(as_object, as_list(content)):
        for member, value in block.items():
            if member not in _NO_CONTENT:
                yield from _member_parts(member, value)


def _member_parts(member: str, value: Any) -> Iterator[Part]:
    held = as_object(value)
    match member:
        case "text":
            if text := as_text(value):
                yield Part("text", text)
        case "reasoningContent":
            yield Part("thinking", as_text(as_object(held.get("reasoningText")).get("text")) or None)
        case "toolUse":
            streamed = held.get("input")
            yield Part(
                "tool_call",
                tool_call_id=as_name(held.get("toolUseId")) or None,
                tool_name=as_name(held.get("name")) or None,
                arguments=streamed or "{}"
                if type(streamed) is str
                else json_text({} if streamed is None else streamed),
            )
        case "toolResult":
            yield from _result_parts(held)
        case "guardContent":
            yield from _parts([{key: _guarded(key, inner)} for key, inner in held.items()])
        case "citationsContent":
            yield Part("text", "".join(as_text(as_object(piece).get("text")) for piece in as_list(held.get("content"))))
        case "searchResult":
            texts = [as_text(as_object(piece).get("text")) for piece in as_list(held.get("content"))]
            yield Part("text", joined([as_text(held.get("title")), *texts]))
        case "image" | "video" | "audio" | "document":
            yield from _media_parts(member, held)
        case _:
            yield unknown_part({member: value})


def _guarded(key: str, value: Any) -> Any:
    return as_object(value).get("text") if key == "text" else value


def _media_parts(member: str, media: dict[str, Any]) -> Iterator[Part]:
    source = as_object(media.get("source"))
    if type(text := source.get("text")) is str:
        yield Part("text", text)
    elif type(source.get("content")) is list:
        yield from _parts(source["content"])
    else:
        named = media_type(member, as_name(media.get("format")))
        yield Part(MEDIA_KINDS[member], media_type=named or None)


def _result_parts(result: dict[str, Any]) -> Iterator[Part]:
    """A tool's answer: its texts and data as one, media behind it."""
    texts: list[str] = []
    others: list[Part] = []
    for block in map(as_object, as_list(result.get("content"))):
        if "json" in block:
            texts.append(json_text(block["json"]))
            continue
        for part in _parts([block]):
            if part.type == "text":
                texts.append(part.text or "")
            else:
                others.append(part)
    yield Part("tool_result", "\n\n".join(texts), tool_call_id=as_name(result.get("toolUseId")) or None)
    yield from others


def streamed_blocks(events: Iterable[StreamEvent]) -> list[dict[str, Any]]:
    """The content blocks that a stream's events amount to, as a plain answer has them."""
    blocks: dict[int, _Block] = {}
    for event in events:
        try:
            kind, body = event_of(event)
        except ValueError:
            continue
        index = body.get("contentBlockIndex")
        number = index if type(index) is int else 0
        if number not in blocks and len(blocks) >= _BLOCKS_MAX:
            continue
        if kind == "contentBlockStart":
            blocks.setdefault(number, _Block()).start(as_object(body.get("start")))
        elif kind == "contentBlockDelta":
            blocks.setdefault(number, _Block()).add(as_object(body.get("delta")))
    return [block for _, held in sorted(blocks.items()) if (block := held.block())]


class _Block:
    """One content block as it is put together. A text block has no start event."""

    def __init__(self) -> None:
        self._start: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._results: list[Any] = []
        self._others: dict[str, Any] = {}

    def start(self, start: dict[str, Any]) -> None:
        self._start = start

    def add(self, delta: dict[str, Any]) -> None:
        for key, value in delta.items():
            if key == "text":
                self._texts.setdefault("text", []).append(as_text(value))
            elif key == "toolUse":
                self._texts.setdefault("toolUse", []).append(as_text(as_object(value).get("input")))
            elif key == "reasoningContent":
                self._texts.setdefault(key, []).append(as_text(as_object(value).get("text")))
            elif key == "toolResult":
                self._results += as_list(value)
            elif key != "citation":  # says where a text comes from, and is none of it
                self._others[key] = value

    def block(self) -> dict[str, Any]:
        block: dict[str, Any] = {}
        if "reasoningContent" in self._texts:
            block["reasoningContent"] = {"reasoningText": {"text": "".join(self._texts["reasoningContent"])}}
        if "text" in self._texts:
            block["text"] = "".join(self._texts["text"])
        if "toolUse" in self._start or "toolUse" in self._texts:
            call = as_object(self._start.get("toolUse"))
            block["toolUse"] = {**call, "input": "".join(self._texts.get("toolUse", ()))}
        if "toolResult" in self._start or self._results:
            block["toolResult"] = {**as_object(self._start.get("toolResult")), "content": self._results}
        for key, value in self._start.items():
            if key not in ("toolUse", "toolResult"):
                block[key] = {**as_object(value), **as_object(self._others.pop(key, None))}
        return {**block, **self._others}
