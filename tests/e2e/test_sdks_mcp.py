"""mcp's client and server, both real, with the gate between them: tools are governed and recorded like models."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import httpx2
import pytest
import yaml
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from extproc.stack import Stack, plan
from extproc.stack.plan import free_port
from tests.e2e.conftest import QUICK
from tests.e2e.gate import EXAMPLE, until
from tests.e2e.sdk_calls import DENIED_KEY, KEY, Trace
from tests.e2e.traffic import Row, wait_for_rows

pytestmark = pytest.mark.e2e

Mode = Literal["legacy", "auto"]
SECRET = "AKIA" + "Z7Q4M2X9K3W8R5TB"
"""It looks real to a detector, and belongs to nobody."""
_answering = pytest.mark.parametrize("gate", ["events", "json"], indirect=True)
_speaking = pytest.mark.parametrize("mode", ["legacy", "auto"])


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _configuration(folder: Path, port: int) -> Path:
    """The example's MCP route alone, leading to a server on loopback."""
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    document["routes"] = [route for route in document["routes"] if route["name"] == "mcp"]
    document["providers"] = {"wiki": document["providers"]["wiki"] | {"endpoint": f"http://127.0.0.1:{port}"}}
    document["teams"] = str(EXAMPLE.parent / "teams.yaml")
    document["policy"]["bundle"] = str(EXAMPLE.parents[1] / "policies")
    path = folder / "headgate.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def gate(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack before a server that answers with events, or with JSON."""
    port, folder = free_port(), tmp_path_factory.mktemp("mcp")
    command = [sys.executable, "-m", "tests.e2e.mcp_server", str(port)]
    with subprocess.Popen(
        [*command, "--json"] if request.param == "json" else command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        try:
            until(lambda: _accepts(port))
            chosen = plan(
                _configuration(folder, port), upstream="live", state=folder, port=0, concurrency=1, settings=QUICK
            )
            with Stack(chosen, report=lambda _: None) as stack:
                yield stack
        finally:
            server.terminate()


@asynccontextmanager
async def _connected(stack: Stack, trace: Trace, mode: Mode, key: str) -> AsyncIterator[Client]:
    headers = {"x-api-key": key, **trace.headers}
    url = f"{stack.base_url}/mcp/mcp"
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


def using(stack: Stack, mode: Mode, act: Callable[[Client], Any], key: str = KEY, trace: Trace | None = None) -> Any:
    """What `act` gives, done with a connected client."""

    async def run() -> Any:
        async with _connected(stack, trace or Trace(), mode, key) as client:
            return await act(client)

    return asyncio.run(run())


def row_of(stack: Stack, trace: Trace, method: str) -> Row:
    """The one row of the session's message of this method."""
    (only,) = wait_for_rows(stack, lambda row: row["trace_id"] == trace.id and row["rpc_methods"] == [method])
    return only


def text_of(result: Any) -> str:
    return "".join(block.text for block in result.content if block.type == "text")


@_answering
@_speaking
def test_tools_are_listed_and_called(gate: Stack, mode: Mode) -> None:
    trace = Trace()

    async def act(client: Client) -> tuple[set[str], str]:
        listed = await client.list_tools()
        return {tool.name for tool in listed.tools}, text_of(await client.call_tool("weather", {"city": "Lisbon"}))

    assert using(gate, mode, act, trace=trace) == ({"weather", "storm"}, "sunny in Lisbon")
    listing, calling = row_of(gate, trace, "tools/list"), row_of(gate, trace, "tools/call")
    for row in (listing, calling):
        told = (row["api"], row["decision"], row["http_status"], row["capture_status"], row["team"])
        assert told == ("mcp", "allow", 200, "completed", "research")
        assert (row["error_type"], row["problem"], row["gen_ai_request_model"]) == (None, None, None)
    assert calling["called_tools"] == ["weather"]
    assert _argument(calling) == {"city": "Lisbon"}
    assert b"sunny in Lisbon" in calling["response_body"]
    assert b"storm" in listing["response_body"]


def _argument(row: Mapping[str, Any]) -> Any:
    return json.loads(row["request_body"])["params"]["arguments"]


@_answering
@_speaking
def test_a_session_leaves_a_row_for_each_message(gate: Stack, mode: Mode) -> None:
    trace = Trace()
    using(gate, mode, lambda client: client.call_tool("weather", {"city": "Lisbon"}), trace=trace)
    row_of(gate, trace, "tools/call")
    begun = "initialize" if mode == "legacy" else "server/discover"
    assert row_of(gate, trace, begun)["http_status"] == 200


@_answering
def test_a_tool_that_fails_is_an_answer_and_recorded_as_one(gate: Stack) -> None:
    trace = Trace()
    result = using(gate, "auto", lambda client: client.call_tool("storm", {"city": "Lisbon"}), trace=trace)
    assert result.is_error
    row = row_of(gate, trace, "tools/call")
    assert (row["decision"], row["http_status"], row["called_tools"]) == ("allow", 200, ["storm"])


@_answering
@_speaking
def test_a_secret_in_an_argument_is_refused_as_the_clients_own_error(gate: Stack, mode: Mode) -> None:
    trace = Trace()

    async def act(client: Client) -> str:
        with pytest.raises(MCPError) as raised:
            await client.call_tool("weather", {"city": SECRET})
        return raised.value.message

    message = using(gate, mode, act, trace=trace)
    row = row_of(gate, trace, "tools/call")
    assert (row["decision"], row["capture_status"]) == ("deny", "denied")
    assert row["exchange_id"] in message
    assert "content.data_classes" in message


@_answering
def test_personal_data_in_an_argument_is_redacted_on_its_way(gate: Stack) -> None:
    trace = Trace()
    result = using(
        gate, "auto", lambda client: client.call_tool("weather", {"city": "jo@corp-mail.net"}), DENIED_KEY, trace
    )
    assert text_of(result) == "sunny in <EMAIL_ADDRESS>"
    row = row_of(gate, trace, "tools/call")
    assert (row["decision"], _argument(row)) == ("redact", {"city": "<EMAIL_ADDRESS>"})


@_answering
def test_a_wrong_key_reaches_no_server(gate: Stack) -> None:
    with pytest.raises((MCPError, ExceptionGroup)) as raised:
        using(gate, "legacy", lambda client: client.list_tools(), key="wrong")
    assert "client key or token is missing, expired or not known to the gateway" in _said(raised.value)


def _said(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return " ".join(_said(one) for one in error.exceptions)
    return str(error)
