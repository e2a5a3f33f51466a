"""The spool against a model: whatever the disk does, whenever the process dies, what was acknowledged is read back."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from capture.errors import SpoolFull, SpoolNotDurable
from capture.spool.reader import Found, IncarnationReader
from capture.spool.writer import SpoolWriter
from tests.capture.fake_disk import Died, FakeDisk

SPOOL = Path("/spool")
SEGMENT_BYTES = 300
LIFE_STEPS_MIN = 4
"""A life that ends at once tests nothing."""


def incarnation(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012d}"


class Spool(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.disk = FakeDisk()
        self.lives = 0
        self.number = 0
        self.dead: list[tuple[Path, list[bytes], list[bytes]]] = []
        """Folder, what may be read, what must be read, of every life that ended."""
        self.start()

    def start(self) -> None:
        self.lives += 1
        self.folder = SPOOL / incarnation(self.lives)
        self.writer = SpoolWriter(
            SPOOL,
            replica_id="r",
            incarnation=incarnation(self.lives),
            segment_bytes_max=SEGMENT_BYTES,
            sync_ms_max=60_000,  # only those who wait are synced: what is durable is what the model knows to be
            fs=self.disk,
        )
        self.written: list[bytes] = []
        self.durable: list[bytes] = []
        self.refused: list[bytes] = []
        """Written, but the disk failed to sync them: they may be read or not."""
        self.tail = IncarnationReader(self.folder, fs=self.disk)
        self.tailed: list[bytes] = []
        self.steps = 0

    def payload(self, size: int) -> bytes:
        self.number += 1
        return (b"%06d" % self.number) + b"\xf5HGf" * (size // 4)

    @rule(
        sizes=st.lists(st.integers(0, 500), min_size=1, max_size=4),
        room=st.none() | st.integers(0, 400),
        cannot=st.sampled_from([None, None, "truncate", "create"]),
    )
    def append(self, sizes: list[int], room: int | None, cannot: str | None) -> None:
        """Some frames, on a disk that may be nearly full, or refuse to cut a file or to make one."""
        self.steps += 1
        self.disk.capacity = 1 << 30 if room is None else self.disk.used + room
        self.disk.refuse_truncate, self.disk.refuse_create = cannot == "truncate", cannot == "create"
        for size in sizes:
            payload = self.payload(size)
            before = self.writer.end_offset
            try:
                end = self.writer.append(payload)
            except SpoolFull:
                continue
            assert end == self.writer.end_offset > before
            self.written.append(payload)
        self.disk.capacity = 1 << 30
        self.disk.refuse_truncate = self.disk.refuse_create = False

    @rule(disk_fails=st.booleans())
    def make_durable(self, *, disk_fails: bool) -> None:
        self.steps += 1
        self.disk.refuse_sync = disk_fails
        future = self.writer.wait_durable(self.writer.end_offset)
        try:
            future.result(timeout=10)
        except SpoolNotDurable:
            self.refused += [payload for payload in self.written if payload not in self.durable + self.refused]
            return
        finally:
            self.disk.refuse_sync = False
        self.durable += [payload for payload in self.written if payload not in self.durable + self.refused]

    @rule()
    def tail_it(self) -> None:
        self.tailed += [bytes(item.payload) for item in self.tail.poll(final=False) if isinstance(item, Found)]
        assert self.tailed == self.written

    @precondition(lambda self: self.steps >= LIFE_STEPS_MIN)
    @rule(how=st.sampled_from(["close", "die", "power"]), data=st.data())
    def end_life(self, how: str, data: st.DataObject) -> None:
        if how == "close":
            self.writer.close()
            self.end(self.written, self.written)
        elif how == "die":
            self.die(self.payload(data.draw(st.integers(0, 500))), data.draw(st.integers(0, 700)))
        else:
            self.stop_thread()
            fates = st.sampled_from(["torn", "zeroed", "garbled"])
            self.disk.lose_power(self.folder, lambda n: (data.draw(fates), data.draw(st.integers(0, n))))
            self.end(self.written, self.durable)

    def die(self, payload: bytes, after: int) -> None:
        """The process is killed while it appends, `after` bytes into it, or right after it."""
        self.disk.die_after = after
        may = [*self.written, payload]  # all of its bytes may have made it
        try:
            self.writer.append(payload)
        except Died:
            pass
        else:
            self.written.append(payload)
        self.disk.die_after = None
        self.stop_thread()
        self.end(may, self.written)

    def stop_thread(self) -> None:
        """The committer's thread dies with the process: from here on it must not touch the disk."""
        disk, mutex = self.disk, self.disk.mutex
        with mutex:
            frozen = {path: (bytes(i.data), i.synced, list(i.forgotten), i.named) for path, i in disk.files.items()}
        self.writer._committer.stop()
        with mutex:
            for path, (data, synced, forgotten, named) in frozen.items():
                inode = disk.files[path]
                inode.data[:], inode.synced, inode.forgotten, inode.named = data, synced, forgotten, named

    def end(self, may: list[bytes], must: list[bytes]) -> None:
        self.check(self.folder, may, must)
        self.dead.append((self.folder, may, must))
        self.start()

    def check(self, folder: Path, may: list[bytes], must: list[bytes]) -> None:
        items = list(IncarnationReader(folder, fs=self.disk).poll(final=True))
        read = [bytes(item.payload) for item in items if isinstance(item, Found)]
        positions = [may.index(payload) for payload in read]
        assert positions == sorted(set(positions)), "frames out of order, twice, or never written"
        assert [payload for payload in must if payload not in read] == []

    @invariant()
    @precondition(lambda self: bool(self.dead))
    def earlier_lives_are_untouched(self) -> None:
        self.check(*self.dead[-1])

    def teardown(self) -> None:
        if hasattr(self, "writer"):
            self.disk.die_after = None
            self.writer.close()


TestSpool = Spool.TestCase
TestSpool.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)
