"""Which grammar a body of InvokeModel is in: it is the vendor's own, and Bedrock passes it on as it is.

The vendor goes by the model's id. Where that names none (an application's inference profile, an imported or provisioned
model), the body's own members tell. A response tells by its members alone: an id never says everything (Mistral's
models speak three grammars).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from extproc.codecs.bedrock.paths import vendor_of
from extproc.shape import as_list, as_name, as_object


class Grammar(Enum):
    MESSAGES = auto()
    """Claude's Messages API."""
    CONVERSE = auto()
    """Amazon Nova."""
    CHAT = auto()
    """Chat completions: gpt-oss, Qwen, Kimi, DeepSeek V3, Jamba, Mistral's chat models, Writer, …"""
    PLAIN = auto()
    """A prompt in one string, texts to embed, a picture to draw: Titan, Llama, Mistral, Cohere, J2, Stability, …"""


_CLAUDE_EVENTS = frozenset(
    """message message_start message_delta message_stop content_block_start content_block_delta content_block_stop ping
    error""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_CONVERSE_EVENTS = frozenset(
    {"messageStart", "messageStop", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "metadata"}
)
_CONVERSE_KEYS = ("schemaVersion", "inferenceConfig", "toolConfig", "additionalModelRequestFields")
_CLAUDE_BLOCKS = frozenset({"tool_use", "tool_result", "image", "document", "thinking", "redacted_thinking"})


def request_grammar(document: Any, model: str) -> Grammar:
    """By the model's vendor; by the members where it names none."""
    body = as_object(document)
    if body.get("messages") is None:
        return Grammar.PLAIN
    match vendor_of(model):
        case "anthropic":
            return Grammar.MESSAGES
        case "amazon":
            return Grammar.CONVERSE
        case None:
            return _grammar_of_messages(body)
        case _:
            return Grammar.CHAT


def _grammar_of_messages(body: dict[str, Any]) -> Grammar:
    if type(body.get("anthropic_version")) is str:
        return Grammar.MESSAGES
    if any(key in body for key in _CONVERSE_KEYS):
        return Grammar.CONVERSE
    if type(body.get("system")) in (str, list):  # Converse's is a list of blocks without a type
        return Grammar.MESSAGES if _are_typed(body["system"]) else Grammar.CONVERSE
    for message in map(as_object, as_list(body["messages"])):
        for block in map(as_object, as_list(message.get("content"))):
            if "type" not in block:
                return Grammar.CONVERSE
            if as_name(block["type"]) in _CLAUDE_BLOCKS:
                return Grammar.MESSAGES
    return Grammar.CHAT


def _are_typed(content: Any) -> bool:
    return all("type" in as_object(block) for block in as_list(content))


def response_grammar(document: Any) -> Grammar:
    """Of a whole answer, or of the first event of a stream."""
    body = as_object(document)
    kind = body.get("type")
    if type(kind) is str and kind in _CLAUDE_EVENTS:
        return Grammar.MESSAGES
    if type(body.get("output")) is dict or body.keys() & _CONVERSE_EVENTS:
        return Grammar.CONVERSE
    object_kind = body.get("object")
    if type(object_kind) is str and object_kind.startswith("chat.completion"):
        return Grammar.CHAT
    if any(key in as_object(choice) for choice in as_list(body.get("choices")) for key in ("message", "delta")):
        return Grammar.CHAT
    return Grammar.PLAIN
