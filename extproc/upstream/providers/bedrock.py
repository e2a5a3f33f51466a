"""Amazon Bedrock's runtime: Converse, ConverseStream, and InvokeModel for Claude, plain and streamed
(docs.aws.amazon.com/bedrock/latest/APIReference/API_Operations_Amazon_Bedrock_Runtime.html).

Streams are `application/vnd.amazon.eventstream`, whose messages `eventstream` writes.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator

from extproc.upstream.answers import Answer, Json, ToolUse, example_arguments, first_of, last_of, last_text
from extproc.upstream.endpoint import Endpoint, Question, Reply, whole
from extproc.upstream.eventstream import event_message
from extproc.upstream.providers import anthropic

EXCEPTIONS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
PADDING = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
"""Bedrock pads its events by a random stretch of this, against guesses from sizes; here it is not random."""


def refuse(status: int, message: str) -> Reply:
    """The exception's name stands in a header, the message in the body (Smithy's restJson1 protocol)."""
    name = EXCEPTIONS.get(status, "InternalServerException")
    return whole({"message": message}, status=status, headers=[("x-amzn-errortype", f"{name}:http://internal/")])


def _converse(question: Question) -> Reply:
    answer = _answer(question)
    return whole(
        {
            "metrics": {"latencyMs": 7},
            "output": {"message": {"content": [_block(answer)], "role": "assistant"}},
            "stopReason": _stop_reason(answer),
            "usage": _usage(answer),
        }
    )


def _converse_stream(question: Question) -> Reply:
    answer = _answer(question)
    return _eventstream(
        event_message(kind, json.dumps(event | _padding(event)).encode()) for kind, event in _events(answer)
    )


def _answer(question: Question) -> Answer:
    messages = question.body["messages"]
    return question.answer("", tool=_tool(question.body), echo=last_text(messages))


def _tool(body: Json) -> ToolUse | None:
    """The first tool that is specified, unless its result came already."""
    content, config = last_of(body["messages"]).get("content"), body.get("toolConfig")
    if isinstance(content, list) and any(isinstance(block, dict) and "toolResult" in block for block in content):
        return None
    spec = first_of(config.get("tools")).get("toolSpec") if isinstance(config, dict) else None
    if not isinstance(spec, dict):
        return None
    schema = spec.get("inputSchema")
    return ToolUse(
        str(spec.get("name", "tool")), example_arguments(schema.get("json") if isinstance(schema, dict) else None)
    )


def _block(answer: Answer) -> Json:
    if answer.tool is None:
        return {"text": answer.text}
    return {
        "toolUse": {
            "toolUseId": "tooluse_" + answer.call_id,
            "name": answer.tool.name,
            "input": answer.tool.input,
        }
    }


def _stop_reason(answer: Answer) -> str:
    return "end_turn" if answer.tool is None else "tool_use"


def _usage(answer: Answer) -> Json:
    return {
        "inputTokens": answer.input_tokens,
        "outputTokens": answer.output_tokens,
        "totalTokens": answer.total_tokens,
        "cacheReadInputTokens": 0,
        "cacheWriteInputTokens": 0,
    }


def _events(answer: Answer) -> Iterator[tuple[str, Json]]:
    """Only a tool's block has a start of its own."""
    yield "messageStart", {"role": "assistant"}
    if answer.tool is not None:
        start = {"toolUse": {"toolUseId": "tooluse_" + answer.call_id, "name": answer.tool.name}}
        yield "contentBlockStart", {"contentBlockIndex": 0, "start": start}
        deltas: Iterable[Json] = ({"toolUse": {"input": fragment}} for fragment in answer.tool.fragments)
    else:
        deltas = ({"text": piece} for piece in answer.pieces)
    for delta in deltas:
        yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}
    yield "contentBlockStop", {"contentBlockIndex": 0}
    yield "messageStop", {"stopReason": _stop_reason(answer)}
    yield "metadata", {"metrics": {"latencyMs": 7}, "usage": _usage(answer)}


def _padding(event: Json) -> Json:
    return {"p": PADDING[: 1 + len(json.dumps(event)) % len(PADDING)]}


def _invoke(question: Question) -> Reply:
    answer = anthropic.answer_of(question)
    headers = [
        ("x-amzn-bedrock-invocation-latency", "7"),
        ("x-amzn-bedrock-input-token-count", str(answer.input_tokens)),
        ("x-amzn-bedrock-output-token-count", str(answer.output_tokens)),
    ]
    return whole(anthropic.message(answer), headers=headers)


def _invoke_stream(question: Question) -> Reply:
    answer = anthropic.answer_of(question)
    metrics = {
        "inputTokenCount": answer.input_tokens,
        "outputTokenCount": answer.output_tokens,
        "invocationLatency": 7,
        "firstByteLatency": 3,
    }

    def messages() -> Iterator[bytes]:
        for event in anthropic.stream(answer):
            last: Json = {"amazon-bedrock-invocationMetrics": metrics} if event["type"] == "message_stop" else {}
            chunk: Json = {"bytes": base64.b64encode(json.dumps(event | last).encode()).decode()}
            yield event_message("chunk", json.dumps(chunk | _padding(event)).encode())

    return _eventstream(messages())


def _eventstream(messages: Iterable[bytes]) -> Reply:
    return Reply(messages, "application/vnd.amazon.eventstream", streamed=True)


def _at(action: str) -> re.Pattern[str]:
    """The model's id or ARN is one segment, escaped."""
    return re.compile(rf"/model/(?P<model>[^/]+)/{action}$")


ENDPOINTS = (
    Endpoint("POST", _at("converse"), _converse, refuse, wants="messages"),
    Endpoint("POST", _at("converse-stream"), _converse_stream, refuse, wants="messages"),
    Endpoint("POST", _at("invoke"), _invoke, refuse, wants="messages"),
    Endpoint("POST", _at("invoke-with-response-stream"), _invoke_stream, refuse, wants="messages"),
)
