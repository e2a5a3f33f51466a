"""Chat completions (platform.openai.com/docs/api-reference/chat)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from extproc.upstream.answers import (
    CREATED_S,
    Answer,
    Json,
    ToolUse,
    example_arguments,
    first_of,
    last_of,
    last_text,
    sse,
)
from extproc.upstream.endpoint import Endpoint, Question, Reply, events, whole

CHOICES_MAX = 16


def refuse(status: int, message: str) -> Reply:
    """As platform.openai.com/docs/guides/error-codes has it."""
    kind = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    return whole({"error": {"message": message, "type": kind, "param": None, "code": None}}, status=status)


def usage(answer: Answer) -> Json:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.total_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def asks_for_usage(body: Json) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def choices_of(body: Json) -> int:
    choices = body.get("n", 1)
    return choices if isinstance(choices, int) and 1 <= choices <= CHOICES_MAX else 1


def _reply(question: Question) -> Reply:
    body = question.body
    answer = question.answer(
        "chatcmpl-",
        tool=_tool(body),
        echo=last_text(body["messages"]),
        choices=choices_of(body),
        usage_in_stream=asks_for_usage(body),
    )
    return events(_events(answer)) if question.streams else whole(_whole(answer))


def _tool(body: Json) -> ToolUse | None:
    """The first offered function, unless its result came already or tools are switched off."""
    function = first_of(body.get("tools")).get("function")
    if body.get("tool_choice") == "none" or last_of(body["messages"]).get("role") == "tool":
        return None
    if not isinstance(function, dict):
        return None
    return ToolUse(str(function.get("name", "tool")), example_arguments(function.get("parameters")))


def _message(answer: Answer) -> Json:
    message: Json = {"role": "assistant", "content": answer.text, "refusal": None}
    if answer.tool is not None:
        call = {
            "id": "call_" + answer.call_id,
            "type": "function",
            "function": {"name": answer.tool.name, "arguments": answer.tool.arguments},
        }
        message |= {"content": None, "tool_calls": [call]}
    return message


def _whole(answer: Answer) -> Json:
    reason = "tool_calls" if answer.tool is not None else "stop"
    return {
        "id": answer.id,
        "object": "chat.completion",
        "created": CREATED_S,
        "model": answer.model,
        "choices": [
            {"index": index, "message": _message(answer), "logprobs": None, "finish_reason": reason}
            for index in range(answer.choices)
        ],
        "usage": usage(answer),
        "system_fingerprint": "fp_simulated",
    }


def _events(answer: Answer) -> Iterator[bytes]:
    """One event a piece; usage in a last chunk without choices when it was asked for; `[DONE]`."""

    def chunk(choices: list[Json], **more: Any) -> bytes:
        told = {"usage": None} if answer.usage_in_stream and "usage" not in more else {}
        return sse(
            {
                "id": answer.id,
                "object": "chat.completion.chunk",
                "created": CREATED_S,
                "model": answer.model,
                "system_fingerprint": "fp_simulated",
                "choices": choices,
                **told,
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
                "id": "call_" + answer.call_id,
                "type": "function",
                "function": {"name": answer.tool.name, "arguments": ""},
            }
            yield chunk([choice(index, {"role": "assistant", "content": None, "tool_calls": [call]})])
            for fragment in answer.tool.fragments:
                yield chunk([choice(index, {"tool_calls": [{"index": 0, "function": {"arguments": fragment}}]})])
        yield chunk([choice(index, {}, reason)])
    if answer.usage_in_stream:
        yield chunk([], usage=usage(answer))
    yield b"data: [DONE]\n\n"


ENDPOINTS = (Endpoint("POST", re.compile(r"/chat/completions$"), _reply, refuse, wants="messages"),)
