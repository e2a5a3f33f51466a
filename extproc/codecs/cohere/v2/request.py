"""Reads a v2 chat request strictly (Cohere API reference, "Chat", API v2)."""

from __future__ import annotations

from typing import Any

from extproc.codecs.cohere.documents import documents_size
from extproc.codecs.cohere.words import WORDS
from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts, url_part
from extproc.model import RequestFacts
from extproc.shape import Fields, invalid, text_size
from extproc.steering import Steering

_KNOWN_KEYS = frozenset(
    """citation_options documents frequency_penalty k logprobs max_tokens messages model p presence_penalty priority
    response_format safety_mode seed stop_sequences stream strict_tools temperature thinking tool_choice
    tools""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_STEERING = Steering(
    """frequency_penalty k logprobs p presence_penalty priority safety_mode seed strict_tools tool_choice
    citation_options.mode response_format.type thinking.type thinking.token_budget""",
    WORDS,
)
_MESSAGE_KEYS = frozenset({"role", "content", "tool_calls", "tool_plan", "tool_call_id"})
_PART_KEYS = frozenset({"type", "text", "thinking", "image_url", "document"})
_TOOL_KEYS = frozenset({"type", "function", "name"})
SYSTEM_ROLES = frozenset({"system", "developer"})


def read_request(document: Any) -> RequestFacts:
    """Raises `ClientError` (`invalid_request`, `ambiguous_key`)."""
    body = Fields(document)
    body.refuse_lookalikes(_KNOWN_KEYS)
    if body.raw("messages") is None:
        raise invalid("messages", "a list of objects")
    messages = _Messages()
    for index, message in body.objects("messages"):
        messages.read(index, message)
    documents, documents_bytes = documents_size(body)
    tools = tuple(_tool_name(tool) for _, tool in body.objects("tools"))
    extra = sum(text_size(body.raw(key)) for key in ("tools", "response_format"))
    return RequestFacts(
        model=body.text("model"),
        stream=body.flag("stream"),
        max_output_tokens=body.integer("max_tokens"),
        temperature=body.number("temperature"),
        tools=tools,
        message_count=messages.count + bool(documents),
        has_system_text=messages.has_system_text,
        text_bytes=messages.text_bytes + documents_bytes + extra,
        uninspected_parts=tuple(messages.parts),
        asks_stream_usage=True,  # the last event always tells it
        parameters=_STEERING.of(body.members),
    )


def _tool_name(tool: Fields) -> str:
    tool.refuse_lookalikes(_TOOL_KEYS)
    function = tool.fields("function")
    function.refuse_lookalikes(_TOOL_KEYS)
    return function.text("name") or tool.text("type") or "function"


class _Messages:
    def __init__(self) -> None:
        self.count = 0
        self.has_system_text = False
        self.text_bytes = 0
        self.parts = Parts()

    def read(self, index: int, message: Fields) -> None:
        self.count += 1
        message.refuse_lookalikes(_MESSAGE_KEYS)
        if message.text("role") in SYSTEM_ROLES:
            self.has_system_text = True
        self.text_bytes += utf8_size(message.text("tool_plan") or "")
        for _, call in message.objects("tool_calls"):
            function = call.fields("function")
            self.text_bytes += sum(text_size(function.raw(key)) for key in ("name", "arguments"))
        self._read_content(message, f"/messages/{index}/content")

    def _read_content(self, message: Fields, where: str) -> None:
        content = message.raw("content")
        if content is None:
            return
        if type(content) is str:
            self.text_bytes += utf8_size(content)
        elif type(content) is dict:  # one part, without a list around it: Cohere's own examples have that too
            self._read_part(Fields(content, message, "content"), content, where)
        elif type(content) is list:
            for index, item in enumerate(content):
                if type(item) is str:
                    self.text_bytes += utf8_size(item)
                else:
                    self._read_part(Fields(item, message, ("content", index)), item, f"{where}/{index}")
        else:
            raise invalid(message.named("content"), "a string or a list of parts")

    def _read_part(self, part: Fields, item: dict[str, Any], where: str) -> None:
        part.refuse_lookalikes(_PART_KEYS)
        kind = part.text("type") or ("text" if type(item.get("text")) is str and len(item) == 1 else "")
        if kind in ("text", "thinking"):
            self.text_bytes += utf8_size(part.text("text") or "") + utf8_size(part.text("thinking") or "")
        elif kind == "document":
            self.text_bytes += text_size(item.get("document"))
        elif kind == "image_url":
            held = item.get("image_url")
            url = held if type(held) is str else part.fields("image_url").text("url")
            self.parts.append(url_part("image", where, url or ""))
        else:
            self.parts.add("unknown", where)
