"""The conversation in a stored interaction: for people and SQL, so what cannot be read is left out.

What the provider ran itself (searches, code, MCP servers) stands among the parts; `tool_calls` are the function calls,
which the client has to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.codecs.gemini.conversation import camel
from extproc.codecs.gemini.interactions.items import (
    FUNCTION_CALL,
    HOLDERS,
    ITEMS_DEEP_MAX,
    MEDIA_KINDS,
    holds_contents,
    is_call,
    is_content,
    is_result,
)
from extproc.codecs.gemini.parts import media_kind
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody
from extproc.model import Conversation, Message, Part
from extproc.shape import as_list, as_name, as_object, as_text, joined, json_text, unknown_part

STEPS_MAX = 100_000
"""Steps told apart in one stream; what is said of further ones is left out."""


def read_conversation(request_body: bytes | None, response_body: bytes | None) -> Conversation:
    request = camel(tolerant_json.loads_or_none(request_body))
    asked = list(_asked(request.get("input")))
    items = [item for item in _answered(response_body) if item.get("type") != "user_input"]
    parts = [(item, part) for item in items for part in _parts(item)]
    said = tuple(part for _, part in parts)
    unknown = any(part.type == "unknown" for message in asked for part in message.parts) or any(
        part.type == "unknown" for part in said
    )
    return Conversation(
        system_text=as_text(request.get("systemInstruction")) or None,
        messages=(*asked, Message("model", said)) if said else tuple(asked),
        request_message_count=len(asked),
        response_text="".join(part.text or "" for part in said if part.type == "text") or None,
        reasoning_text=joined(part.text for part in said if part.type == "thinking"),
        tool_calls=tuple(part for item, part in parts if item.get("type") == FUNCTION_CALL),
        tools=tuple(_tool_names(request)),
        warnings=("unknown_part",) if unknown else (),
    )


def _tool_names(request: dict[str, Any]) -> Iterator[str]:
    for tool in map(as_object, as_list(request.get("tools"))):
        kind = as_name(tool.get("type")) or "function"
        yield (as_name(tool.get("name")) if kind == "function" else "") or kind


def _asked(value: Any) -> Iterator[Message]:
    """The input's messages: steps or turns, or one of contents by themselves."""
    if type(value) is str:
        yield Message("user", (Part("text", value),))
        return
    items = [as_object(item) for item in ([value] if type(value) is dict else as_list(value))]
    if items and all(map(is_content, items)):
        yield Message("user", tuple(part for item in items for part in _parts(camel(item))))
        return
    for item in map(camel, items):
        yield Message(_role(item), tuple(_parts(item)))


def _role(item: dict[str, Any]) -> str:
    kind = as_name(item.get("type"))
    spoken = "model" if kind in ("model_output", "thought") or is_call(kind) else "user"
    return as_name(item.get("role")) or spoken


def _parts(item: dict[str, Any], depth: int = 0) -> Iterator[Part]:
    kind = as_name(item.get("type"))
    if depth > ITEMS_DEEP_MAX:
        yield unknown_part(item)
    elif kind == "text":
        if text := as_text(item.get("text")):
            yield Part("text", text)
    elif kind in MEDIA_KINDS:
        media_type = as_name(item.get("mimeType"))
        named = MEDIA_KINDS[kind]
        yield Part(media_kind(media_type) if named == "file" and media_type else named, media_type=media_type or None)
    elif kind in HOLDERS or (not kind and "content" in item):
        yield from _held(item.get("content"), depth)
    elif kind == "thought":
        summary = [part.text for part in _held(item.get("summary"), depth) if part.text]
        if summary:
            yield Part("thinking", "".join(summary))
    elif is_call(kind):
        arguments = item.get("arguments")
        yield Part(
            "tool_call",
            tool_call_id=as_name(item.get("id")) or None,
            tool_name=as_name(item.get("name")) or kind.removesuffix("_call"),
            arguments=arguments if type(arguments) is str and arguments else json_text(as_object(arguments)),
        )
    elif is_result(kind):
        yield from _result(item, kind, depth)
    else:
        yield unknown_part(item)


def _held(value: Any, depth: int) -> Iterator[Part]:
    """Contents, or text by itself."""
    if type(value) is str:
        if value:
            yield Part("text", value)
        return
    for item in [value] if type(value) is dict else as_list(value):
        yield from _parts(camel(item), depth + 1)


def _result(item: dict[str, Any], kind: str, depth: int) -> Iterator[Part]:
    result = item.get("result")
    inner = list(_held(result, depth)) if holds_contents(result) else []
    text = "".join(part.text or "" for part in inner if part.type == "text")
    if not inner and result is not None:
        text = result if type(result) is str else json_text(result)
    yield Part(
        "tool_result",
        text,
        tool_call_id=as_name(item.get("callId")) or None,
        tool_name=as_name(item.get("name")) or kind.removesuffix("_result"),
    )
    yield from (part for part in inner if part.type != "text")


def _answered(body: bytes | None) -> list[dict[str, Any]]:
    """The steps (or outputs) of a plain answer, or those put together from a stream's events."""
    steps: dict[int, _Step] = {}
    for held, event in ResponseBody().documents(body):
        document = as_object(held)
        if event is None:
            return [camel(item) for item in as_list(document.get("steps")) or as_list(document.get("outputs"))]
        index = document.get("index")
        number = index if type(index) is int else 0
        if number not in steps and len(steps) >= STEPS_MAX:
            continue
        if begun := as_object(document.get("step")) or as_object(document.get("content")):
            steps[number] = _Step(camel(begun))
        elif delta := camel(document.get("delta")):
            steps.setdefault(number, _Step({})).take(delta)
    return [step.whole() for _, step in sorted(steps.items())]


class _Step:
    """One step, put together from its deltas."""

    def __init__(self, begun: dict[str, Any]) -> None:
        self._item = dict(begun)
        self._texts: list[str] = []
        self._contents: list[Any] = [*as_list(begun.get("content"))]
        self._summary: list[Any] = [*as_list(begun.get("summary"))]
        self._arguments: list[str] = []

    def take(self, delta: dict[str, Any]) -> None:
        kind = as_name(delta.get("type"))
        if kind == "text":
            self._texts.append(as_text(delta.get("text")))
        elif kind in MEDIA_KINDS:
            self._end_text()
            self._contents.append(delta)
        elif kind == "thought_summary":
            self._summary.append(delta.get("content"))
        elif kind == "arguments_delta":
            self._arguments.append(as_text(delta.get("arguments")))
        elif is_call(kind) or is_result(kind):
            self._item.update(delta)
        elif kind not in ("thought_signature", "text_annotation_delta", ""):
            self._contents.append(delta)

    def _end_text(self) -> None:
        if self._texts:
            self._contents.append({"type": "text", "text": "".join(self._texts)})
            self._texts = []

    def whole(self) -> dict[str, Any]:
        """The step as a plain answer would have it."""
        if self._item.get("type") == "text":  # the first version: the content is the step
            return {**self._item, "text": as_text(self._item.get("text")) + "".join(self._texts)}
        self._end_text()
        if self._arguments:
            self._item["arguments"] = "".join(self._arguments)
        if self._contents:
            self._item = {"type": "model_output", **self._item, "content": self._contents}
        if self._summary:
            self._item = {"type": "thought", **self._item, "summary": self._summary}
        return self._item
