"""Responses through the gate: cut anywhere, with trailers, encoded, large, retried. The bytes stay what they were."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import uuid
from typing import Any

import pytest

from extproc.stack import Stack
from tests.e2e.clients import exchange, exchange_h2, head
from tests.e2e.traffic import (
    ENFORCED,
    EXCHANGE_HEADER,
    OPENAI,
    OPENAI_SHADOW,
    SHADOWS,
    Delivery,
    Lane,
    deliver,
    direct,
    received_body,
    settle,
    wait_for_rows,
)

pytestmark = pytest.mark.e2e

LANES = (*ENFORCED, *SHADOWS)
JSON = {"content-type": "application/json"}
MIB = 1024 * 1024
_every_lane = pytest.mark.parametrize("lane", LANES, ids=[lane.name for lane in LANES])


def _streamed(lane: Lane) -> dict[str, Any]:
    return {**lane.document, "stream": True} | (
        {} if lane.speaks_anthropic else {"stream_options": {"include_usage": True}}
    )


def _without_gate(done: Delivery, body: Any, headers: dict[str, str]) -> bytes:
    (got,) = done.received
    return direct(done.stack, got["path"], {**done.lane.headers, **headers}, body).body


@_every_lane
def test_events_pass_byte_for_byte_however_they_are_cut(stack: Stack, lane: Lane) -> None:
    cuts = ({"x-sim-chunk-bytes": "1", "x-sim-chunks": "300"}, {"x-sim-chunk-bytes": "1500"}, {"x-sim-chunks": "1"},
            {"x-sim-chunks": "0"}, {"x-sim-chunk-bytes": "100000", "x-sim-chunks": "5"})  # fmt: skip
    sent = [deliver(stack, lane, _streamed(lane), headers=cut) for cut in cuts]
    settle(sent)
    for cut, done in zip(cuts, sent, strict=True):
        expected = _without_gate(done, _streamed(lane), cut)
        assert done.reply.body == expected, cut
        row = done.facts
        assert row["response_body"] == expected, cut
        assert row["response_sha256"] == hashlib.sha256(expected).digest()
        assert (row["capture_status"], row["stream"], row["usage_source"]) == ("completed", True, "provider")
        # The simulated provider counts a token a piece, and at least one.
        assert row["gen_ai_usage_output_tokens"] == max(1, int(cut.get("x-sim-chunks", "8")))
        assert row["http_status"] == 200


@pytest.mark.parametrize("lane", ENFORCED, ids=[lane.name for lane in ENFORCED])
def test_the_first_event_does_not_wait_for_the_last(stack: Stack, lane: Lane) -> None:
    headers = {**lane.headers, **JSON, "x-sim-chunks": "20", "x-sim-chunk-delay-ms": "25"}
    host, _, port = stack.plan.configuration.listener.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    connection.request("POST", lane.path, body=json.dumps(_streamed(lane)).encode(), headers=headers)
    response = connection.getresponse()
    assert response.readline()
    first_s = time.monotonic()
    assert response.read()
    # Some twenty events of 25 ms follow the first; half of that is proof enough on a busy machine.
    assert time.monotonic() - first_s > 0.25
    connection.close()


@_every_lane
def test_response_trailers_reach_the_client(stack: Stack, lane: Lane) -> None:
    body, key = json.dumps(_streamed(lane)).encode(), uuid.uuid4().hex
    wanted = {"te": "trailers", "x-sim-trailers": "x-checksum: abc", "x-sim-key": key}
    over_h2 = exchange_h2(stack, "POST", lane.path, {**lane.headers, **JSON, **wanted}, [body])
    done = [Delivery(stack, lane, key, over_h2, stack.upstream_requests(key))]
    host = [] if "host" in lane.headers else [("host", "gate.example")]
    wanted["x-sim-key"] = key = uuid.uuid4().hex
    fields = [*host, *lane.headers.items(), *JSON.items(), *wanted.items(), ("content-length", str(len(body)))]
    over_h1 = exchange(stack, head("POST", lane.path, fields), body)
    done.append(Delivery(stack, lane, key, over_h1, stack.upstream_requests(key)))
    settle(done)
    for delivery, reply in zip(done, (over_h2, over_h1), strict=True):
        assert (reply.status, reply.trailers) == (200, {"x-checksum": "abc"})
        assert (delivery.facts["capture_status"], delivery.facts["response_body"]) == ("completed", reply.body)


@_every_lane
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_encoded_answer_passes_as_it_is_and_is_read_all_the_same(stack: Stack, lane: Lane, stream: bool) -> None:
    document = _streamed(lane) if stream else dict(lane.document)
    done = deliver(stack, lane, document, headers={"x-sim-encoding": "gzip"})
    encoded = _without_gate(done, document, {"x-sim-encoding": "gzip"})
    assert done.reply.headers["content-encoding"] == "gzip"
    assert done.reply.body == encoded
    row = done.facts
    assert row["response_body"] == direct(stack, done.received[0]["path"], lane.headers, document).body
    assert row["response_sha256"] == hashlib.sha256(encoded).digest()
    assert (row["gen_ai_usage_output_tokens"], row["usage_source"]) == (8, "provider")


@_every_lane
def test_a_large_request_is_judged_to_its_last_byte(stack: Stack, lane: Lane) -> None:
    """Above `limits.inline_bytes_max` it is inspected in a worker process."""
    text = "All work and no play. " * 15_000 + "Write to ann.smith@corp-mail.net"
    body = json.dumps({**lane.document, "messages": [{"role": "user", "content": text}]}).encode()
    assert len(body) > 300_000
    done = deliver(stack, lane, body, headers=JSON)
    assert done.reply.status == 200
    redacted = body.replace(b"ann.smith@corp-mail.net", b"<EMAIL_ADDRESS>")
    (got,) = done.received
    assert received_body(got) == (redacted if lane.enforced else body)
    row = done.facts
    assert (row["decision"] if lane.enforced else row["would_decision"]) == "redact"
    assert (row["request_body"], row["request_bytes"]) == (redacted, len(body))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_response_of_20_mb_passes_an_enforced_route_and_is_kept_whole(stack: Stack, stream: bool) -> None:
    document = _streamed(OPENAI) if stream else dict(OPENAI.document)
    headers = {"x-sim-body-bytes": str(20 * MIB), "x-sim-chunk-bytes": "65536"}
    done = deliver(stack, OPENAI, document, headers=headers)
    expected = _without_gate(done, document, headers)
    assert len(expected) > 20 * MIB
    assert done.reply.body == expected
    row = done.facts
    assert row["response_body"] == expected
    assert (row["response_content_state"], row["response_bytes"]) == ("exact", len(expected))
    assert (row["gen_ai_usage_output_tokens"], row["usage_source"]) == (320, "provider")


def test_a_response_of_200_mb_passes_in_shadow_and_the_row_says_what_is_missing(stack: Stack) -> None:
    """Over `limits.body_bytes_max` content is dropped and counted; the stream is neither cut nor slowed."""
    key = uuid.uuid4().hex
    host, _, port = stack.plan.configuration.listener.address.rpartition(":")
    headers = {**OPENAI_SHADOW.headers, **JSON, "x-sim-key": key, "x-sim-body-bytes": str(200 * MIB)}
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("POST", OPENAI_SHADOW.path, body=json.dumps(_streamed(OPENAI_SHADOW)).encode(), headers=headers)
    response = connection.getresponse()
    size, digest, end = 0, hashlib.sha256(), b""
    while data := response.read(MIB):
        size, end = size + len(data), (end + data)[-64:]
        digest.update(data)
    connection.close()
    assert size > 200 * MIB
    assert end.endswith(b"data: [DONE]\n\n")
    (got,) = stack.upstream_requests(key)
    (row,) = wait_for_rows(stack, lambda row: row["envoy_request_id"] == got["headers"]["x-request-id"])
    assert (row["capture_status"], row["response_content_state"]) == ("completed", "over_limit")
    assert (row["response_bytes"], row["response_sha256"]) == (size, digest.digest())
    kept = row["response_body"]
    assert len(kept) + row["dropped_bytes"] == size
    assert len(kept) <= stack.plan.configuration.limits.body_bytes_max
    assert row["gen_ai_usage_output_tokens"] == 200 * MIB // 16_384
    assert row["usage_source"] == "provider"


@pytest.mark.parametrize("lane", ENFORCED, ids=[lane.name for lane in ENFORCED])
def test_a_retry_by_envoy_is_one_row_with_two_attempts(stack: Stack, lane: Lane) -> None:
    done = deliver(stack, lane, dict(lane.document), headers={"x-sim-fail-times": "1"})
    assert done.reply.status == 200
    assert len(done.received) == 2
    exchange_id = done.reply.headers[EXCHANGE_HEADER]
    (row,) = wait_for_rows(stack, lambda row: row["exchange_id"] == exchange_id)
    assert (row["attempts"], row["http_status"], row["capture_status"]) == (2, 200, "completed")
    assert row["response_body"] == done.reply.body
    request_ids = {got["headers"]["x-request-id"] for got in done.received}
    assert request_ids == {row["envoy_request_id"]}
