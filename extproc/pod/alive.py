"""Does extproc answer? A connection alone proves nothing: the kernel accepts for a process that is stopped."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # reading the configuration's models takes half of the probe's time, and the probe needs none
    from extproc.config import Configuration

UNKNOWN_METHOD: Final = "/headgate.Probe/Alive"
"""No server has it. gRPC answers UNIMPLEMENTED for such a method, and grpc.aio does so from the event loop: the answer
proves that the loop turns, with no stream opened and no frame written."""
POLL_S: Final = 0.1
ANSWER_S_MAX: Final = 2.0


def alive(socket: Path, within_s: float = ANSWER_S_MAX) -> bool:
    """Does the gRPC server on a Unix socket answer a call within `within_s` seconds?"""
    import grpc

    with grpc.insecure_channel(f"unix:{socket}") as channel:
        try:
            channel.unary_unary(UNKNOWN_METHOD)(b"", timeout=within_s)
        except grpc.RpcError as error:
            return bool(error.code() is grpc.StatusCode.UNIMPLEMENTED)
    return True


def wait_for_sidecars(configuration: Configuration, *, within_s: float) -> tuple[str, ...]:
    """Wait until OPA has its bundle and extproc answers. Returns the names of those that did not in time."""
    from extproc.stack.ready import answers

    checks = {
        "opa": lambda: answers(configuration.opa_socket, "/health?bundles=true"),
        "extproc": lambda: alive(configuration.extproc_socket),
    }
    deadline = time.monotonic() + within_s
    late = tuple(checks)
    while True:
        late = tuple(name for name in late if not checks[name]())
        if not late or time.monotonic() > deadline:
            return late
        time.sleep(POLL_S)
