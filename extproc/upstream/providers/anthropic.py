"""Anthropic's messages, their count, and the models (docs.anthropic.com/en/api)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from extproc.upstream.answers import (
    CREATED,
    RESOLVED_MODELS,
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

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def refuse(status: int, message: str) -> Reply:
    error = {"type": ERROR_TYPES.get(status, "api_error"), "message": message}
    return whole({"type": "error", "error": error, "request_id": "req_simulated"}, status=status)


def answer_of(question: Question) -> Answer:
    """What is said to a body in Anthropic's grammar, wherever it was sent."""
    messages = question.body.get("messages")
    return question.answer("msg_", tool=_tool(question.body), echo=last_text(messages))


def message(answer: Answer) -> Json:
    """The whole answer."""
    content: list[Json] = [{"type": "text", "text": answer.text}]
    if answer.tool is not None:
        call_id = "toolu_" + answer.call_id
        content = [{"type": "tool_use", "id": call_id, "name": answer.tool.name, "input": answer.tool.input}]
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": _stop_reason(answer),
        "stop_sequence": None,
        "usage": _usage(answer, answer.output_tokens),
    }


def stream(answer: Answer) -> Iterator[Json]:
    """`message_start` … `message_stop`; `message_delta` carries the cumulative output tokens."""
    start = message(answer) | {"content": [], "stop_reason": None, "usage": _usage(answer, 1)}
    yield {"type": "message_start", "message": start}
    if answer.tool is not None:
        block: Json = {"type": "tool_use", "id": "toolu_" + answer.call_id, "name": answer.tool.name, "input": {}}
        deltas: Iterable[Json] = (
            {"type": "input_json_delta", "partial_json": fragment} for fragment in answer.tool.fragments
        )
    else:
        block = {"type": "text", "text": ""}
        deltas = ({"type": "text_delta", "text": piece} for piece in answer.pieces)
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "ping"}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    stop = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": answer.output_tokens}}
    yield {"type": "message_stop"}


def _reply(question: Question) -> Reply:
    answer = answer_of(question)
    if question.streams:
        return events(sse(event, event["type"]) for event in stream(answer))
    return whole(message(answer))


def _count(question: Question) -> Reply:
    return whole({"input_tokens": question.input_tokens})


def _models(question: Question) -> Reply:
    del question
    names = [name for name in RESOLVED_MODELS.values() if name.startswith("claude")]
    listed = [{"type": "model", "id": name, "display_name": name, "created_at": CREATED} for name in names]
    return whole({"data": listed, "has_more": False, "first_id": names[0], "last_id": names[-1]})


def _tool(body: Json) -> ToolUse | None:
    """The first offered client tool, unless its result came already."""
    tool, content = first_of(body.get("tools")), last_of(body.get("messages")).get("content")
    if not tool:
        return None
    if isinstance(content, list) and any(isinstance(p, dict) and p.get("type") == "tool_result" for p in content):
        return None
    return ToolUse(str(tool.get("name", "tool")), example_arguments(tool.get("input_schema")))


def _stop_reason(answer: Answer) -> str:
    return "tool_use" if answer.tool is not None else "end_turn"


def _usage(answer: Answer, output_tokens: int) -> Json:
    return {
        "input_tokens": answer.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


ENDPOINTS = (
    Endpoint("POST", re.compile(r"/messages$"), _reply, refuse, wants="messages"),
    Endpoint("POST", re.compile(r"/messages/count_tokens$"), _count, refuse, wants="messages"),
    Endpoint("GET", re.compile(r"/v1/models$"), _models, refuse, header="anthropic-version"),
)
