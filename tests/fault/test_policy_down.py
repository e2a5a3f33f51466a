"""OPA dead, stopped, talking nonsense, without the rule, restarted: nothing unjudged passes, nothing is disturbed."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import anthropic
import openai
import pytest

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


@contextlib.contextmanager
def killed(gateway: Gateway, _: Path) -> Iterator[None]:
    with gateway.dead("opa"):
        yield


@contextlib.contextmanager
def stopped(gateway: Gateway, _: Path) -> Iterator[None]:
    with gateway.stopped("opa"):
        yield


@contextlib.contextmanager
def without_the_rule(gateway: Gateway, folder: Path) -> Iterator[None]:
    """Another OPA in its place, healthy, whose bundle says nothing about requests."""
    (folder / "other.rego").write_text("package headgate.other\n\nverdict := true\n")
    path = gateway.plan.configuration.opa_socket
    with gateway.dead("opa"):
        path.unlink(missing_ok=True)
        command = [gateway.plan.opa, "run", "--server", "--log-level", "error", "--addr", f"unix://{path}"]
        other = subprocess.Popen([*command, folder / "other.rego"], stdout=subprocess.DEVNULL)
        try:
            until(lambda: answers(path, "/health"), "the other OPA is up")
            yield
        finally:
            other.kill()
            other.wait()


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
