"""Ollama's own API (github.com/ollama/ollama, docs/api.md): streams unless told not to, a JSON object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from extproc.upstream.answers import (
    CREATED,
    Answer,
    Json,
    ToolUse,
    example_arguments,
    first_of,
    last_of,
    last_text,
    vector,
)
from extproc.upstream.endpoint import Endpoint, Question, Reply, whole


def refuse(status: int, message: str) -> Reply:
    return whole({"error": message}, status=status)


def _chat(question: Question) -> Reply:
    messages = question.body["messages"]
    answer = question.answer("", tool=_tool(question.body), echo=last_text(messages))

    def said(text: str) -> Json:
        return {"message": {"role": "assistant", "content": text}}

    return _reply(question, answer, said, _called(answer))


def _generate(question: Question) -> Reply:
    prompt = question.body["prompt"]
    answer = question.answer("", tool=None, echo=prompt if isinstance(prompt, str) else "")
    return _reply(question, answer, lambda text: {"response": text}, None)


def _reply(question: Question, answer: Answer, said: Callable[[str], Json], called: Json | None) -> Reply:
    end = {"done_reason": "stop", "done": True} | _figures(answer)
    if question.body.get("stream") is False:
        return whole(_line(answer, called or said(answer.text), end))
    return Reply(_lines(answer, said, called, end), "application/x-ndjson", streamed=True)


def _lines(answer: Answer, said: Callable[[str], Json], called: Json | None, end: Json) -> Iterator[bytes]:
    steps = [called] if called is not None else (said(piece) for piece in answer.pieces)
    for step in steps:
        yield json.dumps(_line(answer, step, {"done": False}), ensure_ascii=False).encode() + b"\n"
    yield json.dumps(_line(answer, said(""), end), ensure_ascii=False).encode() + b"\n"


def _line(answer: Answer, said: Json, state: Json) -> Json:
    return {"model": answer.model, "created_at": CREATED, **said, **state}


def _tool(body: Json) -> ToolUse | None:
    """The first offered function, unless its result came already."""
    function = first_of(body.get("tools")).get("function")
    if not isinstance(function, dict) or last_of(body["messages"]).get("role") == "tool":
        return None
    return ToolUse(str(function.get("name", "tool")), example_arguments(function.get("parameters")))


def _called(answer: Answer) -> Json | None:
    """A call's arguments are an object, and it has no id."""
    if answer.tool is None:
        return None
    call = {"function": {"name": answer.tool.name, "arguments": answer.tool.input}}
    return {"message": {"role": "assistant", "content": "", "tool_calls": [call]}}


def _figures(answer: Answer) -> Json:
    return {
        "total_duration": 7_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": answer.input_tokens,
        "prompt_eval_duration": 2_000_000,
        "eval_count": answer.output_tokens,
        "eval_duration": 4_000_000,
    }


def _embed(question: Question) -> Reply:
    asked = question.body["input"]
    texts = [asked] if isinstance(asked, str) else [str(text) for text in asked]
    figures = {"total_duration": 7_000_000, "load_duration": 1_000_000, "prompt_eval_count": question.input_tokens}
    return whole({"model": question.model, "embeddings": [vector(text) for text in texts], **figures})


ENDPOINTS = (
    Endpoint("POST", re.compile(r"/api/chat$"), _chat, refuse, wants="messages", needs_key=False),
    Endpoint("POST", re.compile(r"/api/generate$"), _generate, refuse, wants="prompt", needs_key=False),
    Endpoint("POST", re.compile(r"/api/embed$"), _embed, refuse, wants="input", needs_key=False),
)
