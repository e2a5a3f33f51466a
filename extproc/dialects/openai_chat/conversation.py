"""The conversation in a stored chat completion: for people and SQL, so what cannot be read is left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from extproc.dialects.openai_chat.request import SYSTEM_ROLES, media_kind, optional_tools
from extproc.dialects.openai_chat.response import choice_number, reasoning_in_object, spoken
from extproc.dialects.openai_chat.tool_calls import CallSlots, called_arguments, called_name, calls_in, legacy_call
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody
from extproc.media import url_part
from extproc.model import Conversation, Message, Part
from extproc.shape import as_list, as_name, as_object, as_text, joined, unknown_part

_REASONING_KEYS = ("reasoning_content", "reasoning")


def read_conversation(request_body: bytes | None, response_body: bytes | None) -> Conversation:
    request = as_object(tolerant_json.loads_or_none(request_body))
    asked = [_request_message(as_object(message)) for message in as_list(request.get("messages"))]
    answers = [choice.message() for _, choice in sorted(_choices(response_body).items())]
    answers = [answer for answer in answers if answer.parts]
    said = [part for answer in answers for part in answer.parts]
    return Conversation(
        system_text=joined(_texts(asked)),
        messages=(*asked, *answers),
        request_message_count=len(asked),
        response_text=joined(part.text for part in said if part.type in ("text", "refusal")),
        reasoning_text=joined(part.text for part in said if part.type == "thinking"),
        tool_calls=tuple(part for part in said if part.type == "tool_call"),
        tools=tuple(_tool_names(request)),
        warnings=("unknown_part",)
        if any(part.type == "unknown" for m in (*asked, *answers) for part in m.parts)
        else (),
    )


def _texts(messages: list[Message]) -> Iterator[str | None]:
    for message in messages:
        if message.role in SYSTEM_ROLES:
            yield from (part.text for part in message.parts if part.type == "text")


def _tool_names(request: dict[str, Any]) -> Iterator[str]:
    for tool in map(as_object, as_list(request.get("tools"))):
        yield called_name(tool) or as_name(tool.get("name")) or as_name(tool.get("type")) or "function"
    for function in map(as_object, as_list(request.get("functions"))):
        yield as_name(function.get("name")) or "function"
    yield from map(as_name, optional_tools(request))


def _request_message(message: dict[str, Any]) -> Message:
    role = as_name(message.get("role")) or "unknown"
    parts = list(_said(message))
    if role in ("tool", "function"):
        text = "".join(part.text or "" for part in parts if part.type == "text")
        media = [part for part in parts if part.type != "text"]
        call_id = as_name(message.get("tool_call_id")) or None
        result = Part("tool_result", text, tool_call_id=call_id, tool_name=as_name(message.get("name")) or None)
        return Message(role, (result, *media))
    return Message(role, (*parts, *_whole_calls(message)))


def _said(message: dict[str, Any]) -> Iterator[Part]:
    """Reasoning, content and refusal of a whole message, or what one delta adds to them."""
    reasoning = next((text for key in _REASONING_KEYS if (text := as_text(message.get(key)))), "")
    if not reasoning:
        reasoning = reasoning_in_object(message)
    if not reasoning:
        details = map(as_object, as_list(message.get("reasoning_details")))
        reasoning = "".join(as_text(detail.get("text")) or as_text(detail.get("summary")) for detail in details)
    if reasoning:
        yield Part("thinking", reasoning)
    content = message.get("content")
    if type(content) is str:
        if content:
            yield Part("text", content)
    else:
        for item in as_list(content):
            yield from _content_part(item)
    if refusal := as_text(message.get("refusal")):
        yield Part("refusal", refusal)
    spoken_answer = as_object(message.get("audio"))
    if transcript := as_text(spoken_answer.get("transcript")):
        yield Part("text", transcript)
    if spoken_answer.get("id") or spoken_answer.get("data"):
        yield Part("audio")
    for image in as_list(message.get("images")):  # what a model drew (OpenRouter)
        yield _media("image", as_object(image).get("image_url") if type(image) is dict else image)


def _content_part(item: Any) -> Iterator[Part]:
    if type(item) is str:
        yield Part("text", item)
        return
    part = as_object(item)
    kind = as_name(part.get("type"))
    if kind in ("thinking", "reasoning"):
        yield Part("thinking", _thought(part))
    elif kind == "refusal":
        yield Part("refusal", as_text(part.get("refusal")))
    elif type(part.get("text")) is str:
        yield Part("text", part["text"])
    elif (media := media_kind(kind)) is not None:
        yield _media(media, part.get(kind))
    else:
        yield unknown_part(item)


def _thought(part: dict[str, Any]) -> str:
    """A text, or a list of texts inside of the part (Mistral's `thinking`, Databricks' `summary`)."""
    held = next((part[key] for key in ("thinking", "text", "reasoning", "summary") if part.get(key)), "")
    return as_text(held) or "".join(as_text(as_object(inner).get("text")) for inner in as_list(held))


def _first_text(*values: Any) -> str:
    return next((text for value in values if (text := as_text(value))), "")


def _media(kind: str, held: Any) -> Part:
    """An image, a sound, a file: what it is, never what is in it."""
    inner = as_object(held)
    if sound := as_name(inner.get("format")):
        return Part(kind, media_type=f"{kind}/{sound}")
    url = held if type(held) is str else _first_text(inner.get("url"), inner.get("file_data"))
    return Part(kind, media_type=url_part(kind, "", url).media_type)


def _whole_calls(message: dict[str, Any]) -> Iterator[Part]:
    for call in calls_in(message):
        yield Part(
            "tool_call",
            tool_call_id=as_name(call.get("id")) or None,
            tool_name=called_name(call) or None,
            arguments=called_arguments(call),
        )
    if legacy := legacy_call(message):
        yield Part("tool_call", tool_name=called_name(legacy) or None, arguments=called_arguments(legacy))


@dataclass(slots=True)
class _Choice:
    """One answer as it is put together."""

    role: str = "assistant"
    texts: dict[str, list[str]] = field(default_factory=dict)
    others: list[Part] = field(default_factory=list)
    calls: dict[int, _Call] = field(default_factory=dict)

    def take(self, said: dict[str, Any]) -> None:
        self.role = as_name(said.get("role")) or self.role
        for part in _said(said):
            if part.text is None or part.type == "unknown":
                if part.type != "audio" or part not in self.others:  # a voice comes in pieces
                    self.others.append(part)
            else:
                self.texts.setdefault(part.type, []).append(part.text)

    def message(self) -> Message:
        texts = tuple(
            Part(kind, "".join(self.texts[kind])) for kind in ("thinking", "text", "refusal") if kind in self.texts
        )
        calls = tuple(
            Part("tool_call", None, call.call_id or None, call.name or None, "".join(call.arguments))
            for _, call in sorted(self.calls.items())
        )
        return Message(self.role, (*texts, *self.others, *calls))


@dataclass(slots=True)
class _Call:
    call_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def take(self, fragment: dict[str, Any]) -> None:
        self.call_id = self.call_id or as_name(fragment.get("id"))
        self.name = self.name or called_name(fragment)
        self.arguments.append(called_arguments(fragment))


def _choices(body: bytes | None) -> dict[int, _Choice]:
    choices: dict[int, _Choice] = {}
    slots = CallSlots()
    for document, _ in ResponseBody().documents(body):
        chunk = as_object(document)
        for place, choice in enumerate(map(as_object, as_list(chunk.get("choices")))):
            number = choice_number(choice, place)
            said = spoken(choice)
            answer = choices.setdefault(number, _Choice())
            answer.take(said)
            fragments = calls_in(said)
            if legacy := legacy_call(said):
                fragments.append(legacy)
            for fragment in fragments:
                answer.calls.setdefault(slots.number(number, fragment), _Call()).take(fragment)
    return choices
