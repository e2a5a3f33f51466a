"""The spool's writer when the disk is full, slow to sync or failing, and when its process is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from capture.errors import SpoolFull, SpoolNotDurable, SpoolUnusable
from capture.spool import lost
from capture.spool.fs import OsFilesystem
from capture.spool.reader import Found, IncarnationReader
from capture.spool.writer import SpoolWriter
from tests.capture.fake_disk import FakeDisk

SPOOL = Path("/spool")
INCARNATION = "0192f0c0-7a1b-7c3d-8e4f-a1b2c3d4e5f6"
OTHER = "0192f0c0-7a1b-7c3d-8e4f-000000000002"
PATIENCE_S = 20


def payloads(folder: Path, fs: FakeDisk | None = None) -> list[bytes]:
    items = IncarnationReader(folder, fs=fs).poll(final=True)
    return [bytes(item.payload) for item in items if isinstance(item, Found)]


def test_the_folder_is_locked_and_complete_when_it_appears(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, replica_id="replica-7", incarnation=INCARNATION)
    folder = tmp_path / INCARNATION
    assert OsFilesystem().lock(folder / "lock") is None
    assert json.loads((folder / "meta").read_text())["replica_id"] == "replica-7"
    assert [path.name for path in tmp_path.iterdir()] == [INCARNATION]
    writer.close()
    assert OsFilesystem().lock(folder / "lock") is not None


def test_an_incarnation_cannot_be_used_twice(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, replica_id="r", incarnation=INCARNATION)
    writer.append(b"kept")
    with pytest.raises(SpoolUnusable):
        SpoolWriter(tmp_path, replica_id="r", incarnation=INCARNATION)
    writer.close()
    assert payloads(tmp_path / INCARNATION) == [b"kept"]


def test_a_folder_that_cannot_be_made_is_an_operator_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolUnusable, match="cannot create a spool"):
        SpoolWriter(tmp_path / "file", replica_id="r", incarnation=INCARNATION)


def test_a_full_disk_refuses_the_frame_keeps_the_rest_and_works_again_when_there_is_room() -> None:
    disk = FakeDisk()
    writer = SpoolWriter(SPOOL, replica_id="r", incarnation=INCARNATION, fs=disk)
    writer.append(b"before")
    used = disk.used
    disk.capacity = used + 10
    with pytest.raises(SpoolFull) as refused:
        writer.append(b"x" * 100)
    assert refused.value.code == "spool_full"
    assert disk.used == used, "something of the refused frame is left"
    disk.capacity = 1 << 20
    writer.append(b"after")
    writer.close()
    assert payloads(SPOOL / INCARNATION, disk) == [b"before", b"after"]


def test_a_segment_that_cannot_be_cut_is_given_up_for_a_new_one() -> None:
    disk = FakeDisk()
    writer = SpoolWriter(SPOOL, replica_id="r", incarnation=INCARNATION, fs=disk)
    writer.append(b"before")
    disk.capacity, disk.refuse_truncate = disk.used + 30, True
    with pytest.raises(SpoolFull):
        writer.append(b"x" * 100)
    disk.capacity, disk.refuse_truncate = 1 << 20, False
    writer.append(b"after")
    writer.close()
    assert payloads(SPOOL / INCARNATION, disk) == [b"before", b"after"]
    assert len([path for path in disk.files if path.suffix == ".seg"]) == 2


def test_a_file_size_limit_of_the_process_is_a_full_disk(tmp_path: Path) -> None:
    code = f"""
import resource, sys
from pathlib import Path
from capture.errors import SpoolFull
from capture.spool.writer import SpoolWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
writer = SpoolWriter(Path({str(tmp_path)!r}), replica_id="r", incarnation="{INCARNATION}")
writer.append(b"a" * 5_000)
try:
    writer.append(b"b" * 9_000)
except SpoolFull as error:
    print(error.code)
writer.append(b"c" * 2_000)
writer.close()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "spool_full"
    assert payloads(tmp_path / INCARNATION) == [b"a" * 5_000, b"c" * 2_000]


def test_the_spool_limit_counts_every_incarnation(tmp_path: Path) -> None:
    now = [0.0]
    first = SpoolWriter(tmp_path, replica_id="r", incarnation=INCARNATION)
    first.append(b"x" * 60_000)
    first.close()
    second = SpoolWriter(
        tmp_path, replica_id="r", incarnation=OTHER, spool_bytes_max=100_000, clock=lambda: now[0], sync_ms_max=60_000
    )
    second.append(b"y" * 30_000)
    now[0] += 1
    with pytest.raises(SpoolFull, match="spool_bytes_max"):
        second.append(b"z" * 30_000)
    for path in (tmp_path / INCARNATION).glob("*.seg"):
        path.unlink()  # as the archive process does
    now[0] += 1
    second.append(b"z" * 30_000)
    second.close()
    assert payloads(tmp_path / OTHER) == [b"y" * 30_000, b"z" * 30_000]


def test_a_failed_fdatasync_fails_those_who_wait_for_good_and_the_next_frame_goes_to_a_new_segment() -> None:
    disk = FakeDisk()
    writer = SpoolWriter(SPOOL, replica_id="r", incarnation=INCARNATION, fs=disk, sync_ms_max=60_000)
    doomed = writer.append(b"doomed")
    disk.refuse_sync = True
    with pytest.raises(SpoolNotDurable):
        writer.wait_durable(doomed).result(PATIENCE_S)
    disk.refuse_sync = False
    saved = writer.append(b"saved")
    writer.wait_durable(saved).result(PATIENCE_S)
    with pytest.raises(SpoolNotDurable):
        writer.wait_durable(doomed).result(PATIENCE_S)
    assert writer.sync_failures == 1
    assert len([path for path in disk.files if path.suffix == ".seg"]) == 2
    writer.close()


def test_standard_durability_syncs_without_anybody_waiting() -> None:
    disk = FakeDisk()
    writer = SpoolWriter(SPOOL, replica_id="r", incarnation=INCARNATION, fs=disk, sync_ms_max=20)
    end = writer.append(b"soon on the disk")
    reached = threading.Event()
    for _ in range(PATIENCE_S * 100):
        if writer._committer.durable_offset >= end:
            break
        reached.wait(0.01)
    inode = next(inode for path, inode in disk.files.items() if path.suffix == ".seg")
    assert inode.synced == len(inode.data)
    assert inode.named
    writer.close()


def test_waiting_for_what_was_never_written_is_a_bug_of_the_caller(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, replica_id="r", incarnation=INCARNATION)
    with pytest.raises(ValueError, match="never written"):
        writer.wait_durable(1)
    writer.close()


def test_a_future_that_was_cancelled_harms_nobody() -> None:
    disk = FakeDisk()
    writer = SpoolWriter(SPOOL, replica_id="r", incarnation=INCARNATION, fs=disk, sync_ms_max=60_000)
    with disk.mutex:  # the sync thread cannot get on meanwhile
        cancelled = writer.wait_durable(writer.append(b"one"))
        cancelled.cancel()
    writer.wait_durable(writer.append(b"two")).result(PATIENCE_S)
    writer.close()


def test_a_frame_larger_than_a_segment_gets_one_of_its_own(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, replica_id="r", incarnation=INCARNATION, segment_bytes_max=5_000)
    frames = [b"small", b"L" * 9_000_000, b"small too"]
    for frame in frames:
        writer.append(frame)
    writer.close()
    assert payloads(tmp_path / INCARNATION) == frames
    assert len(list((tmp_path / INCARNATION).glob("*.seg"))) == 3


def test_appending_from_many_threads_keeps_every_frame_whole(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, replica_id="r", incarnation=INCARNATION, segment_bytes_max=20_000)

    def work(name: int) -> None:
        for number in range(200):
            writer.append(b"%d:%d" % (name, number) + b"." * (number * 7))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    read = [frame.rstrip(b".") for frame in payloads(tmp_path / INCARNATION)]
    for name in range(4):
        mine = [frame for frame in read if frame.startswith(b"%d:" % name)]
        assert mine == [b"%d:%d" % (name, number) for number in range(200)]


def test_busy_says_that_an_append_is_under_way() -> None:
    disk = FakeDisk()
    writer = SpoolWriter(SPOOL, replica_id="r", incarnation=INCARNATION, fs=disk, sync_ms_max=60_000)
    assert not writer.busy
    with disk.mutex:  # writes cannot get on meanwhile
        thread = threading.Thread(target=writer.append, args=(b"x",))
        thread.start()
        for _ in range(PATIENCE_S * 1000):
            if writer.busy:
                break
            threading.Event().wait(0.001)
        assert writer.busy
    thread.join()
    assert not writer.busy
    writer.close()


def test_lost_exchanges_are_counted_on_a_full_disk_and_the_count_survives() -> None:
    disk = FakeDisk()
    writer = SpoolWriter(SPOOL, replica_id="r", incarnation=INCARNATION, fs=disk)
    writer.append(b"x")
    disk.capacity = disk.used
    writer.count_lost()
    writer.count_lost(41)
    assert lost.read(disk, SPOOL / INCARNATION) == 42 == writer.lost
    disk.capacity = 1 << 20
    writer.close()
    assert lost.read(disk, SPOOL / INCARNATION) == 42


@pytest.mark.parametrize("torn", range(32))
def test_a_torn_count_falls_back_to_the_one_before(torn: int) -> None:
    disk = FakeDisk()
    writer = SpoolWriter(SPOOL, replica_id="r", incarnation=INCARNATION, fs=disk)
    for _ in range(5):
        writer.count_lost()
    writer.close()
    disk.files[SPOOL / INCARNATION / "lost"].data[torn] ^= 0xFF
    assert lost.read(disk, SPOOL / INCARNATION) in (4, 5)


def test_kill_9_loses_no_frame_that_append_returned_for(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from capture.spool.writer import SpoolWriter
writer = SpoolWriter(Path({str(tmp_path)!r}), replica_id="r", incarnation="{INCARNATION}", segment_bytes_max=50_000)
number = 0
while True:
    writer.append(b"%d" % number + b"." * (number % 3_000))
    sys.stdout.write(f"{{number}}\\n"); sys.stdout.flush()
    number += 1
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(400):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    acknowledged = 400 + len([line for line in process.stdout.read().split("\n")[:-1] if line])
    process.wait()
    read = payloads(tmp_path / INCARNATION)
    assert [int(frame.rstrip(b".")) for frame in read][:acknowledged] == list(range(acknowledged))
    assert len(read) <= acknowledged + 1  # the one whose append had not returned yet
    assert OsFilesystem().lock(tmp_path / INCARNATION / "lock") is not None
