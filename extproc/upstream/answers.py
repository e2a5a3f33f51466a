"""What the simulated providers say: deterministic bodies and events of OpenAI chat completions and Anthropic messages.

Formats follow the providers' API references (platform.openai.com/docs/api-reference/chat,
docs.anthropic.com/en/api/messages). Nothing here is random or dated: equal requests have equal answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

CREATED_S: Final = 1_760_000_000
RESOLVED_MODELS: Final[Mapping[str, str]] = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
}
"""Providers answer with a dated name where an alias was asked for."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    name: str
    arguments: str
    """JSON text."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, before it takes an API's shape."""

    id: str
    model: str
    pieces: Sequence[str]
    """The text, cut as it will be streamed."""
    tool: ToolUse | None
    input_tokens: int
    choices: int = 1
    usage_in_stream: bool = True

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def output_tokens(self) -> int:
        """One token a streamed piece, or one per four bytes of tool arguments."""
        tokens = -(-len(self.tool.arguments) // 4) if self.tool is not None else len(self.pieces)
        return max(1, tokens) * self.choices


def answer_id(prefix: str, body: bytes) -> str:
    return prefix + hashlib.sha256(body).hexdigest()[:24]


def resolved(model: object) -> str:
    name = model if isinstance(model, str) else "unknown"
    return RESOLVED_MODELS.get(name, name)


def example_arguments(schema: object) -> str:
    """Arguments that a tool's JSON Schema could accept: an example value for each property."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    values: Json = {}
    for name, rule in (properties or {}).items() if isinstance(properties, dict) else ():
        kind = rule.get("type") if isinstance(rule, dict) else None
        values[name] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}.get(
            kind if isinstance(kind, str) else "", "example"
        )
    return json.dumps(values)


def last_text(messages: object) -> str:
    """The text of the last message, for answers that echo it."""
    last = messages[-1] if isinstance(messages, list) and messages else {}
    content = last.get("content") if isinstance(last, dict) else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def sse(data: Json, event: str | None = None) -> bytes:
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


# --- OpenAI chat completions -----------------------------------------------------------------------------------------


def openai_tool(body: Json) -> ToolUse | None:
    """The first offered function, unless its result came already or tools are switched off."""
    messages, tools = body.get("messages"), body.get("tools")
    last = messages[-1] if isinstance(messages, list) and messages else {}
    if not isinstance(tools, list) or not tools or body.get("tool_choice") == "none":
        return None
    if isinstance(last, dict) and last.get("role") == "tool":
        return None
    function = tools[0].get("function") if isinstance(tools[0], dict) else None
    if not isinstance(function, dict):
        return None
    return ToolUse(str(function.get("name", "tool")), example_arguments(function.get("parameters")))


def openai_usage(answer: Answer) -> Json:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def openai_message(answer: Answer) -> Json:
    message: Json = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.tool is not None:
        call = {
            "id": "call_" + answer.id[-12:],
            "type": "function",
            "function": {"name": answer.tool.name, "arguments": answer.tool.arguments},
        }
        message |= {"content": None, "tool_calls": [call]}
    return message


def openai_whole(answer: Answer) -> Json:
    reason = "tool_calls" if answer.tool is not None else "stop"
    return {
        "id": answer.id,
        "object": "chat.completion",
        "created": CREATED_S,
        "model": answer.model,
        "choices": [
            {"index": index, "message": openai_message(answer), "logprobs": None, "finish_reason": reason}
            for index in range(answer.choices)
        ],
        "usage": openai_usage(answer),
        "system_fingerprint": "fp_simulated",
    }


def openai_events(answer: Answer) -> Iterator[bytes]:
    """One event a piece; usage in a last chunk without choices when it was asked for; `[DONE]`."""

    def chunk(choices: list[Json], **more: Any) -> bytes:
        usage = {"usage": None} if answer.usage_in_stream and "usage" not in more else {}
        return sse(
            {
                "id": answer.id,
                "object": "chat.completion.chunk",
                "created": CREATED_S,
                "model": answer.model,
                "system_fingerprint": "fp_simulated",
                "choices": choices,
                **usage,
                **more,
            }
        )

    def choice(index: int, delta: Json, reason: str | None = None) -> Json:
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}

    reason = "tool_calls" if answer.tool is not None else "stop"
    for index in range(answer.choices):
        if answer.tool is None:
            yield chunk([choice(index, {"role": "assistant", "content": "", "refusal": None})])
            for piece in answer.pieces:
                yield chunk([choice(index, {"content": piece})])
        else:
            call = {
                "index": 0,
                "id": "call_" + answer.id[-12:],
                "type": "function",
                "function": {"name": answer.tool.name, "arguments": ""},
            }
            yield chunk([choice(index, {"role": "assistant", "content": None, "tool_calls": [call]})])
            for fragment in _fragments(answer.tool.arguments):
                yield chunk([choice(index, {"tool_calls": [{"index": 0, "function": {"arguments": fragment}}]})])
        yield chunk([choice(index, {}, reason)])
    if answer.usage_in_stream:
        yield chunk([], usage=openai_usage(answer))
    yield b"data: [DONE]\n\n"


def openai_error(status: int, message: str, code: str | None = None) -> Json:
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


# --- Anthropic messages ----------------------------------------------------------------------------------------------


def anthropic_tool(body: Json) -> ToolUse | None:
    """The first offered client tool, unless its result came already."""
    messages, tools = body.get("messages"), body.get("tools")
    last = messages[-1] if isinstance(messages, list) and messages else {}
    content = last.get("content") if isinstance(last, dict) else None
    if not isinstance(tools, list) or not tools or not isinstance(tools[0], dict):
        return None
    if isinstance(content, list) and any(isinstance(p, dict) and p.get("type") == "tool_result" for p in content):
        return None
    return ToolUse(str(tools[0].get("name", "tool")), example_arguments(tools[0].get("input_schema")))


def anthropic_whole(answer: Answer) -> Json:
    content: list[Json] = [{"type": "text", "text": answer.text}]
    if answer.tool is not None:
        content = [
            {
                "type": "tool_use",
                "id": "toolu_" + answer.id[-12:],
                "name": answer.tool.name,
                "input": json.loads(answer.tool.arguments),
            }
        ]
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": "tool_use" if answer.tool is not None else "end_turn",
        "stop_sequence": None,
        "usage": _anthropic_usage(answer, answer.output_tokens),
    }


def anthropic_events(answer: Answer) -> Iterator[bytes]:
    """`message_start` … `message_stop`; `message_delta` carries the cumulative output tokens."""
    start = anthropic_whole(answer) | {"content": [], "stop_reason": None, "usage": _anthropic_usage(answer, 1)}
    yield sse({"type": "message_start", "message": start}, "message_start")
    if answer.tool is not None:
        block: Json = {"type": "tool_use", "id": "toolu_" + answer.id[-12:], "name": answer.tool.name, "input": {}}
        deltas: Iterable[Json] = (
            {"type": "input_json_delta", "partial_json": fragment} for fragment in _fragments(answer.tool.arguments)
        )
    else:
        block = {"type": "text", "text": ""}
        deltas = ({"type": "text_delta", "text": piece} for piece in answer.pieces)
    yield sse({"type": "content_block_start", "index": 0, "content_block": block}, "content_block_start")
    yield sse({"type": "ping"}, "ping")
    for delta in deltas:
        yield sse({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")
    yield sse({"type": "content_block_stop", "index": 0}, "content_block_stop")
    stop = {"stop_reason": "tool_use" if answer.tool is not None else "end_turn", "stop_sequence": None}
    yield sse(
        {"type": "message_delta", "delta": stop, "usage": {"output_tokens": answer.output_tokens}}, "message_delta"
    )
    yield sse({"type": "message_stop"}, "message_stop")


def anthropic_error(status: int, message: str) -> Json:
    kinds = {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        529: "overloaded_error",
    }
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}


def _anthropic_usage(answer: Answer, output_tokens: int) -> Json:
    return {
        "input_tokens": answer.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _fragments(text: str, size: int = 8) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]
