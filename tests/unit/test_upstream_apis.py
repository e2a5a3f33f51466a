"""What the simulated provider says in each API, read as that API's reference has it."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from extproc.upstream.simulated import SimulatedProviders
from tests.unit.upstream_server import KEY, Server

TEXT = "This is a simulated answer that no model "
"""Eight words, which is what it says unless told otherwise."""
SCHEMA: Any = {"type": "object", "properties": {"n": {"type": "integer"}}}
FUNCTION: Any = {"name": "look_up", "description": "d", "parameters": SCHEMA}
GEMINI = "/v1beta/models/gemini-2.5-flash"
CONTENTS: Any = [{"role": "user", "parts": [{"text": "hello"}]}]
NOVA = "/model/amazon.nova-lite-v1%3A0"
CONVERSE: Any = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
CLAUDE: Any = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "hello"}],
}
MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def simulated() -> Iterator[Server]:
    server = Server(SimulatedProviders())
    yield server
    server.stop()


def ask(server: Server, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
    reply = server.send("POST", path, {**KEY, **(headers or {})}, body)
    assert reply.status == 200, reply.body
    return reply.json


def streamed(server: Server, path: str, body: Any, separator: bytes = b"\n\n") -> list[tuple[str | None, Any]]:
    """Name and data of each event. `[DONE]` stays as it is."""
    found: list[tuple[str | None, Any]] = []
    for block in server.send("POST", path, KEY, body).body.split(separator):
        fields = dict(line.split(b": ", 1) for line in block.splitlines())
        if b"data" in fields:
            name = fields[b"event"].decode() if b"event" in fields else None
            data = fields[b"data"]
            found.append((name, "[DONE]" if data == b"[DONE]" else json.loads(data)))
    return found


def eventstream(server: Server, path: str, body: Any) -> list[tuple[str, Any]]:
    """Event types and payloads, as botocore reads them, which checks both sums."""
    reply = server.send("POST", path, KEY, body)
    assert reply.headers["content-type"] == "application/vnd.amazon.eventstream"
    buffer = EventStreamBuffer()
    buffer.add_data(reply.body)
    return [(message.headers[":event-type"], json.loads(message.payload)) for message in buffer]


# --- OpenAI ----------------------------------------------------------------------------------------------------------


def test_a_response_has_items_with_text_or_a_call(simulated: Server) -> None:
    plain = ask(simulated, "/v1/responses", {"model": "gpt-4o-mini", "input": "hello"})
    assert (plain["status"], plain["model"]) == ("completed", "gpt-4o-mini-2024-07-18")
    assert plain["output"][0]["content"][0]["text"] == TEXT
    assert plain["usage"]["output_tokens"] == 8
    tools = [{"type": "function", **FUNCTION}]
    called = ask(simulated, "/v1/responses", {"model": "gpt-4o-mini", "input": "hello", "tools": tools})
    (call,) = called["output"]
    assert (call["type"], call["name"], json.loads(call["arguments"])) == ("function_call", "look_up", {"n": 1})
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "1"}
    after = ask(simulated, "/v1/responses", {"model": "gpt-4o-mini", "input": [call, result], "tools": tools})
    assert after["output"][0]["type"] == "message"


def test_a_streamed_response_counts_its_events_and_ends_with_the_whole(simulated: Server) -> None:
    asked = {"model": "o4-mini", "input": "hello", "stream": True, "reasoning": {"summary": "auto"}}
    events = streamed(simulated, "/v1/responses", asked)
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    assert all(name == data["type"] for name, data in events)
    assert events[0][0] == "response.created"
    assert "response.reasoning_summary_text.delta" in {name for name, _ in events}
    text = "".join(data["delta"] for name, data in events if name == "response.output_text.delta")
    last_name, last = events[-1]
    assert (last_name, text) == ("response.completed", TEXT)
    assert [item["type"] for item in last["response"]["output"]] == ["reasoning", "message"]
    assert last["response"]["usage"]["output_tokens_details"] == {"reasoning_tokens": 4}


def test_a_response_that_is_cut_by_its_limit_is_incomplete(simulated: Server) -> None:
    asked = {"model": "gpt-4o-mini", "input": "hello", "max_output_tokens": 3}
    assert ask(simulated, "/v1/responses", asked)["incomplete_details"] == {"reason": "max_output_tokens"}
    assert streamed(simulated, "/v1/responses", asked | {"stream": True})[-1][0] == "response.incomplete"


def test_completions_are_text_and_not_messages(simulated: Server) -> None:
    asked = {"model": "gpt-3.5-turbo-instruct", "prompt": "hello", "n": 2}
    plain = ask(simulated, "/v1/completions", asked)
    assert [choice["text"] for choice in plain["choices"]] == [TEXT, TEXT]
    events = streamed(simulated, "/v1/completions", asked | {"stream": True, "stream_options": {"include_usage": True}})
    assert events[-1][1] == "[DONE]"
    assert events[-2][1]["usage"]["completion_tokens"] == 16


def test_embeddings_are_numbers_or_base64_for_each_input(simulated: Server) -> None:
    asked = {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 4}
    numbers = ask(simulated, "/v1/embeddings", asked)["data"]
    encoded = ask(simulated, "/v1/embeddings", asked | {"encoding_format": "base64"})["data"]
    assert [struct.unpack("<4f", base64.b64decode(one["embedding"])) for one in encoded] == [
        tuple(one["embedding"]) for one in numbers
    ]
    assert numbers[0]["embedding"] != numbers[1]["embedding"]


def test_images_speech_transcripts_and_moderations_have_their_shapes(simulated: Server) -> None:
    images = ask(simulated, "/v1/images/generations", {"model": "gpt-image-1", "prompt": "a dot", "n": 2})
    assert [base64.b64decode(image["b64_json"])[:8] for image in images["data"]] == [b"\x89PNG\r\n\x1a\n"] * 2
    speech = simulated.send("POST", "/v1/audio/speech", KEY, {"model": "tts-1", "input": "hello", "voice": "alloy"})
    assert (speech.headers["content-type"], len(speech.body)) == ("audio/mpeg", 256)
    form = (
        b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\ngpt-4o-transcribe\r\n'
        b'--x\r\ncontent-disposition: form-data; name="stream"\r\n\r\ntrue\r\n'
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--x--\r\n'
    )
    heard = simulated.send(
        "POST", "/v1/audio/transcriptions", {**KEY, "content-type": "multipart/form-data; boundary=x"}, form
    )
    assert heard.body.count(b"transcript.text.delta") == 8
    assert b"transcript.text.done" in heard.body
    flagged = ask(simulated, "/v1/moderations", {"input": ["a", "b"]})["results"]
    assert [result["flagged"] for result in flagged] == [False, False]


def test_models_are_listed_as_the_provider_does_that_is_asked(simulated: Server) -> None:
    openai = simulated.send("GET", "/v1/models", KEY).json
    anthropic = simulated.send("GET", "/v1/models", {"x-api-key": "any", "anthropic-version": "2023-06-01"}).json
    gemini = simulated.send("GET", "/v1beta/models", {"x-goog-api-key": "any"}).json
    assert openai["data"][0]["object"] == "model"
    assert anthropic["data"][0]["type"] == "model"
    assert gemini["models"][0]["name"].startswith("models/")


# --- Anthropic, Gemini -----------------------------------------------------------------------------------------------


def test_tokens_are_counted_before_they_are_spent(simulated: Server) -> None:
    assert set(ask(simulated, "/v1/messages/count_tokens", CLAUDE)) == {"input_tokens"}
    assert ask(simulated, GEMINI + ":countTokens", {"contents": CONTENTS})["totalTokens"] > 0


def test_gemini_streams_events_with_crlf_or_a_json_array(simulated: Server) -> None:
    events = streamed(simulated, GEMINI + ":streamGenerateContent?alt=sse", {"contents": CONTENTS}, b"\r\n\r\n")
    array = simulated.send("POST", GEMINI + ":streamGenerateContent", KEY, {"contents": CONTENTS})
    assert array.headers["content-type"].startswith("application/json")
    assert array.json == [data for _, data in events]
    usage = [response["usageMetadata"] for response in array.json]
    assert "candidatesTokenCount" not in usage[0]
    assert usage[-1]["candidatesTokenCount"] == 8
    parts = [response["candidates"][0]["content"]["parts"][0]["text"] for response in array.json]
    assert "".join(parts) == TEXT


def test_gemini_calls_a_function_without_an_id_and_embeds(simulated: Server) -> None:
    tools = [{"functionDeclarations": [{"name": "look_up", "parameters": {"properties": {"n": {"type": "INTEGER"}}}}]}]
    reply = ask(simulated, GEMINI + ":generateContent", {"contents": CONTENTS, "tools": tools})
    assert reply["candidates"][0]["content"]["parts"] == [{"functionCall": {"name": "look_up", "args": {"n": 1}}}]
    content = CONTENTS[0]
    (one,) = ask(simulated, GEMINI + ":batchEmbedContents", {"requests": [{"content": content}]})["embeddings"]
    assert one == ask(simulated, GEMINI + ":embedContent", {"content": content})["embedding"]


# --- Bedrock ---------------------------------------------------------------------------------------------------------


def test_converse_answers_with_blocks_plain_and_streamed(simulated: Server) -> None:
    plain = ask(simulated, NOVA + "/converse", CONVERSE)
    assert plain["output"]["message"]["content"] == [{"text": TEXT}]
    events = eventstream(simulated, NOVA + "/converse-stream", CONVERSE)
    assert [events[0][0], events[-2][0], events[-1][0]] == ["messageStart", "messageStop", "metadata"]
    assert "".join(data["delta"]["text"] for kind, data in events if kind == "contentBlockDelta") == TEXT
    assert events[-1][1]["usage"] == plain["usage"]
    assert all(data["p"] for _, data in events)


def test_converse_calls_a_tool_plain_and_streamed(simulated: Server) -> None:
    tools = {"tools": [{"toolSpec": {"name": "look_up", "inputSchema": {"json": SCHEMA}}}]}
    plain = ask(simulated, NOVA + "/converse", CONVERSE | {"toolConfig": tools})
    assert plain["stopReason"] == "tool_use"
    assert plain["output"]["message"]["content"][0]["toolUse"]["input"] == {"n": 1}
    events = eventstream(simulated, NOVA + "/converse-stream", CONVERSE | {"toolConfig": tools})
    assert events[1][1]["start"]["toolUse"]["name"] == "look_up"
    fragments = [data["delta"]["toolUse"]["input"] for kind, data in events if kind == "contentBlockDelta"]
    assert json.loads("".join(fragments)) == {"n": 1}


def test_invoked_claude_answers_in_its_own_grammar(simulated: Server) -> None:
    path = "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke"
    assert ask(simulated, path, CLAUDE)["content"][0]["text"] == TEXT
    chunks = eventstream(simulated, path + "-with-response-stream", CLAUDE)
    events = [json.loads(base64.b64decode(data["bytes"])) for _, data in chunks]
    assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
    assert events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 8


# --- Cohere, Ollama --------------------------------------------------------------------------------------------------


def test_cohere_bills_less_than_it_counts_in_both_versions(simulated: Server) -> None:
    plain = ask(simulated, "/v2/chat", {"model": "command-r", "messages": MESSAGES})
    assert plain["message"]["content"] == [{"type": "text", "text": TEXT}]
    assert plain["usage"]["tokens"]["input_tokens"] == plain["usage"]["billed_units"]["input_tokens"] + 62
    old = ask(simulated, "/v1/chat", {"model": "command-r", "message": "hello"})
    assert (old["text"], old["finish_reason"]) == (TEXT, "COMPLETE")


def test_cohere_streams_events_in_v2_and_lines_in_v1(simulated: Server) -> None:
    asked = {"model": "command-r", "messages": MESSAGES, "stream": True}
    events = streamed(simulated, "/v2/chat", asked)
    assert [events[0][0], events[-2][0], events[-1][1]] == ["message-start", "message-end", "[DONE]"]
    tools = [{"type": "function", "function": FUNCTION}]
    called = streamed(simulated, "/v2/chat", asked | {"tools": tools})
    assert called[-2][1]["delta"]["finish_reason"] == "TOOL_CALL"
    old = simulated.send("POST", "/v1/chat", KEY, {"model": "command-r", "message": "hello", "stream": True})
    lines = [json.loads(line) for line in old.body.splitlines()]
    assert [lines[0]["event_type"], lines[-1]["event_type"]] == ["stream-start", "stream-end"]
    assert "".join(line.get("text", "") for line in lines) == lines[-1]["response"]["text"] == TEXT


def test_cohere_embeds_and_reranks(simulated: Server) -> None:
    asked = {"model": "embed-v4.0", "texts": ["a", "b"], "input_type": "search_document"}
    assert len(ask(simulated, "/v2/embed", asked | {"embedding_types": ["float"]})["embeddings"]["float"]) == 2
    assert len(ask(simulated, "/v1/embed", asked)["embeddings"]) == 2
    asked = {"model": "rerank-v3.5", "query": "a", "documents": ["a", "b", "c"], "top_n": 2}
    ranked = ask(simulated, "/v2/rerank", asked)
    assert [result["index"] for result in ranked["results"]] == [0, 1]
    assert ranked["meta"]["billed_units"] == {"search_units": 1}


def test_ollama_streams_lines_unless_told_not_to_and_needs_no_key(simulated: Server) -> None:
    asked = {"model": "llama3.2", "messages": MESSAGES}
    reply = simulated.send("POST", "/api/chat", {}, asked)
    lines = [json.loads(line) for line in reply.body.splitlines()]
    assert "".join(line["message"]["content"] for line in lines) == TEXT
    assert [line["done"] for line in lines] == [False] * 8 + [True]
    assert lines[-1]["eval_count"] == 8
    tools = [{"type": "function", "function": FUNCTION}]
    called = ask(simulated, "/api/chat", asked | {"stream": False, "tools": tools})
    assert called["message"]["tool_calls"] == [{"function": {"name": "look_up", "arguments": {"n": 1}}}]
    plain = ask(simulated, "/api/generate", {"model": "llama3.2", "prompt": "hello", "stream": False})
    assert plain["response"] == TEXT
    assert len(ask(simulated, "/api/embed", {"model": "llama3.2", "input": ["a", "b"]})["embeddings"]) == 2


# --- MCP -------------------------------------------------------------------------------------------------------------


def rpc(server: Server, method: str, params: Any = None, call_id: int | None = 1) -> Any:
    call = {"jsonrpc": "2.0", "method": method, "params": params or {}} | ({} if call_id is None else {"id": call_id})
    return server.send("POST", "/mcp", {"accept": "application/json, text/event-stream"}, call)


def test_an_mcp_server_greets_lists_its_tool_and_calls_it(simulated: Server) -> None:
    greeted = rpc(simulated, "initialize", {"protocolVersion": "2025-03-26"})
    assert greeted.json["result"]["protocolVersion"] == "2025-03-26"
    assert greeted.headers["mcp-session-id"]
    assert rpc(simulated, "notifications/initialized", call_id=None).status == 202
    (tool,) = rpc(simulated, "tools/list").json["result"]["tools"]
    called = rpc(simulated, "tools/call", {"name": tool["name"], "arguments": {"word": "gate"}})
    assert called.headers["content-type"] == "text/event-stream"
    result = json.loads(called.body.split(b"data: ")[-1])["result"]
    assert result["content"] == [{"type": "text", "text": "gate: a word that was looked up"}]
    assert rpc(simulated, "nonsense").json["error"]["code"] == -32601
    assert rpc(simulated, "tools/call", {"name": "other"}).json["error"]["code"] == -32602


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "where"),
    [
        ("/v1/responses", {"model": "missing-1", "input": "a"}, ("error", "message")),
        ("/v1/messages", {"model": "missing-1", "messages": MESSAGES}, ("error", "message")),
        ("/v1beta/models/missing-1:generateContent", {"contents": CONTENTS}, ("error", "status")),
        ("/model/missing-1/converse", CONVERSE, ("message",)),
        ("/v2/chat", {"model": "missing-1", "messages": MESSAGES}, ("message",)),
        ("/api/chat", {"model": "missing-1", "messages": MESSAGES}, ("error",)),
    ],
)
def test_a_missing_model_is_refused_in_the_apis_format(
    simulated: Server, path: str, body: Any, where: tuple[str, ...]
) -> None:
    reply = simulated.send("POST", path, KEY, body)
    assert reply.status == 404
    told = reply.json
    for step in where:
        told = told[step]
    assert told in ("the model does not exist", "NOT_FOUND")


def test_bedrock_names_its_exception_in_a_header(simulated: Server) -> None:
    reply = simulated.send("POST", NOVA + "/converse", {**KEY, "x-sim-status": "429"}, CONVERSE)
    assert reply.headers["x-amzn-errortype"].startswith("ThrottlingException")
