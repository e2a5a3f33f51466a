"""`up`, `serve`, `archive`: the commands that stay."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.commands import Subparsers, add_config, find_config, load_config

if TYPE_CHECKING:
    from extproc.stack import Stack


def add_parsers(subparsers: Subparsers) -> None:
    up = subparsers.add_parser(
        "up",
        help="run the whole stack on this machine: Envoy, OPA, extproc, capture",
        description="Runs Envoy, OPA, extproc, capture and an upstream until Ctrl-C, and restarts what dies.",
    )
    add_config(up)
    up.add_argument(
        "--upstream",
        default="simulated",
        metavar="simulated|live|replay:DIR",
        help="who answers: our own simulation (default), the real providers, or a folder of recordings",
    )
    up.add_argument("--state", type=Path, metavar="DIR", help="put run, spool and archive folders below DIR")
    up.add_argument("--port", type=int, metavar="N", help="listen on this port instead; 0 takes a free one")
    up.set_defaults(run=run_up)

    serve = subparsers.add_parser("serve", help="run the ext_proc server alone", description="Serves until SIGTERM.")
    add_config(serve)
    serve.set_defaults(run=run_serve)

    archive = subparsers.add_parser(
        "archive", help="run capture alone: spool to Parquet", description="Publishes until SIGTERM."
    )
    add_config(archive)
    archive.set_defaults(run=run_archive)


def run_up(arguments: argparse.Namespace) -> int:
    from extproc.stack import Stack, plan

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: stop.set())
    chosen = plan(
        find_config(arguments.config), upstream=arguments.upstream, state=arguments.state, port=arguments.port
    )
    print("starting …", flush=True)
    stack = Stack(chosen, report=lambda line: print(line, flush=True))
    stack.start(cancelled=stop.is_set)
    try:
        if not stop.is_set():
            _tell(stack)
        stop.wait()
    finally:
        print("stopping …", flush=True)
        stack.stop()
    print(f"stopped; the archive is in {chosen.configuration.capture.archive_dir}", flush=True)
    return 0


def _tell(stack: Stack) -> None:
    plan = stack.plan
    archive = plan.configuration.capture.archive_dir
    print(f"Headgate is up, answered by {plan.upstream}.\n")
    width = max(len(route.name) for route in plan.configuration.routes)
    for route in plan.configuration.routes:
        where = f"{plan.base_url}{route.match.prefix}"
        hosts = f"  (host {', '.join(route.match.hosts)})" if route.match.hosts else ""
        print(f"  {route.mode.value:8} {route.name:{width}}  {where}{hosts}")
    for line in plan.left_out:
        print(f"  left out {line}")
    print(f"\n  archive  {archive}\n  logs     {plan.log_dir}/*.log\n")
    print("Next, in another terminal:")
    print(f"  headgate doctor --config {plan.config_path}")
    print(f"  headgate sessions --archive {archive}")
    print("\nCtrl-C stops it.", flush=True)


def run_serve(arguments: argparse.Namespace) -> int:
    from extproc.server import main

    return main(load_config(arguments))


def run_archive(arguments: argparse.Namespace) -> int:
    from capture.archive import ArchiveSettings, main

    settings = load_config(arguments)
    return main(
        ArchiveSettings(
            spool_dir=settings.capture.spool_dir,
            archive_dir=settings.capture.archive_dir,
            flush_interval_s=settings.capture.flush_interval_s,
            name=settings.replica_id,
        )
    )
