"""The conversation in a stored exchange: for people and SQL, so what cannot be read is left out.

Roles are the api's own (`user`, `model`, `function`). What the provider ran itself (code, server-side tools) stands
among a message's parts, in its place; `tool_calls` are the function calls, which the client has to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.codecs.gemini.partial_args import PartialArgs
from extproc.codecs.gemini.parts import ABOUT_PARTS, media_kind
from extproc.codecs.gemini.paths import Target
from extproc.codecs.gemini.response import CANDIDATES_MAX, unwrapped
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody, StreamFormat
from extproc.model import Conversation, Message, Part
from extproc.shape import as_list, as_name, as_object, as_text, joined, json_text, unknown_part

CODE_TOOL = "code_execution"


def read_conversation(request_body: bytes | None, response_body: bytes | None, target: Target) -> Conversation:
    request = _request(request_body, target)
    asked = [_message(content) for content in _objects(request.get("contents"))]
    candidates = [candidate for _, candidate in sorted(_candidates(response_body).items())]
    answers = [Message("model", tuple(candidate.parts)) for candidate in candidates if candidate.parts]
    said = [part for answer in answers for part in answer.parts]
    system = _content_parts(camel(request.get("systemInstruction")))
    texts = ("".join(part.text or "" for part in answer.parts if part.type == "text") for answer in answers)
    unknown = any(part.type == "unknown" for message in (*asked, *answers) for part in message.parts)
    return Conversation(
        system_text=joined(part.text for part in system if part.type == "text"),
        messages=(*asked, *answers),
        request_message_count=len(asked),
        response_text=joined(texts),
        reasoning_text=joined(part.text for part in said if part.type == "thinking"),
        tool_calls=tuple(call for candidate in candidates for call in candidate.calls),
        tools=tuple(_tool_names(request)),
        warnings=("unknown_part",) if unknown else (),
    )


def read_embedded(request_body: bytes | None, method: str) -> Conversation:
    """The texts that an embedding was asked for, each as a message. `method` says where in the body they stand."""
    request = camel(tolerant_json.loads_or_none(request_body))
    if method == "predict":
        asked = [_instance(instance) for instance in _objects(request.get("instances"))]
    else:
        holders = [request] if method == "embedContent" and request else _objects(request.get("requests"))
        asked = [_message(camel(holder.get("content"))) for holder in holders]
    return Conversation(messages=tuple(asked), request_message_count=len(asked))


def _instance(instance: dict[str, Any]) -> Message:
    texts = [Part("text", text) for name in ("title", "content", "text") if (text := as_text(instance.get(name)))]
    media = [_embedded_media(kind, instance[kind]) for kind in ("image", "video") if instance.get(kind)]
    return Message("user", (*texts, *media))


def _embedded_media(kind: str, held: Any) -> Part:
    return Part(kind, media_type=as_name(as_object(held).get("mimeType")) or None)


def camel(value: Any) -> dict[str, Any]:
    """The members of an object by their camelCase names (`function_call` as `functionCall`); {} for what is none."""
    members = as_object(value)
    if not any("_" in name for name in members):
        return members
    return {_camel(name): held for name, held in members.items()}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in others) if first else name


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a list, or the one that stands for it."""
    yield from map(camel, [value] if type(value) is dict else as_list(value))


def _request(body: bytes | None, target: Target) -> dict[str, Any]:
    """The request proper: Code Assist holds it one level deeper, countTokens may: as the provider reads it."""
    request = camel(tolerant_json.loads_or_none(body))
    if target.is_code_assist and type(request.get("request")) is dict:
        request = camel(request["request"])
    if target.method == "countTokens" and request.get("contents") is None:
        inner = camel(request.get("generateContentRequest"))
        request = inner if inner.get("contents") is not None else request
    return request


def _tool_names(request: dict[str, Any]) -> Iterator[str]:
    for tool in _objects(request.get("tools")):
        for kind, held in tool.items():
            if kind == "functionDeclarations":
                yield from (as_name(function.get("name")) or "function" for function in _objects(held))
            elif held is not None:
                yield as_name(kind)


def _message(content: dict[str, Any]) -> Message:
    return Message(as_name(content.get("role")) or "user", tuple(_content_parts(content)))


def _content_parts(content: dict[str, Any]) -> list[Part]:
    return [part for item in _objects(content.get("parts")) for part in _parts(item)]


def _parts(item: dict[str, Any]) -> Iterator[Part]:
    """What one part of the api holds: one thing, as the api has it, or several."""
    for name, held in item.items():
        if name == "text":
            if text := as_text(held):
                yield Part("thinking" if item.get("thought") is True else "text", text)
        elif name in ("inlineData", "fileData"):
            yield _media(held)
        elif name == "functionCall":
            yield _call(camel(held))
        elif name == "functionResponse":
            yield from _response(camel(held))
        elif name == "executableCode":
            yield Part("tool_call", tool_name=CODE_TOOL, arguments=json_text(held))
        elif name == "codeExecutionResult":
            yield Part("tool_result", as_text(camel(held).get("output")), tool_name=CODE_TOOL)
        elif name in ("toolCall", "toolResponse"):
            yield _server_tool(name, camel(held))
        elif name == "audioTranscription":
            yield Part("text", as_text(camel(held).get("text")))
        elif name not in ABOUT_PARTS and held is not None:
            yield unknown_part({name: held})


def _media(held: Any) -> Part:
    media_type = as_name(camel(held).get("mimeType"))
    return Part(media_kind(media_type), media_type=media_type or None)


def _call(call: dict[str, Any]) -> Part:
    return Part(
        "tool_call",
        tool_call_id=as_name(call.get("id")) or None,
        tool_name=as_name(call.get("name")) or None,
        arguments=json_text(as_object(call.get("args"))),
    )


def _response(answer: dict[str, Any]) -> Iterator[Part]:
    yield Part(
        "tool_result",
        _data(answer.get("response")),
        tool_call_id=as_name(answer.get("id")) or None,
        tool_name=as_name(answer.get("name")) or None,
    )
    for inner in _objects(answer.get("parts")):
        yield from _parts(inner)


def _server_tool(name: str, held: dict[str, Any]) -> Part:
    tool = as_name(held.get("toolType")).lower() or "server_tool"
    call_id = as_name(held.get("id")) or None
    if name == "toolCall":
        return Part("tool_call", tool_call_id=call_id, tool_name=tool, arguments=json_text(as_object(held.get("args"))))
    return Part("tool_result", _data(held.get("response")), tool_call_id=call_id, tool_name=tool)


def _data(response: Any) -> str:
    return "" if response is None else json_text(response)


class _Candidate:
    """One candidate of a response, put together from its events."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.calls: list[Part] = []
        """The function calls among the parts."""
        self._pieces: list[str] = []
        """Of the text or thinking that goes on: joined once, so that time stays linear."""
        self._kind = ""
        self._call: tuple[dict[str, Any], PartialArgs] | None = None

    def take(self, item: dict[str, Any], *, goes_on: bool) -> None:
        """One part. `goes_on`: text goes on where the last event's ended."""
        if type(held := item.get("functionCall")) is dict:
            self._take_call(camel(held))
            return
        for part in _parts(item):
            if part.type not in ("text", "thinking") or part.type != self._kind or not goes_on:
                self._end_text()
            if part.type in ("text", "thinking"):
                self._kind = part.type
                self._pieces.append(part.text or "")
            else:
                self._end_call()
                self.parts.append(part)

    def _take_call(self, call: dict[str, Any]) -> None:
        """A call in one piece, or a piece of one: without a name, the last one goes on."""
        self._end_text()
        if as_name(call.get("name")) or self._call is None:
            self._end_call()
            self._call = (dict(call), PartialArgs())
        whole, partial = self._call
        if type(args := call.get("args")) is dict:
            whole["args"] = {**as_object(whole.get("args")), **args}
        for piece in _objects(call.get("partialArgs")):
            partial.add(piece)
        if not call.get("willContinue"):
            self._end_call()

    def _end_text(self) -> None:
        if self._pieces:
            self.parts.append(Part(self._kind, "".join(self._pieces)))
        self._pieces, self._kind = [], ""

    def _end_call(self) -> None:
        if self._call is not None:
            whole, partial = self._call
            self._call = None
            if whole.get("name") or whole.get("args") or whole.get("id"):
                self.calls.append(_call({**whole, "args": partial.into(dict(as_object(whole.get("args"))))}))
                self.parts.append(self.calls[-1])

    def end(self) -> None:
        self._end_text()
        self._end_call()


def _candidates(body: bytes | None) -> dict[int, _Candidate]:
    candidates: dict[int, _Candidate] = {}
    for document, is_event in _documents(body):
        for position, said in enumerate(as_list(document.get("candidates"))):
            index = as_object(said).get("index")
            number = index if type(index) is int else position
            if number not in candidates and len(candidates) >= CANDIDATES_MAX:
                continue
            candidate = candidates.setdefault(number, _Candidate())
            content = camel(as_object(said).get("content"))
            for place, item in enumerate(_objects(content.get("parts"))):
                candidate.take(item, goes_on=is_event and place == 0)
    for candidate in candidates.values():
        candidate.end()
    return candidates


def _documents(body: bytes | None) -> Iterator[tuple[dict[str, Any], bool]]:
    """The responses in a body, and whether each is an event of a stream."""
    for document, event in ResponseBody(StreamFormat.JSON_ARRAY).documents(body):
        is_list = type(document) is list
        for item in document if is_list else (document,):
            yield unwrapped(as_object(item)), is_list or event is not None
