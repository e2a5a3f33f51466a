"""What is held of a response to be read later counts against the memory of the process, and is given back."""

from __future__ import annotations

import pytest

from extproc.codecs import CODECS
from extproc.memory import MemoryBudget
from extproc.model import Call, Limits, RequestFacts
from extproc.response import ResponseTrack


def _track(memory: MemoryBudget) -> ResponseTrack:
    track = ResponseTrack("x", Limits(), memory)
    decoder = CODECS["openai.chat"].response(
        call=Call("POST", "/v1/x", "h"), status=200, content_type=None, request=RequestFacts()
    )
    track.start(status=200, content_type=None, content_encoding=None, hints={}, codec_decoder=decoder)
    track.allow(keep=False, dropped_state="policy")  # nothing is kept for the archive: what counts is the decoder's
    return track


@pytest.mark.parametrize("begin", [b'{"choices": [', b"data: "])
def test_an_answer_that_waits_for_its_end_is_held_memory(begin: bytes) -> None:
    memory = MemoryBudget(100_000)
    track = _track(memory)
    track.feed(begin)
    for _ in range(9):
        track.feed(b" " * 10_000)
    assert 90_000 <= memory.used_bytes <= 90_000 + len(begin)
    track.release_decoder()
    assert memory.used_bytes == 0


def test_events_that_are_complete_are_not_held() -> None:
    memory = MemoryBudget(100_000)
    track = _track(memory)
    for _ in range(50):
        track.feed(b'data: {"choices": []}' + b" " * 10_000 + b"\n\n")
    assert memory.used_bytes == 0
    assert track.warnings == []


def test_beyond_the_budget_an_answer_is_not_read_any_more_and_the_row_says_so() -> None:
    memory = MemoryBudget(100_000)
    track = _track(memory)
    track.feed(b'{"choices": [')
    for _ in range(11):
        track.feed(b" " * 10_000)
    assert (track.warnings, memory.used_bytes) == (["response_too_large"], 0)
    assert track.total_bytes == 110_013
