"""What a rehearsal costs, beside OPA's batch rule fed by a bare script. `python -m bench.replay --rows N`: many rows.

    bare       the floor: prepared requests, 500 inputs a POST on 2 connections, answers read and thrown away; the rule
               is compiled into the bundle
    distinct   the product over an archive in which no two rows ask the same: every row is read, asked about, compared
    repeated   the product over an archive with one new question in 20 rows, as agents and batch jobs ask
All ask the same OPA binary the repository's policy. Interleaved rounds on one machine, medians; rows/s of the whole
run, reading Parquet included, starting OPA not.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import resource
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from bench.policy import ROOT, document
from capture.columns import Tree
from capture.files import make_directory
from capture.parquet import TreeFile
from extproc.rehearsal.archived import Wanted, recorded
from extproc.rehearsal.changes import Tally
from extproc.rehearsal.judge import BATCH_ROWS, CONNECTIONS, Judge
from extproc.rehearsal.private_opa import PrivateOpa, private_opa
from extproc.rehearsal.replay import Seen, replay

BATCH_RULE: Final = """package headgate.batch

import data.headgate.main

decisions := [[i, d] | some i, x in input.batch; d := main.decision with input as x]
"""
START: Final = datetime(2026, 11, 18, tzinfo=UTC)
REPEATED: Final = 20
"""Rows to a question, in the archive of repeated ones."""
FILE_ROWS: Final = 100_000


def _question(number: int, question: int) -> bytes:
    """Facts that no rule reads differ in every row; the path, which a rule reads, by question."""
    told: dict[str, Any] = orjson.loads(document(question))
    told["request"]["body_bytes"] = 700 + number % 4_000
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)


def archive(folder: Path, rows: int, per_question: int) -> Path:
    """An archive of `rows` rows, `per_question` of which ask the same."""
    make_directory(folder / ".staging")
    for first in range(0, rows, FILE_ROWS):
        file = TreeFile(Tree.FACTS, "2026-11-18", f"{first:09}", folder / ".staging", group_bytes_max=16 << 20)
        for number in range(first, min(first + FILE_ROWS, rows)):
            row = {
                "exchange_id": f"019a0000-0000-7000-8000-{number:012d}",
                "ts": START + timedelta(milliseconds=number),
                "team": "search",
                "mode": "enforce",
                "decision": "allow",
                "reasons": [],
                "findings": [],
                "findings_truncated": False,
                "findings_irreplaceable": False,
                "policy_input": _question(number, number // per_question).decode(),
            }
            file.add(row, 1_000)
        file.finish()
        file.publish(folder)
    return folder


def product(archive_dir: Path, opa: PrivateOpa) -> tuple[float, Seen]:
    """Seconds, and what was gone through."""
    wanted = Wanted(START, START + timedelta(days=1))
    judge, tally = Judge(opa.socket, opa.facts), Tally(3)
    started = time.perf_counter()
    seen = asyncio.run(replay(recorded(archive_dir, wanted), judge, tally))
    return time.perf_counter() - started, seen


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("opa")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def bare(rows: int, opa: PrivateOpa) -> float:
    """Seconds for as many different questions, asked by a script that does nothing else."""
    bodies = [
        b'{"input":{"batch":[%b]}}' % b",".join(document(number) for number in range(first, first + BATCH_ROWS))
        for first in range(0, rows, BATCH_ROWS)
    ]

    def feed(mine: list[bytes]) -> None:
        with closing(_Connection(opa.socket)) as connection:
            for body in mine:
                connection.request("POST", "/v1/data/headgate/batch/decisions", body)
                answer = connection.getresponse().read()
                if answer.count(b'"action":"') != BATCH_ROWS:
                    raise RuntimeError(f"the batch rule gave no decisions: {answer[:200]!r}")

    threads = [threading.Thread(target=feed, args=(bodies[part::CONNECTIONS],)) for part in range(CONNECTIONS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


@contextmanager
def _opas() -> Iterator[tuple[PrivateOpa, PrivateOpa]]:
    """The repository's policy, and the same with the batch rule in it."""
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        with_rule = Path(name) / "policies"
        shutil.copytree(ROOT / "policies", with_rule)
        (with_rule / "batch.rego").write_text(BATCH_RULE, encoding="utf-8")
        with private_opa(ROOT / "policies") as ours, private_opa(with_rule) as floor:
            yield ours, floor


def measure(rounds: int, rows: int) -> dict[str, float]:
    """Rows a second, by way."""
    rows = max(BATCH_ROWS * CONNECTIONS, rows - rows % BATCH_ROWS)
    taken: dict[str, list[float]] = {"bare": [], "distinct": [], "repeated": []}
    with tempfile.TemporaryDirectory(prefix="hg-") as name, _opas() as (ours, floor):
        distinct = archive(Path(name) / "distinct", rows, 1)
        repeated = archive(Path(name) / "repeated", rows, REPEATED)
        for _ in range(rounds):
            taken["bare"].append(bare(rows, floor))
            taken["distinct"].append(product(distinct, ours)[0])
            taken["repeated"].append(product(repeated, ours)[0])
    return {way: rows / statistics.median(times) for way, times in taken.items()}


def render(rates: dict[str, float]) -> str:
    lines = ["| rehearsal | rows/s | of the floor |", "|---|---|---|"]
    lines += [f"| {way} | {rate:,.0f} | {rate / rates['bare']:.2f} |" for way, rate in rates.items()]
    return "\n".join(lines)


def page(table: str, rounds: int, rows: int, where: str) -> str:
    return f"""# What a rehearsal costs

`make bench`, {where}.
Medians of {rounds} interleaved rounds over {rows} rows. `bare`: OPA's batch rule fed by a script that does nothing
else, {BATCH_ROWS} inputs a POST on {CONNECTIONS} connections. `distinct`: `headgate policy replay` where no two rows
ask the same: what reading, comparing and counting cost on top, less what is saved by not sending what no rule reads.
`repeated`: one new question in {REPEATED} rows. Only what a rule reads makes a question new, and equal questions are
asked once: that, and nothing else, makes a rehearsal faster than the batch rule.

{table}
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.replay", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of which one in 20 asks something new")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hg-") as name, private_opa(ROOT / "policies") as opa:
        made = archive(Path(name), arguments.rows, REPEATED)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        took, seen = product(made, opa)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{seen.judged} rows in {took:.0f} s, {seen.judged / took:,.0f} rows/s")
    print(f"memory at most {after // 1024} MiB, {(after - before) // 1024} MiB of them since the archive was made")
    return 0


if __name__ == "__main__":
    sys.exit(main())
