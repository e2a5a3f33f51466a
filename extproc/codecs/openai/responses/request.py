"""Reads a Responses request strictly (OpenAI API reference, "Create a model response")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from extproc.codecs.openai.responses.items import kind_of
from extproc.dialects.openai_chat.request import fallback_models
from extproc.framing.json_strings import escape
from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts, base64_part, url_part
from extproc.model import Call, RequestFacts
from extproc.shape import Fields, as_list, as_object, as_text, invalid, text_size
from extproc.steering import Steering

KNOWN_KEYS = frozenset(
    """background conversation include input instructions max_output_tokens max_tool_calls metadata model models
    parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_retention reasoning safety_identifier
    service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p truncation
    user""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_ITEM_KEYS = frozenset(
    """type role content output outputs input arguments name summary result tools action actions operation code
    queries results""".split()  # noqa: SIM905 (as above)
)
_PART_KEYS = frozenset(
    {"type", "text", "refusal", "image_url", "file_id", "file_data", "file_url", "input_audio", "data"}
)
_TOOL_KEYS = frozenset({"type", "name", "function", "server_label", "tools"})
SYSTEM_ROLES = frozenset({"system", "developer"})
TOOL_ITEMS = frozenset({"tool_search_output", "additional_tools"})
"""Items that offer tools, as `tools` does."""

_ITEM_TEXT: Mapping[str, tuple[str, ...]] = {
    "message": (),
    "reasoning": (),
    "function_call": ("name", "arguments"),
    "function_call_output": (),
    "custom_tool_call": ("name", "input"),
    "custom_tool_call_output": (),
    "mcp_call": ("name", "arguments", "output", "error"),
    "mcp_list_tools": ("tools", "error"),
    "mcp_approval_request": ("name", "arguments"),
    "mcp_approval_response": ("reason",),
    "web_search_call": ("action",),
    "file_search_call": ("queries", "results"),
    "computer_call": ("action", "actions"),
    "computer_call_output": (),
    "code_interpreter_call": ("code",),
    "image_generation_call": ("revised_prompt",),
    "local_shell_call": ("action",),
    "local_shell_call_output": (),
    "shell_call": ("action",),
    "shell_call_output": (),
    "apply_patch_call": ("operation",),
    "apply_patch_call_output": (),
    "tool_search_call": ("arguments",),
    "tool_search_output": ("tools",),
    "additional_tools": ("tools",),
    "program": ("code",),
    "program_output": ("result",),
    "compaction": (),
    "compaction_trigger": (),
}
"""Types of items that are made of text, and where it stands beside `content`, `summary` and `output`. What a reasoning
or a compaction holds encrypted, the provider wrote for itself."""
_TEXT_PARTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text", "refusal"})
_MEDIA_KINDS = {
    "input_image": "image",
    "image": "image",
    "computer_screenshot": "image",
    "input_file": "file",
    "input_audio": "audio",
    "input_video": "video",
}
_STEERING = Steering(
    """top_p top_logprobs store background parallel_tool_calls max_tool_calls truncation service_tier tool_choice
    prompt_cache_retention reasoning.effort reasoning.summary text.verbosity text.format.type"""
)


def media_kind(part_type: str) -> str | None:
    """`image`, `file`, `audio` or `video` for the type of a part that holds or names media, else None."""
    return _MEDIA_KINDS.get(part_type)


def read_request(document: Any, *, named: str | None) -> RequestFacts:
    """Raises `ClientError` (`invalid_request`, `ambiguous_key`). `named`: the model that the path names."""
    body = Fields(document)
    body.refuse_lookalikes(KNOWN_KEYS)
    items = _Items()
    items.read_input(body)
    if instructions := body.text("instructions"):
        items.has_system_text = True
        items.text_bytes += utf8_size(instructions)
    items.read_prompt(body.fields("prompt"))
    tools = tool_names(body)
    for key in ("tools", "text"):
        items.text_bytes += text_size(body.raw(key))
    return RequestFacts(
        model=named or body.text("model"),
        fallback_models=fallback_models(body),
        stream=body.flag("stream"),
        max_output_tokens=body.integer("max_output_tokens"),
        temperature=body.number("temperature"),
        tools=(*tools, *items.tools),
        message_count=items.count,
        has_system_text=items.has_system_text,
        text_bytes=items.text_bytes,
        uninspected_parts=tuple(items.parts),
        asks_stream_usage=True,
        parameters=_STEERING.of(body.members),
        previous_response_id=body.text("previous_response_id"),
        conversation_id=_conversation_id(body),
    )


def _conversation_id(body: Fields) -> str | None:
    if type(body.raw("conversation")) is str:
        return body.text("conversation")
    return body.fields("conversation").text("id")


def tool_names(holder: Fields) -> tuple[str, ...]:
    """Functions and custom tools by name, an MCP server by its label, a namespace by what is in it, the provider's own
    tools by type."""
    names: list[str] = []
    for _, tool in holder.objects("tools"):
        tool.refuse_lookalikes(_TOOL_KEYS)
        kind = tool.text("type") or "function"
        if kind == "namespace":
            names += tool_names(tool)
        elif kind == "mcp":
            names.append(tool.text("server_label") or kind)
        elif kind in ("function", "custom"):
            names.append(tool.text("name") or tool.fields("function").text("name") or kind)
        else:
            names.append(kind)
    return tuple(names)


def _is_plain_text(part: Any) -> bool:
    return (
        type(part) is dict
        and len(part) == 2
        and type(part.get("text")) is str
        and type(kind := part.get("type")) is str
        and kind in _TEXT_PARTS
    )


class _Items:
    """Counts the text of the input and notes what is none."""

    def __init__(self) -> None:
        self.count = 0
        self.has_system_text = False
        self.text_bytes = 0
        self.tools: tuple[str, ...] = ()
        """Offered by an item of the input."""
        self.parts = Parts()

    def read_input(self, body: Fields) -> None:
        given = body.raw("input")
        if type(given) is str:
            self.count = 1
            self.text_bytes += utf8_size(given)
            return
        if given is not None and type(given) is not list:
            raise invalid("input", "a string or a list of items")
        for index, raw in enumerate(given or ()):
            self.count += 1
            self._read_item(Fields(raw, body, ("input", index)), raw, f"/input/{index}")

    def read_prompt(self, prompt: Fields) -> None:
        """A stored template: its text is not in the body, its variables are."""
        if prompt.raw("id") is not None:
            self.parts.add("reference", "/prompt")
        variables = prompt.fields("variables")
        for name, value in as_object(prompt.raw("variables")).items():
            if type(value) is dict:
                self._read_part(variables.fields(name), value, f"/prompt/variables/{escape(name)}")
            else:
                self.text_bytes += text_size(value)

    def _read_item(self, item: Fields, raw: dict[str, Any], where: str) -> None:
        item.refuse_lookalikes(_ITEM_KEYS)
        item.text("type")
        kind = kind_of(raw)
        if item.text("role") in SYSTEM_ROLES:
            self.has_system_text = True
        if kind == "item_reference":
            self.parts.add("reference", where)
            return
        keys = _ITEM_TEXT.get(kind)
        if keys is None:
            self.parts.add("unknown", where)
            return
        for key in keys:
            self.text_bytes += text_size(raw.get(key))
        if kind in TOOL_ITEMS:
            self.tools += tool_names(item)
        for key in ("content", "summary", "output"):
            if key in raw and key not in keys:
                self._read_parts(item, key, f"{where}/{key}")
        if kind == "code_interpreter_call":
            self._read_outputs(raw, where)
        if type(result := raw.get("result")) is str and kind == "image_generation_call":
            self.parts.append(base64_part("image", where, result, f"image/{as_text(raw.get('output_format'))}"))

    def _read_parts(self, holder: Fields, key: str, where: str) -> None:
        """A string, an object (a computer's screenshot) or a list of parts."""
        held = holder.raw(key)
        if held is None:
            return
        if type(held) is str:
            self.text_bytes += utf8_size(held)
        elif type(held) is dict:
            self._read_part(holder.fields(key), held, where)
        elif type(held) is list:
            for index, part in enumerate(held):
                if type(part) is str:
                    self.text_bytes += utf8_size(part)
                elif _is_plain_text(part):  # nearly every part
                    self.text_bytes += utf8_size(part["text"])
                else:
                    self._read_part(Fields(part, holder, (key, index)), part, f"{where}/{index}")
        else:
            raise invalid(holder.named(key), "a string or a list of parts")

    def _read_part(self, part: Fields, raw: dict[str, Any], where: str) -> None:
        part.refuse_lookalikes(_PART_KEYS)
        kind = part.text("type") or ""
        media = media_kind(kind)
        if kind in _TEXT_PARTS:
            self.text_bytes += utf8_size(part.text("text") or "") + utf8_size(part.text("refusal") or "")
        elif media is not None:
            self._read_media(raw, media, where)
        elif kind == "" and not raw.keys().isdisjoint(("stdout", "stderr")):  # what a shell printed
            self.text_bytes += text_size(raw)
        else:
            self.parts.add("unknown", where)

    def _read_media(self, raw: dict[str, Any], kind: str, where: str) -> None:
        sound = as_object(raw.get("input_audio"))
        if (data := sound.get("data", raw.get("data"))) is not None:
            named = as_text(sound.get("format")) or as_text(raw.get("format"))
            self.parts.append(base64_part(kind, where, as_text(data), f"{kind}/{named}"))
            return
        if type(data := raw.get("file_data")) is str and data[:5].lower() != "data:":
            self.parts.append(base64_part(kind, where, data, ""))
            return
        held = raw.get("image_url", raw.get("video_url"))
        url = held if type(held) is str else as_object(held).get("url", raw.get("file_data"))
        self.parts.append(url_part(kind, where, as_text(url)))

    def _read_outputs(self, raw: dict[str, Any], where: str) -> None:
        for index, output in enumerate(map(as_object, as_list(raw.get("outputs")))):
            if output.get("type") == "image":
                self.parts.append(url_part("image", f"{where}/outputs/{index}", as_text(output.get("url"))))
            else:
                self.text_bytes += text_size(output.get("logs"))


_OWN_KEYS = frozenset(
    """instructions previous_response_id max_output_tokens include store truncation reasoning conversation text
    parallel_tool_calls background max_tool_calls""".split()  # noqa: SIM905 (as above)
)
_FOREIGN_KEYS = frozenset({"messages", "prompt", "jsonrpc", "contents", "voice", "encoding_format", "dimensions"})


def looks_like_responses(document: Any, call: Call) -> bool:
    """`model` and `input`, and what only this api has: an embedding's or a moderation's body begins in the same way."""
    body = as_object(document)
    given = body.get("input")
    if call.method != "POST" or type(body.get("model")) is not str or not _FOREIGN_KEYS.isdisjoint(body):
        return False
    if type(given) is list and given:
        return all(
            type(item) is dict and ("role" in item or kind_of(item) in _ITEM_TEXT) and kind_of(item) != ""
            for item in given
        )
    return type(given) is str and not _OWN_KEYS.isdisjoint(body)
