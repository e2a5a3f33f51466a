"""kill -9 of real archive processes while a real writer goes on: no row lost, none twice."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from capture import record
from capture.archive import Archiver, ArchiveSettings
from capture.spool.writer import SpoolWriter
from tests.capture.story import INCARNATION, Story

KILLS = 12

PROCESS = """
import sys
from pathlib import Path
from capture.archive import Archiver, ArchiveSettings
from capture.incarnation import BatchLimits

def step(name):
    sys.stdout.write(name + "\\n")
    sys.stdout.flush()

folder = Path(sys.argv[1])
settings = ArchiveSettings(folder / "spool", folder / "archive", flush_interval_s=0.02, batch=BatchLimits(rows_max=7))
Archiver(settings, step=step).run()
"""


def tell(writer: SpoolWriter, number: int) -> None:
    for frame in Story(number, opened={"seq": number}).frames():
        writer.append(record.encode(frame))


@pytest.mark.slow
def test_killing_the_archive_process_at_any_moment_loses_and_doubles_no_row(tmp_path: Path) -> None:
    chance = random.Random(7)
    writer = SpoolWriter(tmp_path / "spool", replica_id="replica-1", incarnation=INCARNATION, segment_bytes_max=20_000)
    number = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(tmp_path)], stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert process.stdout is not None
        steps = chance.randint(1, 40)
        while steps:
            number += 1
            tell(writer, number)
            if number % 5 == 0:
                assert process.stdout.readline(), "the archive process ended by itself"
                steps -= 1
        process.kill()
        process.wait()
        process.stdout.close()
    writer.close()
    archiver = Archiver(ArchiveSettings(tmp_path / "spool", tmp_path / "archive"))
    archiver.drain()
    status = archiver.status()
    archiver.close()
    for tree in ("facts", "content"):
        rows = duckdb.sql(
            f"SELECT count(*), count(DISTINCT exchange_id), min(exchange_id), max(exchange_id) "
            f"FROM read_parquet('{tmp_path}/archive/{tree}/**/*.parquet', hive_partitioning=true)"
        ).fetchall()
        assert rows == [(number, number, Story(1).id, Story(number).id)]
    assert (status.opened, status.archived, status.missing) == (number, number, 0)


def test_sigterm_publishes_what_has_ended_and_exits_cleanly(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path / "spool", replica_id="replica-1", incarnation=INCARNATION)
    code = """
import sys
from pathlib import Path
from capture.archive import ArchiveSettings, main
folder = Path(sys.argv[1])
sys.exit(main(ArchiveSettings(folder / "spool", folder / "archive", flush_interval_s=3600)))
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    status = tmp_path / "archive" / "_status" / "capture.json"
    for _ in range(3_000):
        if status.exists():
            break
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            continue
    tell(writer, 1)
    process.terminate()
    assert process.wait(30) == 0
    assert len(list((tmp_path / "archive" / "facts").rglob("*.parquet"))) == 1
    writer.close()
