"""What the reader makes of damaged, unfinished and growing logs. Real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.errors import SpoolDamaged
from capture.spool.layout import segment_name
from capture.spool.reader import TORN_TAIL, Broken, Found, IncarnationReader
from capture.spool.segment import FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES
from capture.spool.writer import SpoolWriter

INCARNATION = "0192f0c0-7a1b-7c3d-8e4f-a1b2c3d4e5f6"
FRAME = FRAME_HEADER_BYTES + 100
"""Bytes of a frame of `payload`."""


def payload(number: int) -> bytes:
    return b"%0100d" % number


def write(spool: Path, count: int, *, segment_bytes_max: int = 1 << 20) -> Path:
    writer = SpoolWriter(spool, replica_id="r", incarnation=INCARNATION, segment_bytes_max=segment_bytes_max)
    for number in range(count):
        writer.append(payload(number))
    writer.close()
    return spool / INCARNATION


def read(folder: Path, *, final: bool = True) -> tuple[list[int], list[Broken]]:
    items = list(IncarnationReader(folder).poll(final=final))
    return [int(bytes(i.payload)) for i in items if isinstance(i, Found)], [i for i in items if isinstance(i, Broken)]


def change(folder: Path, number: int, edit: Callable[[bytearray], None]) -> None:
    path = folder / segment_name(number)
    data = bytearray(path.read_bytes())
    edit(data)
    path.write_bytes(data)


def start_of(index: int) -> int:
    return SEGMENT_HEADER_BYTES + index * FRAME


def test_frames_come_back_in_order_over_many_segments(tmp_path: Path) -> None:
    folder = write(tmp_path, 20, segment_bytes_max=500)
    assert len(list(folder.glob("*.seg"))) == 7  # (500 - 48) // 120 = 3 frames each
    assert read(folder) == (list(range(20)), [])


def test_offsets_are_those_that_append_returned(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, replica_id="r", incarnation=INCARNATION, segment_bytes_max=500)
    ends = [writer.append(payload(number)) for number in range(8)]
    writer.close()
    items = [item for item in IncarnationReader(tmp_path / INCARNATION).poll(final=True) if isinstance(item, Found)]
    assert [item.ref.end for item in items] == ends


@pytest.mark.parametrize("kept", [0, 1, 19, 20, 21, FRAME - 1])
def test_a_torn_tail_is_cut_at_the_last_good_frame(tmp_path: Path, kept: int) -> None:
    folder = write(tmp_path, 5)

    def tear(data: bytearray) -> None:
        del data[start_of(4) + kept :]

    change(folder, 1, tear)
    frames, broken = read(folder)
    assert frames == [0, 1, 2, 3]
    assert broken == ([Broken(TORN_TAIL, 1, start_of(4), kept)] if kept else [])


@pytest.mark.parametrize("zeroes", [1, 20, 4096, 1 << 20])
def test_a_zeroed_tail_is_cut_and_not_read_as_empty_frames(tmp_path: Path, zeroes: int) -> None:
    folder = write(tmp_path, 5)

    def zero(data: bytearray) -> None:
        data[start_of(4) :] = bytes(zeroes)

    change(folder, 1, zero)
    assert read(folder) == ([0, 1, 2, 3], [Broken(TORN_TAIL, 1, start_of(4), zeroes)])


def test_a_tail_whose_payload_is_zeroed_is_cut(tmp_path: Path) -> None:
    folder = write(tmp_path, 5)

    def zero(data: bytearray) -> None:
        data[start_of(4) + FRAME_HEADER_BYTES :] = bytes(100)

    change(folder, 1, zero)
    frames, broken = read(folder)
    assert frames == [0, 1, 2, 3]
    assert [item.code for item in broken] == ["bad_payload"]


def test_a_rotten_payload_in_the_middle_costs_one_frame(tmp_path: Path) -> None:
    folder = write(tmp_path, 5)

    def rot(data: bytearray) -> None:
        data[start_of(2) + 50] ^= 1

    change(folder, 1, rot)
    assert read(folder) == ([0, 1, 3, 4], [Broken("bad_payload", 1, start_of(2), FRAME)])


def test_a_rotten_header_in_the_middle_costs_up_to_the_next_good_frame(tmp_path: Path) -> None:
    folder = write(tmp_path, 5)

    def rot(data: bytearray) -> None:
        data[start_of(2) + 9] ^= 1

    change(folder, 1, rot)
    assert read(folder) == ([0, 1, 3, 4], [Broken("bad_frame_header", 1, start_of(2), FRAME)])


def test_a_good_frame_behind_much_damage_is_found_wherever_the_read_buffer_ends(tmp_path: Path) -> None:
    hole = 600_000
    writer = SpoolWriter(tmp_path, replica_id="r", incarnation=INCARNATION, segment_bytes_max=1 << 20)
    writer.append(payload(0))
    writer.append(bytes(hole))
    writer.append(payload(2))
    writer.close()

    def rot(data: bytearray) -> None:
        data[start_of(1)] ^= 1

    change(tmp_path / INCARNATION, 1, rot)
    frames, broken = read(tmp_path / INCARNATION)
    assert frames == [0, 2]
    assert broken == [Broken("bad_frame_header", 1, start_of(1), FRAME_HEADER_BYTES + hole)]


def test_a_segment_without_a_readable_header_is_skipped_and_reported(tmp_path: Path) -> None:
    folder = write(tmp_path, 9, segment_bytes_max=500)
    size = (folder / segment_name(2)).stat().st_size

    def rot(data: bytearray) -> None:
        data[0] ^= 1

    change(folder, 2, rot)
    assert read(folder) == ([0, 1, 2, 6, 7, 8], [Broken("bad_segment_header", 2, 0, size)])


def test_a_segment_under_a_wrong_name_is_not_read(tmp_path: Path) -> None:
    folder = write(tmp_path, 3)
    (folder / segment_name(1)).rename(folder / segment_name(7))
    frames, broken = read(folder)
    assert frames == []
    assert [item.code for item in broken] == ["bad_segment_header"]


def test_a_missing_segment_does_not_stop_the_reader(tmp_path: Path) -> None:
    folder = write(tmp_path, 9, segment_bytes_max=500)
    (folder / segment_name(2)).unlink()
    assert read(folder)[0] == [0, 1, 2, 6, 7, 8]


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_whatever_is_damaged_only_frames_that_were_written_come_out(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = write(tmp_path_factory.mktemp("spool"), 8, segment_bytes_max=500)
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(1, 3))
        size = (folder / segment_name(number)).stat().st_size
        at = data.draw(st.integers(0, size - 1))
        length = data.draw(st.integers(1, 200))
        junk = data.draw(st.sampled_from([b"\0", b"\xff", b"\xf5HGf"]))

        def damage(content: bytearray, at: int = at, length: int = length, junk: bytes = junk) -> None:
            content[at : at + length] = (junk * length)[: len(content[at : at + length])]

        change(folder, number, damage)
    frames, _ = read(folder)
    assert frames == sorted(set(frames))
    assert set(frames) <= set(range(8))


def test_a_live_log_is_followed_while_it_grows(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, replica_id="r", incarnation=INCARNATION, segment_bytes_max=500)
    reader = IncarnationReader(tmp_path / INCARNATION)
    seen: list[int] = []
    for number in range(10):
        writer.append(payload(number))
        seen += [int(bytes(item.payload)) for item in reader.poll(final=False) if isinstance(item, Found)]
        assert seen == list(range(number + 1))
    writer.close()


@pytest.mark.parametrize("cut", [1, 30, FRAME_HEADER_BYTES + 1, FRAME - 1])
def test_a_live_frame_that_is_not_whole_yet_is_waited_for(tmp_path: Path, cut: int) -> None:
    folder = write(tmp_path, 3)
    path = folder / segment_name(1)
    whole = path.read_bytes()[: start_of(3)]
    path.write_bytes(whole[: start_of(2) + cut])
    reader = IncarnationReader(folder)
    assert [int(bytes(item.payload)) for item in reader.poll(final=False) if isinstance(item, Found)] == [0, 1]
    assert list(reader.poll(final=False)) == []
    path.write_bytes(whole)
    assert [int(bytes(item.payload)) for item in reader.poll(final=False) if isinstance(item, Found)] == [2]


def test_reading_resumes_at_any_frame(tmp_path: Path) -> None:
    folder = write(tmp_path, 9, segment_bytes_max=500)
    refs = [item.ref for item in IncarnationReader(folder).poll(final=True) if isinstance(item, Found)]
    for index, ref in enumerate(refs):
        items = IncarnationReader(folder, start=ref.offset).poll(final=True)
        assert [int(bytes(i.payload)) for i in items if isinstance(i, Found)] == list(range(index, 9))


def test_a_payload_can_be_read_again_and_rot_since_then_is_noticed(tmp_path: Path) -> None:
    folder = write(tmp_path, 3)
    reader = IncarnationReader(folder)
    refs = [item.ref for item in reader.poll(final=True) if isinstance(item, Found)]
    assert reader.payload(refs[1]) == payload(1)

    def rot(data: bytearray) -> None:
        data[start_of(1) + 60] ^= 1

    change(folder, 1, rot)
    with pytest.raises(SpoolDamaged):
        reader.payload(refs[1])
    assert reader.payload(refs[2]) == payload(2)


def test_segments_are_given_up_only_when_all_of_their_frames_are_behind(tmp_path: Path) -> None:
    folder = write(tmp_path, 9, segment_bytes_max=500)
    reader = IncarnationReader(folder)
    refs = [item.ref for item in reader.poll(final=True) if isinstance(item, Found)]
    assert reader.segments_before(refs[0].end) == []
    assert reader.segments_before(refs[2].end) == []  # the end mark of segment 1 comes after its last frame
    assert reader.segments_before(refs[3].offset) == [1]
    assert reader.segments_before(refs[8].end) == [1, 2]
