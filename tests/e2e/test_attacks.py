"""A hostile insider and a hostile provider against a whole stack: nothing unjudged passes, no row is lost or leaks.

The provider here writes raw bytes; what it writes is chosen by the request's `x-script` header.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from extproc.stack import Stack
from tests.e2e.gate import CHAT, MESSAGES, Reply, send, until
from tests.e2e.support import rows
from tests.e2e.traffic import (
    ANTHROPIC,
    OPENAI,
    OPENAI_SHADOW,
    SHADOWS,
    Delivery,
    Lane,
    deliver,
    received_body,
    settle,
)

pytestmark = pytest.mark.e2e

WHOLE: Final = (
    b'{"id": "c1", "model": "gpt-4o-mini-2024-07-18", "choices": [{"index": 0, "finish_reason": "stop", "message": '
    b'{"role": "assistant", "content": "hi"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}'
)


def _answer(body: bytes = WHOLE, *, status: bytes = b"200 OK", more: bytes = b"", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%bconnection: close\r\n\r\n"
    return head % (status, size, more) + body


def _until_closed(body: bytes, content_type: bytes = b"text/event-stream", more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%bconnection: close\r\n\r\n%b" % (content_type, more, body)


SCRIPTS: Final[Mapping[str, bytes]] = {
    "tokens that no integer holds": _answer(WHOLE.replace(b": 3,", b": 1e30,")),
    "half a surrogate pair": _answer(WHOLE.replace(b'"c1"', b'"c\\ud800"')),
    "attempts of five thousand digits": _answer(more=b"x-envoy-attempt-count: " + b"9" * 5_000 + b"\r\n"),
    "our own header": _answer(more=b"x-headgate-exchange-id: 01989d3e-0000-7000-8000-000000000001\r\n"),
    "hints in plenty": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 20 + _answer(),
    "a status that is none": _answer(status=b"999 Odd"),
    "a gzip bomb": _until_closed(gzip.compress(bytes(50_000_000)), b"application/json", b"content-encoding: gzip\r\n"),
    "a lie about gzip": _answer(more=b"content-encoding: gzip\r\n"),
    "more codings than anybody uses": _answer(more=b"content-encoding: gzip, gzip, gzip, gzip\r\n"),
    "an event without an end": _until_closed(b"data: " + b"x" * 5_000_000),
    "a stream without a line": _until_closed(b"y" * 1_000_000),
    "bytes that are no text": _until_closed(b'data: {"choices": [{"delta": {"content": "\xff\xfe"}}]}\n\n'),
    "depth": _answer(b"[" * 200_000),
    "other types everywhere": _answer(b'{"choices": {"a": 1}, "usage": [1], "model": {}, "id": 5, "error": [1]}'),
    "nothing at all": _answer(b""),
    "more than was announced": _answer(length=5),
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nhello",
    "no http": b"\x00\x01\x02 what?\r\n\r\n",
    "only silence": b"",
}


class _HostileProvider:
    """Answers each request with the script that it names, then closes."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(64)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):  # the gate had enough
                connection.sendall(SCRIPTS[_script(connection)])


def _script(connection: socket.socket) -> str:
    """Read one request; the script that it names."""
    stream = connection.makefile("rb")
    headers: dict[str, str] = {}
    stream.readline()
    while line := stream.readline().strip().decode():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    stream.read(int(headers.get("content-length", "0")))
    return headers["x-script"]


@contextmanager
def _provided_by_the_enemy(stack: Stack) -> Iterator[None]:
    stack.child("upstream").stop()
    provider = _HostileProvider(stack.plan.upstream_socket)
    try:
        yield
    finally:
        provider.close()


def _open_exchanges(stack: Stack) -> float:
    """What extproc's own gauge says."""
    address = stack.plan.configuration.telemetry.metrics_address
    assert address is not None
    (line,) = [
        line for line in send(address, "GET", "/metrics").body.decode().splitlines()
        if line.startswith("headgate_open_exchanges ")
    ]  # fmt: skip
    return float(line.split()[1])


def test_no_answer_of_a_provider_costs_a_row_or_leaves_an_exchange_open(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    address = stack.plan.configuration.listener.address
    told: dict[str, Reply] = {}
    with _provided_by_the_enemy(stack):
        for script in SCRIPTS:
            told[script] = send(address, "POST", OPENAI.path, {**OPENAI.headers, "x-script": script}, CHAT)
            send(address, "POST", OPENAI_SHADOW.path, {**OPENAI_SHADOW.headers, "x-script": script}, CHAT)
        until(lambda: len(rows(stack)) >= 2 * len(SCRIPTS), 20)
        until(lambda: _open_exchanges(stack) == 0)
    assert len(rows(stack)) == 2 * len(SCRIPTS)
    bodies = {row["exchange_id"]: row["response_body"] for row in rows(stack, "content")}
    by_id = {row["exchange_id"]: row for row in rows(stack)}
    for script, reply in told.items():
        row = by_id[reply.headers["x-headgate-exchange-id"]]
        assert row["http_status"] == reply.status, script
        assert row["capture_status"] == "completed", script
        assert row["attempts"] == 1, script
        if row["answered_by"] == "upstream":
            assert (bodies[row["exchange_id"]] or b"") == reply.body, script


# ── a hostile insider ────────────────────────────────────────────────────────────────────────────────────────────────

KEY: Final = "sk-ant-api03-" + "Qw3rTy7uIoP9aSdF2gHjK5lZxC8vBnM1qW4eR6tY0-AA"
IMAGE: Final = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
HIDDEN: Final[Mapping[str, tuple[Lane, Any, str]]] = {
    "a model among the fallbacks": (OPENAI, {**CHAT, "models": ["gpt-5"]}, "access.model_allowlist"),
    "a secret as the model": (OPENAI, {**CHAT, "model": KEY}, "access.model_allowlist"),
    "a file in a tool's result": (
        OPENAI,
        {**CHAT, "messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"type": "file"}]}]}]},
        "content.uninspected_parts",
    ),
    "a secret behind two escapes": (
        OPENAI,
        {**CHAT, "messages": [{"role": "user", "content": '{"k": "' + KEY.replace("sk-", "sk\\u002d") + '"}'}]},
        "content.data_classes",
    ),
    "a secret behind a line break in JSON in JSON": (
        OPENAI,
        {**CHAT, "messages": [{"role": "user", "content": json.dumps({"x": json.dumps({"out": f"key:\n{KEY}"})})}]},
        "content.data_classes",
    ),
    "a model among the fallbacks of LiteLLM": (
        OPENAI,
        {**CHAT, "fallbacks": [{"model": "gpt-5"}]},
        "access.model_allowlist",
    ),
    "content that only some read": (
        OPENAI,
        {**CHAT, "messages": [{"role": "user", "Content": [IMAGE]}]},
        "ambiguous_key",
    ),
    "a block that only some read": (
        ANTHROPIC,
        {**MESSAGES, "messages": [{"role": "user", "content": [{"type": "tool_result", "CONTENT": []}]}]},
        "ambiguous_key",
    ),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_what_is_hidden_from_policy_does_not_pass(stack: Stack, case: str) -> None:
    lane, document, code = HIDDEN[case]
    done = deliver(stack, lane, document)
    assert done.received == []
    assert done.reply.status in (400, 403)
    assert KEY.encode() not in done.reply.body
    row = done.facts
    assert (row["decision"], row["error_type"]) == ("deny", code)


def test_a_card_in_the_numbers_of_a_call_is_replaced_on_its_way(stack: Stack) -> None:
    card = 4_539_578_763_621_486  # Luhn's digit is right; issued to nobody
    call = {"type": "tool_use", "id": "toolu_1", "name": "pay", "input": {"card_number": card, "cents": 1_250}}
    done = deliver(stack, ANTHROPIC, {**MESSAGES, "messages": [{"role": "assistant", "content": [call]}]})
    (entry,) = done.received
    sent = json.loads(received_body(entry))["messages"][0]["content"][0]["input"]
    assert sent == {"card_number": "<CREDIT_CARD>", "cents": 1_250}
    assert done.facts["decision"] == "redact"
    assert str(card).encode() not in done.facts["request_body"]


def test_a_deployment_in_the_path_is_the_model_that_is_judged(stack: Stack) -> None:
    allowed = deliver(stack, OPENAI, CHAT, path="/openai/openai/deployments/gpt-4o-prod/chat/completions")
    denied = deliver(stack, OPENAI, CHAT, path="/openai/openai/deployments/gpt-5-prod/chat/completions")
    settle([allowed, denied])
    assert (allowed.reply.status, len(allowed.received)) == (200, 1)
    assert allowed.facts["gen_ai_request_model"] == "gpt-4o-prod"
    assert (denied.reply.status, denied.received) == (403, [])
    assert denied.facts["error_type"] == "access.model_allowlist"


@pytest.mark.parametrize("path", ["/v1/embeddings%3F/chat/completions", "/v1/embeddings;x/chat/completions"])
def test_a_path_that_another_server_could_cut_is_not_a_chat(stack: Stack, path: str) -> None:
    done = deliver(stack, OPENAI, CHAT, path="/openai" + path)
    assert (done.reply.status, done.received) == (403, [])
    # What the body looks like is told, and opens nothing: the path is on no list of calls that may pass unread.
    assert (done.facts["api"], done.facts["error_type"]) == ("openai.chat", "access.opaque_calls")


def test_an_empty_content_type_is_forwarded_as_the_json_that_it_was_read_as(stack: Stack) -> None:
    done = deliver(stack, OPENAI, json.dumps(CHAT).encode(), headers={"content-type": ""})
    (got,) = done.received
    assert got["headers"]["content-type"] == "application/json"
    assert received_body(got) == json.dumps(CHAT).encode()


@pytest.mark.parametrize("lane", SHADOWS, ids=lambda lane: lane.name)
def test_a_secret_in_a_name_passes_in_shadow_and_stands_in_no_facts(stack: Stack, lane: Lane) -> None:
    tools = (
        [{"type": "function", "function": {"name": KEY}}]
        if lane is OPENAI_SHADOW
        else [{"name": KEY, "input_schema": {"type": "object"}}]
    )
    done = deliver(stack, lane, {**lane.document, "model": KEY, "tools": tools})
    assert done.reply.status == 200
    settle([done])
    (facts,) = rows(stack, where=f"exchange_id = '{done.facts['exchange_id']}'")
    assert KEY not in str(facts)
    assert KEY.encode() not in done.facts["request_body"]
    assert (facts["gen_ai_request_model"], facts["gen_ai_response_model"]) == (None, None)
    assert facts["tools"] == ["(withheld)"]


def test_utf_16_passes_in_shadow_and_is_not_kept(stack: Stack) -> None:
    hidden = json.dumps({**CHAT, "messages": [{"role": "user", "content": KEY}]}).encode("utf-16")
    done: Delivery = deliver(stack, OPENAI_SHADOW, hidden, headers={"content-type": "application/json"})
    assert received_body(done.received[0]) == hidden
    assert (done.facts["request_body"], done.facts["request_content_state"]) == (None, "undecodable")


def test_a_made_up_key_beside_its_own_hides_no_caller(stack: Stack) -> None:
    done = deliver(stack, OPENAI_SHADOW, CHAT, headers={"x-api-key": "made-up"})
    assert done.facts["caller"] == "search-legacy-app"
    own_second = {"authorization": "Bearer made-up", "x-api-key": "sk-example-search-legacy-app"}
    done = deliver(stack, OPENAI_SHADOW, CHAT, headers=own_second)
    assert done.facts["caller"] == "search-legacy-app"
