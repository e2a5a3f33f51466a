"""`stream_usage` through real Envoy: what is asked for, what is taken out again, and that nothing else is touched."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from extproc.stack import Stack
from tests.e2e.clients import exchange_h2
from tests.e2e.gate import EXAMPLE, until
from tests.e2e.traffic import (
    EXCHANGE_HEADER,
    OPENAI,
    Delivery,
    deliver,
    direct,
    received_body,
    wait_for_rows,
)

pytestmark = pytest.mark.e2e

JSON = {"content-type": "application/json"}
MIB = 1024 * 1024
STREAMED = {**OPENAI.document, "stream": True}
ASKING = {**STREAMED, "stream_options": {"include_usage": True}}


def _routes(stream_usage: str) -> list[dict[str, Any]]:
    routes: list[dict[str, Any]] = yaml.safe_load(EXAMPLE.read_text())["routes"]
    return [route | ({"stream_usage": stream_usage} if route["name"] == "openai" else {}) for route in routes]


@pytest.fixture
def asking(make_stack: Callable[..., Stack]) -> Stack:
    return make_stack(settings={"routes": _routes("ask")})


def _answer(done: Delivery, headers: dict[str, str] | None = None) -> bytes:
    """What the provider answers without the gate to the bytes that it got through it."""
    (got,) = done.received
    return direct(done.stack, got["path"], {**OPENAI.headers, **JSON, **(headers or {})}, received_body(got)).body


def _without_chunk(stream: bytes) -> bytes:
    """A stream without the event that has usage and no choices, told by a reader of its own."""
    events = stream.split(b"\n\n")
    return b"\n\n".join(event for event in events if b'"choices":[]' not in event.replace(b" ", b""))


def _asked(done: Delivery) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(received_body(done.received[0]))
    return document


def test_a_stream_is_asked_for_usage_and_the_client_gets_what_it_would_have_got(asking: Stack) -> None:
    done = deliver(asking, OPENAI, STREAMED)
    theirs = _answer(done)
    assert _asked(done) == ASKING
    assert done.reply.body == _without_chunk(theirs)
    assert len(done.reply.body) < len(theirs)
    row = done.facts
    assert (row["usage_source"], row["gen_ai_usage_output_tokens"]) == ("provider", 8)
    assert json.loads(row["provider_usage"])["completion_tokens"] == 8
    assert json.loads(row["request_body"]) == STREAMED
    assert row["response_body"] == theirs
    assert row["response_sha256"] == hashlib.sha256(theirs).digest()
    assert (row["decision"], row["capture_status"], row["warnings"]) == ("allow", "completed", [])


@pytest.mark.parametrize(
    "cut",
    [
        {"x-sim-chunk-bytes": "1", "x-sim-chunks": "300"},
        {"x-sim-chunks": "0"},
        {"x-sim-chunk-bytes": "100000", "x-sim-chunks": "5"},
        {"x-sim-chunks": "5", "x-sim-chunk-delay-ms": "20"},
    ],
    ids=["tiny", "none", "large", "slow"],
)
def test_the_bytes_do_not_depend_on_how_the_stream_is_cut(asking: Stack, cut: dict[str, str]) -> None:
    done = deliver(asking, OPENAI, STREAMED, headers=cut)
    theirs = _answer(done, cut)
    assert done.reply.body == _without_chunk(theirs)
    assert done.facts["response_body"] == theirs
    assert done.facts["usage_source"] == "provider"


def test_a_stream_of_20_mb_passes_whole(asking: Stack) -> None:
    size = {"x-sim-body-bytes": str(20 * MIB), "x-sim-chunk-bytes": "65536"}
    done = deliver(asking, OPENAI, STREAMED, headers=size)
    theirs = _answer(done, size)
    assert len(theirs) > 20 * MIB
    assert done.reply.body == _without_chunk(theirs)
    row = done.facts
    assert row["response_body"] == theirs
    assert (row["gen_ai_usage_output_tokens"], row["usage_source"]) == (320, "provider")


def test_a_client_that_asked_itself_keeps_its_chunk(asking: Stack) -> None:
    done = deliver(asking, OPENAI, ASKING)
    assert done.reply.body == _answer(done)
    assert b'"choices":[]' in done.reply.body.replace(b" ", b"")
    assert json.loads(received_body(done.received[0])) == ASKING


def test_a_redacted_request_asks_too(asking: Stack) -> None:
    document = {**STREAMED, "messages": [{"role": "user", "content": "write to ann.smith@corp-mail.net"}]}
    done = deliver(asking, OPENAI, document)
    asked = _asked(done)
    assert asked["stream_options"] == {"include_usage": True}
    assert asked["messages"][0]["content"] == "write to <EMAIL_ADDRESS>"
    assert (done.facts["decision"], done.facts["usage_source"]) == ("redact", "provider")
    assert "stream_options" not in json.loads(done.facts["request_body"])


def test_a_compressed_request_asks_too(asking: Stack) -> None:
    body = gzip.compress(json.dumps(STREAMED).encode())
    done = deliver(asking, OPENAI, body, headers={**JSON, "content-encoding": "gzip"})
    assert _asked(done) == ASKING
    assert "content-encoding" not in done.received[0]["headers"]
    assert done.reply.body == _without_chunk(_answer(done))
    assert json.loads(done.facts["request_body"]) == STREAMED


def test_no_byte_is_lost_where_the_upstream_sends_trailers(asking: Stack) -> None:
    key = uuid.uuid4().hex
    wanted = {"te": "trailers", "x-sim-trailers": "x-checksum: abc", "x-sim-key": key}
    sent = {**OPENAI.headers, **JSON, **wanted}
    reply = exchange_h2(asking, "POST", OPENAI.path, sent, [json.dumps(STREAMED).encode()])
    done = Delivery(asking, OPENAI, key, reply, asking.upstream_requests(key))
    assert reply.body == _without_chunk(_answer(done))
    assert reply.trailers == {"x-checksum": "abc"}
    assert done.facts["usage_source"] == "provider"


def test_what_is_not_streamed_and_what_is_refused_passes_unharmed(asking: Stack) -> None:
    plain = deliver(asking, OPENAI, dict(OPENAI.document))
    assert plain.reply.body == _answer(plain)
    assert json.loads(received_body(plain.received[0])) == OPENAI.document
    broken = deliver(asking, OPENAI, STREAMED, headers={"x-sim-status": "429"})
    assert (broken.reply.status, broken.reply.json["error"]["message"]) == (429, "simulated failure")
    assert broken.facts["http_status"] == 429
    denied = deliver(asking, OPENAI, {**STREAMED, "model": "not-on-the-list"})
    assert (denied.reply.status, denied.received) == (403, [])
    empty = deliver(asking, OPENAI, method="GET", path="/openai/v1/models")
    assert empty.reply.status == 200
    for done in (plain, broken, denied, empty):
        assert done.facts["capture_status"] in ("completed", "denied")


def test_an_encoded_answer_passes_as_it_is_and_the_row_says_so(asking: Stack) -> None:
    done = deliver(asking, OPENAI, STREAMED, headers={"x-sim-encoding": "gzip"})
    assert gzip.decompress(done.reply.body) == _answer(done)
    assert done.facts["warnings"] == ["usage_chunk_kept"]
    assert done.facts["usage_source"] == "provider"


def test_an_upstream_that_breaks_off_cuts_the_client_and_the_row_says_so(asking: Stack) -> None:
    cut = {"x-sim-chunks": "20", "x-sim-abort-after-chunks": "6", "x-sim-chunk-delay-ms": "30"}
    with _streaming(asking, cut) as response:
        exchange_id = response.headers[EXCHANGE_HEADER]
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
    (row,) = wait_for_rows(asking, lambda row: row["exchange_id"] == exchange_id)
    assert (row["capture_status"], row["usage_source"]) == ("upstream_aborted", "estimated")
    assert row["response_content_state"] == "partial"


def test_a_client_that_leaves_in_mid_stream_is_told_as_such(asking: Stack) -> None:
    with _streaming(asking, {"x-sim-chunks": "200", "x-sim-chunk-delay-ms": "50"}) as response:
        exchange_id = response.headers[EXCHANGE_HEADER]
        assert response.readline()
    (row,) = wait_for_rows(asking, lambda row: row["exchange_id"] == exchange_id)
    assert (row["capture_status"], row["response_content_state"]) == ("client_aborted", "partial")
    assert row["usage_source"] == "estimated"


def test_a_sidecar_that_dies_in_mid_stream_truncates_the_client(asking: Stack) -> None:
    with _streaming(asking, {"x-sim-chunks": "200", "x-sim-chunk-delay-ms": "50"}) as response:
        exchange_id = response.headers[EXCHANGE_HEADER]
        assert response.readline()
        os.kill(asking.pids["extproc"], signal.SIGKILL)
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()
    (row,) = wait_for_rows(asking, lambda row: row["exchange_id"] == exchange_id)
    assert row["capture_status"] == "cut"
    until(lambda: deliver(asking, OPENAI, STREAMED).reply.status == 200)


def test_the_first_event_does_not_wait_for_the_last(asking: Stack) -> None:
    """The provider takes 10 s for its events; the first one is read while the rest is still to come."""
    with _streaming(asking, {"x-sim-chunks": "200", "x-sim-chunk-delay-ms": "50"}, timeout_s=5) as response:
        assert response.readline().startswith(b"data: ")


def test_ask_and_keep_chunk_leaves_the_answer_alone(make_stack: Callable[..., Stack]) -> None:
    keeping = make_stack(settings={"routes": _routes("ask_and_keep_chunk")})
    done = deliver(keeping, OPENAI, STREAMED)
    assert _asked(done) == ASKING
    assert done.reply.body == _answer(done)
    assert done.facts["usage_source"] == "provider"


def test_estimate_leaves_the_request_alone(stack: Stack) -> None:
    done = deliver(stack, OPENAI, STREAMED)
    assert json.loads(received_body(done.received[0])) == STREAMED
    assert done.reply.body == _answer(done)
    assert done.facts["usage_source"] == "estimated"


@contextmanager
def _streaming(stack: Stack, headers: dict[str, str], *, timeout_s: float = 30) -> Iterator[http.client.HTTPResponse]:
    """A streamed answer whose head was read; the connection is closed behind it."""
    host, _, port = stack.plan.configuration.listener.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout_s)
    try:
        body = json.dumps(STREAMED).encode()
        connection.request("POST", OPENAI.path, body=body, headers={**OPENAI.headers, **JSON, **headers})
        response = connection.getresponse()
        assert response.status == 200
        yield response
    finally:
        connection.close()
