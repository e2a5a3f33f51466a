"""Outlives the supervisor by a moment, to kill the process groups that it led.

It is told of each group through a pipe, and kills those that are left when the pipe's other end is gone: so what the
children had started themselves (extproc's inspection workers) goes too. It has a session of its own, ignores the
signals of a terminal, runs as a plain script and imports nothing of Headgate.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading


class Watchdog:
    """The supervisor's end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", __file__], stdin=subprocess.PIPE, start_new_session=True
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def guard(self, group: int) -> None:
        """Kill this process group when the supervisor dies."""
        self._tell(f"+{group}")

    def release(self, group: int) -> None:
        """The group has ended."""
        self._tell(f"-{group}")

    def close(self) -> None:
        """Nothing is left to guard."""
        with self._lock, contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        with self._lock, contextlib.suppress(OSError, ValueError):  # it was killed or closed
            assert self._process.stdin is not None
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()


def _watch() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the supervisor's end is the only one that counts
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    _watch()
