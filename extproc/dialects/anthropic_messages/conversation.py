"""The conversation in a stored message exchange: for people and SQL, so what cannot be read is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.dialects.anthropic_messages.request import media_kind
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody
from extproc.model import Conversation, Message, Part
from extproc.shape import as_list, as_name, as_object, as_text, joined, json_text, unknown_part

_DELTA_TARGETS = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("partial_json", "partial_json"),
    "compaction_delta": ("content", "content"),
}
"""Delta type → (the delta's key, the block's key that it grows)."""


def read_conversation(request_body: bytes | None, response_body: bytes | None) -> Conversation:
    """Plain, or server-sent events."""
    request = as_object(tolerant_json.loads_prefix_or_none(request_body))
    asked = [
        Message(as_name(message.get("role")) or "unknown", tuple(_parts(message.get("content"))))
        for message in map(as_object, as_list(request.get("messages")))
    ]
    blocks, is_cut = _response_blocks(response_body)
    said = tuple(_parts(blocks))
    every = [*(part for message in asked for part in message.parts), *said]
    systems = [part for message in asked if message.role == "system" for part in message.parts]
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


def _tool_names(request: dict[str, Any]) -> Iterator[str]:
    for tool in map(as_object, as_list(request.get("tools"))):
        kind = as_name(tool.get("type")) or "custom"
        yield (as_name(tool.get("name")) if kind == "custom" else "") or kind
    yield from ("mcp_server" for _ in as_list(request.get("mcp_servers")))


def _parts(content: Any) -> Iterator[Part]:
    if type(content) is str:
        if content:
            yield Part("text", content)
        return
    for block in map(as_object, as_list(content)):
        yield from _block_parts(block)


def _block_parts(block: dict[str, Any]) -> Iterator[Part]:
    kind = as_name(block.get("type"))
    if kind == "text":
        if text := as_text(block.get("text")):
            yield Part("text", text)
    elif kind == "compaction":  # the model's summary of what was before: for itself, not for the caller
        yield Part("thinking", as_text(block.get("content")))
    elif kind == "thinking":
        yield Part("thinking", as_text(block.get("thinking")))
    elif kind == "redacted_thinking":
        yield Part("thinking")
    elif kind.endswith("tool_use"):
        yield Part(
            "tool_call",
            tool_call_id=as_name(block.get("id")) or None,
            tool_name=as_name(block.get("name")) or None,
            arguments=_arguments(block),
        )
    elif kind.endswith("tool_result"):
        yield from _result_parts(block)
    elif kind == "search_result":
        yield Part("text", joined([as_text(block.get("title")), *(part.text for part in _parts(block.get("content")))]))
    elif media := media_kind(kind):
        yield from _media_parts(media, block)
    else:
        yield unknown_part(block)


def _media_parts(kind: str, block: dict[str, Any]) -> Iterator[Part]:
    """A document may be text in the body, or blocks."""
    source = as_object(block.get("source"))
    if source.get("type") == "text":
        yield Part("text", as_text(source.get("data")))
    elif source.get("type") == "content":
        yield from _parts(source.get("content"))
    else:
        yield Part(kind, media_type=as_name(source.get("media_type")) or None)


def _arguments(block: dict[str, Any]) -> str:
    if streamed := as_text(block.get("partial_json")):
        return streamed
    return json_text(block.get("input", {}))


def _result_parts(block: dict[str, Any]) -> Iterator[Part]:
    content = block.get("content")
    inner = list(_parts(content)) if type(content) in (str, list) else []
    text = "\n\n".join(part.text for part in inner if part.type == "text" and part.text)
    if not text and content and type(content) is not str and not any(part.type in ("image", "file") for part in inner):
        text = json_text(content)  # a provider's own tool: its answer as data
        inner = []
    yield Part("tool_result", text, tool_call_id=as_name(block.get("tool_use_id")) or None)
    yield from (part for part in inner if part.type != "text")


def _response_blocks(body: bytes | None) -> tuple[list[dict[str, Any]], bool]:
    """The content blocks of a plain answer, or those put together from a stream's events; and was it cut off?"""
    reader = ResponseBody()
    blocks: dict[int, dict[str, Any]] = {}
    pieces: dict[tuple[int, str], list[str]] = {}
    for held, event in reader.documents(body):
        document = as_object(held)
        if event is None:
            return as_list(document.get("content")), reader.is_cut
        index = document.get("index")
        number = index if type(index) is int else 0
        if document.get("type") == "content_block_start":
            blocks[number] = dict(as_object(document.get("content_block")))
        elif document.get("type") == "content_block_delta":
            delta = as_object(document.get("delta"))
            source, target = _DELTA_TARGETS.get(as_name(delta.get("type")), ("", ""))
            if target:
                pieces.setdefault((number, target), []).append(as_text(delta.get(source)))
    for (number, key), texts in pieces.items():
        block = blocks.setdefault(number, {"type": {"partial_json": "tool_use", "content": "compaction"}.get(key, key)})
        block[key] = as_text(block.get(key)) + "".join(texts)
    return [block for _, block in sorted(blocks.items())], reader.is_cut
