"""The chart's pod, run as the kubelet would run it: its commands, arguments, files, probes, hooks and order."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from os import kill
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from extproc.policy_tools import content_revision
from extproc.stack.plan import free_port
from extproc.stack.ready import ask as ask_socket
from tests.chart import FIRST_STEPS, ROOT, template
from tests.e2e.gate import Reply, send, until
from tests.kubelet import LocalPod

pytestmark = pytest.mark.e2e

CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
FORBIDDEN = CHAT | {"model": "o1-pro"}
KEY = {"authorization": "Bearer key-of-search"}
PATH = "/openai/v1/chat/completions"
SHADOW = {
    "name": "openai-shadow",
    "match": {"hosts": ["api.openai.com"]},
    "provider": "openai",
    "mode": "shadow",
    "credentials": "passthrough",
    "authentication": "none",
    "retries": 0,
    "on_disk_full": "pass_and_count",
}
SECRETS = {
    "headgate-provider-keys": {"openai": "provider-key-openai\n", "anthropic": "provider-key-anthropic\n"},
    "headgate-client-keys": {"search-ranking": "key-of-search\n", "support-helpdesk": "key-of-support\n"},
    "fingerprints": {"fingerprint-key": "0123456789abcdef"},
}


def values(upstream: int, *, shadow: bool = False, flush_s: float = 600, **more: Any) -> dict[str, Any]:
    """The first example, changed only where one machine is not a cluster: ports, the providers' address, patience."""
    chosen: dict[str, Any] = yaml.safe_load(FIRST_STEPS.read_text())
    for provider in chosen["settings"]["providers"].values():
        provider["endpoint"] = f"http://127.0.0.1:{upstream}"
    chosen["settings"]["capture"] = {"flush_interval_s": flush_s}
    chosen["port"] = free_port()
    chosen["metrics"] = {"port": free_port()}
    chosen["opa"] = {"diagnosticPort": free_port()}
    chosen["envoy"] = {"concurrency": 1}
    chosen["drain"] = {"settleSeconds": 1, "seconds": 20, "publishSeconds": 20}
    if shadow:
        chosen["settings"]["routes"].append(SHADOW)
        chosen["fingerprintKey"] = {"existingSecret": "fingerprints"}
    return chosen | more


@contextmanager
def provider() -> Iterator[int]:
    """The simulated providers, on a port of their own."""
    port = free_port()
    command = [sys.executable, "-m", "extproc.upstream", "simulated", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert b"listening" in process.stdout.readline()
            yield port
        finally:
            process.terminate()


class Running:
    """A pod that is ready, and its address."""

    def __init__(self, pod: LocalPod, chosen: dict[str, Any]) -> None:
        self.pod = pod
        self.address = f"127.0.0.1:{chosen['port']}"

    def ask(self, body: Any = None, headers: dict[str, str] | None = None, path: str = PATH) -> Reply:
        return send(self.address, "POST", path, KEY if headers is None else headers, CHAT if body is None else body)

    def facts(self) -> dict[str, dict[str, Any]]:
        """All rows by exchange id, read by plain DuckDB."""
        pattern = self.pod.path("/var/lib/headgate/archive") / "facts" / "**" / "*.parquet"
        with duckdb.connect() as connection:
            cursor = connection.execute(f"SELECT * FROM read_parquet('{pattern}', hive_partitioning = true)")
            names = [column[0] for column in cursor.description or ()]
            rows = [dict(zip(names, found, strict=True)) for found in cursor.fetchall()]
        by_id = {row["exchange_id"]: row for row in rows}
        assert len(by_id) == len(rows), "an exchange has two rows"
        return by_id


@contextmanager
def running(**options: Any) -> Iterator[Running]:
    with ExitStack() as held:
        chosen = values(held.enter_context(provider()), **options)
        pod = held.enter_context(LocalPod(template(chosen), SECRETS))
        pod.start()
        until(lambda: pod.probe("envoy", "readinessProbe"), 20)
        yield Running(pod, chosen)


class Stream(threading.Thread):
    """A streamed answer that takes about three seconds, read to its end."""

    def __init__(self, address: str) -> None:
        super().__init__()
        host, _, port = address.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=30)
        headers = KEY | {"content-type": "application/json", "x-sim-chunks": "30", "x-sim-chunk-delay-ms": "100"}
        self._connection.request("POST", PATH, json.dumps(CHAT | {"stream": True}), headers)
        self._response = self._connection.getresponse()
        self.exchange_id = self._response.getheader("x-headgate-exchange-id")
        self.body = self._response.read(20)

    def run(self) -> None:
        self.body += self._response.read()
        self._connection.close()


def test_a_pod_judges_and_loses_nothing_when_it_is_told_to_stop() -> None:
    with running(flush_s=600) as gate:  # rows appear only because the pod ends
        allowed, denied = gate.ask(), gate.ask(FORBIDDEN)
        assert (allowed.status, denied.status) == (200, 403)
        assert "o1-pro" in denied.json["error"]["message"]
        assert gate.ask(headers={"authorization": "Bearer nobody"}).status == 401

        stream = Stream(gate.address)
        stream.start()
        gate.pod.stop()
        stream.join()
        assert stream.body.rstrip().endswith(b"data: [DONE]"), "the running stream was cut"

        assert gate.pod.exits[2:] == ["extproc", "capture", "opa"]
        assert set(gate.pod.exits[:2]) == {"envoy", "keeper"}
        assert gate.pod.codes == {"envoy": 0, "keeper": 0, "extproc": 0, "capture": 0, "opa": 0}
        assert not list(gate.pod.path("/var/lib/headgate/state/spool").glob("*-*-*-*-*")), "the spool is not empty"

        rows = gate.facts()
        row = rows[allowed.headers["x-headgate-exchange-id"]]
        assert (row["team"], row["decision"], row["http_status"]) == ("search", "allow", 200)
        assert row["replica_id"] == "headgate-0"
        assert row["policy_revision"] == content_revision(ROOT / "policies")
        assert rows[denied.headers["x-headgate-exchange-id"]]["decision"] == "deny"
        assert rows[str(stream.exchange_id)]["capture_status"] == "completed"


@pytest.fixture(scope="module")
def gate() -> Iterator[Running]:
    with running(shadow=True, flush_s=0.3, accessLog={"bytesMax": 4096}) as held:
        yield held


def test_every_probe_of_a_healthy_pod_succeeds(gate: Running) -> None:
    looks = [(name, "livenessProbe") for name in ("extproc", "opa")] + [("envoy", "readinessProbe")]
    assert [look for look in looks if not gate.pod.probe(*look)] == []


def test_only_the_container_that_needs_a_key_finds_it(gate: Running) -> None:
    bootstrap = gate.pod.path("/run/envoy/envoy.yaml")
    assert bootstrap.stat().st_mode & 0o077 == 0, "others may read the clients' keys"
    text = bootstrap.read_text()
    assert "key-of-search" in text
    assert "provider-key-openai" not in text
    assert gate.ask().status == 200  # so Envoy found the provider's key by its file


def test_commands_by_hand_work_in_the_keeper_without_arguments(gate: Running) -> None:
    doctor = gate.pod.execute("keeper", "headgate", "doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert gate.ask().status == 200
    until(lambda: gate.pod.execute("keeper", "headgate", "sessions").returncode == 0, 20)


def test_a_stopped_extproc_fails_its_liveness_but_neither_readiness_nor_a_shadow_route(gate: Running) -> None:
    pid = gate.pod.pid("extproc")
    kill(pid, signal.SIGSTOP)
    try:
        assert not gate.pod.probe("extproc", "livenessProbe")
        assert gate.pod.probe("envoy", "readinessProbe")
        began = time.monotonic()
        shadow = gate.ask(headers={"host": "api.openai.com", "authorization": "Bearer sk-own"}, path=PATH[7:])
        assert shadow.status == 200
        assert time.monotonic() - began < 1.0
    finally:
        kill(pid, signal.SIGCONT)
    until(lambda: gate.pod.probe("extproc", "livenessProbe"), 20)


def test_the_keeper_bounds_the_access_log_and_envoy_goes_on_in_a_new_one(gate: Running) -> None:
    log = gate.pod.path("/var/lib/headgate/state/access.log")
    older = log.with_name("access.log.1")
    before = older.stat().st_ino if older.exists() else None
    for _ in range(12):  # more than 4,096 bytes of lines
        assert gate.ask().status == 200
    until(lambda: older.exists() and older.stat().st_ino != before, 20)
    last = gate.ask().headers["x-headgate-exchange-id"]
    until(lambda: log.exists() and last in log.read_text(), 20)
    assert all(json.loads(line) for line in older.read_text().splitlines())


def test_opa_serves_health_and_metrics_there_and_no_policy(gate: Running) -> None:
    settings = gate.pod.containers["opa"]
    address = f"127.0.0.1:{settings['ports'][0]['containerPort']}"
    assert send(address, "GET", "/metrics").status == 200
    assert send(address, "GET", "/v1/data").status == 404
    assert send(address, "PUT", "/v1/policies/x", body=b"package x").status == 404
    assert ask_socket(gate.pod.path("/run/headgate/opa.sock"), "/health?bundles=true")[0] == 200


def test_envoy_does_not_start_before_extproc_where_every_route_enforces() -> None:
    with LocalPod(template(values(free_port(), extproc={"startSeconds": 0})), SECRETS) as pod:
        await_sidecars = pod.containers["await-sidecars"]
        pod.spec["initContainers"] = [await_sidecars]  # no sidecar is there
        with pytest.raises(AssertionError, match="await-sidecars ended with 3"):
            pod.start()
        assert "no answer within 0 s: opa, extproc" in pod.log("await-sidecars")
        assert pod.running() == []


def test_envoy_starts_without_extproc_where_a_route_is_in_shadow() -> None:
    with LocalPod(template(values(free_port(), shadow=True, extproc={"startSeconds": 0})), SECRETS) as pod:
        bootstrap, await_sidecars = (pod.containers[name] for name in ("envoy-bootstrap", "await-sidecars"))
        pod.spec["initContainers"] = [bootstrap, await_sidecars]
        pod.start()
        until(lambda: pod.probe("envoy", "readinessProbe"), 20)


def test_the_image_needs_no_module_outside_the_runtime_dependencies(tmp_path: Path) -> None:
    """`extproc.pod` and the commands of the pod import nothing of the extras `local` and `dev`."""
    code = (
        "import sys, extproc.pod.__main__, extproc.pod.alive, extproc.pod.keeper, extproc.envoy_config\n"
        "import extproc.server, capture.archive\n"
        "print([m for m in ('envoy', 'envoy_data_plane', 'pytest', 'openai', 'anthropic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr
