"""What a decision costs: asked of OPA, and remembered, beside a bare round trip with the same bytes.

Interleaved rounds on one machine, medians of all calls:
    bare        a blocking socket: the same request bytes out, the whole response in, nothing read of it
    asked       the product: looked up in vain, asked over the event loop, parsed, checked, remembered
    remembered  the product: found
Every asked question is a new one (its path differs), and the bare one sends its very bytes. Times are of the wall; OPA
runs with the repository's policy, and does the same work for both.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvloop

from extproc import policy_tools
from extproc.decision import build_input
from extproc.model import Call, Credentials, Inspection, Mode, Principal, PrincipalSource, RequestFacts, Route
from extproc.opa import DECISION_PATH, Policy
from extproc.stack.ready import answers
from extproc.telemetry import Metrics

ROOT: Final = Path(__file__).parents[1]
START_S_MAX: Final = 20.0
CALLS: Final = 300
"""Of each kind in one round."""


def document(number: int) -> bytes:
    """The input of an ordinary chat completion of the example's search team."""
    return build_input(
        route=Route(
            name="openai", provider="openai", host="api.openai.com", mode=Mode.ENFORCE, credentials=Credentials.INJECT,
            authentication=PrincipalSource.API_KEY, prefix="/openai",
        ),
        principal=Principal(
            source=PrincipalSource.API_KEY, caller="search-ranking", team="search", project="ranking",
            cost_center="CC-1001", environment="production",
        ),
        call=Call(method="POST", path=f"/v1/chat/completions/{number}", host="gate"),
        api="openai.chat",
        operation="chat",
        inspection=Inspection(facts=RequestFacts(model="gpt-4o-mini", message_count=3, has_system_text=True)),
        body_bytes=757,
    )  # fmt: skip


@contextmanager
def opa() -> Iterator[Path]:
    """The pinned OPA with the repository's policy, on a socket of its own."""
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        path, bundle = Path(name) / "opa.sock", Path(name) / "bundle.tar.gz"
        policy_tools.bundle(ROOT / "policies", bundle)
        command = [
            str(policy_tools.find_opa()), "run", "--server", "--skip-version-check", "--log-level", "error",
            "--addr", f"unix://{path}", "--bundle", str(bundle),
        ]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
            try:
                deadline = time.monotonic() + START_S_MAX
                while not answers(path, "/health?bundles=true"):
                    if time.monotonic() > deadline:
                        raise RuntimeError("opa did not start")
                    time.sleep(0.02)
                yield path
            finally:
                child.terminate()


class Bare:
    """The floor: a blocking socket that knows where a response ends."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(os.fspath(path))

    def round_trip(self, body: bytes) -> None:
        self._socket.sendall(
            b"POST %b HTTP/1.1\r\nhost: opa\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (DECISION_PATH.encode(), len(body), body)
        )
        data = self._socket.recv(65_536)
        head, _, rest = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        while len(rest) < int(length[1]) if length else not rest.endswith(b"0\r\n\r\n"):
            rest += self._socket.recv(65_536)


async def _measured(path: Path, rounds: int) -> dict[str, list[float]]:
    seen: dict[str, list[float]] = {"bare": [], "asked": [], "remembered": []}
    policy = Policy(path, Metrics(), deadline_ms=5_000, memo_bytes_max=256 << 20, memo_entries_max=1_000_000)
    bare = Bare(path)
    policy.start()
    try:
        await _confirmed(policy)
        for round_number in range(rounds + 1):
            first = round_number * CALLS
            for number in range(first, first + CALLS):
                await _once(policy, bare, number, seen)
            if round_number == 0:  # warm
                for times in seen.values():
                    times.clear()
    finally:
        policy.close()
    return seen


async def _confirmed(policy: Policy) -> None:
    deadline = time.monotonic() + START_S_MAX
    while policy.heartbeat.confirmed() is None:
        if time.monotonic() > deadline:
            raise RuntimeError("OPA does not confirm its policy")
        await asyncio.sleep(0.01)


async def _once(policy: Policy, bare: Bare, number: int, seen: dict[str, list[float]]) -> None:
    """One question, three ways, one after the other: what disturbs the machine disturbs all of them."""
    asked = document(number)
    body = b'{"input":%b}' % policy.reduced(document(number))
    if number % 2:
        _time(seen["bare"], bare, body)
    started = time.perf_counter()
    if policy.recall(asked) is None:
        await policy.decide(asked)
    seen["asked"].append(time.perf_counter() - started)
    if not number % 2:
        _time(seen["bare"], bare, body)
    again = document(number)
    policy.recall(document(number + 1))  # so that nothing of this question is at hand any more
    started = time.perf_counter()
    found = policy.recall(again)
    seen["remembered"].append(time.perf_counter() - started)
    if found is None:
        raise RuntimeError("a decision that was just asked for is not remembered")


def _time(times: list[float], bare: Bare, body: bytes) -> None:
    started = time.perf_counter()
    bare.round_trip(body)
    times.append(time.perf_counter() - started)


def measure(rounds: int) -> dict[str, float]:
    """Median microseconds by kind."""
    with opa() as path, asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        seen = loop.run(_measured(path, rounds))
    return {kind: statistics.median(times) * 1e6 for kind, times in seen.items()}


def render(result: dict[str, float]) -> str:
    bare, asked = result["bare"], result["asked"]
    return "\n".join(
        [
            "| | p50 us | of the bare round trip | of an asked one |",
            "|---|---|---|---|",
            *(f"| {kind} | {us:.0f} | {us / bare:.2f} | {us / asked:.3f} |" for kind, us in result.items()),
        ]
    )


def page(table: str, rounds: int, machine: str) -> str:
    return f"""# What a decision costs

`python -m bench`, {machine}.
Medians of {rounds * CALLS} questions, each put three ways one after the other; the policy is the repository's, the
input ({len(document(0))} bytes) that of an ordinary chat completion. `bare` is a blocking socket that sends the same
bytes and reads nothing of the answer: the floor.

{table}
"""
