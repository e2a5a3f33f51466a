"""Starts, watches and stops the processes of one plan.

start   upstream → OPA → extproc → capture → Envoy: each is ready before the next begins
stop    Envoy takes no new connections and finishes what runs → Envoy → extproc → capture (publishes the rest) →
        OPA → upstream
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from capture.status import STATUS_FOLDER
from extproc import policy_tools
from extproc.envoy_config import RenderOptions, render, to_yaml
from extproc.errors import DependencyError, OperatorError
from extproc.stack import opa_config
from extproc.stack.child import Child, Program
from extproc.stack.plan import Plan, as_yaml
from extproc.stack.ready import POLL_S, accepts, answers, ask, wait_until
from extproc.stack.watchdog import Watchdog
from extproc.teams import load_teams

READY_S_MAX: Final = 30.0
DRAIN_S_MAX: Final = 10.0
"""How long requests that run may go on before Envoy is stopped."""
NAMES: Final = ("upstream", "opa", "extproc", "capture", "envoy")
"""In the order of their start."""
LOCK: Final = "up.lock"
"""In the run folder, held as long as a stack of it runs: a second one would take the first one's sockets away."""


class Stack:
    """A running stack. Use it as a context manager, or `start` and `stop` it."""

    def __init__(self, plan: Plan, report: Callable[[str], None] = print) -> None:
        self.plan = plan
        self._report = report
        self._children: dict[str, Child] = {}
        self._watchdog: Watchdog | None = None
        self._lock: int | None = None

    def __enter__(self) -> Stack:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def base_url(self) -> str:
        return self.plan.base_url

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, of those that run."""
        return {name: child.pid for name, child in self._children.items() if child.pid is not None}

    def child(self, name: str) -> Child:
        return self._children[name]

    def start(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Start all, until `cancelled`. Raises `OperatorError` or `DependencyError` and leaves nothing running."""
        try:
            self.prepare()
            for name in NAMES:
                if not cancelled():
                    self.launch(name)
        except BaseException:
            self.stop()
            raise

    def launch(self, name: str) -> None:
        """Start one process of a prepared stack, and wait until it is ready."""
        program = self._programs()[name]
        if program is not None:
            self._watchdog = self._watchdog or Watchdog()
            self._children[name] = Child(program, self.plan.log_dir / f"{name}.log", self._report, self._watchdog)
            self._children[name].start()
            self.wait_ready(name)

    def wait_ready(self, name: str, within_s: float = READY_S_MAX) -> None:
        """Wait until a process does its work, after its start or restart. Raises `DependencyError`."""
        child = self._children[name]
        restarts = child.restarts
        try:
            wait_until(
                self._ready_test(name),
                within_s=within_s,
                alive=lambda: child.restarts == restarts,  # one that dies at its start is not waited for
                what=name,
            )
        except DependencyError as error:
            raise DependencyError(
                error.code, f"{error.message}; its log {child.log_path} ends:\n{child.last_lines()}"
            ) from None

    def stop(self) -> None:
        """Stop all in order. What extproc has closed is in the archive afterwards."""
        if "envoy" in self._children:
            self._drain_envoy()
        for name in ("envoy", "extproc", "capture", "opa", "upstream"):
            child = self._children.pop(name, None)
            if child is not None:
                child.stop()
        if self._watchdog is not None:
            self._watchdog.close()
            self._watchdog = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        if self.plan.run_dir_is_temporary:
            shutil.rmtree(self.plan.run_dir, ignore_errors=True)

    def admin(self, target: str, method: str = "GET") -> tuple[int, bytes]:
        """Ask Envoy's admin interface."""
        return ask(self.plan.configuration.admin_socket, target, method)

    def upstream_requests(self, key: str | None = None) -> list[dict[str, Any]]:
        """What the simulated upstream received, oldest first; of one `x-sim-key`, or all."""
        query = "" if key is None else f"?key={key}"
        _, body = ask(self.plan.upstream_socket, f"/_sim/requests{query}")
        requests: list[dict[str, Any]] = json.loads(body)["requests"]
        return requests

    def prepare(self) -> None:
        """Folders, the effective configuration, Envoy's bootstrap, OPA's configuration, the policy bundle."""
        plan, configuration = self.plan, self.plan.configuration
        _make_folder("run_dir", plan.run_dir)
        _make_folder("run_dir", plan.log_dir)
        if self._lock is None:
            self._lock = _lock(plan.log_dir)
        _make_folder("capture.spool_dir", configuration.capture.spool_dir, 0o700)
        _make_folder("capture.archive_dir", configuration.capture.archive_dir)
        _make_folder("telemetry.access_log", configuration.access_log.parent)
        plan.run_dir.chmod(0o700)
        _write_private(plan.config_path, as_yaml(configuration))
        bootstrap = render(
            configuration, load_teams(configuration.teams), RenderOptions(upstream=plan.upstream_address)
        )
        _write_private(plan.envoy_path, to_yaml(bootstrap))
        _write_private(plan.opa_path, opa_config.to_yaml(opa_config.render_opa(configuration)))
        if configuration.policy.bundle_url is not None:
            _make_folder("policy.state_dir", configuration.policy.state_dir, 0o700)
        elif configuration.policy.bundle.is_dir():
            policy_tools.bundle(configuration.policy.bundle, self._bundle, opa=plan.opa)

    @property
    def _bundle(self) -> Path:
        bundle = self.plan.configuration.policy.bundle
        return self.plan.run_dir / "bundle.tar.gz" if bundle.is_dir() else bundle

    def _programs(self) -> dict[str, Program | None]:
        plan, configuration = self.plan, self.plan.configuration
        headgate = [sys.executable, "-m", "extproc"]
        config = ["--config", str(plan.config_path)]
        upstream = [sys.executable, "-m", "extproc.upstream", plan.upstream, "--socket", str(plan.upstream_socket)]
        opa = [
            str(plan.opa), "run", "--server", "--skip-version-check", "--log-level", "error",
            "--addr", f"unix://{configuration.opa_socket}", "--config-file", str(plan.opa_path),
            *([] if configuration.policy.bundle_url is not None else ["--bundle", str(self._bundle)]),
        ]  # fmt: skip
        envoy = [
            str(plan.envoy), "--disable-hot-restart", "--concurrency", str(plan.concurrency),
            "--log-level", "warning", "--component-log-level", "misc:error",
            "--file-flush-interval-msec", "500", "--config-path", str(plan.envoy_path),
        ]  # fmt: skip
        drain_s = configuration.limits.drain_ms_max / 1000
        return {
            "upstream": None
            if plan.upstream == "live"
            else Program("upstream", upstream, socket=plan.upstream_socket, stop_s_max=5),
            "opa": Program("opa", opa, socket=configuration.opa_socket),
            "extproc": Program(
                "extproc", [*headgate, "serve", *config], socket=configuration.extproc_socket, stop_s_max=drain_s + 10
            ),
            "capture": Program("capture", [*headgate, "archive", *config], stop_s_max=60),
            "envoy": Program("envoy", envoy, socket=configuration.admin_socket),
        }

    def _ready_test(self, name: str) -> Callable[[], bool]:
        configuration = self.plan.configuration
        tests: dict[str, Callable[[], bool]] = {
            "upstream": lambda: accepts(self.plan.upstream_socket),
            "opa": lambda: answers(configuration.opa_socket, "/health?bundles=true"),
            "extproc": lambda: accepts(configuration.extproc_socket),
            "capture": self._capture_ready,
            "envoy": lambda: answers(configuration.admin_socket, "/ready"),
        }
        return tests[name]

    def _capture_ready(self) -> bool:
        """It wrote its status since it was started."""
        configuration = self.plan.configuration
        path = configuration.capture.archive_dir / STATUS_FOLDER / f"{configuration.replica_id}.json"
        try:
            return path.stat().st_mtime >= self._children["capture"].started_s
        except OSError:
            return False

    def _drain_envoy(self) -> None:
        """No new connections; wait until no request runs, at most `DRAIN_S_MAX`."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.admin("/drain_listeners", "POST")
            deadline = time.monotonic() + DRAIN_S_MAX
            while self._active_requests() and time.monotonic() < deadline:
                time.sleep(POLL_S)

    def _active_requests(self) -> int:
        _, body = self.admin("/stats?filter=^http.gate.downstream_rq_active$")
        found = re.search(rb": (\d+)", body)
        return int(found.group(1)) if found else 0


def _make_folder(setting: str, folder: Path, mode: int = 0o777) -> None:
    """`mkdir -p`, `mode` for the last. Raises `OperatorError` naming the setting."""
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise OperatorError("folder_unusable", f"{setting}: cannot make {folder}: {error.strerror}") from None


def _lock(folder: Path) -> int:
    """A descriptor that holds the folder's lock until it is closed. Raises `OperatorError` when another has it."""
    path = folder / LOCK
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        message = f"another `headgate up` runs in {folder}: stop it, or give --state DIR and --port 0"
        raise OperatorError("already_up", message) from None
    return lock


def _write_private(path: Path, text: str) -> None:
    """For the owner's eyes: clients' keys stand in it."""
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_text(text, encoding="utf-8")
