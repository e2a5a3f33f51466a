"""The conversation in a stored v1 chat: for people and SQL, so what cannot be read is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.codecs.cohere.documents import document_messages
from extproc.codecs.cohere.v1.request import is_system
from extproc.codecs.cohere.v1.response import called_parameters
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody, StreamFormat
from extproc.model import Conversation, Message, Part
from extproc.shape import as_list, as_name, as_object, as_text, joined, json_text

_ROLES = {"user": "user", "chatbot": "assistant", "system": "system", "tool": "tool"}
"""Cohere's words for who speaks → everybody's."""


def read_conversation(request_body: bytes | None, response_body: bytes | None) -> Conversation:
    request = as_object(tolerant_json.loads_or_none(request_body))
    asked = list(_asked(request))
    said = tuple(_said(_answer(response_body)))
    preamble = as_text(request.get("preamble"))
    return Conversation(
        system_text=joined((preamble, *_system_texts(asked))),
        messages=(*asked, Message("assistant", said)) if said else tuple(asked),
        request_message_count=len(asked),
        response_text=joined(part.text for part in said if part.type == "text"),
        reasoning_text=joined(part.text for part in said if part.type == "thinking"),
        tool_calls=tuple(part for part in said if part.type == "tool_call"),
        tools=tuple(_tool_names(request)),
    )


def _system_texts(asked: list[Message]) -> Iterator[str | None]:
    for message in asked:
        if message.role == "system":
            yield from (part.text for part in message.parts if part.type == "text")


def _tool_names(request: dict[str, Any]) -> Iterator[str]:
    for tool in map(as_object, as_list(request.get("tools"))):
        yield as_name(tool.get("name")) or "function"
    for connector in map(as_object, as_list(request.get("connectors"))):
        yield as_name(connector.get("id")) or "connector"


def _asked(request: dict[str, Any]) -> Iterator[Message]:
    """The documents, the history, the new message, and what the tools gave for it."""
    yield from document_messages(request)
    for said in map(as_object, as_list(request.get("chat_history"))):
        role = as_name(said.get("role")) or as_name(said.get("user_name")) or "unknown"
        results = tuple(_results(said))
        yield Message(_ROLES.get(role.casefold(), "system" if is_system(role) else role), (*_said(said), *results))
    if message := as_text(request.get("message")):
        yield Message("user", (Part("text", message),))
    if results := tuple(_results(request)):
        yield Message("tool", results)


def _said(told: dict[str, Any]) -> Iterator[Part]:
    """The text and the calls of a message of the history, or of an answer."""
    if text := as_text(told.get("message")) or as_text(told.get("text")):
        yield Part("text", text)
    kind = "thinking" if text else "text"  # the answer itself, where the client is to search
    for query in map(as_object, as_list(told.get("search_queries"))):
        yield Part(kind, as_text(query.get("text")))
    for call in map(as_object, as_list(told.get("tool_calls"))):
        yield Part("tool_call", tool_name=as_name(call.get("name")) or None, arguments=called_parameters(call))


def _results(told: dict[str, Any]) -> Iterator[Part]:
    for result in map(as_object, as_list(told.get("tool_results"))):
        name = as_name(as_object(result.get("call")).get("name")) or None
        yield Part("tool_result", json_text(result.get("outputs", [])), tool_name=name)


def _answer(body: bytes | None) -> dict[str, Any]:
    """The plain answer, the whole one at a stream's end, or what had come of it when the stream was cut."""
    texts: list[str] = []
    found: dict[str, Any] = {}
    pieces: dict[Any, tuple[dict[str, str], list[str]]] = {}
    for document, _ in ResponseBody(StreamFormat.NDJSON).documents(body):
        chunk = as_object(document)
        kind = chunk.get("event_type")
        if kind is None:
            return chunk if type(chunk.get("message")) is not str else {}  # an error's message is no answer
        if kind == "stream-end":
            found |= {key: value for key, value in as_object(chunk.get("response")).items() if value}
        elif kind != "tool-calls-generation":
            texts.append(as_text(chunk.get("text")))
        found |= {key: value for key in ("tool_calls", "search_queries") if (value := as_list(chunk.get(key)))}
        _take_piece(pieces, as_object(chunk.get("tool_call_delta")))
    return {
        "text": as_text(found.get("text")) or "".join(texts),
        "search_queries": found.get("search_queries"),
        "tool_calls": found.get("tool_calls") or [_begun(*piece) for piece in pieces.values()],
    }


def _take_piece(pieces: dict[Any, tuple[dict[str, str], list[str]]], piece: dict[str, Any]) -> None:
    if not piece:
        return
    index = piece.get("index")
    named, parameters = pieces.setdefault(index if type(index) in (int, float) else 0, ({}, []))
    if name := as_name(piece.get("name")):
        named["name"] = name
    parameters.append(as_text(piece.get("parameters")))


def _begun(named: dict[str, str], parameters: list[str]) -> dict[str, Any]:
    """A call of which only pieces came: its parameters where they are whole, else the text that there is."""
    text = "".join(parameters)
    return {**named, "parameters": tolerant_json.loads_or_none(text.encode("utf-8", "replace")) or text}
