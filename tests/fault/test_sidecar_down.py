"""extproc killed before, during and after a response, stopped, not there: closed stays closed, open stays open."""

from __future__ import annotations

import uuid

import pytest

from tests.fault.gateway import (
    ENFORCED,
    SHADOW,
    Gateway,
    Reply,
    chat,
    descendants,
    new_key,
    process_state,
    streamed,
    until,
)

pytestmark = pytest.mark.e2e

SLOW_STREAM = {"x-sim-chunks": "40", "x-sim-chunk-delay-ms": "20"}
LARGE_BYTES = 200_000_000


def made_by_us(reply: Reply) -> bool:
    """An exchange id of extproc's is a UUIDv7; where it said nothing, Envoy puts its own request id, a UUIDv4."""
    return uuid.UUID(reply.exchange_id).version == 7


def refused_by_envoy(reply: Reply) -> None:
    """503 in the API's own format, from Envoy."""
    assert reply.status == 503
    assert reply.json["error"]["type"] == "server_error"
    assert reply.json["error"]["message"]


# --- killed --------------------------------------------------------------------------------------------------------


def test_a_request_that_is_being_judged_when_the_sidecar_dies_never_reaches_the_provider(whole: Gateway) -> None:
    key = new_key()
    with whole.stopped("opa"):
        with whole.opening():
            call = whole.call(ENFORCED, chat("the secret plan"), {"x-sim-key": key})
        with whole.dead("extproc"):
            reply = call.reply()
    refused_by_envoy(reply)
    assert made_by_us(reply)
    assert whole.received(key) == []
    row = whole.row(reply.exchange_id)
    assert (row["capture_status"], row["decision"], row["request_body"]) == ("cut", None, None)


def test_a_request_that_is_being_observed_when_the_sidecar_dies_is_answered_whole(whole: Gateway) -> None:
    key = new_key()
    with whole.opening():
        call = whole.call(SHADOW, streamed(), {**SLOW_STREAM, "x-sim-key": key, "x-sim-delay-ms": "200"})
    with whole.dead("extproc"):
        reply = call.reply()
        assert (reply.status, reply.whole) == (200, True)
        assert reply.body.endswith(b"data: [DONE]\n\n")
        assert len(whole.received(key)) == 1
    assert whole.row_of(key)["capture_status"] == "cut"


def test_an_enforced_response_whose_headers_the_sidecar_did_not_live_to_see_is_a_503(whole: Gateway) -> None:
    key = new_key()
    call = whole.call(ENFORCED, chat(), {"x-sim-key": key, "x-sim-delay-ms": "1000"})
    until(lambda: whole.received(key), "the provider has the request")  # so it was judged
    with whole.dead("extproc"):
        reply = call.reply()
    refused_by_envoy(reply)
    row = whole.row(reply.exchange_id)
    assert (row["capture_status"], row["decision"], row["team"]) == ("cut", "allow", "search")
    assert row["request_sha256"].hex() == whole.received(key)[0]["body_sha256"]


def test_an_enforced_stream_is_truncated_when_the_sidecar_dies_and_an_observed_one_is_not(whole: Gateway) -> None:
    keys = new_key(), new_key()
    enforced = whole.call(ENFORCED, streamed(), {**SLOW_STREAM, "x-sim-key": keys[0]})
    observed = whole.call(SHADOW, streamed(), {**SLOW_STREAM, "x-sim-key": keys[1]})
    enforced.read_until(b"data:")
    observed.read_until(b"data:")
    with whole.dead("extproc"):
        cut, passed = enforced.reply(), observed.reply()
    assert (cut.status, cut.whole) == (200, False)
    assert b"[DONE]" not in cut.body
    assert (passed.status, passed.whole) == (200, True)
    assert passed.body.endswith(b"data: [DONE]\n\n")
    assert whole.row(cut.exchange_id)["capture_status"] == "cut"
    assert whole.row_of(keys[1])["capture_status"] == "cut"


def test_what_was_written_of_a_stream_before_the_death_is_in_its_row(whole: Gateway) -> None:
    key = new_key()
    call = whole.call(SHADOW, streamed(), {**SLOW_STREAM, "x-sim-key": key, "x-sim-chunks": "100"})
    call.read_until(b"data:")
    before = whole.metric("headgate_spool_frames_total", frame="responsepart")
    until(lambda: whole.metric("headgate_spool_frames_total", frame="responsepart") > before, "a part was written")
    with whole.dead("extproc"):
        reply = call.reply()
    row = whole.row_of(key)
    assert (row["capture_status"], row["http_status"]) == ("cut", 200)
    assert row["response_body"]
    assert reply.body.startswith(row["response_body"])
    assert len(row["response_body"]) < len(reply.body)


def test_exchanges_that_ended_before_the_death_are_complete_in_the_archive(whole: Gateway) -> None:
    with whole.dead("capture"):  # so that the dead sidecar's log is all there is
        ended = [whole.send(ENFORCED).exchange_id for _ in range(5)]
        whole.hold("extproc")
        whole.release("extproc")
    later = [whole.send(ENFORCED).exchange_id for _ in range(5)]
    for exchange_id in ended + later:
        assert whole.row(exchange_id)["capture_status"] == "completed"
    assert len({whole.row(exchange_id)["incarnation"] for exchange_id in ended + later}) == 2


def test_the_inspection_workers_of_a_killed_sidecar_do_not_live_on(whole: Gateway) -> None:
    leader = whole.pid("extproc")
    children = until(lambda: descendants(leader), "workers were started")
    with whole.dead("extproc"):
        until(lambda: all(process_state(pid) in (None, "Z") for pid in children), "the workers are gone")


# --- not there at all ----------------------------------------------------------------------------------------------


def test_without_a_sidecar_nothing_enforced_passes_and_everything_observed_does(whole: Gateway) -> None:
    keys = new_key(), new_key()
    with whole.dead("extproc"):
        whole.plan.configuration.extproc_socket.unlink(missing_ok=True)
        refused = whole.send(ENFORCED, chat("the secret plan"), {"x-sim-key": keys[0]})
        passed = whole.send(SHADOW, chat(), {"x-sim-key": keys[1]})
        refused_by_envoy(refused)
        assert not made_by_us(refused)
        assert (passed.status, passed.whole) == (200, True)
        assert whole.received(keys[0]) == []
        assert len(whole.received(keys[1])) == 1
    assert whole.send(ENFORCED).status == 200


# --- stopped -------------------------------------------------------------------------------------------------------


def test_a_stopped_sidecar_keeps_an_enforced_request_from_the_provider(whole: Gateway) -> None:
    key = new_key()
    with whole.stopped("extproc"):
        reply = whole.send(ENFORCED, chat("the secret plan"), {"x-sim-key": key})
        assert reply.status in (503, 504)
        assert reply.json["error"]["type"] == "server_error"
        assert whole.received(key) == []
    assert whole.send(ENFORCED).status == 200
    assert whole.received(key) == []  # also not after it woke up and judged what was waiting


def test_a_stopped_sidecar_delays_no_observed_response_however_large(whole: Gateway) -> None:
    key = new_key()
    headers = {"x-sim-key": key, "x-sim-body-bytes": str(LARGE_BYTES), "x-sim-chunk-bytes": "262144"}
    with whole.stopped("extproc"):
        small = whole.send(SHADOW, streamed(), {"x-sim-chunks": "3"})
        assert (small.status, small.whole) == (200, True)
        large = whole.send(SHADOW, streamed(), headers)  # it ends while the sidecar is still stopped: that is the proof
        assert process_state(whole.pid("extproc")) == "T"
        assert (large.status, large.whole) == (200, True)
        assert len(large.body) > LARGE_BYTES
        assert large.body.endswith(b"data: [DONE]\n\n")
    # Envoy gave up telling the sidecar long before: there is a row only for what it was told, Envoy's log has them all.
    whole.wait_archived()
    (got,) = whole.received(key)
    request_id = got["headers"]["x-request-id"]
    assert len(whole.rows(f"envoy_request_id = '{request_id}'")) <= 1
    until(lambda: request_id in whole.plan.configuration.access_log.read_text(), "Envoy's own line")


def test_a_sidecar_that_was_stopped_for_a_while_goes_on_where_it_was(whole: Gateway) -> None:
    with whole.stopped("extproc"):
        call = whole.call(ENFORCED, chat())
    reply = call.reply()
    assert reply.status == 200
    assert whole.row(reply.exchange_id)["capture_status"] == "completed"
