"""The conversation in a stored exchange of the Responses API: for people and SQL, so what cannot be read is left out.

Each item is a message of its own, in the request as in the answer: clients resend the answer's items one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.codecs.openai.responses.assembly import output_items
from extproc.codecs.openai.responses.items import call_arguments, call_name, is_call, kind_of, text_parts
from extproc.codecs.openai.responses.request import SYSTEM_ROLES, TOOL_ITEMS, media_kind
from extproc.framing import tolerant_json
from extproc.media import url_part
from extproc.model import Conversation, Message, Part
from extproc.shape import as_list, as_name, as_object, as_text, joined, json_text, unknown_part

_RESULT_SUFFIX = "_output"


def read_conversation(request_body: bytes | None, response_body: bytes | None) -> Conversation:
    request = as_object(tolerant_json.loads_or_none(request_body))
    asked = list(_asked(request.get("input")))
    answers = [message for message in map(read_item, output_items(response_body)) if message.parts]
    said = [part for answer in answers for part in answer.parts]
    system = [as_text(request.get("instructions"))]
    system += [_text_of(message) for message in asked if message.role in SYSTEM_ROLES]
    is_unknown = any(part.type == "unknown" for message in (*asked, *answers) for part in message.parts)
    return Conversation(
        system_text=joined(system),
        messages=(*asked, *answers),
        request_message_count=len(asked),
        response_text=joined(_text_of(answer) for answer in answers if answer.role == "assistant"),
        reasoning_text=joined(part.text for part in said if part.type == "thinking"),
        tool_calls=tuple(part for part in said if part.type == "tool_call"),
        tools=(*_tool_names(request), *_tools_of_items(request.get("input"))),
        warnings=("unknown_part",) if is_unknown else (),
    )


def _text_of(message: Message) -> str:
    return "".join(part.text or "" for part in message.parts if part.type in ("text", "refusal"))


def _asked(given: Any) -> Iterator[Message]:
    if type(given) is str:
        yield Message("user", (Part("text", given),) if given else ())
    yield from map(read_item, as_list(given))


def _tool_names(holder: dict[str, Any]) -> Iterator[str]:
    for tool in map(as_object, as_list(holder.get("tools"))):
        kind = as_name(tool.get("type")) or "function"
        if kind == "namespace":
            yield from _tool_names(tool)
        else:
            function = as_object(tool.get("function"))
            named = as_name(tool.get("server_label")) if kind == "mcp" else as_name(tool.get("name"))
            yield (named if kind in ("function", "custom", "mcp") else "") or as_name(function.get("name")) or kind


def _tools_of_items(given: Any) -> Iterator[str]:
    for item in map(as_object, as_list(given)):
        if as_name(item.get("type")) in TOOL_ITEMS:
            yield from _tool_names(item)


def read_item(value: Any) -> Message:
    """One item as a message; whatever it is, nothing of it is lost silently."""
    item = as_object(value)
    kind = kind_of(item)
    role = as_name(item.get("role"))
    if kind == "message":
        return Message(role or "unknown", tuple(_parts(item.get("content"))))
    if kind == "reasoning":
        return Message(role or "assistant", tuple(_reasoning(item)))
    if is_call(kind):
        return Message(role or "assistant", tuple(_call(item)))
    if kind.endswith(_RESULT_SUFFIX):
        return Message(role or "tool", tuple(_result(item, item.get("output", item.get("tools", item.get("result"))))))
    if kind == "mcp_list_tools":
        text = json_text(as_list(item.get("tools")))
        return Message(
            role or "tool", (Part("tool_result", text, tool_name=as_name(item.get("server_label")) or None),)
        )
    return Message(role or ("assistant" if kind in ("compaction", "program") else "unknown"), (unknown_part(value),))


def _parts(content: Any) -> Iterator[Part]:
    if type(content) is str:
        if content:
            yield Part("text", content)
        return
    for part in as_list(content):
        yield from _part(part)


def _part(value: Any) -> Iterator[Part]:
    part = as_object(value)
    kind = as_name(part.get("type"))
    if type(value) is str:
        yield Part("text", value)
    elif kind == "refusal":
        yield Part("refusal", as_text(part.get("refusal")))
    elif kind == "reasoning_text":
        yield Part("thinking", as_text(part.get("text")))
    elif (media := media_kind(kind)) is not None:
        yield _media(media, part)
    elif type(text := part.get("text", part.get("transcript"))) is str:
        if text:
            yield Part("text", text)
    else:
        yield unknown_part(value)


def _media(kind: str, part: dict[str, Any]) -> Part:
    sound = as_object(part.get("input_audio"))
    if named := as_name(sound.get("format")) or as_name(part.get("format")):
        return Part(kind, media_type=f"{kind}/{named}")
    held = part.get("image_url", part.get("file_data"))
    url = as_text(held) or as_text(as_object(held).get("url"))
    return Part(kind, media_type=url_part(kind, "", url).media_type)


def _reasoning(item: dict[str, Any]) -> Iterator[Part]:
    """Summary and text as far as the provider shows them; that there was some, where it shows none."""
    texts = [text for part in text_parts(item) if (text := as_text(part.get("text")))]
    if content := as_text(item.get("content")):
        texts.append(content)
    yield Part("thinking", "\n\n".join(texts) if texts else None)


def _call(item: dict[str, Any]) -> Iterator[Part]:
    """The call, and what came of it where the provider ran the tool itself."""
    call_id = as_name(item.get("call_id")) or as_name(item.get("id")) or None
    name = call_name(item) or None
    yield Part("tool_call", tool_call_id=call_id, tool_name=name, arguments=call_arguments(item))
    result = item.get("output") or item.get("results")
    if failed := item.get("error"):
        result = result or failed
    logs = [as_text(as_object(output).get("logs")) for output in as_list(item.get("outputs"))]
    text = "".join(logs) if any(logs) else result if type(result) is str else json_text(result) if result else ""
    if text:
        yield Part("tool_result", text, tool_call_id=call_id, tool_name=name)
    for output in map(as_object, as_list(item.get("outputs"))):
        if output.get("type") == "image":
            yield Part("image", media_type=url_part("image", "", as_text(output.get("url"))).media_type)
    if item.get("type") == "image_generation_call" and item.get("result"):
        yield Part("image", media_type=f"image/{as_name(item.get('output_format')) or 'png'}")


def _result(item: dict[str, Any], output: Any) -> Iterator[Part]:
    """A tool's result: its texts as one, then the media in it."""
    inner = list(_parts(output)) if type(output) in (str, list) else list(_part(output)) if output else []
    text = "".join(part.text or "" for part in inner if part.type == "text")
    others = [part for part in inner if part.type not in ("text", "unknown")]
    if any(part.type == "unknown" for part in inner):  # a shell's, a search's: its answer as data
        text = json_text(output)
    call_id = as_name(item.get("call_id")) or None
    yield Part("tool_result", text, tool_call_id=call_id, tool_name=as_name(item.get("name")) or None)
    yield from others
