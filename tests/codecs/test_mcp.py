"""MCP: what is refused, what a disguise gains, and that a real client raises our message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp import ClientSession, MCPError
from mcp.client.streamable_http import streamable_http_client

from extproc.codecs import CODECS, codec_for, recognised
from extproc.errors import ClientError
from extproc.model import Call, RequestFacts, ResponseFacts, Usage

MCP = CODECS["mcp"]
CALL = Call("POST", "/mcp", "tools.example.com")
EXCHANGE = "0190b3a0-7e4c-7abc-8def-0123456789ab"
TOLD = f"No weather today (tools.weather, exchange {EXCHANGE})"
ANSWER = {"jsonrpc": "2.0", "id": 1, "result": {}}
ASK = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "weather", "arguments": {}}}
BOTH = {"accept": "application/json, text/event-stream"}


def _refusal(document: Any, call: Call = CALL) -> ClientError:
    with pytest.raises(ClientError) as raised:
        MCP.request(document, call)
    return raised.value


def _facts(body: bytes, *, method: str = "POST", request: RequestFacts | None = None) -> ResponseFacts:
    call = Call(method, "/mcp", "tools.example.com")
    decoder = MCP.response(call=call, status=200, content_type=None, request=request or RequestFacts())
    decoder.feed(body)
    return decoder.finish(complete=True)


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "message",
    [
        {**ASK, "jsonrpc": "1.0"},
        {key: value for key, value in ASK.items() if key != "jsonrpc"},
        {**ASK, "jsonrpc": 2.0},
        {**ASK, "id": 1.5},
        {**ASK, "id": True},
        {**ASK, "id": {}},
        {**ASK, "method": ""},
        {**ASK, "method": 5},
        {**ASK, "params": ["weather"]},
        {**ASK, "params": {}},
        {**ASK, "params": {"name": ""}},
        {**ASK, "params": {"name": 5}},
        {**ASK, "params": {"name": "weather", "arguments": "{}"}},
        {**ASK, "params": {"name": "weather", "inputResponses": []}},
        {**ASK, "params": {"name": "weather", "inputResponses": {"a": 5}}},
        {**ASK, "result": {}},
        {"jsonrpc": "2.0", "id": 1},
        {**ANSWER, "error": {"code": 1, "message": "x"}},
        {**ANSWER, "result": "text"},
        {**ANSWER, "result": {"content": [5]}},
        {**ANSWER, "result": {"content": [{"type": 5}]}},
        {**ANSWER, "result": {"content": [{"type": "image", "data": 5}]}},
        {**ANSWER, "result": {"content": [{"type": "text", "text": ["hidden"]}]}},
        {"jsonrpc": "2.0", "result": {}},
        "tools/call",
        5,
        None,
        [],
        [ASK, "text"],
        [ASK] * 1_025,
    ],
    ids=lambda message: json.dumps(message)[:80],
)
def test_what_is_no_json_rpc_is_refused(message: Any) -> None:
    assert _refusal(message).code == "invalid_request"


@pytest.mark.parametrize(
    "message",
    [
        {**ASK, "Method": "ping"},
        {**ASK, "params": {**ASK["params"], "Name": "other"}},  # type: ignore[dict-item]
        {**ANSWER, "result": {"content": [{"type": "text", "Text": "x"}]}},
    ],
)
def test_a_key_that_only_looks_like_the_real_one_is_refused(message: Any) -> None:
    assert _refusal(message).code == "ambiguous_key"


def test_refusals_quote_nothing_of_the_request() -> None:
    assert "hunter2" not in _refusal({**ASK, "params": "hunter2"}).message
    assert "hunter2" not in _refusal({**ASK, "id": ["hunter2"]}).message


def test_ids_may_be_missing_or_null_where_nobody_waits_for_an_answer() -> None:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}
    assert MCP.request(error, CALL).rpc_methods == ("(response)",)
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert MCP.request(note, CALL).rpc_methods == ("notifications/initialized",)


def test_content_nested_deeper_than_anyone_nests_counts_as_unread() -> None:
    block: dict[str, Any] = {"type": "text", "text": "deep"}
    for _ in range(20):
        block = {"type": "tool_result", "toolUseId": "t", "content": [block]}
    facts = MCP.request({**ANSWER, "result": {"role": "assistant", "content": block}}, CALL)
    assert [part.kind for part in facts.uninspected_parts] == ["unknown"]


def test_what_a_user_filled_in_is_no_content_block() -> None:
    facts = MCP.request({**ANSWER, "result": {"action": "accept", "content": {"email": "a@example.org"}}}, CALL)
    assert facts.uninspected_parts == ()
    assert facts.text_bytes == len("action" + "accept" + "content" + "email" + "a@example.org")


def test_a_batch_names_its_parts_by_their_place() -> None:
    image = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
    facts = MCP.request([ASK, {**ANSWER, "result": {"role": "assistant", "content": image}}], CALL)
    assert [(part.field, part.size_bytes) for part in facts.uninspected_parts] == [("/1/result/content", 4)]


def test_a_session_is_told_by_a_digest_because_its_id_lets_anyone_take_part() -> None:
    def conversation(session: str) -> str | None:
        hints = {"mcp-session-id": session}
        return MCP.request(ASK, Call("POST", "/mcp", "h", hints=hints)).conversation_id

    assert conversation("secret-1") == conversation("secret-1") != conversation("secret-2")
    assert "secret" not in (conversation("secret-1") or "")
    assert MCP.request(ASK, CALL).conversation_id is None


# ── a disguise gains nothing ─────────────────────────────────────────────────────────────────────────────────────────


def test_headers_open_post_only() -> None:
    hints = {"mcp-session-id": "s", "mcp-protocol-version": "2025-06-18", **BOTH}
    for method in ("GET", "DELETE", "PUT", "PATCH", "HEAD"):
        assert codec_for(Call(method, "/v1/files/file-1", "api.openai.com", hints=hints)).api == "opaque"
    assert codec_for(Call("POST", "/v1/files", "api.openai.com", hints=hints)).api == "mcp"


def test_who_only_says_mcp_may_send_nothing_beside_json_rpc() -> None:
    disguised = {**ASK, "model": "expensive", "messages": [{"role": "user", "content": "Hi"}]}
    call = Call("POST", "/v1/brand-new-chat", "api.openai.com", hints=BOTH)
    assert codec_for(call) is MCP
    assert _refusal(disguised, call).code == "invalid_request"
    assert MCP.request(ASK, call).called_tools == ("weather",)
    assert MCP.request({**ASK, "extension": 1}, CALL).called_tools == ("weather",)


def test_headers_never_take_a_call_from_its_own_api() -> None:
    hints = {"mcp-session-id": "s", **BOTH}
    assert codec_for(Call("POST", "/v1/chat/completions", "api.openai.com", hints=hints)).api == "openai.chat"
    assert codec_for(Call("POST", "/v1/messages", "api.anthropic.com", hints=hints)).api == "anthropic.messages"


@pytest.mark.parametrize(
    "document",
    [
        ASK,
        [ASK, ANSWER | {"result": {"a": 1}}],
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}},
        {"jsonrpc": "2.0", "method": "notifications/anything"},
    ],
)
def test_messages_are_recognised_where_no_address_says_anything(document: Any) -> None:
    assert recognised(document, Call("POST", "/rpc", "h")) is MCP


@pytest.mark.parametrize(
    "document",
    [
        {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {}},  # A2A
        {"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": []},
        {"id": 1, "method": "tools/call"},
        [ASK, {"model": "m"}],
        [],
        "tools/call",
        None,
    ],
)
def test_other_protocols_are_not(document: Any) -> None:
    assert recognised(document, Call("POST", "/rpc", "h")) is not MCP


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_batch_is_answered_when_every_request_is() -> None:
    request = MCP.request([ASK, {**ASK, "id": 2}, {"jsonrpc": "2.0", "method": "notifications/x"}], CALL)
    first, second = (f"data: {json.dumps({**ANSWER, 'id': number})}\n\n".encode() for number in (1, 2))
    assert not _facts(first, request=request).terminal
    assert _facts(first, request=request).warnings == ("truncated",)
    assert _facts(first + second, request=request).terminal
    assert _facts(first + second, request=request).warnings == ()


def test_a_stream_that_the_server_opened_may_end_anywhere() -> None:
    note = b'data: {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}\n\n'
    facts = _facts(note, method="GET")
    assert (facts.terminal, facts.warnings, facts.error) == (True, (), None)


def test_the_old_transport_names_an_endpoint_first() -> None:
    body = b"event: endpoint\ndata: /messages?sessionId=1\n\nevent: message\ndata: " + json.dumps(ANSWER).encode()
    facts = _facts(body + b"\n\n", method="GET")
    assert (facts.response_id, facts.warnings) == ("1", ())


def test_no_answer_ever_costs_tokens() -> None:
    text = {"content": [{"type": "text", "text": "x" * 4_000}], "usage": {"input_tokens": 5}}
    body = json.dumps({**ANSWER, "result": text}).encode()
    assert _facts(body).usage == Usage()
    assert _facts(body).text_bytes == 4_000


def test_a_model_cannot_be_set() -> None:
    with pytest.raises(LookupError):
        MCP.with_model(CALL, json.dumps(ASK).encode(), "m")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["jsonrpc", "id", "method", "params", "result", "error", "content", "type", "text", "data", "name",
             "arguments", "messages", "role", "contents", "resource", "blob", "structuredContent", "inputResponses",
             "tools", "isError", "code", "message", "instructions"]
        ),
        inner | st.sampled_from(["2.0", "tools/call", "text", "image", "resource", "tool_result", "tool_use"]),
        max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip


@given(VALUES, VALUES, VALUES)
@settings(max_examples=150, deadline=None)
def test_any_message_gives_facts_or_a_typed_error(params: Any, result: Any, document: Any) -> None:
    asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    for candidate in (document, asked, {**ANSWER, "result": result}, [asked, document]):
        body = json.dumps(candidate).encode()
        MCP.conversation(CALL, body, body)
        _facts(body)
        try:
            facts = MCP.request(candidate, CALL)
        except ClientError:
            continue
        assert facts.message_count == MCP.conversation(CALL, body, None).request_message_count


# ── a real client ────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _server(refused: str, status: int, content_type: str, body: bytes) -> Iterator[str]:
    """An MCP server that answers `initialize` properly, unless that is what is `refused`; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            method = asked["method"]
            if method == refused:
                self._answer(status, content_type, body)
            elif method == "initialize":
                result = {
                    "protocolVersion": asked["params"]["protocolVersion"],
                    "capabilities": {"tools": {}},
                    "serverInfo": {"name": "s", "version": "1"},
                }
                answer = {"jsonrpc": "2.0", "id": asked["id"], "result": result}
                self._answer(200, "application/json", json.dumps(answer).encode())
            else:
                self._answer(202, "application/json", b"")

        def do_GET(self) -> None:
            self._answer(405, "text/plain", b"")

        def _answer(self, status: int, content_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def _call_a_tool(url: str) -> None:
    async with streamable_http_client(url) as streams, ClientSession(streams[0], streams[1]) as session:
        with anyio.fail_after(20):
            await session.initialize()
            await session.call_tool("weather", {})


def _raised(url: str) -> MCPError:
    """What the client raises, out of the groups that its tasks wrap it in."""
    try:
        anyio.run(_call_a_tool, url)
    except BaseExceptionGroup as group:
        found, _ = group.split(MCPError)
        error: BaseException = found or group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
    except MCPError as raised:
        error = raised
    else:
        pytest.fail("the client raised nothing")
    assert isinstance(error, MCPError)
    return error


@pytest.mark.parametrize("refused", ["initialize", "tools/call"])
@pytest.mark.parametrize(
    ("status", "number"), [(400, -32600), (403, -32010), (404, -32010), (413, -32600), (429, -32010), (503, -32603)]
)
def test_the_client_raises_a_refusal_as_its_own_error(refused: str, status: int, number: int) -> None:
    reply = MCP.error(status=status, code="tools.weather", message="No weather today", exchange_id=EXCHANGE)
    with _server(refused, reply.status, reply.content_type, reply.body) as url:
        error = _raised(url).error
    assert (error.code, error.message) == (number, TOLD)
    assert error.data == {"code": "tools.weather", "exchange_id": EXCHANGE}


def test_the_client_raises_an_error_in_the_middle_of_a_stream() -> None:
    note = (
        b'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}'
    )
    event = MCP.error_event(
        call=CALL, status=403, code="tools.weather", message="No weather today", exchange_id=EXCHANGE
    )
    with _server("tools/call", 200, "text/event-stream", note + b"\n\n" + event) as url:
        assert _raised(url).error.message == TOLD


def test_our_own_refusal_reads_as_an_error_again() -> None:
    event = MCP.error_event(call=CALL, status=403, code="c", message="m", exchange_id="e")
    error = _facts(event).error
    assert error is not None
    assert (error.type, error.message) == ("-32010", "m (c, exchange e)")


@pytest.mark.parametrize("body", [b"", b"Accepted", b"null", b'"Accepted"'])
def test_a_message_that_was_accepted_has_no_answer_whatever_stands_in_it(body: bytes) -> None:
    decoder = MCP.response(call=CALL, status=202, content_type=None, request=RequestFacts())
    decoder.take_head({})
    decoder.feed(body)
    assert (decoder.terminal, decoder.held_bytes) == (False, 0)
    assert decoder.finish(complete=True) == ResponseFacts()
