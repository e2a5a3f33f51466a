"""`extproc.pod` against real sockets: what counts as alive, and when the keeper is done with Envoy."""

from __future__ import annotations

import asyncio
import http.server
import os
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from extproc.config import Configuration
from extproc.pod.__main__ import main
from extproc.pod.alive import alive
from extproc.pod.keeper import Keeper
from extproc.transport.grpc_aio import GrpcAioTransport


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """Short: Unix sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        yield Path(folder)


@contextmanager
def server(socket: Path) -> Iterator[asyncio.AbstractEventLoop]:
    """The sidecar's own transport without a method, on an event loop in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    transport = GrpcAioTransport()
    try:
        asyncio.run_coroutine_threadsafe(transport.start(socket, {}, message_bytes_max=1024), loop).result(10)
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(transport.stop(0), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_server_whose_loop_turns_is_alive(run_dir: Path) -> None:
    with server(run_dir / "s"):
        assert alive(run_dir / "s")
        assert main(["alive", "--socket", str(run_dir / "s")]) == 0


def test_a_server_whose_loop_is_stuck_is_not_alive_until_it_turns_again(run_dir: Path) -> None:
    with server(run_dir / "s") as loop:
        stuck = threading.Event()
        loop.call_soon_threadsafe(stuck.wait)
        assert not alive(run_dir / "s", within_s=0.5)
        stuck.set()
        assert alive(run_dir / "s", within_s=10)


def test_nobody_there_is_not_alive(run_dir: Path) -> None:
    assert main(["alive", "--socket", str(run_dir / "s"), "--within-s", "0.5"]) == 1


class Admin(socketserver.ThreadingUnixStreamServer):
    """Envoy's admin interface as far as the keeper uses it: it counts, and says how many requests run."""

    daemon_threads = True

    def __init__(self, socket: Path, active: list[int]) -> None:
        self.calls: list[str] = []
        self.active = active
        super().__init__(str(socket), AdminHandler)


class AdminHandler(http.server.BaseHTTPRequestHandler):
    server: Admin

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self) -> None:
        self.server.calls.append(f"{self.command} {self.path}")
        active = self.server.active
        left = active.pop(0) if len(active) > 1 else active[0]
        body = f"http.gate.downstream_rq_active: {left}\n".encode() if self.path.startswith("/stats") else b"OK\n"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = answer  # noqa: N815 (names that http.server looks for)


@contextmanager
def envoy(run_dir: Path, active: list[int]) -> Iterator[Admin]:
    with Admin(run_dir / "envoy-admin.sock", active) as admin:
        thread = threading.Thread(target=admin.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield admin
        finally:
            admin.shutdown()
            thread.join()


def keeper(run_dir: Path, *, settle_s: float = 0.0, drain_s: float = 10.0, bytes_max: int = 100) -> Keeper:
    settings = {"run_dir": str(run_dir), "telemetry": {"access_log": str(run_dir / "access.log")}}
    text = yaml.safe_load("providers: {}\nroutes: []\n") | settings
    return Keeper(
        Configuration.model_validate(text), settle_s=settle_s, drain_s=drain_s, access_log_bytes_max=bytes_max
    )


def told() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def test_the_keeper_asks_envoy_to_drain_and_waits_until_no_request_runs(run_dir: Path) -> None:
    with envoy(run_dir, [2, 2, 1, 0]) as admin:
        assert keeper(run_dir).run(told()) == 0
    assert admin.calls[0] == "POST /drain_listeners?graceful&skip_exit"
    assert len(admin.calls) >= 4
    assert (run_dir / "drained").exists()


def test_the_keeper_gives_up_on_requests_that_outlast_the_drain_and_lets_envoy_go(run_dir: Path) -> None:
    with envoy(run_dir, [1]):
        assert keeper(run_dir, drain_s=0.3).run(told()) == 1
    assert (run_dir / "drained").exists()


def test_the_keeper_lets_envoy_go_when_it_is_gone_already(run_dir: Path) -> None:
    assert keeper(run_dir).run(told()) == 0
    assert (run_dir / "drained").exists()


def test_the_mark_of_an_earlier_keeper_does_not_count(run_dir: Path) -> None:
    (run_dir / "drained").touch()
    running = threading.Event()
    with envoy(run_dir, [0]):
        thread = threading.Thread(target=keeper(run_dir).run, args=(running,))
        thread.start()
        while (run_dir / "drained").exists():
            assert thread.is_alive()
        running.set()
        thread.join()
    assert (run_dir / "drained").exists()


def test_a_log_over_its_bound_is_moved_aside_and_envoy_told(run_dir: Path) -> None:
    log, older = run_dir / "access.log", run_dir / "access.log.1"
    with envoy(run_dir, [0]) as admin:
        kept = keeper(run_dir, bytes_max=100)
        assert not kept.bound_access_log()  # there is none
        log.write_bytes(b"x" * 100)
        assert not kept.bound_access_log()  # at its bound, not over
        log.write_bytes(b"y" * 101)
        assert kept.bound_access_log()
    assert admin.calls == ["POST /reopen_logs"]
    assert older.read_bytes() == b"y" * 101
    assert not log.exists()


def test_an_envoy_that_could_not_be_told_is_told_later(run_dir: Path) -> None:
    log = run_dir / "access.log"
    log.write_bytes(b"x" * 101)
    kept = keeper(run_dir, bytes_max=100)
    assert not kept.bound_access_log()  # no admin interface there
    assert not log.exists()
    with envoy(run_dir, [0]) as admin:
        assert kept.bound_access_log()
    assert admin.calls == ["POST /reopen_logs"]


def test_waiting_names_who_did_not_answer_and_goes_on_only_where_it_may(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_dir / "headgate.yaml"
    config.write_text("providers: {}\nroutes: []\nrun_dir: .\n")
    words = ["await", "--config", os.fspath(config), "--within-s", "0"]
    assert main(words) == 3
    assert "no answer within 0 s: opa, extproc" in capsys.readouterr().err
    assert main([*words, "--or-go-on"]) == 0


def test_a_wrong_configuration_is_named(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["await", "--config", os.fspath(run_dir / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err
