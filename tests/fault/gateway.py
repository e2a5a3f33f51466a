"""A whole stack to be broken: real Envoy, OPA, extproc and capture, the simulated provider behind them.

client → Envoy ══► extproc ─► OPA        what the provider received  → `received`
           └──► simulated provider       what the archive says       → `rows`, `row`
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import duckdb
import yaml

from extproc.stack import Stack, plan
from tests.e2e.gate import EXAMPLE

EXCHANGE_HEADER: Final = "x-headgate-exchange-id"
QUICK: Final[Mapping[str, Any]] = {
    # Short limits: what waits for one of them waits 1.35 s (`message_timeout`: deadline + 2 x inspection + 500 ms).
    "capture": {"flush_interval_s": 0.2},
    "policy": {"deadline_ms": 250},
    "limits": {"inspect_ms_max": 300, "drain_ms_max": 5_000},
}
ASKING: Final[Mapping[str, Any]] = {
    # Its enforced OpenAI route asks streams for their usage, and takes the chunk out again.
    **QUICK,
    "routes": [
        route | ({"stream_usage": "ask"} if route["name"] == "openai" else {})
        for route in yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["routes"]
    ],
}
WITHIN_S: Final = 20.0
"""Deadline of every wait; nothing here takes a tenth of it on an idle machine."""


@dataclass(frozen=True)
class Lane:
    """A way through the gate: the headers and path that lead to one route."""

    path: str
    headers: Mapping[str, str]
    enforced: bool


ENFORCED: Final = Lane("/openai/v1/chat/completions", {"authorization": "Bearer example-key-search"}, True)
SHADOW: Final = Lane(
    "/v1/chat/completions", {"host": "api.openai.com", "authorization": "Bearer sk-of-the-client"}, False
)


def chat(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **more}


def streamed(text: str = "hello") -> dict[str, Any]:
    return chat(text, stream=True, stream_options={"include_usage": True})


def new_key() -> str:
    """Names one request in the provider's record."""
    return uuid.uuid4().hex


def until(holds: Callable[[], Any], what: str, within_s: float = WITHIN_S) -> Any:
    """Wait for a condition, never for a time; what it returned when it held."""
    deadline = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.02)
    return found


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Lower-case names."""
    body: bytes = field(repr=False)
    whole: bool = True
    """The response came to its proper end."""

    @property
    def exchange_id(self) -> str:
        return self.headers.get(EXCHANGE_HEADER, "")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Call:
    """One request under way; `reply` reads it to its end, `read_some` a little of it, `hang_up` goes away."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection
        self._response: http.client.HTTPResponse | None = None
        self._read = bytearray()

    @property
    def head(self) -> http.client.HTTPResponse:
        if self._response is None:
            self._response = self._connection.getresponse()
        return self._response

    @property
    def headers(self) -> dict[str, str]:
        pairs = [(name.lower(), value) for name, value in self.head.getheaders()]
        assert [name for name, _ in pairs].count(EXCHANGE_HEADER) <= 1, "two names for one exchange"
        return dict(pairs)

    def read_until(self, mark: bytes) -> None:
        while mark not in self._read:
            self.read_more()

    def read_more(self) -> None:
        piece = self.head.read1(65_536)
        assert piece, "the response has ended"
        self._read += piece

    def reply(self) -> Reply:
        whole = True
        try:
            while piece := self.head.read1(1 << 20):
                self._read += piece
            whole = not self.head.length  # a chunked body that ends early raises, one with a length does not
        except (http.client.IncompleteRead, ConnectionError):
            whole = False
        finally:
            self._connection.close()
        return Reply(self.head.status, self.headers, bytes(self._read), whole)

    def hang_up(self) -> None:
        if self._response is not None:
            self._response.close()
        self._connection.close()


class Gateway:
    """A running stack and its views. Processes are named as in `extproc.stack`."""

    def __init__(self, state: Path, settings: Mapping[str, Any] = QUICK) -> None:
        self.plan = plan(EXAMPLE, state=state, port=0, concurrency=1, settings=settings)
        self.stack = Stack(self.plan, report=lambda _: None)

    def __enter__(self) -> Gateway:
        self.stack.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.stop()

    # --- clients ----------------------------------------------------------------------------------------------------

    def call(
        self, lane: Lane, body: Any = None, headers: Mapping[str, str] | None = None, *, timeout_s: float = 30.0
    ) -> Call:
        """Send a request (a body that is no bytes as JSON) without waiting for its answer."""
        host, _, port = self.plan.configuration.listener.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=timeout_s)
        data = body if isinstance(body, bytes) else json.dumps(chat() if body is None else body).encode()
        sent = {"content-type": "application/json", **lane.headers, **(headers or {})}
        connection.request("POST", lane.path, body=data, headers=sent)
        return Call(connection)

    def send(self, lane: Lane, body: Any = None, headers: Mapping[str, str] | None = None, **more: Any) -> Reply:
        return self.call(lane, body, headers, **more).reply()

    def received(self, key: str) -> list[dict[str, Any]]:
        """What the provider itself got under an `x-sim-key`."""
        return self.stack.upstream_requests(key)

    # --- processes --------------------------------------------------------------------------------------------------

    def pid(self, name: str) -> int:
        return self.stack.pids[name]

    def hold(self, name: str) -> None:
        """kill -9, and leave it dead."""
        self.stack.child(name).hold()

    def release(self, name: str) -> None:
        """Start it again and wait until it works."""
        before = self.stack.child(name).restarts
        self.stack.child(name).release()
        until(lambda: self.stack.child(name).restarts > before and name in self.stack.pids, f"{name} started again")
        self.stack.wait_ready(name)

    @contextlib.contextmanager
    def dead(self, name: str) -> Iterator[None]:
        self.hold(name)
        try:
            yield
        finally:
            self.release(name)

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """SIGSTOP: it neither works nor goes away."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGSTOP)
        until(lambda: process_state(pid) == "T", f"{name} stopped")
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    # --- what the archive and the sidecar say -----------------------------------------------------------------------

    def rows(self, where: str = "true") -> list[dict[str, Any]]:
        """Rows of facts with their content, as plain DuckDB reads them from the paths."""
        archive = self.plan.configuration.capture.archive_dir
        if not any(archive.glob("facts/dt=*/*.parquet")):
            return []
        with duckdb.connect() as database:
            cursor = database.execute(
                f"SELECT * FROM read_parquet('{archive}/facts/dt=*/*.parquet', union_by_name=true) "
                f"LEFT JOIN (SELECT * EXCLUDE (dt) FROM read_parquet('{archive}/content/dt=*/*.parquet', "
                f"union_by_name=true)) USING (exchange_id) WHERE {where}"
            )
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]

    def row(self, exchange_id: str) -> dict[str, Any]:
        """The one row of an exchange, as soon as it is there."""
        return self._only(f"exchange_id = '{exchange_id}'")

    def row_of(self, key: str) -> dict[str, Any]:
        """The one row of what the provider got under an `x-sim-key`: shadow tells clients no id."""
        (request_id,) = {got["headers"]["x-request-id"] for got in self.received(key)}
        return self._only(f"envoy_request_id = '{request_id}'")

    def _only(self, where: str) -> dict[str, Any]:
        found = until(lambda: self.rows(where), f"a row where {where}")
        assert len(found) == 1, found
        return found[0]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        address = self.plan.configuration.telemetry.metrics_address
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
            text = response.read().decode()
        samples = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(float(value) for found, value in samples if all(want in found for want in wanted))

    @contextlib.contextmanager
    def opening(self) -> Iterator[None]:
        """What is called in here has its opened frame in the spool afterwards."""
        before = self.metric("headgate_spool_frames_total", frame="opened")
        yield
        until(lambda: self.metric("headgate_spool_frames_total", frame="opened") > before, "an opened frame")

    def status(self) -> dict[str, Any]:
        """What the archive process says of itself; {} before it first did."""
        files = list((self.plan.configuration.capture.archive_dir / "_status").glob("*.json"))
        return json.loads(files[0].read_bytes()) if files else {}

    def wait_archived(self, within_s: float = WITHIN_S) -> dict[str, Any]:
        """Until capture says, in a report made from now on, that nothing is open or waiting."""
        asked_at = time.time()

        def idle() -> dict[str, Any] | None:
            status = self.status()
            fresh = status and status["at"] > asked_at
            return status if fresh and status["open"] == status["pending"] == 0 else None

        found: dict[str, Any] = until(idle, "the archive has everything", within_s)
        return found

    def logs(self) -> str:
        return "".join(path.read_text(errors="replace") for path in self.plan.log_dir.glob("*.log"))


def process_state(pid: int) -> str | None:
    """`R`, `S`, `T`, … as in proc(5); None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


def descendants(pid: int) -> list[int]:
    """Process ids of all that a process started, theirs included."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return found
