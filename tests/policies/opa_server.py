"""A real OPA on a Unix socket, for tests: started from the repository's pinned binary (or the one on PATH)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from extproc.policy_tools import find_opa

REPOSITORY = Path(__file__).resolve().parents[2]
POLICIES = REPOSITORY / "policies"
START_SECONDS_MAX = 20.0


@dataclass
class OpaServer:
    socket_path: Path
    process: subprocess.Popen[bytes]
    command: list[str]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def start(self) -> None:
        """Start (again) on the same socket, and wait until it accepts connections."""
        self.socket_path.unlink(missing_ok=True)
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS_MAX
        while not accepts(self.socket_path):
            assert self.process.poll() is None, "opa ended at once"
            assert time.monotonic() < deadline, "opa did not start"
            time.sleep(0.02)


def accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


@contextmanager
def short_folder() -> Iterator[Path]:
    """A temporary folder with a short name: a Unix socket's path takes 107 bytes at most."""
    folder = Path(tempfile.mkdtemp(prefix="hg-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def opa_server(*served: str) -> Iterator[OpaServer]:
    """`opa run --server` with these arguments (`-b bundle.tar.gz`, or files). Ended when the context ends."""
    with short_folder() as folder:
        path = folder / "opa.sock"
        command = [str(find_opa()), "run", "--server", "--addr", f"unix://{path}", "--log-level=error", *served]
        server = OpaServer(path, subprocess.Popen(["true"]), command)
        server.process.wait()
        server.start()
        try:
            yield server
        finally:
            server.kill()
