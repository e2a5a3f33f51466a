"""Routes that take a chunk out of streams: Envoy holds every byte until the sidecar gives it back, with no time-out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fault.gateway import ASKING, ENFORCED, Gateway, chat, new_key, process_state

pytestmark = pytest.mark.e2e

STREAMED = chat(stream=True)
GIVEN_UP_S_MAX = 15.0
"""Two PINGs and the message timeout take a third of it; the route's own time is 600 s."""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("asking"), ASKING) as running:
        yield running


def test_a_sidecar_that_stops_in_mid_stream_does_not_keep_the_client_waiting(whole: Gateway) -> None:
    key = new_key()
    steering = {"x-sim-key": key, "x-sim-chunks": "20", "x-sim-chunk-delay-ms": "50"}
    call = whole.call(ENFORCED, STREAMED, steering, timeout_s=GIVEN_UP_S_MAX)
    call.read_until(b"data: ")
    with whole.stopped("extproc"):
        reply = call.reply()  # raises when nothing comes for so long
        assert process_state(whole.pid("extproc")) == "T"
    assert (reply.status, reply.whole) == (200, False)
    row = whole.row(reply.exchange_id)
    assert row["response_content_state"] == "partial"
    assert row["usage_source"] == "estimated"
    assert whole.send(ENFORCED, STREAMED).whole
