"""Large and hostile bodies: nobody else waits for them, memory is bounded, and running out of a budget is closed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault.gateway import ENFORCED, QUICK, SHADOW, Gateway, Reply, chat, descendants, new_key, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

MIB = 1024 * 1024
BODY_BYTES_MAX = 64 * MIB
HOSTILE = "4111-1111-1111-111" * 8 + " a@b" * 16 + " sk-" + "x" * 40 + " "
"""Almost a card, almost an address, almost a key: what makes detectors work for nothing."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Patient enough to inspect 64 MiB of plain text."""
    limits = {"inspect_ms_max": 10_000, "body_bytes_max": BODY_BYTES_MAX}
    with Gateway(tmp_path_factory.mktemp("gateway"), {**QUICK, "limits": limits}) as running:
        yield running


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Has 50 ms for a body."""
    with Gateway(tmp_path_factory.mktemp("hurried"), {**QUICK, "limits": {"inspect_ms_max": 50}}) as running:
        yield running


def body_of(size_bytes: int, text: str = "The quick brown fox jumps over the lazy dog. ") -> bytes:
    """A chat request of exactly so many bytes, its text repeated."""
    empty = json.dumps(chat("")).encode()
    room = size_bytes - len(empty)
    filling = (text * (room // len(text) + 1))[:room]
    body = json.dumps(chat(filling)).encode()
    assert len(body) == size_bytes
    return body


class Background(threading.Thread):
    """One request in a thread of its own."""

    def __init__(self, gateway: Gateway, body: bytes, key: str, lane: object = ENFORCED) -> None:
        super().__init__()
        self._send = lambda: gateway.send(lane, body, {"x-sim-key": key}, timeout_s=120)  # type: ignore[arg-type]
        self.replied: Reply | None = None

    def run(self) -> None:
        self.replied = self._send()

    @property
    def reply(self) -> Reply:
        self.join()
        assert self.replied is not None
        return self.replied


def test_small_requests_are_answered_while_the_largest_allowed_body_is_inspected(whole: Gateway) -> None:
    key = new_key()
    body = body_of(BODY_BYTES_MAX)
    large = Background(whole, body, key)
    with whole.opening():
        large.start()
    until(lambda: whole.metric("headgate_held_bytes") >= 0 and whole.metric("headgate_open_exchanges") == 1, "it is in")
    meanwhile = 0
    while large.is_alive():
        assert whole.send(ENFORCED).status == 200
        meanwhile += large.is_alive()
    assert large.reply.status == 200
    assert meanwhile >= 3
    (got,) = whole.received(key)
    assert got["body_bytes"] == BODY_BYTES_MAX
    row = whole.row(large.reply.exchange_id)
    assert (row["capture_status"], row["request_bytes"]) == ("completed", BODY_BYTES_MAX)
    assert row["request_sha256"].hex() == got["body_sha256"]
    assert row["request_body"] == body


def test_a_body_that_is_one_byte_too_large_is_refused_in_the_apis_format(whole: Gateway) -> None:
    key = new_key()
    reply = whole.send(ENFORCED, body_of(BODY_BYTES_MAX + 1), {"x-sim-key": key}, timeout_s=120)
    assert reply.status == 413
    assert reply.json["error"]["message"]
    assert whole.received(key) == []
    assert whole.row(reply.exchange_id)["capture_status"] == "denied"


def test_hostile_text_holds_up_nobody_else(whole: Gateway) -> None:
    key = new_key()
    hostile = Background(whole, body_of(4 * MIB, HOSTILE), key)
    with whole.opening():
        hostile.start()
    meanwhile = 0
    while hostile.is_alive():
        assert whole.send(ENFORCED).status == 200
        meanwhile += hostile.is_alive()
    assert meanwhile >= 3
    reply = hostile.reply
    assert reply.status in (200, 413)
    assert bool(whole.received(key)) == (reply.status == 200)


def test_text_that_costs_more_than_its_budget_is_refused_when_enforced(hurried: Gateway) -> None:
    key = new_key()
    reply = hurried.send(ENFORCED, body_of(4 * MIB, HOSTILE), {"x-sim-key": key})
    assert reply.status == 413
    assert reply.json["error"]["code"] == "inspect_budget"
    assert hurried.received(key) == []
    row = hurried.row(reply.exchange_id)
    assert (row["capture_status"], row["problem"], row["decision"]) == ("denied", "inspect_budget", "deny")
    assert (row["request_content_state"], row["request_body"]) == ("undecodable", None)


def test_text_that_costs_more_than_its_budget_passes_observed_and_the_row_says_so(hurried: Gateway) -> None:
    key = new_key()
    reply = hurried.send(SHADOW, body_of(4 * MIB, HOSTILE), {"x-sim-key": key})
    assert (reply.status, reply.whole) == (200, True)
    row = hurried.row_of(key)
    assert (row["capture_status"], row["problem"], row["decision"]) == ("completed", "inspect_budget", "allow")
    assert (row["request_content_state"], row["request_body"]) == ("undecodable", None)
    assert hurried.send(ENFORCED).status == 200  # the worker is free for the next


@contextlib.contextmanager
def stopped_workers(gateway: Gateway) -> Iterator[None]:
    """Inspection stands still: whoever is being inspected stays in."""
    workers = until(lambda: descendants(gateway.pid("extproc")), "workers were started")
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


def most_resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


def test_bodies_beyond_what_may_be_held_at_once_are_refused_for_now(tmp_path: Path) -> None:
    limits = {"inspect_ms_max": 10_000, "inflight_bytes_max": 20 * MIB}
    body = body_of(12 * MIB)  # two of them are too much
    with Gateway(tmp_path, {**QUICK, "limits": limits}) as gateway:
        assert gateway.send(ENFORCED, body).status == 200
        before = most_resident_bytes(gateway.pid("extproc"))
        key, keys = new_key(), [new_key() for _ in range(16)]
        with stopped_workers(gateway):
            first = Background(gateway, body, key)
            first.start()
            until(lambda: gateway.send(ENFORCED).status == 200 and held(gateway) == len(body), "the first one is in")
            replies = [gateway.send(ENFORCED, body, {"x-sim-key": key}) for key in keys]
        for refused, refused_key in zip(replies, keys, strict=True):
            assert refused.status == 503
            assert refused.json["error"]["code"] == "inflight_full"
            assert gateway.received(refused_key) == []
            row = gateway.row(refused.exchange_id)
            assert (row["capture_status"], row["problem"]) == ("denied", "inflight_full")
            assert (row["request_content_state"], row["request_body"]) == ("over_limit", None)
        # The one that is held, and the copies that gRPC, protobuf and the pipe to the worker make of one at a time.
        assert most_resident_bytes(gateway.pid("extproc")) - before < 8 * len(body)
        assert first.reply.status == 200  # it was in, so it is judged as ever
        assert len(gateway.received(key)) == 1
        assert gateway.send(ENFORCED, body).status == 200  # what was held was given back
        until(lambda: held(gateway) == 0, "nothing is held")


def held(gateway: Gateway) -> float:
    return gateway.metric("headgate_held_bytes")
