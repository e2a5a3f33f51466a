"""Envoy with the rendered configuration, the simulated upstream behind it, and a sidecar that only writes down."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from extproc.stack.child import Child
from extproc.stack.plan import Plan, plan
from extproc.stack.ready import ask
from extproc.stack.stack import Stack
from tests.e2e.sidecar import Sidecar

EXAMPLE = Path(__file__).parents[2] / "envoy" / "headgate.yaml"
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
MESSAGES = {"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}
SEARCH_KEY = {"authorization": "Bearer example-key-search"}


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def until(holds: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait for a condition, never for a time."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "did not become true in time"
        time.sleep(0.02)


def send(
    address: str,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    *,
    trust: ssl.SSLContext | None = None,
    timeout_s: float = 30.0,
) -> Reply:
    """One request over HTTP/1.1; a body that is no bytes is sent as JSON."""
    host, _, port = address.rpartition(":")
    connection: http.client.HTTPConnection = (
        http.client.HTTPSConnection(host, int(port), timeout=timeout_s, context=trust)
        if trust is not None
        else http.client.HTTPConnection(host, int(port), timeout=timeout_s)
    )
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body, sent = json.dumps(body).encode(), {"content-type": "application/json", **sent}
    try:
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


class Gate:
    """Only Envoy and upstream of a stack are started; where extproc would listen, `Sidecar` does."""

    def __init__(
        self,
        state: Path,
        *,
        config: Path = EXAMPLE,
        settings: Mapping[str, Any] | None = None,
        change: Callable[[Plan], Plan] = lambda plan: plan,
    ) -> None:
        chosen = change(plan(config, state=state, port=0, concurrency=1, settings=settings))
        self.plan = chosen
        self.stack = Stack(chosen, report=lambda _: None)
        self.sidecar: Sidecar | None = None

    def __enter__(self) -> Gate:
        self.stack.prepare()
        self.start_sidecar()
        for name in ("upstream", "envoy"):
            self.stack.launch(name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.stop()
        self.stop_sidecar()

    @property
    def address(self) -> str:
        return self.plan.configuration.listener.address

    @property
    def seen(self) -> Sidecar:
        assert self.sidecar is not None
        return self.sidecar

    def start_sidecar(self) -> None:
        self.sidecar = Sidecar(self.plan.configuration.extproc_socket)

    def stop_sidecar(self) -> None:
        if self.sidecar is not None:
            self.sidecar.stop()
            self.sidecar = None

    def child(self, name: str) -> Child:
        return self.stack.child(name)

    def send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: Any = None, **more: Any
    ) -> Reply:
        return send(self.address, method, path, headers, body, **more)

    def forwarded(self, key: str) -> list[dict[str, Any]]:
        """What the upstream got under an `x-sim-key`."""
        return self.stack.upstream_requests(key)

    def stats(self, pattern: str) -> dict[str, int]:
        _, body = ask(self.plan.configuration.admin_socket, f"/stats?format=json&filter={pattern}")
        return {entry["name"]: entry["value"] for entry in json.loads(body)["stats"] if "value" in entry}

    def raw(self) -> socket.socket:
        """A bare connection, for clients that misbehave."""
        host, _, port = self.address.rpartition(":")
        return socket.create_connection((host, int(port)), timeout=30)

    def access_log(self) -> list[dict[str, Any]]:
        path = self.plan.configuration.access_log
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
