"""SIGTERM: what runs finishes, what comes is refused, all rows are there, nothing is left behind."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import yaml

from extproc.stack.plan import free_port
from tests.e2e.gate import EXAMPLE
from tests.e2e.support import process_exists
from tests.fault.gateway import ENFORCED, QUICK, SHADOW, Call, Gateway, Lane, descendants, new_key, streamed, until

pytestmark = pytest.mark.e2e

LONG_STREAM = {"x-sim-chunks": "100", "x-sim-chunk-delay-ms": "25"}
ENDLESS_STREAM = {"x-sim-chunks": "100000", "x-sim-chunk-delay-ms": "20"}


def gateway_that_drains(folder: Path, drain_ms_max: int) -> Gateway:
    return Gateway(folder, {**QUICK, "limits": {"inspect_ms_max": 300, "drain_ms_max": drain_ms_max}})


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with gateway_that_drains(tmp_path, 15_000) as running:
        yield running


def running_stream(gateway: Gateway, lane: Lane, steering: dict[str, str]) -> tuple[Call, str]:
    key = new_key()
    call = gateway.call(lane, streamed(), {**steering, "x-sim-key": key})
    call.read_until(b"data:")
    return call, key


def test_a_sidecar_that_is_told_to_go_finishes_its_streams_first(gateway: Gateway) -> None:
    pid = gateway.pid("extproc")
    enforced, enforced_key = running_stream(gateway, ENFORCED, LONG_STREAM)
    observed, observed_key = running_stream(gateway, SHADOW, LONG_STREAM)
    os.kill(pid, signal.SIGTERM)
    until(lambda: refuses(gateway), "it takes no new streams")
    assert process_exists(pid)
    for call in (enforced, observed):
        reply = call.reply()
        assert (reply.status, reply.whole) == (200, True)
        assert reply.body.endswith(b"data: [DONE]\n\n")
    until(lambda: not process_exists(pid), "it is gone")
    for key in (enforced_key, observed_key):
        assert gateway.row_of(key)["capture_status"] == "completed"


def refuses(gateway: Gateway) -> bool:
    """An enforced request is not judged any more: closed, in the API's format."""
    reply = gateway.send(ENFORCED)
    if reply.status == 200:
        return False
    assert reply.status == 503
    assert reply.json["error"]["message"]
    return True


def test_a_stream_that_outlives_the_drain_is_closed_as_shutdown(tmp_path: Path) -> None:
    with gateway_that_drains(tmp_path, 1_000) as gateway:
        pid = gateway.pid("extproc")
        enforced, enforced_key = running_stream(gateway, ENFORCED, ENDLESS_STREAM)
        observed, observed_key = running_stream(gateway, SHADOW, ENDLESS_STREAM)
        os.kill(pid, signal.SIGTERM)
        until(lambda: not process_exists(pid), "it is gone")
        assert not enforced.reply().whole  # nothing unobserved goes on on an enforced route
        for key in (enforced_key, observed_key):
            row = gateway.row_of(key)
            assert row["capture_status"] == "shutdown"
            assert row["response_body"]
        observed.read_more()  # it was never disturbed
        observed.hang_up()


def test_after_the_drain_the_next_sidecar_serves_at_once(gateway: Gateway) -> None:
    pid = gateway.pid("extproc")
    os.kill(pid, signal.SIGTERM)
    until(lambda: gateway.stack.pids.get("extproc", pid) != pid, "the supervisor started another")
    until(lambda: gateway.send(ENFORCED).status == 200, "requests pass again")


def start_up(folder: Path, port: int) -> subprocess.Popen[str]:
    """`headgate up` with the example, but for a metrics port of its own."""
    settings = yaml.safe_load(EXAMPLE.read_text())
    settings["teams"] = str(EXAMPLE.parent / settings["teams"])
    settings["policy"]["bundle"] = str(EXAMPLE.parent / settings["policy"]["bundle"])
    settings["telemetry"] = {"metrics_address": f"127.0.0.1:{free_port()}"}
    config = folder / "headgate.yaml"
    config.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "extproc", "up", "--config", str(config), "--state", str(folder), "--port"]
    up = subprocess.Popen([*command, str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert up.stdout is not None
    for line in up.stdout:
        if "is up" in line:
            return up
    raise AssertionError("it did not come up")


def test_up_stops_on_sigterm_with_every_row_and_leaves_nothing_behind(tmp_path: Path) -> None:
    port = free_port()
    up = start_up(tmp_path, port)
    try:
        family = descendants(up.pid)
        assert len(family) >= 5
        call = _request(port, LONG_STREAM)
        until(lambda: b"data:" in call.recv(65_536, socket.MSG_PEEK), "the stream runs")
        up.send_signal(signal.SIGTERM)
        answer = b"".join(iter(lambda: call.recv(65_536), b""))
        assert b"data: [DONE]" in answer
        assert up.wait(40) == 0
    finally:
        up.kill()
        up.wait()
    assert up.stdout is not None
    assert "stopped; the archive is in" in up.stdout.read()
    until(lambda: not any(map(process_exists, family)), "all its processes are gone")
    assert [path for path in tmp_path.rglob("*") if path.is_socket()] == []
    rows = duckdb.sql(
        f"SELECT capture_status, response_content_state FROM read_parquet('{tmp_path}/archive/facts/*/*.parquet')"
    ).fetchall()
    assert rows == [("completed", "exact")]
    for lock in tmp_path.rglob("lock"):
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises when somebody still holds it
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_what_up_started_dies_with_it_even_by_kill_9(tmp_path: Path) -> None:
    up = start_up(tmp_path, free_port())
    family = descendants(up.pid)
    up.kill()
    up.wait()
    until(lambda: not any(map(process_exists, family)), "all its processes are gone")


def _request(port: int, steering: dict[str, str]) -> socket.socket:
    """A streamed request on a bare connection that asks to be closed after its answer."""
    body = b'{"model": "gpt-4o-mini", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'
    headers = {
        "host": "gate",
        "connection": "close",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **ENFORCED.headers,
        **steering,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(f"POST {ENFORCED.path} HTTP/1.1\r\n{head}\r\n".encode() + body)
    return connection
