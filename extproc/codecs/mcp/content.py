"""Content blocks of MCP for readers of whole bodies: tolerant, and nothing of them is lost.

    {"type": "text", "text": "…"}
    {"type": "image" | "audio", "data": "<base64>", "mimeType": "…"}
    {"type": "resource", "resource": {"uri": "…", "mimeType": "…", "text": "…" | "blob": "<base64>"}}
    {"type": "resource_link", "uri": "…", "name": "…"}
    {"type": "tool_use", "id": "…", "name": "…", "input": {…}}
    {"type": "tool_result", "toolUseId": "…", "content": […]}

Source: MCP specification, "Tools" and "Sampling", and its schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.model import Message, Part
from extproc.shape import as_list, as_name, as_object, as_text, json_text, unknown_part

BLOCKS_DEEP_MAX = 8
"""As `request.BLOCKS_DEEP_MAX`: what lies deeper is kept as JSON."""


_BOOKKEEPING = frozenset({"_meta", "resultType", "ttlMs", "cacheScope"})


def blocks(content: Any) -> list[dict[str, Any]]:
    """One block, or several; what is no object is left out."""
    return [block for block in (content if type(content) is list else (content,)) if type(block) is dict]


def content_text(content: Any) -> str:
    """The text of the blocks, one below the other."""
    return "\n\n".join(text for part in content_parts(content) if part.type == "text" and (text := part.text))


def content_parts(content: Any, depth: int = 0) -> Iterator[Part]:
    if type(content) is str:
        yield Part("text", content)
    for block in blocks(content):
        yield from _block_parts(block, depth)


def _block_parts(block: dict[str, Any], depth: int) -> Iterator[Part]:
    kind = as_name(block.get("type"))
    if kind == "text" and type(block.get("text")) is str:
        yield Part("text", block["text"])
    elif kind in ("image", "audio"):
        yield Part(kind, media_type=as_name(block.get("mimeType")) or None)
    elif kind == "resource":
        yield from resource_parts(as_object(block.get("resource")))
    elif kind == "resource_link":
        yield Part("file", json_text(block), media_type=as_name(block.get("mimeType")) or None)
    elif kind == "tool_use":
        yield Part(
            "tool_call",
            tool_call_id=as_name(block.get("id")) or None,
            tool_name=as_name(block.get("name")) or None,
            arguments=json_text(block.get("input", {})),
        )
    elif kind == "tool_result" and depth < BLOCKS_DEEP_MAX:
        yield from tool_result_parts(block, as_name(block.get("toolUseId")) or None, None, depth + 1)
    else:
        yield unknown_part(block)


def resource_parts(resource: dict[str, Any]) -> Iterator[Part]:
    """Which resource it is, and its text; of a blob only that it was there."""
    yield Part("file", as_text(resource.get("uri")) or None, media_type=as_name(resource.get("mimeType")) or None)
    if type(resource.get("text")) is str:
        yield Part("text", resource["text"])


def rest_parts(holder: dict[str, Any], *told: str) -> Iterator[Part]:
    """What `holder` has beside the members that were told already, and the protocol's own bookkeeping."""
    if rest := {key: value for key, value in holder.items() if key not in told and key not in _BOOKKEEPING}:
        yield unknown_part(rest)


def tool_result_parts(
    result: dict[str, Any], call_id: str | None, tool_name: str | None, depth: int = 0
) -> Iterator[Part]:
    """What a tool gave: its text as one part, its media, and its structured content where the text is not just that."""
    inner = list(content_parts(result.get("content"), depth))
    text = "\n\n".join(part.text for part in inner if part.type == "text" and part.text)
    structured = result.get("structuredContent")
    told = None if structured is None else json_text(structured)
    if text or told is None:
        yield Part("tool_result", text, call_id, tool_name)
    yield from (part for part in inner if part.type != "text")
    if told is not None and not _is_the_same(text, told):
        yield Part("tool_result", told, call_id, tool_name, media_type="application/json")
    yield from rest_parts(result, "content", "structuredContent", "isError", "type", "toolUseId")


def _is_the_same(text: str, told: str) -> bool:
    """Is the text the structured content once more, as the specification asks for? White space aside."""
    return "".join(text.split()) == "".join(told.split())


def said_messages(holder: dict[str, Any]) -> Iterator[Message]:
    """The messages in `sampling/createMessage` or in the result of `prompts/get`."""
    for said in map(as_object, as_list(holder.get("messages"))):
        yield Message(as_name(said.get("role")) or "unknown", tuple(content_parts(said.get("content"))))
