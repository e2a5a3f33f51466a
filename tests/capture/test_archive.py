"""From a spool to an archive that plain DuckDB reads: every exchange once, whatever is interrupted."""

from __future__ import annotations

import errno
import os
import random
import stat
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from capture import record
from capture.archive import Archiver, ArchiveSettings
from capture.errors import ArchiveUnusable
from capture.incarnation import BatchLimits
from capture.spool.layout import segment_name
from capture.spool.writer import SpoolWriter
from capture.status import ArchiveStatus, read_statuses
from tests.capture.story import INCARNATION, START_NS, Story, chat, completion, exchange_id

DAY_NS = 86_400 * 1_000_000_000
SECOND_INCARNATION = "0192f0c0-7a1b-7c3d-8e4f-000000000002"


class Place:
    """A spool and an archive in a folder."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.spool, self.archive = folder / "spool", folder / "archive"
        self.settings = ArchiveSettings(self.spool, self.archive, **settings)

    def writer(self, incarnation: str = INCARNATION, **settings: Any) -> SpoolWriter:
        return SpoolWriter(self.spool, replica_id="replica-1", incarnation=incarnation, **settings)

    def drain(self, step: Any = lambda _: None) -> ArchiveStatus:
        archiver = Archiver(self.settings, step=step)
        try:
            archiver.drain()
            return archiver.status()
        finally:
            archiver.close()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Plain DuckDB over the paths, as anybody would."""
        for tree in ("facts", "content"):
            source = f"read_parquet('{self.archive}/{tree}/**/*.parquet', hive_partitioning=true)"
            query = query.replace(f"FROM {tree}", f"FROM {source}")
        return duckdb.sql(query).fetchall()

    def files(self, tree: str) -> list[str]:
        return sorted(str(path.relative_to(self.archive / tree)) for path in (self.archive / tree).rglob("*.*"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def tell(writer: SpoolWriter, story: Story, *, frames: slice = slice(None)) -> None:
    for frame in story.frames()[frames]:
        writer.append(record.encode(frame))


def test_what_was_spooled_is_read_by_plain_duckdb(place: Place) -> None:
    writer = place.writer()
    for number in range(1, 4):
        tell(writer, Story(number))
    writer.close()
    status = place.drain()
    assert place.ask("SELECT exchange_id, billed_cost FROM facts ORDER BY seq")[0] == (
        exchange_id(1),
        Decimal("0.00000315"),
    )
    assert (
        place.ask("SELECT response_text, request_body FROM content ORDER BY exchange_id")
        == [("hi there", chat(("user", "hello")))] * 3
    )
    assert (status.opened, status.archived, status.open, status.pending, status.missing) == (3, 3, 0, 0, 0)


def test_nothing_but_parquet_lies_inside_the_trees(place: Place) -> None:
    writer = place.writer()
    tell(writer, Story(1))
    writer.close()
    place.drain()
    end = writer.end_offset
    for tree in ("facts", "content"):
        (name,) = place.files(tree)
        assert name.startswith(f"dt=2026-11-18/{INCARNATION}-{0:016d}-")
        assert int(name.removesuffix(".parquet").rsplit("-", 1)[1]) <= end


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_text_is_made_for_its_owner_and_one_group_and_facts_for_whom_the_umask_lets(place: Place) -> None:
    before = os.umask(0o022)
    try:
        tell(place.writer(), Story(1))
        place.drain()
    finally:
        os.umask(before)
    assert (_mode(place.archive / "facts"), _mode(place.archive / "content")) == (0o755, 0o750)
    assert (_mode(place.spool), _mode(place.spool / ".archive")) == (0o700, 0o700)


def test_a_tree_that_is_there_keeps_the_permission_it_was_given(place: Place) -> None:
    (place.archive / "content").mkdir(parents=True)
    (place.archive / "content").chmod(0o711)
    tell(place.writer(), Story(1))
    place.drain()
    assert _mode(place.archive / "content") == 0o711


def test_an_exchange_of_a_live_sidecar_waits_until_it_ends(place: Place) -> None:
    writer = place.writer()
    tell(writer, Story(1), frames=slice(0, 2))
    tell(writer, Story(2))
    status = place.drain()
    assert (status.opened, status.archived, status.open, status.live_incarnations) == (2, 1, 1, 1)
    assert place.ask("SELECT exchange_id FROM facts") == [(exchange_id(2),)]
    tell(writer, Story(1), frames=slice(2, None))
    writer.close()
    status = place.drain()
    assert place.ask("SELECT exchange_id, capture_status FROM facts ORDER BY 1") == [
        (exchange_id(1), "completed"),
        (exchange_id(2), "completed"),
    ]
    assert place.ask("SELECT response_text FROM content WHERE exchange_id = " + repr(exchange_id(1))) == [("hi there",)]
    assert (status.opened, status.archived, status.open) == (2, 2, 0)


def test_a_dead_sidecars_open_exchanges_are_cut_and_its_folder_removed(place: Place) -> None:
    writer = place.writer()
    tell(writer, Story(1), frames=slice(0, 1))
    tell(writer, Story(2), frames=slice(0, 3))
    tell(writer, Story(3))
    writer.count_lost(5)
    writer.close()
    status = place.drain()
    assert place.ask("SELECT seq, capture_status FROM facts ORDER BY seq") == [(1, "cut"), (2, "cut"), (3, "completed")]
    assert not (place.spool / INCARNATION).exists()
    assert (status.opened, status.archived, status.lost, status.dead_incarnations) == (3, 3, 5, 0)
    again = place.drain()
    assert (again.opened, again.archived, again.lost) == (3, 3, 5)


def test_rows_go_to_the_day_on_which_their_exchange_began(place: Place) -> None:
    writer = place.writer()
    tell(writer, Story(1, at_ns=START_NS))
    tell(writer, Story(2, at_ns=START_NS + DAY_NS))
    writer.close()
    place.drain()
    assert [name.split("/")[0] for name in place.files("facts")] == ["dt=2026-11-18", "dt=2026-11-19"]
    assert place.files("facts") == place.files("content")
    assert place.ask("SELECT dt::VARCHAR, seq FROM facts ORDER BY seq") == [("2026-11-18", 1), ("2026-11-19", 2)]


def test_batches_are_bounded_by_rows_and_by_bytes(tmp_path: Path) -> None:
    by_rows = Place(tmp_path / "rows", batch=BatchLimits(rows_max=4))
    by_bytes = Place(tmp_path / "bytes", batch=BatchLimits(bytes_max=25_000))
    for place in (by_rows, by_bytes):
        writer = place.writer()
        for number in range(1, 11):
            tell(writer, Story(number, response=(completion("x" * 10_000),)))
        writer.close()
        place.drain()
        assert place.ask("SELECT count(*), count(DISTINCT exchange_id) FROM facts") == [(10, 10)]
    assert len(by_rows.files("facts")) == 3
    assert len(by_bytes.files("facts")) == 5


def test_consumed_segments_are_deleted_while_the_sidecar_lives_but_none_that_is_needed(place: Place) -> None:
    writer = place.writer(segment_bytes_max=2_000)
    tell(writer, Story(1))
    tell(writer, Story(2), frames=slice(0, 2))
    for number in range(3, 20):
        tell(writer, Story(number))
    place.drain()
    left = sorted(path.name for path in (place.spool / INCARNATION).glob("*.seg"))
    assert left[0] != segment_name(1) or len(left) > 8  # exchange 2 holds its segment and all after it
    tell(writer, Story(2), frames=slice(2, None))
    tell(writer, Story(20))
    place.drain()
    assert len(list((place.spool / INCARNATION).glob("*.seg"))) < len(left)
    writer.close()
    place.drain()
    assert place.ask("SELECT count(*), count(DISTINCT exchange_id) FROM facts WHERE capture_status = 'completed'") == [
        (20, 20)
    ]
    assert place.ask("SELECT response_text FROM content WHERE exchange_id = " + repr(exchange_id(2))) == [("hi there",)]


class Crash(BaseException):
    """The process ends here."""


class Life:
    """A sidecar that tells exchanges bit by bit, and then is gone."""

    def __init__(self, place: Place, incarnation: str, chance: random.Random, first: int) -> None:
        self.writer = place.writer(incarnation, segment_bytes_max=3_000)
        self.chance = chance
        self.first = self.next = first
        self.told: dict[int, int] = {}
        """Frames told of each exchange; 4 make a whole one."""

    def go_on(self) -> None:
        for _ in range(self.chance.randint(0, 4)):
            self.told[self.next] = 0
            self.next += 1
        for number, told in self.told.items():
            story = Story(number, at_ns=START_NS + number % 3 * DAY_NS, opened={"seq": number - self.first + 1})
            self.told[number] = self.chance.randint(max(told, 1), 4)
            tell(self.writer, story, frames=slice(told, self.told[number]))

    def cut(self) -> set[int]:
        return {number for number, told in self.told.items() if told < 4}


@pytest.mark.parametrize("seed", range(6))
def test_a_crash_before_any_step_loses_nothing_and_doubles_nothing(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    place = Place(tmp_path, batch=BatchLimits(rows_max=3))
    crashes = 0

    def step(_: str) -> None:
        if chance.random() < 0.15:
            raise Crash

    def drain() -> ArchiveStatus | None:
        nonlocal crashes
        try:
            return place.drain(step)
        except Crash:
            crashes += 1
            return None

    opened: set[int] = set()
    cut: set[int] = set()
    for index, incarnation in enumerate((INCARNATION, SECOND_INCARNATION)):
        life = Life(place, incarnation, chance, first=1 + 1_000 * index)
        for _ in range(12):
            life.go_on()
            drain()
        life.writer.close()
        drain()
        opened |= set(life.told)
        cut |= life.cut()
    status = None
    while status is None:
        status = drain()
    assert crashes > 3
    rows = place.ask("SELECT exchange_id, capture_status FROM facts")
    assert sorted(int(row[0][-12:]) for row in rows) == sorted(opened)
    assert {int(row[0][-12:]) for row in rows if row[1] == "cut"} == cut
    assert sorted(place.ask("SELECT exchange_id FROM content")) == sorted((row[0],) for row in rows)
    assert (status.opened, status.archived) == (len(opened), len(opened))
    assert (status.open, status.pending, status.missing, status.orphan_frames) == (0, 0, 0, 0)
    assert sorted(path.name for path in place.spool.iterdir()) == [".archive"]
    assert list((place.archive / ".staging").iterdir()) == []


def test_a_fact_never_appears_before_its_content(place: Place) -> None:
    writer = place.writer()
    tell(writer, Story(1))
    writer.close()
    seen: list[tuple[str, int, int]] = []
    place.drain(lambda name: seen.append((name, len(place.files("content")), len(place.files("facts")))))
    assert [step for step in seen if step[0].startswith("publish")] == [
        ("publish_content", 0, 0),
        ("publish_facts", 1, 0),
    ]


def test_the_same_batch_published_twice_is_the_same_file(place: Place) -> None:
    writer = place.writer()
    tell(writer, Story(1))

    def step(name: str) -> None:
        if name == "checkpoint":
            raise Crash

    with pytest.raises(Crash):
        place.drain(step)
    tell(writer, Story(2))  # more has come since: the begun batch keeps its range all the same
    before = place.files("facts")
    place.drain()
    assert len(before) == 1
    assert set(before) < set(place.files("facts"))
    assert place.ask("SELECT seq FROM facts ORDER BY seq") == [(1,), (2,)]
    writer.close()


def test_a_begun_batch_is_published_again_whole_even_under_smaller_limits(tmp_path: Path) -> None:
    place = Place(tmp_path, batch=BatchLimits(rows_max=10))
    writer = place.writer()
    for number in range(1, 6):
        tell(writer, Story(number))

    def step(name: str) -> None:
        if name == "checkpoint":
            raise Crash

    with pytest.raises(Crash):
        place.drain(step)
    smaller = Place(tmp_path, batch=BatchLimits(rows_max=2))
    smaller.drain()
    assert len(place.files("facts")) == 1
    assert place.ask("SELECT seq FROM facts ORDER BY seq") == [(1,), (2,), (3,), (4,), (5,)]
    writer.close()


def test_a_failing_archive_disk_is_reported_and_nothing_is_lost(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = place.writer()
    tell(writer, Story(1))
    archiver = Archiver(place.settings)
    original = os.fsync

    def full(fd: int) -> None:
        if ".staging" in str(Path(f"/proc/self/fd/{fd}").readlink()):
            raise OSError(errno.ENOSPC, "No space left on device")
        original(fd)

    monkeypatch.setattr(os, "fsync", full)
    archiver._try(archiver.drain)
    assert archiver.status().error == "No space left on device"
    assert archiver.status().pending == 1
    monkeypatch.undo()
    archiver._try(archiver.drain)
    assert archiver.status().error is None
    assert place.ask("SELECT seq FROM facts") == [(1,)]
    archiver.close()
    writer.close()


def test_damage_costs_what_is_damaged_and_is_counted(place: Place) -> None:
    writer = place.writer()
    for number in range(1, 4):
        tell(writer, Story(number))
    writer.close()
    path = place.spool / INCARNATION / segment_name(1)
    data = bytearray(path.read_bytes())
    data[data.index(exchange_id(2).encode())] ^= 1  # in its Opened frame
    path.write_bytes(data)
    status = place.drain()
    assert place.ask("SELECT seq FROM facts ORDER BY seq") == [(1,), (3,)]
    assert (status.opened, status.archived, status.missing) == (3, 2, 1)
    assert status.orphan_frames == 3
    assert status.damaged_bytes > 20


def test_one_spool_has_one_archive_process(place: Place) -> None:
    first = Archiver(place.settings)
    with pytest.raises(ArchiveUnusable, match="another archive process"):
        Archiver(place.settings)
    first.close()
    Archiver(place.settings).close()


def test_damaged_progress_stops_the_process_instead_of_doubling_rows(place: Place) -> None:
    writer = place.writer()
    tell(writer, Story(1))
    place.drain()
    (place.spool / ".archive" / f"{INCARNATION}.json").write_bytes(b"{")
    with pytest.raises(ArchiveUnusable, match="damaged"):
        place.drain()
    writer.close()


def test_sessions_survive_a_restart_of_the_archive_process(place: Place) -> None:
    writer = place.writer()
    tell(writer, Story(1, request_body=chat(("user", "hello"))))
    place.drain()
    again = chat(("user", "hello"), ("assistant", "hi there"), ("user", "more"))
    tell(writer, Story(2, request_body=again, response=(completion("and more"),)))
    place.drain()
    writer.close()
    rows = place.ask("SELECT session_id, turn, parent_exchange_id FROM facts ORDER BY seq")
    assert rows == [(exchange_id(1), 1, None), (exchange_id(1), 2, exchange_id(1))]
    added = place.ask("SELECT prompt_text, inherited_messages, len(messages) FROM content ORDER BY exchange_id")
    assert added == [("hello", 0, 2), ("more", 2, 2)]


def test_run_publishes_within_the_interval_and_stop_publishes_the_rest(tmp_path: Path) -> None:
    place = Place(tmp_path, flush_interval_s=0.1)
    writer = place.writer()
    tell(writer, Story(1))
    archiver = Archiver(place.settings)
    thread = threading.Thread(target=archiver.run)
    thread.start()
    waiting = threading.Event()
    for _ in range(2_000):
        if place.files("facts"):
            break
        waiting.wait(0.01)
    assert place.files("facts")
    tell(writer, Story(2))
    archiver.stop()
    thread.join()
    archiver.close()
    assert place.ask("SELECT seq FROM facts ORDER BY seq") == [(1,), (2,)]
    (status,) = read_statuses(place.archive)
    assert (status.opened, status.archived, status.error) == (2, 2, None)
    writer.close()
