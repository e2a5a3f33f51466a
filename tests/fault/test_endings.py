"""Streams that end badly: the client hangs up, the provider fails, hangs up, is slow or not there. Rows tell which."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.fault.gateway import ENFORCED, QUICK, SHADOW, Gateway, Lane, new_key, streamed, until

pytestmark = pytest.mark.e2e

BOTH = [pytest.param(ENFORCED, id="enforced"), pytest.param(SHADOW, id="observed")]
SHORT_S = 1.5


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Its routes give the provider 1.5 s."""
    example = Gateway(tmp_path_factory.mktemp("example")).plan.configuration
    routes = [route.model_dump(mode="json") | {"timeout_s": SHORT_S} for route in example.routes]
    with Gateway(tmp_path_factory.mktemp("impatient"), {**QUICK, "routes": routes}) as running:
        yield running


# --- the client hangs up -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lane", BOTH)
def test_a_client_that_hangs_up_in_mid_stream_is_charged_an_estimate(whole: Gateway, lane: Lane) -> None:
    key = new_key()
    steering = {"x-sim-key": key, "x-sim-chunks": "500", "x-sim-chunk-delay-ms": "20"}
    call = whole.call(lane, streamed(), steering)
    call.read_until(b'"simulated "')  # some words of the answer are through
    call.hang_up()
    row = whole.row_of(key)
    assert row["capture_status"] == "client_aborted"
    assert (row["http_status"], row["decision"], row["answered_by"]) == (200, "allow", "upstream")
    assert row["usage_source"] in ("partial", "estimated")
    assert row["gen_ai_usage_input_tokens"] > 0
    assert row["gen_ai_usage_output_tokens"] > 0
    assert row["response_content_state"] == "partial"
    assert b'"simulated "' in row["response_body"]
    assert b"[DONE]" not in row["response_body"]


@pytest.mark.parametrize("lane", BOTH)
def test_a_client_that_hangs_up_after_the_terminal_event_has_a_completed_exchange(whole: Gateway, lane: Lane) -> None:
    key = new_key()
    call = whole.call(lane, streamed(), {"x-sim-key": key, "x-sim-chunks": "4", "x-sim-chunk-delay-ms": "10"})
    call.read_until(b"data: [DONE]\n\n")
    call.hang_up()
    row = whole.row_of(key)
    assert row["capture_status"] == "completed"
    assert row["usage_source"] == "provider"
    assert row["response_body"].endswith(b"data: [DONE]\n\n")


def test_a_client_that_resets_while_its_body_is_on_the_way_leaves_a_row_and_nothing_upstream(whole: Gateway) -> None:
    key = new_key()
    host, _, port = whole.plan.configuration.listener.address.rpartition(":")
    with whole.opening(), socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(
            f"POST {ENFORCED.path} HTTP/1.1\r\nhost: gate\r\nauthorization: {ENFORCED.headers['authorization']}\r\n"
            f"content-type: application/json\r\ncontent-length: 1000\r\nx-sim-key: {key}\r\n\r\n".encode()
            + b'{"model"'
        )
        until(lambda: whole.metric("headgate_open_exchanges") == 1, "the exchange is open")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() sends RST
    whole.wait_archived()
    assert whole.received(key) == []
    (row,) = whole.rows("capture_status = 'client_aborted' AND http_status IS NULL AND decision IS NULL")
    assert row["request_body"] is None


# --- the provider fails --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lane", BOTH)
@pytest.mark.parametrize("status", [500, 429, 400])
def test_a_providers_error_reaches_the_client_as_it_is_and_the_row(whole: Gateway, lane: Lane, status: int) -> None:
    key = new_key()
    reply = whole.send(lane, None, {"x-sim-key": key, "x-sim-status": str(status)})
    assert reply.status == status
    assert reply.json["error"]["message"] == "simulated failure"
    assert len(whole.received(key)) == 1  # none of these is retried
    row = whole.row_of(key)
    assert (row["capture_status"], row["http_status"], row["answered_by"]) == ("completed", status, "upstream")
    assert row["error_type"] == reply.json["error"]["type"]
    assert row["attempts"] == 1


@pytest.mark.parametrize("lane", BOTH)
def test_a_provider_that_hangs_up_in_mid_stream_truncates_and_the_row_says_so(whole: Gateway, lane: Lane) -> None:
    key = new_key()
    steering = {"x-sim-chunks": "20", "x-sim-chunk-delay-ms": "5", "x-sim-abort-after-chunks": "10"}
    reply = whole.send(lane, streamed(), {"x-sim-key": key, **steering})
    assert (reply.status, reply.whole) == (200, False)
    row = whole.row_of(key)
    assert row["capture_status"] == "upstream_aborted"
    assert row["usage_source"] in ("partial", "estimated")
    assert row["gen_ai_usage_output_tokens"] > 0
    assert row["response_body"] == reply.body


def test_a_provider_that_resets_before_it_answers_is_a_503_that_envoy_gave(whole: Gateway) -> None:
    key = new_key()
    reply = whole.send(ENFORCED, None, {"x-sim-key": key, "x-sim-fail-times": "9"})
    assert reply.status == 503
    row = whole.row(reply.exchange_id)
    assert (row["capture_status"], row["http_status"], row["answered_by"]) == ("completed", 503, "upstream")
    assert row["attempts"] == len(whole.received(key)) == 2  # the example's routes retry once


def test_a_retry_that_succeeds_is_one_exchange_with_two_attempts(whole: Gateway) -> None:
    key = new_key()
    reply = whole.send(ENFORCED, None, {"x-sim-key": key, "x-sim-fail-times": "1"})
    assert reply.status == 200
    first, second = whole.received(key)
    assert first["body_sha256"] == second["body_sha256"]
    assert first["headers"]["x-request-id"] == second["headers"]["x-request-id"]
    row = whole.row(reply.exchange_id)
    assert (row["attempts"], row["capture_status"], row["http_status"]) == (2, "completed", 200)


@contextlib.contextmanager
def no_provider(gateway: Gateway) -> Iterator[None]:
    with gateway.dead("upstream"):
        gateway.plan.upstream_socket.unlink(missing_ok=True)
        yield


@pytest.mark.parametrize("lane", BOTH)
def test_without_a_provider_envoy_answers_in_the_apis_format(whole: Gateway, lane: Lane) -> None:
    known = {row["exchange_id"] for row in whole.rows()}
    with no_provider(whole):
        reply = whole.send(lane)
    assert reply.status == 503
    assert reply.json["error"]["type"] == "server_error"
    row = _new_row(whole, known)
    assert (row["http_status"], row["answered_by"]) == (503, "envoy")
    # Where Envoy only shows us what passes, it may give up before it has shown the request: then nothing was judged.
    assert row["decision"] == "allow" or (row["decision"] is None and not lane.enforced)
    assert row["error_type"]
    assert reply.exchange_id == (row["exchange_id"] if lane.enforced else row["envoy_request_id"])


def test_the_sdk_raises_its_own_exception_for_a_provider_that_is_not_there(whole: Gateway) -> None:
    client = openai.OpenAI(base_url=f"{whole.plan.base_url}/openai/v1", api_key="example-key-search", max_retries=0)
    with no_provider(whole), pytest.raises(openai.InternalServerError) as refused:
        client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}])
    assert refused.value.status_code == 503


@pytest.mark.parametrize("lane", BOTH)
def test_a_provider_that_never_answers_is_timed_out(impatient: Gateway, lane: Lane) -> None:
    key = new_key()
    reply = impatient.send(lane, None, {"x-sim-key": key, "x-sim-delay-ms": "10000"})
    assert reply.status == 504
    assert reply.json["error"]["message"]
    row = impatient.row_of(key)
    assert (row["capture_status"], row["http_status"], row["answered_by"]) == ("timed_out", 504, "envoy")


@pytest.mark.parametrize("lane", BOTH)
def test_a_stream_that_outlives_the_routes_time_is_timed_out(impatient: Gateway, lane: Lane) -> None:
    key = new_key()
    steering = {"x-sim-key": key, "x-sim-chunks": "1000", "x-sim-chunk-delay-ms": "50"}
    reply = impatient.send(lane, streamed(), steering)
    assert (reply.status, reply.whole) == (200, False)
    row = impatient.row_of(key)
    assert (row["capture_status"], row["http_status"]) == ("timed_out", 200)
    assert row["response_content_state"] == "partial"


def _new_row(gateway: Gateway, known: set[str]) -> dict[str, Any]:
    (row,) = until(lambda: [row for row in gateway.rows() if row["exchange_id"] not in known], "a new row")
    return row
