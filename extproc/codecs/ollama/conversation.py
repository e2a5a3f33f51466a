"""The conversation in a stored exchange with Ollama: for people and SQL, so tolerant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.codecs.ollama.request import SYSTEM_ROLE, asks
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody, StreamFormat
from extproc.model import Conversation, Message, Part
from extproc.shape import as_list, as_name, as_object, as_text, joined, json_text, unknown_part


def read_chat(request_body: bytes | None, response_body: bytes | None) -> Conversation:
    request = as_object(tolerant_json.loads_or_none(request_body))
    asked = tuple(_message(as_object(message)) for message in as_list(request.get("messages")))
    system = (
        part.text for message in asked if message.role == SYSTEM_ROLE for part in message.parts if part.type == "text"
    )
    return _conversation(joined(system), asked, response_body, request)


def read_generate(request_body: bytes | None, response_body: bytes | None) -> Conversation:
    request = as_object(tolerant_json.loads_or_none(request_body))
    asked: tuple[Message, ...] = ()
    if asks(prompt := as_text(request.get("prompt")), images := as_list(request.get("images"))):
        texts = (Part("text", text) for text in (prompt, as_text(request.get("suffix"))) if text)
        asked = (Message("user", (*texts, *(Part("image") for _ in images))),)
    return _conversation(as_text(request.get("system")) or None, asked, response_body, request)


def _conversation(
    system_text: str | None, asked: tuple[Message, ...], response_body: bytes | None, request: dict[str, Any]
) -> Conversation:
    said = _answer(response_body)
    tools = (as_object(tool) for tool in as_list(request.get("tools")))
    return Conversation(
        system_text=system_text,
        messages=(*asked, Message("assistant", said)) if said else asked,
        request_message_count=len(asked),
        response_text=joined(part.text for part in said if part.type == "text"),
        reasoning_text=joined(part.text for part in said if part.type == "thinking"),
        tool_calls=tuple(part for part in said if part.type == "tool_call"),
        tools=tuple(
            as_name(as_object(tool.get("function")).get("name")) or as_name(tool.get("type")) or "function"
            for tool in tools
        ),
    )


def _message(message: dict[str, Any]) -> Message:
    role = as_name(message.get("role")) or "unknown"
    images = tuple(Part("image") for _ in as_list(message.get("images")))
    content = message.get("content")
    if role == "tool":
        call_id = as_name(message.get("tool_call_id")) or None
        name = as_name(message.get("tool_name")) or as_name(message.get("name")) or None
        return Message(role, (Part("tool_result", as_text(content), call_id, name), *images))
    parts: list[Part] = []
    if thinking := as_text(message.get("thinking")):
        parts.append(Part("thinking", thinking))
    if type(content) is str:
        if content:
            parts.append(Part("text", content))
    elif content is not None:
        parts.append(unknown_part(content))
    return Message(role, (*parts, *images, *_calls(message)))


def _calls(message: dict[str, Any]) -> Iterator[Part]:
    for call in map(as_object, as_list(message.get("tool_calls"))):
        called = as_object(call.get("function"))
        arguments = called.get("arguments")
        yield Part(
            "tool_call",
            tool_call_id=as_name(call.get("id")) or as_name(called.get("id")) or None,
            tool_name=as_name(called.get("name")) or None,
            arguments=arguments if type(arguments) is str else json_text({} if arguments is None else arguments),
        )


def _answer(body: bytes | None) -> tuple[Part, ...]:
    texts: dict[str, list[str]] = {"thinking": [], "text": []}
    others: list[Part] = []
    for document, _ in ResponseBody(StreamFormat.NDJSON).documents(body):
        line = as_object(document)
        message = as_object(line.get("message"))
        texts["thinking"] += (as_text(line.get("thinking")), as_text(message.get("thinking")))
        texts["text"] += (as_text(line.get("response")), as_text(message.get("content")))
        others += (Part("image") for _ in as_list(message.get("images")))
        others += (*_calls(message), *_calls(line))
    whole = {kind: "".join(pieces) for kind, pieces in texts.items()}
    return (*(Part(kind, text) for kind, text in whole.items() if text), *others)
