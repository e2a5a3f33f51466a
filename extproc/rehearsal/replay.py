"""A bundle asked about many archived exchanges, with a bounded number of them in memory.

rows ─► window (until it holds a batch of new questions) ─► one POST ─► decisions ─► tally
                                               two at a time
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from extproc.model import Decision
from extproc.rehearsal.archived import Archived
from extproc.rehearsal.changes import Because, Past, Question, Tally, changes_of
from extproc.rehearsal.judge import BATCH_BYTES_MAX, BATCH_ROWS, CONNECTIONS, Judge

WINDOW_ROWS_MAX: Final = 5_000
"""Rows that wait for one batch: many may ask the same."""

AskedToday = Callable[[Archived], Question | str]
"""Looks at a row's text again: `reinspection.asked_today` with its limits."""


@dataclass(slots=True)
class Seen:
    """What was gone through."""

    rows: int = 0
    judged: int = 0
    failed: int = 0
    """Rows of which the bundle said nothing that is a decision: denied."""
    first_us: int | None = None
    last_us: int | None = None

    def note(self, at_us: int) -> None:
        self.rows += 1
        self.first_us = at_us if self.first_us is None else min(self.first_us, at_us)
        self.last_us = at_us if self.last_us is None else max(self.last_us, at_us)


@dataclass(frozen=True, slots=True)
class _Case:
    past: Past
    recorded: Question
    key: bytes
    today: Question | None = None
    """Where it differs from `recorded`."""
    today_key: bytes = b""


@dataclass(slots=True)
class _Window:
    cases: list[_Case] = field(default_factory=list)
    known: dict[bytes, Decision] = field(default_factory=dict)
    new: dict[bytes, None] = field(default_factory=dict)
    new_bytes: int = 0

    @property
    def full(self) -> bool:
        return len(self.new) >= BATCH_ROWS or self.new_bytes >= BATCH_BYTES_MAX or len(self.cases) >= WINDOW_ROWS_MAX


async def replay(rows: Iterable[Archived], judge: Judge, tally: Tally, today: AskedToday | None = None) -> Seen:
    """Ask about every row and count what changes; the judge is closed then. Raises `DependencyError` when OPA is gone,
    and what reading the rows raises."""
    seen = Seen()
    window = _Window()
    running: set[asyncio.Task[None]] = set()
    try:
        for row in rows:
            seen.note(row.at_us)
            _take(row, window, judge, tally, today)
            if window.full:
                running = await _finish(window, judge, tally, seen, running)
                window = _Window()
        running = await _finish(window, judge, tally, seen, running)
        for task in running:
            await task
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        judge.close()
    return seen


def _take(row: Archived, window: _Window, judge: Judge, tally: Tally, today: AskedToday | None) -> None:
    if row.unsaid is not None:
        tally.add_unsaid(row.unsaid, row.exchange_id)
        return
    assert row.past is not None
    assert row.question is not None
    case = _Case(row.past, row.question, _key(window, judge, row.question, row.parsed))
    if today is not None:
        question = today(row)
        if isinstance(question, str):
            tally.add_unsaid(question, row.exchange_id)
        elif question != row.question:
            key = _key(window, judge, question, orjson.loads(question.document))
            case = _Case(row.past, row.question, case.key, question, key)
    window.cases.append(case)


def _key(window: _Window, judge: Judge, question: Question, parsed: dict[str, Any]) -> bytes:
    key = judge.key(question.document, parsed)
    if key not in window.known and key not in window.new:
        decision = judge.recall(key)
        if decision is None:
            window.new[key] = None
            window.new_bytes += len(key)
        else:
            window.known[key] = decision
    return key


async def _finish(
    window: _Window, judge: Judge, tally: Tally, seen: Seen, running: set[asyncio.Task[None]]
) -> set[asyncio.Task[None]]:
    """Judge a window, now or as a task; returns the tasks that still run, fewer than there are connections."""
    if not window.new:
        _count(window, tally, seen)
        return running
    running = running | {asyncio.create_task(_ask(window, judge, tally, seen))}
    await asyncio.sleep(0)  # so that the question is on its way before the next rows are read
    if len(running) >= CONNECTIONS:
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    return running


async def _ask(window: _Window, judge: Judge, tally: Tally, seen: Seen) -> None:
    keys = list(window.new)
    window.known.update(zip(keys, await judge.decide(keys), strict=True))
    _count(window, tally, seen)


def _count(window: _Window, tally: Tally, seen: Seen) -> None:
    for case in window.cases:
        seen.judged += 1
        decision = window.known[case.key]
        by_policy = changes_of(case.past, case.recorded, decision)
        changes = by_policy
        if case.today is not None:
            decision = window.known[case.today_key]
            changes = changes_of(case.past, case.today, decision)
        seen.failed += decision.failure is not None
        for changed in changes:
            same = any(changed.change is other.change for other in by_policy)
            tally.add(case.past, changed, Because.POLICY if same else Because.DETECTORS)
