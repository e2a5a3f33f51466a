"""The conversation in a stored v2 chat: for people and SQL, so what cannot be read is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.codecs.cohere.documents import document_messages, document_text
from extproc.codecs.cohere.v2.request import SYSTEM_ROLES
from extproc.codecs.cohere.v2.response import called, content_parts
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody, StreamFormat
from extproc.model import Conversation, Message, Part
from extproc.shape import as_list, as_name, as_object, as_text, joined, unknown_part


def read_conversation(request_body: bytes | None, response_body: bytes | None) -> Conversation:
    request = as_object(tolerant_json.loads_or_none(request_body))
    asked = [*document_messages(request), *map(_request_message, map(as_object, as_list(request.get("messages"))))]
    said = tuple(_parts(_answer(response_body)))
    return Conversation(
        system_text=joined(
            part.text
            for message in asked
            if message.role in SYSTEM_ROLES
            for part in message.parts
            if part.type == "text"
        ),
        messages=(*asked, Message("assistant", said)) if said else tuple(asked),
        request_message_count=len(asked),
        response_text="".join(part.text or "" for part in said if part.type == "text") or None,
        reasoning_text=joined(part.text for part in said if part.type == "thinking"),
        tool_calls=tuple(part for part in said if part.type == "tool_call"),
        tools=tuple(_tool_names(request)),
    )


def _tool_names(request: dict[str, Any]) -> Iterator[str]:
    for tool in map(as_object, as_list(request.get("tools"))):
        yield as_name(as_object(tool.get("function")).get("name")) or as_name(tool.get("type")) or "function"


def _request_message(message: dict[str, Any]) -> Message:
    role = as_name(message.get("role")) or "unknown"
    if role != "tool":
        return Message(role, tuple(_parts(message)))
    parts = [part for item in content_parts(message) for part in _content_part(item, document="text")]
    text = "\n\n".join(part.text for part in parts if part.type == "text" and part.text)
    result = Part("tool_result", text, tool_call_id=as_name(message.get("tool_call_id")) or None)
    return Message(role, (result, *(part for part in parts if part.type != "text")))


def _parts(message: dict[str, Any]) -> Iterator[Part]:
    """The plan for the tools, the content and the calls of a message."""
    if plan := as_text(message.get("tool_plan")):
        yield Part("thinking", plan)
    for item in content_parts(message):
        yield from _content_part(item, document="file")
    for call in called(message):
        function = as_object(call.get("function"))
        yield Part(
            "tool_call",
            tool_call_id=as_name(call.get("id")) or None,
            tool_name=as_name(function.get("name")) or None,
            arguments=as_text(function.get("arguments")),
        )


def _content_part(item: dict[str, Any], *, document: str) -> Iterator[Part]:
    """`document` is what a document counts as: a file by itself, text in a tool's result."""
    kind = as_name(item.get("type"))
    if kind == "thinking":
        if thought := as_text(item.get("thinking")):
            yield Part("thinking", thought)
    elif kind == "document":
        yield Part(document, document_text(item.get("document")))
    elif kind == "image_url":
        yield Part("image")
    elif type(item.get("text")) is str:
        if item["text"]:
            yield Part("text", item["text"])
    elif item:
        yield unknown_part(item)


def _answer(body: bytes | None) -> dict[str, Any]:
    """The message of a plain answer, or the one put together from a stream's events."""
    answer = _Answer()
    for document, _ in ResponseBody(StreamFormat.SSE).documents(body):
        chunk = as_object(document)
        if type(whole := chunk.get("message")) is dict:
            return whole
        answer.take(chunk)
    return answer.message()


class _Answer:
    """A streamed answer as it is put together."""

    def __init__(self) -> None:
        self._plan: list[str] = []
        self._blocks: dict[int, tuple[dict[str, Any], dict[str, list[str]]]] = {}
        self._calls: dict[int, tuple[dict[str, str], list[str]]] = {}

    def take(self, chunk: dict[str, Any]) -> None:
        message = as_object(as_object(chunk.get("delta")).get("message"))
        index = chunk.get("index")
        number = index if type(index) is int else 0
        self._plan.append(as_text(message.get("tool_plan")))
        for part in content_parts(message):
            first, pieces = self._blocks.setdefault(number, ({}, {}))
            first.update(part)
            for key in ("text", "thinking"):
                pieces.setdefault(key, []).append(as_text(part.get(key)))
        for call in called(message):
            function = as_object(call.get("function"))
            named, arguments = self._calls.setdefault(number, ({}, []))
            if call_id := as_name(call.get("id")):
                named["id"] = call_id
            if name := as_name(function.get("name")):
                named["name"] = name
            arguments.append(as_text(function.get("arguments")))

    def message(self) -> dict[str, Any]:
        return {
            "tool_plan": "".join(self._plan),
            "content": [_block(first, pieces) for _, (first, pieces) in sorted(self._blocks.items())],
            "tool_calls": [
                {"id": named.get("id"), "function": {"name": named.get("name"), "arguments": "".join(arguments)}}
                for _, (named, arguments) in sorted(self._calls.items())
            ],
        }


def _block(first: dict[str, Any], pieces: dict[str, list[str]]) -> dict[str, Any]:
    """A block of content. One whose beginning was lost has no type: what it holds tells."""
    texts = {key: text for key, parts in pieces.items() if (text := "".join(parts))}
    kind = as_name(first.get("type")) or ("thinking" if "thinking" in texts and "text" not in texts else "text")
    empty = {kind: ""} if kind in pieces else {}
    return {**first, "type": kind, **empty, **texts}
