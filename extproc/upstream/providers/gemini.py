"""Gemini, also as Vertex AI serves it (ai.google.dev/api/generate-content, …/embeddings, …/tokens).

Streams are server-sent events with CRLF line ends where `alt=sse` asks for them, else a pretty-printed JSON array that
is written element by element. There is no word at the end of either.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from extproc.upstream.answers import (
    RESOLVED_MODELS,
    Answer,
    Json,
    ToolUse,
    example_arguments,
    first_of,
    last_of,
    last_text,
    vector,
)
from extproc.upstream.endpoint import Endpoint, Question, Reply, events, whole

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def refuse(status: int, message: str) -> Reply:
    """`google.rpc.Status` in JSON (cloud.google.com/apis/design/errors)."""
    error = {"code": status, "message": message, "status": STATUSES.get(status, "INTERNAL")}
    return whole({"error": error}, status=status)


def _generate(question: Question) -> Reply:
    answer = _answer(question)
    return whole(_response(answer, _parts(answer), final=True))


def _stream(question: Question) -> Reply:
    responses = _responses(_answer(question))
    if question.query.get("alt") == "sse":
        return events(f"data: {json.dumps(response, ensure_ascii=False)}\r\n\r\n".encode() for response in responses)
    return Reply(_array(responses), "application/json; charset=UTF-8", streamed=True)


def _answer(question: Question) -> Answer:
    contents = question.body["contents"]
    return question.answer("", tool=_tool(question.body), echo=last_text(contents))


def _tool(body: Json) -> ToolUse | None:
    """The first declared function, unless its result came already."""
    parts = last_of(body["contents"]).get("parts")
    if isinstance(parts, list) and any(isinstance(part, dict) and "functionResponse" in part for part in parts):
        return None
    function = first_of(first_of(body.get("tools")).get("functionDeclarations"))
    if not function:
        return None
    # Protocol buffers in JSON may be written in either case, and Google's own SDK writes both.
    names = ("parameters", "parametersJsonSchema", "parameters_json_schema")
    schema = next((function[name] for name in names if name in function), None)
    return ToolUse(str(function.get("name", "tool")), example_arguments(schema))


def _parts(answer: Answer) -> list[Json]:
    """A call has no id, as Gemini's have none."""
    if answer.tool is not None:
        return [{"functionCall": {"name": answer.tool.name, "args": answer.tool.input}}]
    return [{"text": answer.text}]


def _response(answer: Answer, parts: list[Json], *, final: bool) -> Json:
    """One response; one that is not the last knows nothing of its end, nor of the tokens of its answer."""
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    usage: Json = {
        "promptTokenCount": answer.input_tokens,
        "totalTokenCount": answer.input_tokens,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.input_tokens}],
    }
    if final:
        candidate["finishReason"] = "STOP"
        usage |= {"candidatesTokenCount": answer.output_tokens, "totalTokenCount": answer.total_tokens}
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": answer.model,
        "responseId": answer.id,
    }


def _responses(answer: Answer) -> Iterator[Json]:
    if answer.tool is not None:
        yield _response(answer, _parts(answer), final=True)
        return
    for piece in answer.pieces:
        yield _response(answer, [{"text": piece}], final=False)
    yield _response(answer, [{"text": ""}], final=True)


def _array(responses: Iterator[Json]) -> Iterator[bytes]:
    for index, response in enumerate(responses):
        text = json.dumps(response, ensure_ascii=False, indent=2)
        yield (("[" if index == 0 else "\n,\r\n") + text).encode()
    yield b"\n]"


def _count(question: Question) -> Reply:
    tokens = question.input_tokens
    return whole({"totalTokens": tokens, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens}]})


def _embed(question: Question) -> Reply:
    return whole({"embedding": _embedding(question.body)})


def _embed_batch(question: Question) -> Reply:
    requests = question.body["requests"]
    return whole({"embeddings": [_embedding(one) for one in requests if isinstance(one, dict)]})


def _embedding(body: Json) -> Json:
    return {"values": vector(last_text([body.get("content")]))}


def _models(question: Question) -> Reply:
    del question
    listed = [
        {"name": f"models/{name}", "version": "001", "supportedGenerationMethods": ["generateContent", "countTokens"]}
        for name in RESOLVED_MODELS
    ]
    return whole({"models": listed})


def _at(action: str) -> re.Pattern[str]:
    """Under `/v1beta/models/…` as well as Vertex' `…/publishers/google/models/…`."""
    return re.compile(rf"/models/(?P<model>[^/]+):{action}$")


ENDPOINTS = (
    Endpoint("POST", _at("generateContent"), _generate, refuse, wants="contents"),
    Endpoint("POST", _at("streamGenerateContent"), _stream, refuse, wants="contents"),
    Endpoint("POST", _at("countTokens"), _count, refuse),
    Endpoint("POST", _at("embedContent"), _embed, refuse, wants="content"),
    Endpoint("POST", _at("batchEmbedContents"), _embed_batch, refuse, wants="requests"),
    Endpoint("GET", re.compile(r"/v1(?:beta)?/models$"), _models, refuse, header="x-goog-api-key"),
)
