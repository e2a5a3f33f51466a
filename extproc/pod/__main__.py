"""The command line of `extproc.pod`. The probe runs every few seconds, so nothing is imported before it is needed."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from extproc.errors import DependencyError, HeadgateError


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m extproc.pod", description="What a pod needs beside the processes.")
    verbs = top.add_subparsers(dest="verb", metavar="alive|await|keep", required=True)

    alive = verbs.add_parser("alive", help="exit 0 when extproc's event loop answers a call, 1 when it does not")
    alive.add_argument("--socket", type=Path, required=True, help="extproc's Unix socket")
    alive.add_argument("--within-s", type=float, default=2.0, help="seconds to wait for the answer")
    alive.set_defaults(run=_alive)

    waiting = verbs.add_parser("await", help="wait until OPA and extproc answer")
    waiting.add_argument("--config", type=Path, required=True, help="headgate.yaml")
    waiting.add_argument("--within-s", type=float, default=30.0, help="seconds to wait")
    waiting.add_argument("--or-go-on", action="store_true", help="exit 0 all the same when the time is over")
    waiting.set_defaults(run=_await)

    keep = verbs.add_parser("keep", help="bound Envoy's access log until SIGTERM, then drain Envoy")
    keep.add_argument("--config", type=Path, required=True, help="headgate.yaml")
    keep.add_argument("--settle-s", type=float, default=5.0, help="least time to go on accepting after SIGTERM")
    keep.add_argument("--drain-s", type=float, default=60.0, help="longest time for running requests")
    keep.add_argument(
        "--access-log-bytes-max", type=int, default=256 << 20, help="a longer access log becomes access.log.1"
    )
    keep.set_defaults(run=_keep)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; exit codes as of `headgate`."""
    arguments = parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except HeadgateError as error:
        print(f"headgate: {error.message}", file=sys.stderr)
        return 3 if isinstance(error, DependencyError) else 2
    return code


def _alive(arguments: argparse.Namespace) -> int:
    from extproc.pod.alive import alive

    return 0 if alive(arguments.socket, arguments.within_s) else 1


def _await(arguments: argparse.Namespace) -> int:
    from extproc.config import load
    from extproc.pod.alive import wait_for_sidecars

    late = wait_for_sidecars(load(arguments.config), within_s=arguments.within_s)
    if not late:
        return 0
    print(f"headgate: no answer within {arguments.within_s:g} s: {', '.join(late)}", file=sys.stderr)
    return 0 if arguments.or_go_on else 3


def _keep(arguments: argparse.Namespace) -> int:
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # before the imports: a pod may be stopped as soon as it is ready
        signal.signal(number, lambda _number, _frame: told.set())

    from extproc.config import load
    from extproc.pod.keeper import Keeper

    return Keeper(
        load(arguments.config),
        settle_s=arguments.settle_s,
        drain_s=arguments.drain_s,
        access_log_bytes_max=arguments.access_log_bytes_max,
    ).run(told)


if __name__ == "__main__":
    sys.exit(main())
