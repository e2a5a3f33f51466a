"""Reads a messages request strictly (Anthropic API reference, "Create a Message")."""

from __future__ import annotations

from typing import Any

from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts, base64_part
from extproc.model import RequestFacts
from extproc.shape import Fields, as_name, as_object, as_text, invalid, text_size
from extproc.steering import Steering

KNOWN_KEYS = frozenset(
    """anthropic_beta anthropic_version cache_control container context_management fallbacks inference_geo max_tokens
    mcp_servers messages metadata model models output_config output_format service_tier speed stop_sequences stream
    system temperature thinking thread tool_choice tools top_k top_p""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_MESSAGE_KEYS = frozenset({"role", "content"})
_BLOCK_KEYS = frozenset({"type", "source", "content"})
_TOOL_KEYS = frozenset({"type", "name"})
_PLAIN_TEXT_KEYS = frozenset({"type", "text", "cache_control", "citations"})
BLOCKS_DEEP_MAX = 8
"""Blocks within blocks (an image in a document in a tool's result); deeper ones are called unknown, so uninspected."""

# Blocks made of text. Of all other keys of a block, only nested `content` can hold what is not text.
_TEXT_BLOCKS = frozenset(
    {
        "text",
        "thinking",
        "redacted_thinking",
        "compaction",
        "search_result",
        "tool_use",
        "tool_result",
        "tool_reference",
        "tool_addition",
        "tool_removal",
        "mcp_tool_listing",
        "fallback",
    }
)
_TEXT_KEYS = frozenset(
    """text thinking title source input name stdout stderr error_code tool tools tool_references
    tool_changes""".split()  # noqa: SIM905 (as above)
)
_SERVER_TOOL_SUFFIXES = ("_tool_use", "_result", "_output", "_error")
"""What the provider's own tools were asked and answered: `server_tool_use`, `web_search_tool_result`, …"""
_STEERING = Steering(
    """top_k top_p service_tier speed inference_geo thinking.type thinking.budget_tokens thinking.display
    tool_choice.type tool_choice.disable_parallel_tool_use output_config.effort output_format.type"""
)
_MEDIA_KINDS = {"image": "image", "document": "file", "container_upload": "file"}


def media_kind(block_type: str) -> str | None:
    """`image` or `file` for the type of a block that holds or names media, else None."""
    return _MEDIA_KINDS.get(block_type)


def is_text_block(block_type: str) -> bool:
    """Is all that such a block holds text, as far as it has no nested `content`?"""
    return block_type in _TEXT_BLOCKS or block_type.endswith(_SERVER_TOOL_SUFFIXES)


def read_request(document: Any) -> RequestFacts:
    """Raises `ClientError` (`invalid_request`, `ambiguous_key`)."""
    body = Fields(document)
    body.refuse_lookalikes(KNOWN_KEYS)
    if body.raw("messages") is None:
        raise invalid("messages", "a list of objects")
    text = _Text()
    text.read_content(body, "system", "/system", depth=0)
    has_system_text = text.size_bytes > 0
    count = 0
    for index, item in enumerate(body.listed("messages")):
        count += 1
        if _is_plain_message(item):
            has_system_text |= item["role"] == "system"
            text.size_bytes += utf8_size(item["content"])
            continue
        message = Fields(item, body, ("messages", index))
        message.refuse_lookalikes(_MESSAGE_KEYS)
        has_system_text |= message.text("role") == "system"
        text.read_content(message, "content", f"/messages/{index}/content", depth=0)
    for key in ("tools", "output_format", "output_config"):
        if (extra := body.raw(key)) is not None:
            text.size_bytes += text_size(extra)
    return RequestFacts(
        model=body.text("model"),
        fallback_models=_fallback_models(body),
        stream=body.flag("stream"),
        max_output_tokens=body.integer("max_tokens"),
        temperature=body.number("temperature"),
        tools=tool_names(body),
        message_count=count,
        has_system_text=has_system_text,
        text_bytes=text.size_bytes,
        uninspected_parts=tuple(text.parts),
        asks_stream_usage=True,
        parameters=_STEERING.of(body.members),
        previous_response_id=as_name(as_object(body.raw("thread")).get("previous_message_id")) or None,
    )


def _fallback_models(body: Fields) -> tuple[str, ...]:
    """Who answers when the model declines; the word `default` leaves that to the provider. OpenRouter takes a list of
    names in this api, too."""
    names = list(body.texts("models"))
    if type(body.raw("fallbacks")) is not str:
        names += [name for _, fallback in body.objects("fallbacks") if (name := fallback.text("model"))]
    return tuple(names)


def tool_names(body: Fields) -> tuple[str, ...]:
    """The client's tools by name, what the provider runs itself by its type."""
    names: list[str] = []
    for _, tool in body.objects("tools"):
        tool.refuse_lookalikes(_TOOL_KEYS)
        kind = tool.text("type") or "custom"
        names.append((tool.text("name") if kind == "custom" else None) or kind)
    names += ["mcp_server" for _ in body.objects("mcp_servers")]
    return tuple(names)


def _is_plain_message(item: Any) -> bool:
    return (
        type(item) is dict
        and type(item.get("role")) is str
        and type(item.get("content")) is str
        and item.keys() <= _MESSAGE_KEYS
    )


def _is_plain_text(item: Any) -> bool:
    return (
        type(item) is dict
        and item.get("type") == "text"
        and type(item.get("text")) is str
        and item.keys() <= _PLAIN_TEXT_KEYS
    )


class _Text:
    """Counts the text of a request and notes what is none."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.parts = Parts()

    def read_content(self, holder: Fields, key: str, where: str, *, depth: int) -> None:
        """The string or list of blocks at `key`."""
        content = holder.raw(key)
        if content is None:
            return
        if type(content) is str:
            self.size_bytes += utf8_size(content)
            return
        if type(content) is not list:
            raise invalid(holder.named(key), "a string or a list of blocks")
        for index, item in enumerate(content):
            if _is_plain_text(item):  # nearly every block
                self.size_bytes += utf8_size(item["text"])
            else:
                self._read_block(Fields(item, holder, (key, index)), item, f"{where}/{index}", depth)

    def _read_block(self, block: Fields, item: dict[str, Any], where: str, depth: int) -> None:
        block.refuse_lookalikes(_BLOCK_KEYS)
        kind = block.text("type") or ""
        if kind in _MEDIA_KINDS:
            self._read_media(block, item, where, depth)
        elif not is_text_block(kind) or depth >= BLOCKS_DEEP_MAX:
            self.parts.add("unknown", where)
        else:
            for key, value in item.items():
                if key in _TEXT_KEYS:
                    self.size_bytes += text_size(value)
            if type(item.get("source")) is dict:  # text names its source by a string; only media have an object there
                self.parts.add("unknown", where)
            inner = block.raw("content")
            if type(inner) is dict:  # one result, or the error, of the provider's own tool
                self._read_block(Fields(inner, block, "content"), inner, f"{where}/content", depth + 1)
            else:
                self.read_content(block, "content", f"{where}/content", depth=depth + 1)

    def _read_media(self, block: Fields, item: dict[str, Any], where: str, depth: int) -> None:
        kind = _MEDIA_KINDS[as_text(item.get("type"))]
        self.size_bytes += text_size(item.get("title")) + text_size(item.get("context"))
        source = block.fields("source")
        source_type = source.text("type")
        if source_type == "text":
            self.size_bytes += utf8_size(source.text("data") or "")
        elif source_type == "content":
            self.read_content(source, "content", f"{where}/source/content", depth=depth + 1)
        elif source_type == "base64":
            self.parts.append(base64_part(kind, where, source.text("data") or "", source.text("media_type") or ""))
        else:
            self.parts.add(kind, where)
