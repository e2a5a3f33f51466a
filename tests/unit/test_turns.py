"""Callers take turns at the inspection workers: nobody's pile of dear bodies stands in anybody else's way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from extproc.codecs import codec_for
from extproc.events import Inspect
from extproc.judgement import Judgement
from extproc.model import Call, Credentials, Mode, Principal, PrincipalSource, Route
from extproc.workers import Turns


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


async def _others_are_waiting() -> None:
    """Let every task that can run come to where it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def _job(turns: Turns, caller: str, done: list[str]) -> None:
    await turns.take(caller)
    done.append(caller)
    turns.give(caller)


def test_who_comes_last_waits_for_one_job_of_each_other_caller() -> None:
    async def scene() -> None:
        turns, done = Turns(1), list[str]()
        await turns.take("busy")
        jobs = [asyncio.ensure_future(_job(turns, caller, done)) for caller in ("greedy",) * 5 + ("quiet", "third")]
        await _others_are_waiting()
        turns.give("busy")
        await asyncio.gather(*jobs)
        assert done == ["greedy", "quiet", "third", "greedy", "greedy", "greedy", "greedy"]

    _run(scene())


def test_who_comes_while_a_job_runs_is_next() -> None:
    async def scene() -> None:
        turns, done = Turns(1), list[str]()
        await turns.take("greedy")
        jobs = [asyncio.ensure_future(_job(turns, caller, done)) for caller in ("greedy", "greedy", "quiet")]
        await _others_are_waiting()
        turns.give("greedy")
        await asyncio.gather(*jobs)
        assert done == ["quiet", "greedy", "greedy"]

    _run(scene())


def test_as_many_run_at_once_as_there_are_places() -> None:
    async def scene() -> None:
        turns, done = Turns(2), list[str]()
        await turns.take("a")
        await turns.take("a")
        third = asyncio.ensure_future(_job(turns, "b", done))
        await _others_are_waiting()
        assert done == []
        turns.give("a")
        await third
        assert done == ["b"]

    _run(scene())


def test_a_turn_that_is_given_up_is_the_next_ones() -> None:
    async def scene() -> None:
        turns, done = Turns(1), list[str]()
        await turns.take("a")
        gone = asyncio.ensure_future(_job(turns, "gone", done))
        just_called = asyncio.ensure_future(_job(turns, "called", done))
        last = asyncio.ensure_future(_job(turns, "last", done))
        await _others_are_waiting()
        gone.cancel()
        await _others_are_waiting()
        turns.give("a")  # to `called`, who goes at the same moment
        just_called.cancel()
        await last
        assert done == ["last"]

    _run(scene())


def test_a_body_is_inspected_in_its_callers_turn() -> None:
    route = Route("r", "openai", "h", Mode.ENFORCE, Credentials.INJECT, PrincipalSource.API_KEY)
    call = Call("POST", "/v1/chat/completions", "h", "application/json")
    told = []
    for principal in (
        Principal(caller="app", team="search"),
        Principal(PrincipalSource.PROVIDER_KEY, fingerprint="94aa"),
        Principal(),
    ):
        judgement = Judgement(exchange_id="x", route=route, principal=principal, call=call, codec=codec_for(call))
        (effect,) = judgement.begin(b"{}", body_bytes=2)
        assert isinstance(effect, Inspect)
        told.append(effect.caller)
    assert told == ["app", "94aa", "route r"]
