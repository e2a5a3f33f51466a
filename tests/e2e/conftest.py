"""Real stacks for end-to-end tests: Envoy, OPA, extproc, capture and the simulated upstream.

stack         one for the whole session: for tests that leave it as they found it
make_stack    stacks of a test's own, stopped after it: for tests that kill, stop or reconfigure
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from extproc.stack import Stack, plan
from tests.e2e.gate import EXAMPLE

QUICK: dict[str, dict[str, Any]] = {"capture": {"flush_interval_s": 0.3}, "policy": {"deadline_ms": 2_000}}
"""Rows appear soon, so that tests need not wait; a busy machine judges all the same."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    chosen = plan(EXAMPLE, state=tmp_path_factory.mktemp("stack"), port=0, concurrency=1, settings=QUICK)
    with Stack(chosen, report=lambda _: None) as running:
        yield running


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """`make_stack(settings={…}, upstream="…", config=PATH)` starts one; `report` gets the supervisor's lines."""
    with ExitStack() as running:

        def make(
            *,
            settings: dict[str, Any] | None = None,
            upstream: str = "simulated",
            config: Path = EXAMPLE,
            report: Callable[[str], None] = lambda _: None,
        ) -> Stack:
            merged = QUICK | (settings or {})
            for section, quick in QUICK.items():
                merged[section] = quick | merged.get(section, {})
            state = tmp_path / f"state-{len(list(tmp_path.iterdir()))}"
            chosen = plan(config, upstream=upstream, state=state, port=0, concurrency=1, settings=merged)
            return running.enter_context(Stack(chosen, report=report))

        yield make
