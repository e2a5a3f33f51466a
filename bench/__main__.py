"""`python -m bench`: every benchmark, each beside its floor. `--smoke` shows in CI that they still run.

The figures of a full run go to bench/results/, with the machine they were taken on.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from bench import codecs, detectors, exchange, policy, replay

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="one short round of each; nothing is written down")
    arguments = parser.parse_args()
    rounds, requests = (1, 96) if arguments.smoke else (5, 800)
    table = exchange.render(exchange.measure(rounds, requests))
    print(table, flush=True)
    if not arguments.smoke:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "exchange.md").write_text(_page(table, rounds, requests), encoding="utf-8")
    decisions = policy.render(policy.measure(rounds))
    print(decisions, flush=True)
    if not arguments.smoke:
        (RESULTS / "policy.md").write_text(policy.page(decisions, rounds, _when_and_where()), encoding="utf-8")
    rows = 1_000 if arguments.smoke else 20_000
    rehearsed = replay.render(replay.measure(rounds, rows))
    print(rehearsed, flush=True)
    if not arguments.smoke:
        (RESULTS / "replay.md").write_text(replay.page(rehearsed, rounds, rows, _when_and_where()), encoding="utf-8")
    if arguments.smoke:
        print(codecs.render(list(codecs.measure(1, sizes_mib=(1,)))), flush=True)
        return 0
    page = codecs.page(_when_and_where())
    print(page, flush=True)
    (RESULTS / "codecs.md").write_text(page, encoding="utf-8")
    return detectors.main([])


def _when_and_where() -> str:
    machine = f"{platform.machine()}, {os.cpu_count()} cores shared with others, Python {platform.python_version()}"
    return f"{datetime.now(UTC):%Y-%m-%d}, {machine}"


def _page(table: str, rounds: int, requests: int) -> str:
    return f"""# What one exchange costs

`make bench`, {_when_and_where()}.
Medians of {rounds} interleaved rounds; delay: one connection; CPU: user and system time of
{requests} requests of {len(exchange.BODY)} bytes over {exchange.CONNECTIONS} connections.
`of the floor`: sidecar CPU against a no-op sidecar on the same transport in the same run, the figure to compare.

{table}
"""


if __name__ == "__main__":
    sys.exit(main())
