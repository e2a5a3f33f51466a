"""OPA dead, stopped, talking nonsense, without the rule, restarted: nothing unjudged passes, nothing is disturbed.

What was decided before is remembered (`policy.memo_bytes_max`) for as long as OPA confirms it, so each failure begins
with the end of that: at once where the connection breaks, within a second where OPA only stops.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import anthropic
import openai
import pytest

from extproc import policy_tools
from extproc.opa.heartbeat import AGE_S_MAX
from extproc.stack.ready import answers
from tests.fault.gateway import ENFORCED, SHADOW, Gateway, chat, new_key, streamed, until

pytestmark = pytest.mark.e2e

Failure = Callable[[Gateway, Path], contextlib.AbstractContextManager[None]]
NONSENSE = {
    "no HTTP at all": b"I am not an HTTP server\r\n\r\n",
    "another status": b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}",
    "no JSON": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nallow",
    "an unknown action": (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 31\r\n\r\n"
        b'{"result": {"action": "maybe"}}'
    ),
    "a bare true": b'HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{"result": true}',
}


def unconfirmed(gateway: Gateway) -> bool:
    """extproc does not know any more which policy is live."""
    return gateway.metric("headgate_policy_heartbeat_age_seconds") > AGE_S_MAX


def confirmed(gateway: Gateway) -> bool:
    return not unconfirmed(gateway)


@contextlib.contextmanager
def killed(gateway: Gateway, _: Path) -> Iterator[None]:
    with gateway.dead("opa"):
        until(lambda: unconfirmed(gateway), "extproc has noticed")
        yield


@contextlib.contextmanager
def stopped(gateway: Gateway, _: Path) -> Iterator[None]:
    with gateway.stopped("opa"):
        until(lambda: unconfirmed(gateway), "extproc has noticed")
        yield


@contextlib.contextmanager
def instead(gateway: Gateway, *served: str | Path) -> Iterator[None]:
    """Another OPA in its place, healthy, with these policies."""
    path = gateway.plan.configuration.opa_socket
    with gateway.dead("opa"):
        path.unlink(missing_ok=True)
        command = [gateway.plan.opa, "run", "--server", "--log-level", "error", "--addr", f"unix://{path}"]
        other = subprocess.Popen([*command, *served], stdout=subprocess.DEVNULL)
        try:
            until(lambda: answers(path, "/health?bundles=true"), "the other OPA is up")
            until(lambda: confirmed(gateway), "extproc has noticed")
            yield
        finally:
            other.kill()
            other.wait()


@contextlib.contextmanager
def without_the_rule(gateway: Gateway, folder: Path) -> Iterator[None]:
    """A bundle that says nothing about requests."""
    (folder / "other.rego").write_text("package headgate.other\n\nverdict := true\n")
    with instead(gateway, folder / "other.rego"):
        yield


@contextlib.contextmanager
def always_erring(gateway: Gateway, folder: Path) -> Iterator[None]:
    """A bundle, properly built, whose decision is a conflict for any input."""
    source = folder / "erring"
    source.mkdir()
    (source / "main.rego").write_text(
        "package headgate.main\n\ndecision := 1\n\ndecision := input.schema_version + 1\n"
    )
    policy_tools.bundle(source, folder / "erring.tar.gz", opa=gateway.plan.opa)
    with instead(gateway, "--bundle", folder / "erring.tar.gz"):
        yield


@contextlib.contextmanager
def answering(gateway: Gateway, answer: bytes) -> Iterator[None]:
    """Something else in OPA's place that says the same to everybody."""
    path = gateway.plan.configuration.opa_socket
    with gateway.dead("opa"):
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(os.fspath(path))
        listener.listen()
        thread = threading.Thread(target=_answer_all, args=(listener, answer))
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            listener.close()


def _answer_all(listener: socket.socket, answer: bytes) -> None:
    with contextlib.suppress(OSError):  # shut down
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65_536)
                connection.sendall(answer)


CASES = [
    pytest.param(killed, "opa_unreachable", id="killed"),
    pytest.param(stopped, "opa_timeout", id="stopped"),
    pytest.param(without_the_rule, "opa_undefined", id="without-the-rule"),
    pytest.param(always_erring, "opa_nonsense", id="always-erring"),
]


def refused_without_a_trace(gateway: Gateway, code: str) -> None:
    """One enforced request: refused in the API's format, never seen by the provider, recorded without text."""
    key = new_key()
    reply = gateway.send(ENFORCED, chat("the secret plan"), {"x-sim-key": key})
    assert reply.status == 503
    assert reply.json["error"]["code"] == code
    assert "the secret plan" not in reply.body.decode()
    assert gateway.received(key) == []
    row = gateway.row(reply.exchange_id)
    assert (row["decision"], row["policy_failure"], row["capture_status"]) == ("deny", code, "denied")
    assert (row["answered_by"], row["http_status"], row["mode"]) == ("headgate", 503, "enforce")
    assert row["request_content_state"] == "unjudged"
    assert row["request_body"] is None
    assert not row["messages"]
    assert row["prompt_text"] is None


def passed_untouched(gateway: Gateway, code: str) -> None:
    """One observed request: answered as ever, the provider got its very bytes, the row says that nobody judged it."""
    key = new_key()
    body = streamed("the secret plan")
    reply = gateway.send(SHADOW, body, {"x-sim-key": key, "x-sim-chunks": "3"})
    assert (reply.status, reply.whole) == (200, True)
    assert reply.body.endswith(b"data: [DONE]\n\n")
    (got,) = gateway.received(key)
    assert got["headers"]["authorization"] == "Bearer sk-of-the-client"
    row = gateway.row_of(key)
    assert (row["decision"], row["policy_failure"], row["capture_status"]) == ("allow", code, "completed")
    assert row["mode"] == "shadow"
    assert (row["request_content_state"], row["response_content_state"]) == ("unjudged", "unjudged")
    assert (row["request_body"], row["response_body"]) == (None, None)
    assert row["request_sha256"].hex() == got["body_sha256"]


@pytest.mark.parametrize(("failure", "code"), CASES)
def test_without_a_decision_an_enforced_request_is_refused_and_an_observed_one_passes(
    whole: Gateway, tmp_path: Path, failure: Failure, code: str
) -> None:
    with failure(whole, tmp_path):
        refused_without_a_trace(whole, code)
        passed_untouched(whole, code)
    key = new_key()
    assert whole.send(ENFORCED, chat(), {"x-sim-key": key}).status == 200  # nothing had to be told that OPA is back
    assert len(whole.received(key)) == 1


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE.keys())
def test_an_answer_that_is_no_decision_decides_nothing(whole: Gateway, answer: bytes) -> None:
    with answering(whole, answer):
        refused_without_a_trace(whole, "opa_nonsense")
    assert whole.send(ENFORCED).status == 200


def test_an_observed_request_passes_whatever_policy_mumbles(whole: Gateway) -> None:
    with answering(whole, NONSENSE["an unknown action"]):
        passed_untouched(whole, "opa_nonsense")


def test_the_sdks_raise_their_own_exception_for_a_gateway_that_cannot_judge(whole: Gateway) -> None:
    with whole.dead("opa"):
        chats = openai.OpenAI(base_url=f"{whole.plan.base_url}/openai/v1", api_key="example-key-search", max_retries=0)
        with pytest.raises(openai.InternalServerError) as refused:
            chats.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "hello"}])
        assert refused.value.status_code == 503
        assert refused.value.code == "opa_unreachable"
        messages = anthropic.Anthropic(
            base_url=f"{whole.plan.base_url}/anthropic", api_key="example-key-search", max_retries=0
        )
        with pytest.raises(anthropic.InternalServerError) as denied:
            messages.messages.create(
                model="claude-haiku-4-5", max_tokens=8, messages=[{"role": "user", "content": "hello"}]
            )
        assert denied.value.status_code == 503
        assert whole.row(denied.value.response.headers["x-headgate-exchange-id"])["policy_failure"] == "opa_unreachable"


def test_a_stream_that_was_judged_is_not_disturbed_by_the_death_of_policy(whole: Gateway) -> None:
    call = whole.call(ENFORCED, streamed(), {"x-sim-chunks": "10", "x-sim-chunk-delay-ms": "20"})
    call.read_until(b"data:")
    with whole.dead("opa"):
        reply = call.reply()
    assert (reply.status, reply.whole) == (200, True)
    row = whole.row(reply.exchange_id)
    assert (row["capture_status"], row["policy_failure"]) == ("completed", None)


def test_requests_pass_again_once_opa_was_restarted_over_and_over(whole: Gateway) -> None:
    for _ in range(5):
        with whole.dead("opa"):
            assert whole.send(ENFORCED).status == 503
        assert whole.send(ENFORCED).status == 200


class Clients:
    """Enforced requests, all alike, one after another on each thread: after the first, decisions come from memory."""

    def __init__(self, gateway: Gateway, count: int = 3) -> None:
        self.seen: list[tuple[float, float, int, str | None]] = []
        """Of each: when it was sent, when it ended, its status, the error's code."""
        self._gateway = gateway
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send_all) for _ in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send_all(self) -> None:
        while not self._stop.is_set():
            sent_s = time.monotonic()
            reply = self._gateway.send(ENFORCED, chat("the same again"))
            code = None if reply.status == 200 else reply.json["error"]["code"]
            self.seen.append((sent_s, time.monotonic(), reply.status, code))

    def after(self, at_s: float) -> list[tuple[int, str | None]]:
        """Status and code of what was sent after this moment and has ended."""
        return [(status, code) for sent_s, _, status, code in list(self.seen) if sent_s > at_s]


@pytest.mark.parametrize(
    ("failure", "code", "remembered_s"),
    [
        pytest.param("dead", "opa_unreachable", 0.5, id="killed"),
        pytest.param("stopped", "opa_timeout", AGE_S_MAX, id="stopped"),
    ],
)
def test_under_load_nothing_passes_on_memory_once_opa_has_been_gone_for_a_second(
    whole: Gateway, failure: str, code: str, remembered_s: float
) -> None:
    until(lambda: confirmed(whole), "OPA confirms its policy")
    hits = whole.metric("headgate_policy_memo_hits_total")
    with Clients(whole) as clients:
        until(lambda: whole.metric("headgate_policy_memo_hits_total") > hits + 5, "decisions come from memory")
        with getattr(whole, failure)("opa"):
            gone_s = time.monotonic()
            until(lambda: clients.after(gone_s + remembered_s)[5:], "requests that were sent after that have ended")
            refused = clients.after(gone_s + remembered_s)
        until(lambda: confirmed(whole), "OPA confirms its policy again")
        back_s = time.monotonic()
        until(lambda: (200, None) in clients.after(back_s), "requests pass again")
    assert set(refused) == {(503, code)}


def test_a_row_names_the_policy_that_judged_it_from_memory_too(whole: Gateway) -> None:
    until(lambda: confirmed(whole), "OPA confirms its policy")
    hits = whole.metric("headgate_policy_memo_hits_total")
    first, second = (whole.send(ENFORCED, chat("who judged this?")) for _ in range(2))
    assert whole.metric("headgate_policy_memo_hits_total") >= hits + 1  # two where the question was asked before
    rows = [whole.row(reply.exchange_id) for reply in (first, second)]
    assert rows[0]["policy_revision"] == rows[1]["policy_revision"]
    assert rows[0]["policy_revision"]
    assert [row["decision"] for row in rows] == ["allow", "allow"]
