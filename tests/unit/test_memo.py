"""The memory of decisions: exact, bounded, oldest out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.model import Action, Decision, Reason
from extproc.opa.memo import ENTRY_BYTES, Memo


def decision(status: int = 403, message: str = "") -> Decision:
    return Decision(Action.DENY, reasons=(Reason("r", message, Action.DENY, enforced=True),), status=status)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_two_inputs_that_differ_in_one_byte_never_share(document: bytes, data: st.DataObject) -> None:
    memo = Memo(bytes_max=1 << 20, entries_max=10)
    memo.put(document, decision())
    place = data.draw(st.integers(0, len(document) - 1))
    other = bytearray(document)
    other[place] ^= data.draw(st.integers(1, 255))
    assert memo.get(bytes(other)) is None
    assert memo.get(document) == decision()


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3000)), max_size=80),
    st.integers(1, 12),
    st.integers(0, 60_000),
)
def test_whatever_is_put_in_it_stays_within_both_bounds_and_never_answers_wrongly(
    puts: list[tuple[int, int]], entries_max: int, bytes_max: int
) -> None:
    memo = Memo(bytes_max=bytes_max, entries_max=entries_max)
    truth: dict[bytes, Decision] = {}
    for number, size in puts:
        document = b"%d" % number
        truth.setdefault(document, decision(number + 400, "m" * size))
        memo.put(document, truth[document])
        kept = {key: found for key in truth if (found := memo.get(key)) is not None}
        assert kept == {key: truth[key] for key in kept}
        assert len(kept) == len(memo) <= entries_max
        assert sum(len(key) + ENTRY_BYTES for key in kept) <= memo.used_bytes <= bytes_max


def test_the_oldest_goes_first() -> None:
    memo = Memo(bytes_max=1 << 20, entries_max=2)
    for name in (b"a", b"b", b"c"):
        memo.put(name, decision())
        memo.get(b"a")  # being asked for does not make it younger
    assert [memo.get(name) is not None for name in (b"a", b"b", b"c")] == [False, True, True]


def test_one_huge_entry_does_not_push_out_all_others() -> None:
    memo = Memo(bytes_max=64 * 1024, entries_max=100)
    memo.put(b"small", decision())
    memo.put(b"x" * 10_000, decision())
    assert memo.get(b"x" * 10_000) is None
    assert memo.get(b"small") is not None


@pytest.mark.parametrize("bytes_max", [0, 1])
def test_with_no_room_nothing_is_kept(bytes_max: int) -> None:
    memo = Memo(bytes_max=bytes_max, entries_max=1)
    memo.put(b"a", decision())
    assert (len(memo), memo.used_bytes) == (0, 0)
