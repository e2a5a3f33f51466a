"""Is a process ready? Asked of its socket, until it is or a deadline passes."""

from __future__ import annotations

import http.client
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from extproc.errors import DependencyError

POLL_S: Final = 0.05
ANSWER_S_MAX: Final = 2.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_S_MAX)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))


def ask(path: Path, target: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    """One HTTP request over a Unix socket: (status, body). Raises `OSError` or `http.client.HTTPException`."""
    connection = _UnixConnection(path)
    try:
        connection.request(method, target, body=body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def answers(path: Path, target: str) -> bool:
    """Does a Unix socket answer with 200?"""
    try:
        return ask(path, target)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def accepts(path: Path) -> bool:
    """Does somebody listen on a Unix socket?"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(ANSWER_S_MAX)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
        return True


def wait_until(holds: Callable[[], bool], *, within_s: float, alive: Callable[[], bool], what: str) -> None:
    """Poll until `holds`. Raises `DependencyError` after `within_s`, or as soon as the process is not `alive`."""
    deadline = time.monotonic() + within_s
    while not holds():
        if not alive():
            raise DependencyError("start_failed", f"{what} ended while it was starting")
        if time.monotonic() > deadline:
            raise DependencyError("start_failed", f"{what} was not ready within {within_s:g} s")
        time.sleep(POLL_S)
