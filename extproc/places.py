"""Who says what stands at a place of a request's body: the user, a tool, … Pure, and the same for every api.

Apis differ in where things stand, hardly in what they call them. So the way from the document to the string is walked,
and what is met on it tells: a member's name (`system`, `tools`, `functionResponse`), an object's `role`, its `type`.

    /messages/3/content/0/content   {"role": "user"} ─► user,  {"type": "tool_result"} ─► tool_result, and nothing
                                    inside of that is anything else, whatever its members are called

A place that nothing tells is `other`: rules must take it for any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from extproc.framing.json_strings import KEY_MARK, unescape

PLACES: Final = ("assistant", "other", "system", "tool_definition", "tool_result", "user")
"""Every answer, sorted. `tool_result` is also what a search brought: documents that are handed to the model."""

_FINAL: Final = frozenset({"tool_definition", "tool_result"})
"""What is inside of these is no part of the conversation's own structure."""
_MEMBERS: Final = {
    "arguments": "assistant",  # MCP: a model wrote them
    "chathistory": "other",
    "contents": "user",  # Gemini: `role` may be left out
    "documents": "tool_result",
    "functions": "tool_definition",
    "imagevariationparams": "user",
    "input": "user",
    "inputs": "user",
    "inputtext": "user",
    "instances": "user",
    "instructions": "system",
    "message": "user",
    "preamble": "system",
    "prediction": "assistant",
    "prompt": "user",
    "query": "user",
    "requests": "user",
    "suffix": "user",
    "system": "system",
    "systeminstruction": "system",
    "texts": "user",
    "texttoimageparams": "user",
    "toolconfig": "tool_definition",
    "tools": "tool_definition",
}
"""By the member's name without case, `_` and `-`, where nothing has told yet."""
_RESULT_MEMBERS: Final = frozenset(
    {"codeexecutionresult", "functionresponse", "toolresponse", "toolresult", "toolresults"}
)
"""Wherever they stand."""
_ROLES: Final = {
    "assistant": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
    "developer": "system",
    "system": "system",
    "user": "user",
    "function": "tool_result",
    "ipython": "tool_result",
    "tool": "tool_result",
}
_RESULT_TYPES: Final = ("_result", "call_output")
"""How the types of results end: `tool_result`, `web_search_tool_result`, `function_call_output`, …"""
_CALL_TYPES: Final = ("_call", "tool_use")
"""How the types of calls end. A call that the provider has executed holds its result, too."""
_ANSWERS: Final = frozenset({"error", "output", "outputs", "result", "results"})
"""Where in such a call."""


def places(document: Any, fields: Iterable[str]) -> Mapping[str, str]:
    """The place of each field (`Finding.field`) of a document: one of `PLACES`."""
    return {field: place_of(document, field) for field in dict.fromkeys(fields)}


def place_of(document: Any, where: str) -> str:
    """The place of what stands at a pointer as `framing.json_strings` writes it. Never raises: what is not there is
    `other`."""
    place, value = "other", document
    for token in where.removesuffix(KEY_MARK).split("/")[1:]:
        if type(value) is dict:
            name = unescape(token)
            place = _inside(value, name, place)
            value = value.get(name)
        elif type(value) is list:
            value = value[int(token)] if token.isdecimal() and int(token) < len(value) else None
        else:
            return "other"
        if place in _FINAL:
            return place
    return place


def _inside(holder: Mapping[str, Any], name: str, place: str) -> str:
    """The place of a member, from the place of the object that has it."""
    plain = name.lower().replace("_", "").replace("-", "")
    if plain in _RESULT_MEMBERS:
        return "tool_result"
    kind = holder.get("type")
    if type(kind) is str:
        if kind.endswith(_RESULT_TYPES):
            return "tool_result"
        if kind.endswith(_CALL_TYPES):
            return "tool_result" if plain in _ANSWERS else "assistant"
        if kind == "mcp_list_tools":
            return "tool_definition"
    role = holder.get("role")
    if type(role) is str and place != "system":  # Gemini's SDKs give system instructions the role of a user
        return _ROLES.get(role.lower(), "other")
    return _MEMBERS.get(plain, "other") if place == "other" else place
