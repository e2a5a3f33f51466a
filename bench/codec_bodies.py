"""Requests, answers and events of each family of apis, all of the same talk: what `bench.codecs` measures with.

A small pair is a short question and its answer, under a kilobyte each. An agent's request resends the history of a
coding agent: prose, code with colons and quotes, tool calls and their results. Spaces stand after `:` and `,`, as
Python's `json` writes them; some SDKs leave them out, which is a little less to read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from extproc.framing.aws_eventstream import encode_message
from extproc.model import Call

Json = dict[str, Any]

SYSTEM = "Be brief: one line."
QUESTION = "Which of these two dates comes first: 2024-02-29 or 2024-03-01? " * 4
ANSWER = "The first one: February ends a day later in a leap year. " * 6
LIMIT = 512
ACCENTED_EVERY = 5
"""Every so many files have characters for which Python takes two bytes each, as comments in Asia do."""


@dataclass(frozen=True)
class Turn:
    """A user's words, and the file that the agent read then."""

    number: int
    said: str
    arguments: Json
    result: str

    @property
    def call_id(self) -> str:
        return f"call_{self.number}"


Asked = tuple[str, list[Turn], list[Json]]
"""The system's text, the turns, the tools (name, description, JSON Schema)."""


def small_talk() -> Asked:
    return SYSTEM, [Turn(0, QUESTION, {}, "")], []


def agent_talk(size_bytes: int) -> Asked:
    source = 'def area(shape: dict) -> float:\n    """Area: w times h."""\n    return shape["w"] * shape["h"]  # a\n'
    accented = source.replace("Area", "Fläche · 面積")
    turns: list[Turn] = []
    held = 0
    while held < size_bytes:
        number = len(turns) + 1
        turns.append(
            Turn(
                number,
                f"Step {number}: look at the next file, then go on. " * 8,
                {"path": f"src/file_{number}.py", "lines": [number, number + 40], "note": "a: b"},
                (source if number % ACCENTED_EVERY else accented) * 60,
            )
        )
        held += 60 * (len(source) + 8) + 900
    schema = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    tools = [
        {"name": name, "description": f"{name}: does what its name says, and no more.", "schema": schema}
        for name in ("read_file", "write_file", "run", "search")
    ]
    return "You are a careful engineer. " * 200, turns, tools


def _chat_messages(asked: Asked) -> list[Json]:
    system, turns, _ = asked
    messages: list[Json] = [{"role": "system", "content": system}]
    for turn in turns:
        messages.append({"role": "user", "content": turn.said})
        if turn.result:
            function = {"name": "read_file", "arguments": json.dumps(turn.arguments)}
            call = {"id": turn.call_id, "type": "function", "function": function}
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": turn.call_id, "content": turn.result})
    return messages


def _functions(asked: Asked) -> list[Json]:
    return [
        {"name": tool["name"], "description": tool["description"], "parameters": tool["schema"]} for tool in asked[2]
    ]


def _with_tools(body: Json, tools: list[Json]) -> Json:
    return {**body, "tools": tools} if tools else body


def chat_request(asked: Asked) -> Json:
    tools = [{"type": "function", "function": function} for function in _functions(asked)]
    return _with_tools({"model": "gpt-4o-mini", "stream": bool(tools), "messages": _chat_messages(asked)}, tools)


def responses_request(asked: Asked) -> Json:
    system, turns, _ = asked
    items: list[Json] = []
    for turn in turns:
        items.append({"role": "user", "content": [{"type": "input_text", "text": turn.said}]})
        if turn.result:
            called = {"call_id": turn.call_id, "name": "read_file", "arguments": json.dumps(turn.arguments)}
            items.append({"type": "function_call", **called})
            items.append({"type": "function_call_output", "call_id": turn.call_id, "output": turn.result})
    tools = [{"type": "function", **function} for function in _functions(asked)]
    return _with_tools({"model": "gpt-5", "instructions": system, "input": items, "store": False}, tools)


def claude_request(asked: Asked) -> Json:
    system, turns, offered = asked
    messages: list[Json] = []
    for turn in turns:
        messages.append({"role": "user", "content": [{"type": "text", "text": turn.said}]})
        if turn.result:
            use = {"type": "tool_use", "id": turn.call_id, "name": "read_file", "input": turn.arguments}
            given = [{"type": "text", "text": turn.result}]
            result = {"type": "tool_result", "tool_use_id": turn.call_id, "content": given}
            messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    tools = [
        {"name": tool["name"], "description": tool["description"], "input_schema": tool["schema"]} for tool in offered
    ]
    body = {"model": "claude-sonnet-4-5", "max_tokens": LIMIT, "system": system, "messages": messages}
    return _with_tools(body, tools)


def gemini_request(asked: Asked) -> Json:
    system, turns, _ = asked
    contents: list[Json] = []
    for turn in turns:
        contents.append({"role": "user", "parts": [{"text": turn.said}]})
        if turn.result:
            call = {"functionCall": {"name": "read_file", "args": turn.arguments}}
            answer = {"functionResponse": {"name": "read_file", "response": {"output": turn.result}}}
            contents += [{"role": "model", "parts": [call]}, {"role": "user", "parts": [answer]}]
    body = {"systemInstruction": {"parts": [{"text": system}]}, "contents": contents}
    functions = _functions(asked)
    return _with_tools(
        {**body, "generationConfig": {"maxOutputTokens": LIMIT}},
        [{"functionDeclarations": functions}] if functions else [],
    )


def converse_request(asked: Asked) -> Json:
    system, turns, tools = asked
    messages: list[Json] = []
    for turn in turns:
        messages.append({"role": "user", "content": [{"text": turn.said}]})
        if turn.result:
            use = {"toolUse": {"toolUseId": turn.call_id, "name": "read_file", "input": turn.arguments}}
            result = {"toolResult": {"toolUseId": turn.call_id, "content": [{"text": turn.result}]}}
            messages += [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    specs = [
        {"name": tool["name"], "description": tool["description"], "inputSchema": {"json": tool["schema"]}}
        for tool in tools
    ]
    body: Json = {"system": [{"text": system}], "messages": messages, "inferenceConfig": {"maxTokens": LIMIT}}
    return {**body, "toolConfig": {"tools": [{"toolSpec": spec} for spec in specs]}} if specs else body


def cohere_request(asked: Asked) -> Json:
    return {**chat_request(asked), "model": "command-a-03-2025"}


def ollama_request(asked: Asked) -> Json:
    messages = _chat_messages(asked)
    for message in messages:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        message["content"] = message["content"] or ""
    return {**chat_request(asked), "model": "llama3.2", "messages": messages}


def mcp_request(asked: Asked) -> Json:
    """One call of a tool, given all that was said."""
    arguments = {"notes": [{"path": f"{turn.number}.py", "text": turn.said + turn.result} for turn in asked[1]]}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search", "arguments": arguments}}


CHAT_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_700_000_000,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": ANSWER, "refusal": None}, "finish_reason": "stop"}
    ],
    "usage": {
        "prompt_tokens": 90,
        "completion_tokens": 84,
        "total_tokens": 174,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    },
    "service_tier": "default",
}
RESPONSES_ANSWER = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5-2025-08-07",
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": ANSWER, "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": 90,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 84,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 174,
    },
    "service_tier": "default",
}
CLAUDE_ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5-20250929",
    "content": [{"type": "text", "text": ANSWER}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 90, "output_tokens": 84, "cache_read_input_tokens": 0},
}
GEMINI_ANSWER = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": ANSWER}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 90, "candidatesTokenCount": 84, "totalTokenCount": 174},
    "modelVersion": "gemini-2.5-flash",
    "responseId": "r1",
}
CONVERSE_ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": ANSWER}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 90, "outputTokens": 84, "totalTokens": 174},
    "metrics": {"latencyMs": 700},
}
COHERE_ANSWER = {
    "id": "c1",
    "message": {"role": "assistant", "content": [{"type": "text", "text": ANSWER}]},
    "finish_reason": "COMPLETE",
    "usage": {
        "billed_units": {"input_tokens": 80, "output_tokens": 84},
        "tokens": {"input_tokens": 90, "output_tokens": 84},
    },
}
OLLAMA_ANSWER = {
    "model": "llama3.2",
    "created_at": "2026-11-01T10:00:00Z",
    "message": {"role": "assistant", "content": ANSWER},
    "done_reason": "stop",
    "done": True,
    "total_duration": 700_000_000,
    "prompt_eval_count": 90,
    "eval_count": 84,
}
MCP_ANSWER = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": ANSWER}], "isError": False}}


def _chat_event(n: int) -> Json:
    delta = {"index": 0, "delta": {"content": f" word{n}"}, "logprobs": None, "finish_reason": None}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "gpt-4o-mini"}
    return {**head, "choices": [delta]}


def _responses_event(n: int) -> Json:
    head = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0}
    return {**head, "sequence_number": n, "delta": f" word{n}", "logprobs": []}


def _claude_event(n: int) -> Json:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": f" word{n}"}}


def _gemini_event(n: int) -> Json:
    said = {"content": {"role": "model", "parts": [{"text": f" word{n}"}]}, "index": 0}
    usage = {"promptTokenCount": 90, "candidatesTokenCount": n + 1, "totalTokenCount": n + 91}
    return {"candidates": [said], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": "r1"}


def _converse_event(n: int) -> Json:
    return {"contentBlockIndex": 0, "delta": {"text": f" word{n}"}, "p": "abcdefgh"}


def _cohere_event(n: int) -> Json:
    return {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": f" word{n}"}}}}


def _ollama_event(n: int) -> Json:
    said = {"role": "assistant", "content": f" word{n}"}
    return {"model": "llama3.2", "created_at": "2026-11-01T10:00:00Z", "message": said, "done": False}


def _mcp_event(n: int) -> Json:
    params = {"progressToken": "t", "progress": n, "message": f"file {n}"}
    return {"jsonrpc": "2.0", "method": "notifications/progress", "params": params}


def _sse(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def _named_sse(name: bytes) -> Callable[[bytes], bytes]:
    return lambda data: b"event: " + name + b"\ndata: " + data + b"\n\n"


def _message(data: bytes) -> bytes:
    headers = {":event-type": "contentBlockDelta", ":content-type": "application/json", ":message-type": "event"}
    return encode_message(headers, data)


@dataclass(frozen=True)
class Api:
    name: str
    call: Call
    request: Callable[[Asked], Json]
    answer: Json
    event: Callable[[int], Json]
    framed: Callable[[bytes], bytes]
    """An event's JSON as it stands in a stream."""

    def request_body(self, asked: Asked) -> bytes:
        return json.dumps(self.request(asked), ensure_ascii=False).encode()

    def answer_body(self) -> bytes:
        return json.dumps(self.answer, ensure_ascii=False).encode()

    def event_bodies(self, count: int) -> list[bytes]:
        return [json.dumps(self.event(n), ensure_ascii=False).encode() for n in range(count)]


_GOOGLE = "generativelanguage.googleapis.com"
_BEDROCK = "bedrock-runtime.us-east-1.amazonaws.com"

CHAT = Api(
    "openai.chat", Call("POST", "/v1/chat/completions", "api.openai.com"), chat_request, CHAT_ANSWER, _chat_event, _sse
)
APIS = (
    CHAT,
    Api(
        "openai.responses",
        Call("POST", "/v1/responses", "api.openai.com"),
        responses_request,
        RESPONSES_ANSWER,
        _responses_event,
        _named_sse(b"response.output_text.delta"),
    ),
    Api(
        "anthropic.messages",
        Call("POST", "/v1/messages", "api.anthropic.com"),
        claude_request,
        CLAUDE_ANSWER,
        _claude_event,
        _named_sse(b"content_block_delta"),
    ),
    Api(
        "gemini.generate_content",
        Call("POST", "/v1beta/models/gemini-2.5-flash:generateContent", _GOOGLE),
        gemini_request,
        GEMINI_ANSWER,
        _gemini_event,
        lambda data: b"data: " + data + b"\r\n\r\n",
    ),
    Api(
        "bedrock.converse",
        Call("POST", "/model/amazon.nova-lite-v1:0/converse", _BEDROCK),
        converse_request,
        CONVERSE_ANSWER,
        _converse_event,
        _message,
    ),
    Api(
        "cohere.v2.chat",
        Call("POST", "/v2/chat", "api.cohere.com"),
        cohere_request,
        COHERE_ANSWER,
        _cohere_event,
        _named_sse(b"content-delta"),
    ),
    Api(
        "ollama.chat",
        Call("POST", "/api/chat", "ollama.internal"),
        ollama_request,
        OLLAMA_ANSWER,
        _ollama_event,
        lambda data: data + b"\n",
    ),
    Api("mcp", Call("POST", "/mcp", "mcp.example.com"), mcp_request, MCP_ANSWER, _mcp_event, _named_sse(b"message")),
)
