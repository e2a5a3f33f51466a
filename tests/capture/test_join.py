"""Joining: whatever frames there are and however they interleave, one truthful row per exchange that was opened."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from capture import record
from capture.join import Joined, Joiner
from capture.record import AnyFrame, Closed, Opened, Request, ResponsePart
from capture.spool.segment import FrameRef
from tests.capture.story import INCARNATION, Story, exchange_id


def feed(joiner: Joiner, frames: list[AnyFrame], start: int = 0) -> tuple[list[Joined], int]:
    """Feed frames as if each lay right behind the one before; the exchanges they close, and the end offset."""
    joined, offset = [], start
    for frame in frames:
        payload = record.encode(frame)
        found = joiner.feed(payload, FrameRef(1, offset, len(payload), offset))
        offset += len(payload)
        if found is not None:
            joined.append(found)
    return joined, offset


def test_a_whole_exchange_is_joined_when_it_closes_and_holds_no_body() -> None:
    frames = Story(1, response=(b"one", b"two")).frames()
    joiner = Joiner(INCARNATION)
    (joined,), end = feed(joiner, frames)
    assert joined.exchange_id == exchange_id(1)
    assert joined.request is not None
    assert joined.request.body is None
    assert joined.request_ref is not None
    assert len(joined.parts) == 2
    assert joined.closed == frames[-1]
    assert joined.closed_offset == end
    assert joined.warnings == ()
    assert (joiner.opened, joiner.open_count, joiner.orphans) == (1, 0, 0)


def test_an_exchange_without_a_request_frame_has_none() -> None:
    frames = Story(1).frames()
    (joined,), _ = feed(Joiner(INCARNATION), [frames[0], frames[-1]])
    assert (joined.request, joined.request_ref, joined.head, joined.parts) == (None, None, None, ())
    assert joined.closed == frames[-1]


def test_a_part_behind_a_missing_one_is_left_out_and_the_row_warned() -> None:
    frames = Story(1, response=(b"a", b"b", b"c", b"d")).frames()
    del frames[4]  # part 2
    (joined,), _ = feed(Joiner(INCARNATION), frames)
    assert len(joined.parts) == 2
    assert joined.warnings == ("response_part_missing",)


def test_a_dead_incarnations_open_exchanges_are_cut_in_the_order_of_opening() -> None:
    first, second = Story(1).frames(), Story(2).frames()
    joiner = Joiner(INCARNATION)
    joined, end = feed(joiner, [first[0], second[0], second[1], first[1]])
    assert joined == []
    cut = list(joiner.close_open(end))
    assert [(item.exchange_id, item.closed, item.closed_offset) for item in cut] == [
        (exchange_id(1), None, end + 1),
        (exchange_id(2), None, end + 2),
    ]
    assert list(joiner.close_open(end)) == []


def test_what_was_settled_does_not_come_out_again_nor_count_as_odd() -> None:
    first, second = Story(1).frames(), Story(2).frames()
    log = [*first, *second]
    (done, _), end = feed(Joiner(INCARNATION), log)
    resumed = Joiner(INCARNATION, settled=done.closed_offset, counted=end)
    again, _ = feed(resumed, log[1:])  # the log's beginning is already deleted
    assert [item.exchange_id for item in again] == [exchange_id(2)]
    assert resumed.orphans == 0


def test_frames_after_the_end_or_of_nobody_are_counted_as_orphans() -> None:
    frames = Story(1).frames()
    joiner = Joiner(INCARNATION)
    feed(joiner, [*frames, frames[2], Story(9).frames()[1]])
    assert joiner.orphans == 2


def test_an_undecodable_opened_frame_still_yields_a_row_that_says_so() -> None:
    joiner = Joiner(INCARNATION)
    payload = msgspec.msgpack.encode({"frame": "opened", "exchange_id": exchange_id(5), "seq": "not a number"})
    joiner.feed(payload, FrameRef(1, 0, 100, 0))
    (joined,) = joiner.close_open(100)
    assert joined.exchange_id == exchange_id(5)
    assert joined.opened.incarnation == INCARNATION
    assert joined.warnings == ("undecodable_frame",)
    assert joiner.undecodable == 1


def test_an_undecodable_closed_frame_ends_the_exchange_without_saying_how() -> None:
    joiner = Joiner(INCARNATION)
    feed(joiner, Story(1).frames()[:-1])
    payload = msgspec.msgpack.encode({"frame": "closed", "exchange_id": exchange_id(1), "attempts": "many"})
    joined = joiner.feed(payload, FrameRef(1, 5000, 100, 5000))
    assert joined is not None
    assert (joined.closed, joined.warnings) == (None, ("undecodable_frame",))


def test_bytes_that_are_no_frame_at_all_are_counted_and_passed_over() -> None:
    joiner = Joiner(INCARNATION)
    for junk in (b"", b"\xc1", b"not msgpack", b"\x93" * 2000, msgspec.msgpack.encode({"exchange_id": 7})):
        assert joiner.feed(junk, FrameRef(1, 0, 10, 0)) is None
    assert (joiner.undecodable, joiner.orphans) == (5, 5)


def test_the_low_watermark_is_the_oldest_frame_that_is_still_needed() -> None:
    first, second = Story(1).frames(), Story(2).frames()
    joiner = Joiner(INCARNATION)
    _, offset = feed(joiner, [first[0]])
    assert joiner.low_watermark == 0
    second_starts = offset
    _, offset = feed(joiner, [second[0], *first[1:]], offset)
    assert joiner.low_watermark == second_starts
    feed(joiner, second[1:], offset)
    assert joiner.low_watermark is None


@st.composite
def interleavings(draw: st.DrawFn) -> tuple[list[AnyFrame], int]:
    """Frames of several exchanges, some of each missing, in any interleaving that keeps each exchange's order."""
    count = draw(st.integers(1, 6))
    queues = []
    for number in range(1, count + 1):
        parts = tuple(b"part %d" % index for index in range(draw(st.integers(0, 3))))
        frames = Story(number, response=parts).frames()
        kept = [frames[0], *(frame for frame in frames[1:] if draw(st.integers(0, 3)))]
        queues.append(kept)
    log: list[AnyFrame] = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        log.append(queue.pop(0))
    return log[: draw(st.integers(0, len(log)))], count


@given(interleavings())
@settings(max_examples=200, deadline=None)
def test_any_interleaving_cut_anywhere_yields_exactly_one_truthful_row_per_opened(
    case: tuple[list[AnyFrame], int],
) -> None:
    log, _ = case
    joiner = Joiner(INCARNATION)
    joined, end = feed(joiner, log)
    joined += joiner.close_open(end)
    opened = [frame.exchange_id for frame in log if isinstance(frame, Opened)]
    assert sorted(item.exchange_id for item in joined) == sorted(opened)
    assert [item.closed_offset for item in joined] == sorted({item.closed_offset for item in joined})
    for item in joined:
        mine = [frame for frame in log if frame.exchange_id == item.exchange_id]
        closed = [frame for frame in mine if isinstance(frame, Closed)]
        requests = [frame for frame in mine if isinstance(frame, Request)]
        indexes = {frame.index for frame in mine if isinstance(frame, ResponsePart)}
        contiguous = next(index for index in range(len(indexes) + 1) if index not in indexes)
        assert item.closed == (closed[0] if closed else None)
        assert (item.request is not None) == bool(requests)
        assert len(item.parts) == contiguous
        assert ("response_part_missing" in item.warnings) == (contiguous < len(indexes))
        assert (item.head is not None) == (0 in indexes)
