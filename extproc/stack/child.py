"""One supervised process: started in a process group of its own, logged, restarted with a growing pause, never left.

Its group is told to the watchdog, which kills it when the supervisor dies, however that dies. `PR_SET_PDEATHSIG` would
need a `preexec_fn`, and with that Python forks rather than vforks: unsafe beside threads, and fatal beside gRPC's fork
handlers (measured: epoll on a closed descriptor).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from extproc.stack.watchdog import Watchdog

RESTART_S_FIRST: Final = 0.1
RESTART_S_MAX: Final = 5.0
SETTLED_S: Final = 10.0
"""A process that lived this long is restarted without the grown pause."""


@dataclass(frozen=True, slots=True)
class Program:
    """How one process is run."""

    name: str
    command: Sequence[str]
    socket: Path | None = None
    """A Unix socket that it makes; a stale one is removed before each start."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    stop_s_max: float = 10.0
    """Between SIGTERM and SIGKILL."""


class Child:
    """Runs a program until it is stopped. `report` gets one line whenever it died and is started again."""

    def __init__(self, program: Program, log_path: Path, report: Callable[[str], None], watchdog: Watchdog) -> None:
        self.program = program
        self._watchdog = watchdog
        self.log_path = log_path
        self._report = report
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._failure: OSError | None = None
        self._stopped = threading.Event()
        self._resumed = threading.Event()
        self._spawned = threading.Event()
        self._thread: threading.Thread | None = None
        self.restarts = 0
        self.started_s = 0.0
        """When the current process was started, Unix time."""

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Returns once the process was started. Raises `OSError` when it cannot be."""
        self._resumed.set()
        self._thread = threading.Thread(target=self._supervise, name=f"supervise-{self.program.name}", daemon=True)
        self._thread.start()
        self._spawned.wait()
        if self._failure is not None:
            raise self._failure

    def _supervise(self) -> None:
        """Runs in a thread of its own until the child is stopped."""
        pause_s = RESTART_S_FIRST
        while True:
            try:
                process = self._spawn()
            except OSError as error:
                self._failure = error
                self._spawned.set()
                return
            if process is None:
                return
            started_s = time.monotonic()
            code = process.wait()
            self._sweep(process)
            if self._stopped.is_set():
                return
            if time.monotonic() - started_s > SETTLED_S:
                pause_s = RESTART_S_FIRST
            if self._resumed.is_set():
                self._report(f"{self.program.name} {_how(code)}; starting it again in {pause_s:g} s ({self.log_path})")
                self._stopped.wait(pause_s)
                pause_s = min(pause_s * 2, RESTART_S_MAX)
            self._resumed.wait()
            self.restarts += 1

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopped.is_set():
                return None
            if self.program.socket is not None:
                self.program.socket.unlink(missing_ok=True)
            self.started_s = time.time()
            with self.log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    list(self.program.command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self.program.environment},
                    process_group=0,
                )
            self._watchdog.guard(self._process.pid)
            self._spawned.set()
            return self._process

    def _sweep(self, process: subprocess.Popen[bytes]) -> None:
        """Kill what an ended process had started itself."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        self._watchdog.release(process.pid)

    def signal(self, number: int) -> None:
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def hold(self) -> None:
        """Kill it, and leave it dead until `release`."""
        self._resumed.clear()
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()

    def release(self) -> None:
        self._resumed.set()

    def stop(self) -> None:
        """SIGTERM, then SIGKILL after `stop_s_max`; its whole process group goes, and its socket."""
        with self._lock:
            self._stopped.set()
            process = self._process
        self._resumed.set()
        if process is not None and process.poll() is None:
            self.signal(signal.SIGCONT)  # a stopped one could not hear
            self.signal(signal.SIGTERM)
            try:
                process.wait(self.program.stop_s_max)
            except subprocess.TimeoutExpired:
                self._report(f"{self.program.name} did not stop within {self.program.stop_s_max:g} s: killed")
                process.kill()
                process.wait()
        if process is not None:
            self._sweep(process)
        if self._thread is not None:
            self._thread.join()
        if self.program.socket is not None:
            self.program.socket.unlink(missing_ok=True)

    def last_lines(self, count: int = 5) -> str:
        """The end of its log, for error messages about start-up."""
        try:
            text = self.log_path.read_bytes()[-8_192:].decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-count:])


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
