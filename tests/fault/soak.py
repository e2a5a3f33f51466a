"""`python -m tests.fault.soak --rounds 200`: the counting harness for as long as one likes, victims by lot."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.fault.gateway import ASKING, Gateway
from tests.fault.harness import torture

VICTIMS = ("capture", "extproc", "opa", "envoy")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fault.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="kill -9 so often")
    parser.add_argument("--seed", type=int, default=1, help="who is killed when")
    arguments = parser.parse_args()
    lot = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="headgate-soak-") as state, Gateway(Path(state), ASKING) as gateway:
        accounts = torture(
            gateway,
            (lot.choice(VICTIMS) for _ in range(arguments.rounds)),
            report=lambda line: print(line, flush=True),
        )
    for name, value in asdict(accounts).items():
        print(f"{name:16} {value}")
    for fault in accounts.faults():
        print(f"FAULT: {fault}")
    return 1 if accounts.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
