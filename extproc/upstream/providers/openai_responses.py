"""OpenAI's Responses (platform.openai.com/docs/api-reference/responses and …/responses-streaming).

A summary of reasoning comes where the request asks for one; a `max_output_tokens` below what there is to say makes the
response end as `incomplete`.
"""

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
    last_of,
    last_text,
    sse,
)
from extproc.upstream.endpoint import Endpoint, Question, Reply, events, whole
from extproc.upstream.providers.openai_chat import refuse

SUMMARY = "It is a simulation."
REASONING_TOKENS = 4


def _reply(question: Question) -> Reply:
    asked = question.body["input"]
    echo = asked if isinstance(asked, str) else last_text(asked)
    answer = question.answer("resp_", tool=_tool(question.body), echo=echo)
    if question.streams:
        return events(_events(question.body, answer))
    return whole(
        _response(question.body, answer, status=_status(question.body, answer), output=_output(question.body, answer))
    )


def _tool(body: Json) -> ToolUse | None:
    """The first offered function, unless its result came already or tools are switched off."""
    tools = body.get("tools")
    if body.get("tool_choice") == "none" or last_of(body["input"]).get("type") == "function_call_output":
        return None
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and tool.get("type") == "function":
            return ToolUse(str(tool.get("name", "tool")), example_arguments(tool.get("parameters")))
    return None


def _reasons(body: Json) -> bool:
    reasoning = body.get("reasoning")
    return isinstance(reasoning, dict) and bool(reasoning.get("summary"))


def _status(body: Json, answer: Answer) -> str:
    limit = body.get("max_output_tokens")
    return "incomplete" if isinstance(limit, int) and limit < answer.output_tokens else "completed"


def _response(body: Json, answer: Answer, *, status: str, output: list[Json]) -> Json:
    ended = status != "in_progress"
    reasoning = REASONING_TOKENS if _reasons(body) else 0
    usage = {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": answer.output_tokens + reasoning,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": answer.total_tokens + reasoning,
    }
    return {
        "id": answer.id,
        "object": "response",
        "created_at": CREATED_S,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default" if ended else "auto",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": usage if ended else None,
        "user": None,
        "metadata": {},
    }


def _output(body: Json, answer: Answer) -> list[Json]:
    return [_summary(answer)] * _reasons(body) + [_item(answer, _status(body, answer))]


def _summary(answer: Answer) -> Json:
    return {"id": "rs_" + answer.call_id, "type": "reasoning", "summary": [{"type": "summary_text", "text": SUMMARY}]}


def _item(answer: Answer, status: str) -> Json:
    if answer.tool is not None:
        return {
            "id": "fc_" + answer.call_id,
            "type": "function_call",
            "status": status,
            "arguments": answer.tool.arguments,
            "call_id": "call_" + answer.call_id,
            "name": answer.tool.name,
        }
    return {
        "id": "msg_" + answer.call_id,
        "type": "message",
        "status": status,
        "content": [_text(answer.text)],
        "role": "assistant",
    }


def _text(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _events(body: Json, answer: Answer) -> Iterator[bytes]:
    """Numbered events, each named by its type; the last one holds the whole response."""
    status = _status(body, answer)
    steps: list[Iterator[Json]] = []
    if _reasons(body):
        steps.append(_summary_steps(answer))
    steps.append(_text_steps(answer, status) if answer.tool is None else _call_steps(answer, answer.tool, status))

    def all_steps() -> Iterator[Json]:
        begun = _response(body, answer, status="in_progress", output=[])
        yield {"type": "response.created", "response": begun}
        yield {"type": "response.in_progress", "response": begun}
        for index, item in enumerate(steps):
            for step in item:
                yield step | {"output_index": index}
        ended = _response(body, answer, status=status, output=_output(body, answer))
        yield {"type": f"response.{status}", "response": ended}

    for number, step in enumerate(all_steps()):
        yield sse({"type": step["type"], "sequence_number": number, **step}, step["type"])


def _step(kind: str, **members: Any) -> Json:
    return {"type": f"response.{kind}", **members}


def _text_steps(answer: Answer, status: str) -> Iterator[Json]:
    item = _item(answer, status)
    here = {"item_id": item["id"], "content_index": 0}
    yield _step("output_item.added", item=item | {"status": "in_progress", "content": []})
    yield _step("content_part.added", **here, part=_text(""))
    for piece in answer.pieces:
        yield _step("output_text.delta", **here, delta=piece, logprobs=[])
    yield _step("output_text.done", **here, text=answer.text, logprobs=[])
    yield _step("content_part.done", **here, part=_text(answer.text))
    yield _step("output_item.done", item=item)


def _call_steps(answer: Answer, tool: ToolUse, status: str) -> Iterator[Json]:
    item = _item(answer, status)
    yield _step("output_item.added", item=item | {"status": "in_progress", "arguments": ""})
    for fragment in tool.fragments:
        yield _step("function_call_arguments.delta", item_id=item["id"], delta=fragment)
    yield _step("function_call_arguments.done", item_id=item["id"], name=tool.name, arguments=tool.arguments)
    yield _step("output_item.done", item=item)


def _summary_steps(answer: Answer) -> Iterator[Json]:
    item = _summary(answer)
    here = {"item_id": item["id"], "summary_index": 0}
    yield _step("output_item.added", item=item | {"summary": []})
    yield _step("reasoning_summary_part.added", **here, part={"type": "summary_text", "text": ""})
    for start in range(0, len(SUMMARY), 8):
        yield _step("reasoning_summary_text.delta", **here, delta=SUMMARY[start : start + 8])
    yield _step("reasoning_summary_text.done", **here, text=SUMMARY)
    yield _step("reasoning_summary_part.done", **here, part=item["summary"][0])
    yield _step("output_item.done", item=item)


ENDPOINTS = (Endpoint("POST", re.compile(r"/responses$"), _reply, refuse, wants="input"),)
