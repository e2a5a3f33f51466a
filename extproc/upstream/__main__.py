"""`python -m extproc.upstream simulated|replay:DIR`: the upstream process that `headgate up` starts."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from extproc.errors import HeadgateError, OperatorError
from extproc.upstream.http import Application, listen
from extproc.upstream.recordings import Library, load_recordings
from extproc.upstream.replay import ReplayedProviders
from extproc.upstream.simulated import SimulatedProviders


def application(kind: str) -> Application:
    """The upstream that `--upstream` names. Raises `OperatorError`."""
    if kind == "simulated":
        return SimulatedProviders()
    scheme, _, directory = kind.partition(":")
    if scheme != "replay" or not directory:
        raise OperatorError("upstream_unknown", f"unknown upstream {kind!r}: use simulated or replay:DIR")
    if not Path(directory).is_dir():
        raise OperatorError("recordings_missing", f"{directory} is not a folder of recordings")
    recordings, skipped = load_recordings(Path(directory))
    for line in skipped:
        print(f"skipped recording {line}", flush=True)
    if not recordings:
        raise OperatorError("recordings_missing", f"{directory} holds no recording that can be read")
    print(f"replaying {len(recordings)} recordings of {directory}", flush=True)
    return ReplayedProviders(Library(recordings))


async def _serve(app: Application, host: str, port: int, socket: str | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await listen(app, host=host, port=port, socket=socket)
    print(f"listening on {socket or server.sockets[0].getsockname()}", flush=True)
    await stop.wait()
    server.close()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m extproc.upstream", description=__doc__)
    parser.add_argument("kind", help="simulated, or replay:DIR")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--socket", help="listen on this Unix socket instead")
    arguments = parser.parse_args(argv)
    try:
        asyncio.run(_serve(application(arguments.kind), arguments.host, arguments.port, arguments.socket))
    except HeadgateError as error:
        print(f"upstream: {error.message}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
