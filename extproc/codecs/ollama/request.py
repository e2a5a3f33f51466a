"""Reads requests of Ollama strictly (Ollama's docs/api.md, "Generate a chat completion", "Generate a completion")."""

from __future__ import annotations

from typing import Any

from extproc.codecs.ollama.shared import read_images, read_options, streams
from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts
from extproc.model import RequestFacts
from extproc.shape import Fields, as_text, invalid, text_size
from extproc.usage import BYTES_PER_TOKEN

_CHAT_KEYS = frozenset({"model", "messages", "tools", "format", "stream", "options", "think", "keep_alive"})
_MESSAGE_KEYS = frozenset({"role", "content", "thinking", "images", "tool_calls", "tool_name", "tool_call_id"})
_CALL_KEYS = frozenset({"id", "type", "function", "name", "arguments"})
_TOOL_KEYS = frozenset({"type", "function", "name", "description", "parameters"})
_GENERATE_KEYS = frozenset(
    """model prompt suffix images format options system template context stream raw think keep_alive""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_GENERATE_TEXTS = ("prompt", "suffix", "system", "template")
SYSTEM_ROLE = "system"


def read_chat(document: Any) -> RequestFacts:
    """`/api/chat`. Without messages it loads the model. Raises `ClientError`."""
    body = Fields(document)
    body.refuse_lookalikes(_CHAT_KEYS)
    parts = Parts()
    text_bytes = count = 0
    has_system_text = False
    for index, message in body.objects("messages"):
        message.refuse_lookalikes(_MESSAGE_KEYS)
        count += 1
        has_system_text = has_system_text or message.text("role") == SYSTEM_ROLE
        text_bytes += _message_bytes(message)
        read_images(message, f"/messages/{index}", parts)
    limit, temperature, parameters = read_options(body)
    return RequestFacts(
        model=body.text("model"),
        stream=streams(body),
        max_output_tokens=limit,
        temperature=temperature,
        tools=_tool_names(body),
        message_count=count,
        has_system_text=has_system_text,
        text_bytes=text_bytes + text_size(body.raw("tools")) + text_size(body.raw("format")),
        uninspected_parts=tuple(parts),
        asks_stream_usage=True,  # it is always told
        parameters=parameters,
    )


def read_generate(document: Any) -> RequestFacts:
    """`/api/generate`. Without a prompt it loads the model. Raises `ClientError`."""
    body = Fields(document)
    body.refuse_lookalikes(_GENERATE_KEYS)
    parts = Parts()
    texts = {key: body.text(key) for key in _GENERATE_TEXTS}
    text_bytes = sum(utf8_size(text or "") for text in texts.values())
    read_images(body, "", parts)
    context = body.raw("context")
    if context:  # an earlier conversation, in the model's tokens
        if type(context) is not list:
            raise invalid("context", "a list of token ids")
        parts.add("unknown", "/context")
        text_bytes += len(context) * BYTES_PER_TOKEN
    limit, temperature, parameters = read_options(body)
    if body.flag("raw"):
        parameters["raw"] = True
    return RequestFacts(
        model=body.text("model"),
        stream=streams(body),
        max_output_tokens=limit,
        temperature=temperature,
        message_count=1 if asks(texts["prompt"], body.raw("images")) else 0,
        has_system_text=bool(texts["system"]),
        text_bytes=text_bytes + text_size(body.raw("format")),
        uninspected_parts=tuple(parts),
        asks_stream_usage=True,
        parameters=parameters,
    )


def asks(prompt: Any, images: Any) -> bool:
    """Is there anything to answer? An empty call only loads the model, or unloads it."""
    return bool(prompt) or bool(images)


def _message_bytes(message: Fields) -> int:
    size = sum(utf8_size(message.text(key) or "") for key in ("content", "thinking", "tool_name"))
    for _, call in message.objects("tool_calls"):
        call.refuse_lookalikes(_CALL_KEYS)
        called = call.fields("function")
        called.refuse_lookalikes(_CALL_KEYS)
        size += utf8_size(called.text("name") or "") + text_size(called.raw("arguments"))
    return size


def _tool_names(body: Fields) -> tuple[str, ...]:
    names: list[str] = []
    for _, tool in body.objects("tools"):
        tool.refuse_lookalikes(_TOOL_KEYS)
        function = tool.fields("function")
        function.refuse_lookalikes(_TOOL_KEYS)
        names.append(as_text(function.text("name")) or tool.text("type") or "function")
    return tuple(names)
