"""The items that a Responses request brings and its answer consists of: what is a call, its name and its arguments.

Source: OpenAI API reference, "Responses": the `input` and `output` items. A tool that the provider runs itself (web and
file search, code interpreter, images, MCP, shells, patches) is a call like any other here: the model decided on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from extproc.framing.tolerant_json import utf8_size
from extproc.shape import as_list, as_name, as_object, as_text, json_text, text_size

_CALL_SUFFIX = "_call"
_NAMED_CALLS = frozenset({"function_call", "custom_tool_call", "mcp_call", "mcp_approval_request"})
"""Calls that say the tool's name; the others are named by their type."""
_ARGUMENT_KEYS: Mapping[str, tuple[str, ...]] = {
    "function_call": ("arguments",),
    "custom_tool_call": ("input",),
    "mcp_call": ("arguments",),
    "mcp_approval_request": ("arguments",),
    "tool_search_call": ("arguments",),
    "web_search_call": ("action",),
    "computer_call": ("action", "actions"),
    "local_shell_call": ("action",),
    "shell_call": ("action",),
    "apply_patch_call": ("operation",),
}
"""Where one member is all that the model said; the first that is there counts."""
_ARGUMENT_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "file_search_call": ("queries",),
    "code_interpreter_call": ("code",),
    "image_generation_call": ("revised_prompt",),
}
"""Where the arguments are an object of some members."""
_OF_NO_MEANING = frozenset({"type", "id", "call_id", "status"})

_TEXT_KEYS = ("text", "refusal", "transcript")


def kind_of(item: dict[str, Any]) -> str:
    """The item's type. A message needs none, nor does a reference (`{"id": …}`)."""
    if kind := as_name(item.get("type")):
        return kind
    return "message" if "role" in item or "content" in item else "item_reference" if "id" in item else ""


def is_call(kind: str) -> bool:
    return kind.endswith(_CALL_SUFFIX) or kind in _NAMED_CALLS


def call_name(item: dict[str, Any]) -> str:
    """The function's, custom or MCP tool's name; for the provider's own tools their type: `web_search`."""
    kind = kind_of(item)
    named = as_name(item.get("name")) if kind in _NAMED_CALLS else ""
    return named or kind.removesuffix(_CALL_SUFFIX)


def call_arguments(item: dict[str, Any]) -> str:
    """As JSON text exactly as the model gave it; a custom tool's input as the text it is."""
    kind = kind_of(item)
    if keys := _ARGUMENT_KEYS.get(kind):
        value = next((item[key] for key in keys if item.get(key) is not None), "")
        return value if type(value) is str else json_text(value)
    members = _ARGUMENT_MEMBERS.get(kind) or [key for key in item if key not in _OF_NO_MEANING]
    return json_text({key: item[key] for key in members if item.get(key) is not None})


def call_names(items: Iterable[Any]) -> Iterator[str]:
    for item in map(as_object, items):
        if is_call(kind_of(item)) and (name := call_name(item)):
            yield name


def text_parts(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of a message's content, of a reasoning's summary and content."""
    for key in ("summary", "content"):
        yield from map(as_object, as_list(item.get(key)))


def generated_bytes(item: Any) -> int:
    """UTF-8 bytes of what the model wrote in an output item: text, reasoning, arguments; no tool's results."""
    said = as_object(item)
    kind = kind_of(said)
    if is_call(kind):
        if kind in _NAMED_CALLS:
            return utf8_size(call_arguments(said))
        keys = _ARGUMENT_KEYS.get(kind) or _ARGUMENT_MEMBERS.get(kind) or ()
        return sum(utf8_size(as_text(value)) or text_size(value) for key in keys if (value := said.get(key)))
    if as_name(said.get("role")) not in ("", "assistant"):  # what a compaction kept of the input
        return 0
    size = utf8_size(as_text(said.get("content")))
    return size + sum(utf8_size(as_text(part.get(key))) for part in text_parts(said) for key in _TEXT_KEYS)
