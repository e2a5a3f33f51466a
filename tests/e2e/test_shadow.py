"""Shadow routes: the client and the provider notice nothing, and the row says what would have been done."""

from __future__ import annotations

import gzip
import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from extproc.stack import Stack
from tests.e2e.clients import chunked, exchange, exchange_h2, head
from tests.e2e.gate import CHAT
from tests.e2e.traffic import (
    EXCHANGE_HEADER,
    OPENAI,
    OPENAI_SHADOW,
    SHADOWS,
    Delivery,
    Lane,
    deliver,
    denial,
    direct,
    received_body,
    settle,
)

pytestmark = pytest.mark.e2e

JSON = {"content-type": "application/json"}
EMAIL = "ann.smith@corp-mail.net"
SECRET = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
"""The form of a GitHub token, as their documentation shows it."""

_every_api = pytest.mark.parametrize("lane", SHADOWS, ids=[lane.name for lane in SHADOWS])


def _asking(lane: Lane, content: Any, **more: Any) -> dict[str, Any]:
    return {**lane.document, "messages": [{"role": "user", "content": content}], **more}


def _unnoticed(done: Delivery, body: bytes | None, headers: dict[str, str], method: str = "POST") -> dict[str, Any]:
    """Assert that the provider got what the client sent and the client what the provider answered. The row."""
    (got,) = done.received
    assert received_body(got) == (body or b"")
    path = got["path"]
    without_gate = direct(done.stack, path, {**done.lane.headers, **headers}, body, method)
    assert (done.reply.status, done.reply.body) == (without_gate.status, without_gate.body)
    theirs = {name: value for name, value in without_gate.headers.items() if name != "connection"}
    assert {name: done.reply.headers.get(name) for name in theirs} == theirs
    assert [name for name in done.reply.headers if name.startswith(("x-headgate-", "x-envoy-"))] == []
    row = done.facts
    assert (row["mode"], row["decision"], row["capture_status"]) == ("shadow", "allow", "completed")
    assert (row["http_status"], row["answered_by"], row["team"]) == (without_gate.status, "upstream", "search")
    assert row["response_body"] == without_gate.body
    assert row["request_bytes"] == len(body or b"")
    return row


@_every_api
def test_what_the_client_sends_arrives_whole_with_its_headers(stack: Stack, lane: Lane) -> None:
    own = {"user-agent": "app/1.0", "accept-encoding": "gzip, br", "x-stainless-lang": "python", "te": "trailers"}
    body = json.dumps(lane.document, indent=1).encode()
    done = deliver(stack, lane, body, headers={**JSON, **own})
    _unnoticed(done, body, {**JSON, **own})
    got = done.received[0]["headers"]
    sent = {**lane.headers, **JSON, **own}
    assert {name: got.get(name) for name in sent} == sent


@_every_api
@pytest.mark.parametrize(
    ("content", "more", "would", "rules", "state"),
    [
        ("hello", {}, "allow", [], "exact"),
        (f"to {EMAIL}", {}, "redact", ["content.data_classes"], "redacted"),
        (f"key {SECRET}", {}, "deny", ["content.data_classes"], "redacted"),
        ("hello", {"model": "gpt-5"}, "deny", ["access.model_allowlist"], "exact"),
        ([{"type": "hologram", "data": "x"}], {}, "deny", ["content.uninspected_parts"], "exact"),
    ],
    ids=["allowed", "personal data", "secret", "model", "part"],
)
def test_the_row_says_what_would_have_been_done(
    stack: Stack, lane: Lane, content: Any, more: dict[str, Any], would: str, rules: list[str], state: str
) -> None:
    body = json.dumps(_asking(lane, content, **more)).encode()
    row = _unnoticed(deliver(stack, lane, body, headers=JSON), body, JSON)
    assert (row["would_decision"], row["rules"]) == (would, rules)
    # In shadow, too, text leaves only as the obligations allow.
    assert row["request_content_state"] == state
    kept = body.replace(EMAIL.encode(), b"<EMAIL_ADDRESS>")
    assert SECRET.encode() not in row["request_body"]
    assert row["request_body"] == kept or SECRET.encode() in body
    assert row["request_sha256"] == hashlib.sha256(body).digest()


@_every_api
def test_a_body_in_a_coding_arrives_in_it(stack: Stack, lane: Lane) -> None:
    plain = json.dumps(_asking(lane, f"to {EMAIL}")).encode()
    headers = {**JSON, "content-encoding": "gzip"}
    body = gzip.compress(plain)
    row = _unnoticed(deliver(stack, lane, body, headers=headers), body, headers)
    assert (row["would_decision"], row["problem"]) == ("redact", None)
    assert row["request_body"] == plain.replace(EMAIL.encode(), b"<EMAIL_ADDRESS>")


@_every_api
def test_a_body_without_a_content_type_gets_none(stack: Stack, lane: Lane) -> None:
    body = json.dumps(lane.document).encode()
    done = deliver(stack, lane, body)
    assert _unnoticed(done, body, {})["request_content_type"] is None
    assert "content-type" not in done.received[0]["headers"]


def test_calls_that_nobody_reads_pass(stack: Stack) -> None:
    calls = (
        ("GET", "/v1/batches", None),
        ("GET", "/v1/files?limit=1", None),
        ("DELETE", "/v1/files/file-abc", None),
        ("POST", "/v1/uploads", b"\xff\x00 not text"),
        ("POST", "/v1/Chat/Completions", json.dumps(CHAT).encode()),
        ("POST", "/v1/chat/completions;x", json.dumps(CHAT).encode()),
        ("POST", "/v1/chat/completions/", json.dumps(CHAT).encode()),
    )
    done = [deliver(stack, OPENAI_SHADOW, body, method=method, path=path) for method, path, body in calls]
    settle(done)
    for (method, path, body), delivery in zip(calls, done, strict=True):
        assert [(got["method"], got["path"]) for got in delivery.received] == [(method, path)]
        row = _unnoticed(delivery, body, {}, method)
        looks_like = "openai.chat" if body == json.dumps(CHAT).encode() else "opaque"  # and gets no leave by it
        assert (row["api"], row["path"]) == (looks_like, path.partition("?")[0])
        assert row["would_decision"] == ("allow" if path == "/v1/batches" else "deny")


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 529])
def test_a_providers_error_passes_as_it_is(stack: Stack, status: int) -> None:
    headers = {**JSON, "x-sim-status": str(status)}
    body = json.dumps(CHAT).encode()
    row = _unnoticed(deliver(stack, OPENAI_SHADOW, body, headers=headers), body, headers)
    assert row["attempts"] == 1


def test_chunks_trailers_and_100_continue_pass(stack: Stack) -> None:
    body = json.dumps(CHAT).encode()
    pieces = [body[start : start + 5] for start in range(0, len(body), 5)]
    for framing, sent, waits in (
        ([("transfer-encoding", "chunked")], chunked(pieces), False),
        ([("transfer-encoding", "chunked"), ("trailer", "x-sum")], chunked(pieces, [("x-sum", "abc")]), False),
        ([("content-length", str(len(body))), ("expect", "100-continue")], body, True),
    ):
        key = uuid.uuid4().hex
        headers = [*OPENAI_SHADOW.headers.items(), *JSON.items(), ("x-sim-key", key), *framing]
        request = head("POST", OPENAI_SHADOW.path, headers)
        reply = exchange(stack, request, sent, wait_for_continue=waits)
        done = Delivery(stack, OPENAI_SHADOW, key, reply, stack.upstream_requests(key))
        (got,) = done.received
        assert (reply.status, received_body(got)) == (200, body)
        assert (done.facts["would_decision"], done.facts["request_body"]) == ("allow", body)


@_every_api
def test_http2_clients_notice_nothing_either(stack: Stack, lane: Lane) -> None:
    body, key = json.dumps(lane.document).encode(), uuid.uuid4().hex
    headers = {**lane.headers, **JSON, "x-sim-key": key}
    reply = exchange_h2(stack, "POST", lane.path, headers, [body[:9], body[9:]], [("x-sum", "abc")])
    done = Delivery(stack, lane, key, reply, stack.upstream_requests(key))
    assert _unnoticed(done, body, JSON)["would_decision"] == "allow"


def test_a_streamed_answer_passes_event_for_event(stack: Stack) -> None:
    body = json.dumps(CHAT | {"stream": True, "stream_options": {"include_usage": True}}).encode()
    row = _unnoticed(deliver(stack, OPENAI_SHADOW, body, headers=JSON), body, JSON)
    assert (row["stream"], row["gen_ai_usage_output_tokens"], row["usage_source"]) == (True, 8, "provider")


def test_usage_that_a_stream_does_not_carry_is_estimated_and_marked_so(stack: Stack) -> None:
    """Nothing is added to a request in shadow, so `include_usage` stays unasked."""
    body = json.dumps(CHAT | {"stream": True}).encode()
    row = _unnoticed(deliver(stack, OPENAI_SHADOW, body, headers=JSON), body, JSON)
    assert row["usage_source"] == "estimated"
    assert row["gen_ai_usage_output_tokens"] > 0


def test_an_upgrade_is_refused_in_shadow_too_and_told(stack: Stack) -> None:
    """The one thing that does not pass: a protocol that nobody could watch."""
    headers = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    done = deliver(stack, OPENAI_SHADOW, None, method="GET", path="/v1/realtime", headers=headers)
    assert (done.reply.status, done.received) == (403, [])


def test_a_body_over_the_limit_passes_in_shadow_and_is_refused_by_an_enforced_route(
    make_stack: Callable[..., Stack],
) -> None:
    stack = make_stack(settings={"limits": {"body_bytes_max": 100_000}})
    for size, code in ((150_000, "body_too_large"), (3_000_000, "request_too_large")):
        body = json.dumps(_asking(OPENAI, "x" * size)).encode()
        passed = deliver(stack, OPENAI_SHADOW, body, headers=JSON)
        row = _unnoticed(passed, body, JSON)
        assert (row["problem"], row["would_decision"]) == ("body_too_large", "deny")
        assert (row["request_content_state"], row["request_body"]) == ("over_limit", None)
        assert row["dropped_bytes"] == len(body)
        refused = deliver(stack, OPENAI, body, headers=JSON)
        assert (refused.reply.status, refused.received) == (413, [])
        assert denial(refused)["code"] == code
        assert refused.reply.headers["x-should-retry"] == "false"
        assert EXCHANGE_HEADER in refused.reply.headers
        told = refused.facts
        assert told["http_status"] == 413
        assert told["decision"] in ("deny", None)  # Envoy stops reading the larger one, so nobody judges it
        assert told["request_body"] is None
