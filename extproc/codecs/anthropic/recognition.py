"""Is this body one of the Messages API, at an address that says nothing? Only what no other api's look like counts.

Chat completions begin with `model` and `messages` too. What only Claude's have: `anthropic_version`, tools with an
`input_schema`, blocks with a `source` or a `tool_use_id`; or the header that Anthropic's clients must send.
"""

from __future__ import annotations

from typing import Any

from extproc.model import Call
from extproc.shape import as_list, as_name, as_object

_ROLES = frozenset({"user", "assistant", "system"})


def looks_like_messages(document: Any, call: Call) -> bool:
    body = as_object(document)
    messages = as_list(body.get("messages"))
    return (
        call.method == "POST"
        and type(body.get("max_tokens")) is int
        and bool(messages)
        and all(map(_looks_like_message, messages))
        and ("anthropic-version" in call.hints or _has_a_mark(body, messages))
    )


def _looks_like_message(message: Any) -> bool:
    held = as_object(message)
    content = held.get("content")
    if as_name(held.get("role")) not in _ROLES or "tool_calls" in held:
        return False
    if type(content) is list:
        return all(type(as_object(block).get("type")) is str for block in content)
    return type(content) is str


def _has_a_mark(body: dict[str, Any], messages: list[Any]) -> bool:
    if type(body.get("anthropic_version")) is str:
        return True
    if any(type(as_object(tool).get("input_schema")) is dict for tool in as_list(body.get("tools"))):
        return True
    blocks = (as_object(block) for message in messages for block in as_list(message.get("content")))
    return any(type(block.get("source")) is dict or type(block.get("tool_use_id")) is str for block in blocks)
