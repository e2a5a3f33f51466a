"""Cohere's chat (v1 and v2), embed and rerank (docs.cohere.com/reference).

What Cohere bills is not what it counts: `billed_units` leave the prompt's template out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from extproc.upstream.answers import (
    Answer,
    Json,
    ToolUse,
    answer_id,
    example_arguments,
    first_of,
    last_of,
    last_text,
    sse,
    vector,
)
from extproc.upstream.endpoint import Endpoint, Question, Reply, events, whole

TEMPLATE_TOKENS = 62
"""What Cohere's own template adds to the tokens, and does not bill."""
TOOL_PLAN = "I will look it up."


def refuse(status: int, message: str) -> Reply:
    return whole({"id": "simulated", "message": message}, status=status)


def _usage(answer: Answer) -> Json:
    billed = {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
    counted = {"input_tokens": answer.input_tokens + TEMPLATE_TOKENS, "output_tokens": answer.output_tokens}
    return {"billed_units": billed, "tokens": counted}


# --- v2 --------------------------------------------------------------------------------------------------------------


def _chat(question: Question) -> Reply:
    messages = question.body["messages"]
    answer = question.answer("", tool=_tool(question.body), echo=last_text(messages))
    if question.streams:
        return events(sse(event, event["type"]) if event else b"data: [DONE]\n\n" for event in _chat_events(answer))
    message: Json = {"role": "assistant", "content": [{"type": "text", "text": answer.text}]}
    if answer.tool is not None:
        message = {"role": "assistant", "tool_plan": TOOL_PLAN, "tool_calls": [_call(answer, answer.tool)]}
    return whole(
        {"id": answer.id, "message": message, "finish_reason": _finish_reason(answer), "usage": _usage(answer)}
    )


def _tool(body: Json) -> ToolUse | None:
    """The first offered function, unless its result came already."""
    function = first_of(body.get("tools")).get("function")
    if not isinstance(function, dict) or last_of(body["messages"]).get("role") == "tool":
        return None
    return ToolUse(str(function.get("name", "tool")), example_arguments(function.get("parameters")))


def _call(answer: Answer, tool: ToolUse, arguments: str | None = None) -> Json:
    told = tool.arguments if arguments is None else arguments
    name = f"{tool.name}_{answer.call_id}"
    return {"id": name, "type": "function", "function": {"name": tool.name, "arguments": told}}


def _finish_reason(answer: Answer) -> str:
    return "COMPLETE" if answer.tool is None else "TOOL_CALL"


def _chat_events(answer: Answer) -> Iterator[Json]:
    """The events, then an empty one for the end."""

    def event(kind: str, index: int | None = 0, **message: object) -> Json:
        delta = {"delta": {"message": message}} if message else {}
        return {"type": kind, **({} if index is None else {"index": index}), **delta}

    begun = event("message-start", None, role="assistant", content=[], tool_plan="", tool_calls=[], citations=[])
    yield {"id": answer.id, **begun}
    if answer.tool is not None:
        for word in TOOL_PLAN.split(" "):
            yield event("tool-plan-delta", None, tool_plan=word + " ")
        yield event("tool-call-start", tool_calls=_call(answer, answer.tool, ""))
        for fragment in answer.tool.fragments:
            yield event("tool-call-delta", tool_calls={"function": {"arguments": fragment}})
        yield event("tool-call-end")
    else:
        yield event("content-start", content={"type": "text", "text": ""})
        for piece in answer.pieces:
            yield event("content-delta", content={"text": piece})
        yield event("content-end")
    yield {"type": "message-end", "delta": {"finish_reason": _finish_reason(answer), "usage": _usage(answer)}}
    yield {}


# --- v1 --------------------------------------------------------------------------------------------------------------


def _chat_v1(question: Question) -> Reply:
    message = question.body["message"]
    answer = question.answer("", tool=_tool_v1(question.body), echo=message if isinstance(message, str) else "")
    response = _response_v1(question, answer)
    if not question.streams:
        return whole(response)
    steps = (json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in _chat_v1_events(answer, response))
    return Reply(steps, "application/stream+json", streamed=True)


def _tool_v1(body: Json) -> ToolUse | None:
    """The first offered tool, unless its result came already."""
    tool = first_of(body.get("tools"))
    if not tool or body.get("tool_results"):
        return None
    return ToolUse(str(tool.get("name", "tool")), example_arguments({"properties": tool.get("parameter_definitions")}))


def _response_v1(question: Question, answer: Answer) -> Json:
    said = "" if answer.tool is not None else answer.text
    calls = [{"name": answer.tool.name, "parameters": answer.tool.input}] if answer.tool is not None else []
    history = [
        {"role": "USER", "message": question.body["message"]},
        {"role": "CHATBOT", "message": said, **({"tool_calls": calls} if calls else {})},
    ]
    return {
        "response_id": answer.id,
        "text": said,
        "generation_id": answer_id("gen_", question.request.body),
        "chat_history": history,
        "finish_reason": "COMPLETE",
        "meta": {"api_version": {"version": "1"}, **_usage(answer)},
        **({"tool_calls": calls} if calls else {}),
    }


def _chat_v1_events(answer: Answer, response: Json) -> Iterator[Json]:
    yield {"is_finished": False, "event_type": "stream-start", "generation_id": response["generation_id"]}
    if answer.tool is not None:
        yield {"is_finished": False, "event_type": "tool-calls-generation", "tool_calls": response["tool_calls"]}
    else:
        for piece in answer.pieces:
            yield {"is_finished": False, "event_type": "text-generation", "text": piece}
    yield {"is_finished": True, "event_type": "stream-end", "response": response, "finish_reason": "COMPLETE"}


# --- embed, rerank ---------------------------------------------------------------------------------------------------


def _embed(question: Question) -> Reply:
    body = question.body
    texts = [text for text in body["texts"] if isinstance(text, str)]
    version = question.named["version"]
    meta = {"api_version": {"version": version}, "billed_units": {"input_tokens": question.input_tokens}}
    document: Json = {"id": answer_id("", question.request.body), "texts": texts, "meta": meta}
    vectors = [vector(text) for text in texts]
    if version == "1" and not body.get("embedding_types"):
        return whole(document | {"embeddings": vectors, "response_type": "embeddings_floats"})
    return whole(document | {"embeddings": {"float": vectors}, "response_type": "embeddings_by_type"})


def _rerank(question: Question) -> Reply:
    documents = question.body["documents"]
    limit = question.body.get("top_n", len(documents))
    results = [{"index": index, "relevance_score": 1 / (index + 2)} for index in range(min(limit, len(documents)))]
    meta = {"api_version": {"version": question.named["version"]}, "billed_units": {"search_units": 1}}
    return whole({"id": answer_id("", question.request.body), "results": results, "meta": meta})


ENDPOINTS = (
    Endpoint("POST", re.compile(r"/v2/chat$"), _chat, refuse, wants="messages"),
    Endpoint("POST", re.compile(r"/v1/chat$"), _chat_v1, refuse, wants="message"),
    Endpoint("POST", re.compile(r"/v(?P<version>[12])/embed$"), _embed, refuse, wants="texts"),
    Endpoint("POST", re.compile(r"/v(?P<version>[12])/rerank$"), _rerank, refuse, wants="documents"),
)
