"""Request bodies that cannot be judged as they came: refused where policy binds, untouched where it only watches.

Each body goes down four ways: both apis, enforced and in shadow. Three witnesses must agree on what happened: the
client, the provider's own record of what it received, and the archive's row.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping

import pytest

from extproc.stack import Stack
from tests.e2e.bad_bodies import BAD, GZIP, Bad
from tests.e2e.traffic import (
    ENFORCED,
    EXCHANGE_HEADER,
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

_every = pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])
_enforced = pytest.mark.parametrize("lane", ENFORCED, ids=[lane.name for lane in ENFORCED])
_shadow = pytest.mark.parametrize("lane", SHADOWS, ids=[lane.name for lane in SHADOWS])

Sent = Mapping[tuple[str, str], tuple[bytes, Delivery]]


@pytest.fixture(scope="module")
def sent(stack: Stack) -> Sent:
    """Every body on every lane: (body's name, lane's name) → what was sent, what became of it."""
    deliveries = {}
    for bad in BAD:
        for lane in (*ENFORCED, *SHADOWS):
            body = bad.build(lane.document)
            deliveries[bad.name, lane.name] = body, deliver(stack, lane, body, headers=bad.headers)
    settle([delivery for _, delivery in deliveries.values()])
    return deliveries


def _kept(body: bytes, bad: Bad) -> bytes | None:
    """The archive holds bodies without their content coding."""
    if bad.kept != "exact":
        return None
    return gzip.decompress(body) if bad.headers is GZIP else body


@_enforced
@_every
def test_an_enforced_route_refuses_a_body_without_one_reading(sent: Sent, lane: Lane, bad: Bad) -> None:
    body, done = sent[bad.name, lane.name]
    assert done.reply.status == bad.status
    assert bad.problem in denial(done)["message"]
    assert done.reply.headers["x-should-retry"] == "false"
    assert done.received == []
    row = done.facts
    assert (row["capture_status"], row["decision"], row["problem"]) == ("denied", "deny", bad.problem)
    assert (row["http_status"], row["answered_by"], row["error_type"]) == (bad.status, "headgate", bad.problem)
    assert (row["team"], row["mode"]) == ("search", "enforce")
    assert row["request_bytes"] == len(body)
    assert row["request_content_state"] == bad.kept
    assert row["request_sha256"] == hashlib.sha256(body).digest()
    assert row["request_body"] == _kept(body, bad)
    assert row["response_content_state"] == "none"


@_shadow
@_every
def test_a_shadow_route_passes_a_body_without_one_reading_and_says_so(
    stack: Stack, sent: Sent, lane: Lane, bad: Bad
) -> None:
    body, done = sent[bad.name, lane.name]
    (got,) = done.received
    assert received_body(got) == body
    assert {name: got["headers"].get(name) for name in bad.headers} == bad.headers
    without_gate = direct(stack, lane.path, {**lane.headers, **bad.headers}, body)
    assert (done.reply.status, done.reply.body) == (without_gate.status, without_gate.body)
    assert EXCHANGE_HEADER not in done.reply.headers
    row = done.facts
    assert (row["capture_status"], row["decision"], row["problem"]) == ("completed", "allow", bad.problem)
    assert row["would_decision"] == "deny"
    assert (row["http_status"], row["answered_by"]) == (without_gate.status, "upstream")
    assert (row["team"], row["mode"]) == ("search", "shadow")
    assert row["request_bytes"] == len(body)
    assert row["request_content_state"] == bad.kept
    assert row["request_sha256"] == hashlib.sha256(body).digest()
    assert row["request_body"] == _kept(body, bad)
    assert row["response_body"] == without_gate.body
