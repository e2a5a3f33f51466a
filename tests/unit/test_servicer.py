"""The shell: whatever fails while a question is answered, the exchange ends, and nothing unjudged passes."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest

from capture.record import AnyFrame, Closed, Opened, Request, decode
from extproc._pb import ext_proc_pb2
from extproc.events import Inspected
from extproc.model import Decision, Inspection, Limits
from extproc.recorder import Recorder
from extproc.servicer import Servicer
from extproc.telemetry import Metrics
from extproc.workers import Workers
from tests.unit.exchange_driver import ALLOW, ENFORCE, SHADOW, surroundings

TEXT = b'{"secret": "of a prompt"}'


class Spool:
    busy = False

    def __init__(self) -> None:
        self.frames: list[AnyFrame] = []

    def append(self, payload: bytes) -> int:
        self.frames.append(decode(payload))
        return 0

    def wait_durable(self, offset: int) -> Future[None]:
        raise NotImplementedError

    def count_lost(self, n: int = 1) -> None:
        raise AssertionError("nothing is lost here")


class Stream:
    def __init__(self) -> None:
        self.sent: list[ext_proc_pb2.ProcessingResponse] = []

    def send(self, message: bytes) -> None:
        self.sent.append(ext_proc_pb2.ProcessingResponse.FromString(message))

    def end(self) -> None:
        pass

    def fail(self, code: str) -> None:
        raise AssertionError(f"the stream failed: {code}")


class Policy:
    def __init__(self, answer: Decision | Exception) -> None:
        self.answer = answer

    def recall(self, input_document: bytes) -> Decision | None:
        return None

    async def decide(self, input_document: bytes) -> Decision:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class BrokenWorkers(Workers):
    """Inspection has a bug."""

    def __init__(self, *, small: bool) -> None:
        super().__init__(Limits(), processes=1, inline_bytes_max=1)
        self._small = small

    def small(self, size_bytes: int) -> bool:
        return self._small

    def inspect_now(self, effect: Any) -> Any:
        raise RuntimeError("text of a prompt")

    async def inspect(self, effect: Any) -> Any:
        raise RuntimeError("text of a prompt")


class ReadyWorkers(Workers):
    """Finds nothing."""

    def __init__(self) -> None:
        super().__init__(Limits(), processes=1, inline_bytes_max=1 << 20)

    def inspect_now(self, effect: Any) -> Inspected:
        return Inspected(Inspection())


def messages(observed: bool) -> list[bytes]:
    route = SHADOW if observed else ENFORCE
    head = ext_proc_pb2.ProcessingRequest(observability_mode=observed)
    for key, value in ((":method", b"POST"), (":path", b"/openai/v1/x"), ("x-request-id", b"r")):
        header = head.request_headers.headers.headers.add()
        header.key, header.raw_value = key, value
    head.attributes["envoy.filters.http.ext_proc"].update({"xds.route_name": route.name})
    head.protocol_config.request_body_mode = ext_proc_pb2.ProcessingMode.STREAMED if observed else 2
    body = ext_proc_pb2.ProcessingRequest()
    body.request_body.body, body.request_body.end_of_stream = TEXT, True
    answer = ext_proc_pb2.ProcessingRequest()
    status = answer.response_headers.headers.headers.add()
    status.key, status.raw_value = ":status", b"200"
    answer.response_headers.end_of_stream = True
    return [m.SerializeToString() for m in ((head, body, answer) if observed else (head, body))]


def run(workers: Workers, policy: Policy, *, observed: bool) -> tuple[list[AnyFrame], Stream]:
    async def whole() -> tuple[list[AnyFrame], Stream]:
        spool, stream, metrics = Spool(), Stream(), Metrics()
        servicer = Servicer(
            surroundings=surroundings(),
            policy=policy,
            recorder=Recorder(spool, metrics),
            workers=workers,
            metrics=metrics,
            new_id=lambda: "x",
            open_exchanges_max=8,
        )
        session = servicer.open_process(stream)
        for message in messages(observed):
            session.on_message(message)
            await asyncio.gather(*servicer.tasks)
        while servicer.tasks:
            await asyncio.gather(*servicer.tasks)
        assert await servicer.settle(5), "the exchange never ended"
        session.on_closed()
        return spool.frames, stream

    return asyncio.run(whole())


def frame(frames: list[AnyFrame], kind: type[Any]) -> Any:
    (found,) = [f for f in frames if isinstance(f, kind)]
    return found


@pytest.mark.parametrize("small", [True, False])
def test_an_inspection_that_breaks_is_a_refusal_and_a_row_without_text(
    small: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, stream = run(BrokenWorkers(small=small), Policy(ALLOW), observed=False)
    assert stream.sent[-1].immediate_response.status.code == 503
    assert frame(frames, Request).problem == "inspection_failed"
    assert frame(frames, Closed).capture_status == "denied"
    captured = capsys.readouterr()
    assert "text of a prompt" not in captured.out + captured.err


def test_what_no_detector_looked_at_is_not_archived_where_findings_must_be_masked() -> None:
    masked = Decision(ALLOW.action)  # the default obligation: redacted
    frames, _ = run(BrokenWorkers(small=False), Policy(masked), observed=True)
    request = frame(frames, Request)
    assert (request.body, request.content_state) == (None, "undecodable")
    assert frame(frames, Closed).capture_status == "completed"
    assert frame(frames, Opened).mode == "shadow"


def test_a_bug_in_asking_policy_is_closed_and_ends_the_exchange() -> None:
    frames, stream = run(ReadyWorkers(), Policy(RuntimeError("text")), observed=False)
    assert stream.sent[-1].immediate_response.status.code == 503
    assert frame(frames, Request).policy_failure == "opa_nonsense"
