"""Requests that two HTTP parsers could cut, name or route in two ways: nothing of them passes unjudged."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import pytest

from extproc.stack import Stack
from tests.e2e.clients import READ_BYTES, connect
from tests.e2e.gate import CHAT
from tests.e2e.traffic import OPENAI, OPENAI_SHADOW, deliver, denial, received_body, wait_for_rows

pytestmark = pytest.mark.e2e

BODY = json.dumps(CHAT).encode()
DENIED_BODY = json.dumps(CHAT | {"model": "gpt-5"}).encode()
LINE = b"POST /openai/v1/chat/completions HTTP/1.1\r\n"
FIELDS = (
    b"host: gate.example\r\nauthorization: Bearer example-key-search\r\ncontent-type: application/json\r\n"
    b"x-sim-key: KEY\r\n"
)
LENGTH = b"content-length: %d\r\n" % len(BODY)
CLOSE = b"connection: close\r\n\r\n"
HIDDEN = LINE + FIELDS + b"content-length: %d\r\n" % len(DENIED_BODY) + CLOSE + DENIED_BODY
"""What somebody tries to smuggle in behind an allowed request."""


def _send(stack: Stack, data: bytes) -> tuple[list[int], list[bytes]]:
    """Exactly these bytes: the statuses of the answers, and the bodies that the provider received."""
    key = uuid.uuid4().hex
    read = b""
    with connect(stack) as client:
        client.sendall(data.replace(b"KEY", key.encode()))
        try:
            while received := client.recv(READ_BYTES):
                read += received
        except ConnectionResetError:
            pass  # Envoy had enough of it
    statuses = [int(piece[:3]) for piece in read.split(b"HTTP/1.1 ")[1:]]
    return statuses, [received_body(got) for got in stack.upstream_requests(key)]


def test_each_request_of_a_connection_is_judged_by_itself(stack: Stack) -> None:
    allowed = LINE + FIELDS + LENGTH + b"\r\n" + BODY
    statuses, received = _send(stack, allowed + allowed + HIDDEN)
    assert (statuses, received) == ([200, 200, 403], [BODY, BODY])


def test_a_request_that_is_never_finished_is_never_sent(stack: Stack) -> None:
    key = uuid.uuid4().hex
    with connect(stack) as client:
        client.sendall(LINE + FIELDS.replace(b"KEY", key.encode()) + LENGTH + b"\r\n" + BODY[:-1])
        other = deliver(stack, OPENAI, CHAT)  # by now the first one has been read
    assert other.reply.status == 200
    assert stack.upstream_requests(key) == []
    before = other.facts["ts"]
    (row,) = wait_for_rows(stack, lambda row: row["capture_status"] == "client_aborted" and row["ts"] < before)
    assert (row["decision"], row["request_body"], row["team"]) == (None, None, "search")


def test_a_header_named_in_connection_cannot_be_taken_off_before_it_is_judged(stack: Stack) -> None:
    """Hop-by-hop headers (RFC 9110 §7.6.1) are removed: without its key the request is nobody's."""
    for named, status in ((b"authorization", 401), (b"x-headgate-client", 200), (b"content-encoding", 200)):
        fields = FIELDS + LENGTH + b"connection: close, " + named + b"\r\n\r\n"
        statuses, received = _send(stack, LINE + fields + BODY)
        assert (statuses, len(received)) == ([status], 1 if status == 200 else 0), named


def test_headers_that_say_two_things_are_read_in_the_strict_way(stack: Stack) -> None:
    for more, status in (
        (b"content-type: text/plain\r\n", 415),
        (b"content-encoding: identity\r\ncontent-encoding: gzip\r\n", 400),
        (b"content-encoding: compress, identity\r\n", 415),
    ):
        statuses, received = _send(stack, LINE + FIELDS + more + LENGTH + CLOSE + BODY)
        assert (statuses, received) == ([status], []), more


def test_a_cleartext_upgrade_to_http2_is_ignored(stack: Stack) -> None:
    upgrade = b"upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nconnection: upgrade, http2-settings, close\r\n\r\n"
    denied = b"content-length: %d\r\n" % len(DENIED_BODY)
    assert _send(stack, LINE + FIELDS + denied + upgrade + DENIED_BODY) == ([403], [])


def test_the_limit_of_a_body_is_exact_and_refused_in_one_voice(make_stack: Callable[..., Stack]) -> None:
    """Above the limit the sidecar refuses, 1 MiB above it Envoy does, and neither lets a byte through."""
    limit = 100_000
    stack = make_stack(settings={"limits": {"body_bytes_max": limit}})
    for size, code in (
        (limit, None),
        (limit + 1, "body_too_large"),
        (limit + 1024 * 1024, "body_too_large"),
        (limit + 1024 * 1024 + 1, "request_too_large"),
        (limit + 1024 * 1024 + 16 * 1024 + 1, "request_too_large"),
    ):
        body = BODY + b" " * (size - len(BODY))
        done = deliver(stack, OPENAI, body, headers={"content-type": "application/json"})
        if code is None:
            assert (done.reply.status, received_body(done.received[0])) == (200, body)
            continue
        assert (done.reply.status, done.received) == (413, [])
        assert denial(done)["code"] == code
        assert (done.facts["http_status"], done.facts["request_body"]) == (413, None)


def test_one_hosts_path_does_not_open_anothers_route(stack: Stack) -> None:
    """`Host` chooses the route, and each route asks for its own proof."""
    done = deliver(stack, OPENAI_SHADOW, CHAT, headers={"host": "gate.example"})
    assert (done.reply.status, done.received) == (404, [])
    by_ip = deliver(stack, OPENAI, CHAT, headers={"host": "127.0.0.1"})
    assert (by_ip.reply.status, by_ip.facts["mode"], by_ip.facts["host"]) == (200, "enforce", "api.openai.com")
