"""Is this body a chat completion's, at an address that says nothing? Only what nobody else's bodies look like counts.

Many apis begin with `model` and `messages`. What is not ours: Claude's messages (`system` beside the messages, blocks
with a `source`, tools with an `input_schema`), Ollama's (`options`, `keep_alive`, images in base64), Cohere's
(`documents`, `safety_mode`), Bedrock's Converse (`inferenceConfig`, parts without a type), JSON-RPC.
"""

from __future__ import annotations

from typing import Any

from extproc.dialects.openai_chat.request import TEXT_PARTS, media_kind
from extproc.model import Call
from extproc.shape import as_list, as_name, as_object

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_FOREIGN_KEYS = frozenset(
    """system stop_sequences anthropic_version anthropic_beta mcp_servers context_management output_config container
    options keep_alive format think template raw context
    documents citation_options safety_mode strict_tools connectors chat_history preamble
    inferenceConfig toolConfig additionalModelRequestFields guardrailConfig
    contents generationConfig systemInstruction jsonrpc input prompt""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_FOREIGN_TOOL_KEYS = frozenset({"input_schema", "toolSpec", "functionDeclarations", "parameter_definitions"})


def looks_like_chat(document: Any, call: Call) -> bool:
    """`model`, `messages` with roles and content as chat completions have them, and nothing that only others have."""
    body = as_object(document)
    messages = as_list(body.get("messages"))
    return (
        call.method == "POST"
        and "anthropic-version" not in call.hints
        and type(body.get("model")) is str
        and bool(messages)
        and _FOREIGN_KEYS.isdisjoint(body)
        and all(_FOREIGN_TOOL_KEYS.isdisjoint(as_object(tool)) for tool in as_list(body.get("tools")))
        and all(map(_looks_like_message, messages))
    )


def _looks_like_message(message: Any) -> bool:
    if type(message) is not dict or as_name(message.get("role")) not in _ROLES:
        return False
    content = message.get("content")
    if content is not None and type(content) is not str:
        if type(content) is not list or not all(map(_looks_like_part, content)):
            return False
    elif type(content) is not str and not (message.get("tool_calls") or message.get("function_call")):
        return False
    images = as_list(message.get("images"))
    calls = map(as_object, as_list(message.get("tool_calls")))
    return not any(type(image) is str for image in images) and not any(
        type(as_object(call.get("function")).get("arguments")) is dict for call in calls
    )


def _looks_like_part(part: Any) -> bool:
    if type(part) is not dict:
        return type(part) is str
    kind = part.get("type")
    if type(kind) is not str or "source" in part:
        return False
    return kind in TEXT_PARTS - {"tool_result"} or media_kind(kind) is not None
