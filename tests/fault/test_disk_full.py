"""The kernel refuses the spool's bytes (RLIMIT_FSIZE, getrlimit(2)): deny or count, never silence; then recovery."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.gateway import ENFORCED, QUICK, SHADOW, Gateway, Lane, chat, new_key, until

pytestmark = pytest.mark.e2e

LAX = Lane("/lax/v1/chat/completions", ENFORCED.headers, True)
"""Enforced, but its operator would rather lose rows than requests."""
BIG_PROMPT = "All work and no play. " * 1_000


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    example = Gateway(tmp_path_factory.mktemp("example")).plan.configuration
    routes = [route.model_dump(mode="json") for route in example.routes]
    lax = routes[0] | {"name": "openai-lax", "match": {"prefix": "/lax"}, "on_disk_full": "pass_and_count"}
    with Gateway(tmp_path_factory.mktemp("gateway"), {**QUICK, "routes": [*routes, lax]}) as running:
        yield running


def segment(gateway: Gateway) -> Path:
    """The file that extproc writes to."""
    spool = gateway.plan.configuration.capture.spool_dir
    files = [path for path in spool.glob("*/*") if path.name.removesuffix(path.suffix).isdigit()]
    return max(files, key=lambda path: (path.parent.name, path.name))


@contextlib.contextmanager
def full_disk(gateway: Gateway, *, room_bytes: int = 0) -> Iterator[None]:
    """No file of the running extproc may grow beyond the spool segment's size of now, plus `room_bytes`."""
    gateway.send(ENFORCED)  # there is a segment
    gateway.wait_archived()  # and nothing writes to it
    pid = gateway.pid("extproc")
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE, (segment(gateway).stat().st_size + room_bytes, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def lost(gateway: Gateway) -> int:
    """What capture says of exchanges without a row, in a report made from now on."""
    return int(gateway.wait_archived()["lost"])


def test_on_a_full_disk_an_enforced_request_is_denied_and_counted(whole: Gateway) -> None:
    key = new_key()
    before = lost(whole)
    with full_disk(whole):
        reply = whole.send(ENFORCED, None, {"x-sim-key": key})
        assert reply.status == 503
        assert reply.json["error"]["code"] == "capture_unavailable"
        assert whole.received(key) == []
        assert lost(whole) == before + 1
    assert whole.rows(f"exchange_id = '{reply.exchange_id}'") == []


@pytest.mark.parametrize("lane", [pytest.param(LAX, id="enforced"), pytest.param(SHADOW, id="observed")])
def test_on_a_full_disk_pass_and_count_passes_and_counts(whole: Gateway, lane: Lane) -> None:
    key = new_key()
    before = lost(whole)
    with full_disk(whole):
        reply = whole.send(lane, None, {"x-sim-key": key})
        assert (reply.status, reply.whole) == (200, True)
        (got,) = whole.received(key)
        until(lambda: lost(whole) == before + 1, "the loss is counted")
    assert whole.rows(f"envoy_request_id = '{got['headers']['x-request-id']}'") == []


def test_the_count_of_what_was_lost_survives_the_death_of_all_who_know_it(whole: Gateway) -> None:
    before = lost(whole)
    with full_disk(whole):
        for _ in range(3):
            assert whole.send(LAX).status == 200
    for name in ("extproc", "capture"):
        with whole.dead(name):
            pass
    assert lost(whole) == before + 3


def test_when_the_disk_has_room_again_requests_pass_and_numbers_have_no_gap(whole: Gateway) -> None:
    with full_disk(whole):
        assert whole.send(ENFORCED).status == 503
    reply = whole.send(ENFORCED)
    assert reply.status == 200
    row = whole.row(reply.exchange_id)
    assert row["capture_status"] == "completed"
    whole.wait_archived()
    numbers = sorted(other["seq"] for other in whole.rows(f"incarnation = '{row['incarnation']}'"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_request_that_can_be_opened_but_not_recorded_is_denied_and_has_its_row_later(whole: Gateway) -> None:
    key = new_key()
    with full_disk(whole, room_bytes=4_096):
        reply = whole.send(ENFORCED, chat(BIG_PROMPT), {"x-sim-key": key})
        assert reply.status == 503
        assert reply.json["error"]["code"] == "capture_unavailable"
        assert whole.received(key) == []
    row = whole.row(reply.exchange_id)
    assert (row["capture_status"], row["error_type"], row["http_status"]) == ("denied", "capture_unavailable", 503)
    assert row["request_body"] is None
    assert "request_unrecorded" in row["warnings"]


def test_what_passes_although_it_cannot_be_recorded_has_a_row_that_admits_it(whole: Gateway) -> None:
    with full_disk(whole, room_bytes=4_096):
        reply = whole.send(LAX, chat(BIG_PROMPT))
        assert reply.status == 200
    row = whole.row(reply.exchange_id)
    assert (row["capture_status"], row["http_status"]) == ("completed", 200)
    assert row["request_body"] is None
    assert "request_unrecorded" in row["warnings"]
    assert row["dropped_bytes"] > len(BIG_PROMPT)
    assert (row["request_content_state"], row["decision"]) == (None, None)


def test_a_spool_that_nobody_empties_fills_up_and_recovers_when_capture_is_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = {**QUICK, "capture": {"flush_interval_s": 0.2, "spool_bytes_max": 400_000, "segment_bytes_max": 65_536}}
    with Gateway(tmp_path_factory.mktemp("small"), settings) as small:
        with small.dead("capture"):
            replies = [small.send(ENFORCED, chat(BIG_PROMPT)) for _ in range(100)]
            statuses = [reply.status for reply in replies]
            assert statuses == sorted(statuses)  # from some point on, all are refused
            assert set(statuses) == {200, 503}
        until(lambda: small.send(ENFORCED, chat(BIG_PROMPT)).status == 200, "there is room again")
        for reply in replies:
            if reply.status == 200:
                assert small.row(reply.exchange_id)["capture_status"] == "completed"
        assert small.wait_archived()["lost"] > 0
