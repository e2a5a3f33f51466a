"""One supervised process: started in a process group of its own, logged, restarted with a growing pause, never left.

The kernel kills it when the supervisor dies, however it dies (`PR_SET_PDEATHSIG`, prctl(2)): the data it may leave
behind is crash-safe, a process would not be.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PR_SET_PDEATHSIG: Final = 1
RESTART_S_FIRST: Final = 0.1
RESTART_S_MAX: Final = 5.0
SETTLED_S: Final = 10.0
"""A process that lived this long is restarted without the grown pause."""

_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent(parent_pid: int) -> Callable[[], None]:
    def prepare() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died between fork and prctl
            os._exit(1)

    return prepare


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

    def __init__(self, program: Program, log_path: Path, report: Callable[[str], None]) -> None:
        self.program = program
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
        """Lives as long as its processes do: the kernel's promise is to the thread that forked."""
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
            _kill_group(process.pid)  # what it started itself
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
            with self.log_path.open("ab") as log:
                self._process = subprocess.Popen(
                    list(self.program.command),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self.program.environment},
                    process_group=0,
                    preexec_fn=_die_with_parent(os.getpid()),  # noqa: PLW1509 (one call into libc, loaded before)
                )
            self._spawned.set()
            return self._process

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
        """SIGTERM, then SIGKILL after `stop_s_max`; its whole process group goes."""
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
            _kill_group(process.pid)
        if self._thread is not None:
            self._thread.join()

    def last_lines(self, count: int = 5) -> str:
        """The end of its log, for error messages about start-up."""
        try:
            text = self.log_path.read_bytes()[-8_192:].decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-count:])


def _kill_group(leader_pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader_pid, signal.SIGKILL)


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
