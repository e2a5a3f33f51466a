"""Strict durability: what the client has seen to its end is in the archive, whatever dies right then."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from extproc.stack import Stack
from tests.e2e.gate import CHAT, EXAMPLE, SEARCH_KEY
from tests.e2e.support import ask, content, row

pytestmark = pytest.mark.e2e
PATH = "/openai/v1/chat/completions"


def strict_routes() -> list[dict[str, Any]]:
    routes: list[dict[str, Any]] = yaml.safe_load(EXAMPLE.read_text())["routes"]
    return [r | ({"durability": "strict"} if r["mode"] == "enforce" else {}) for r in routes]


@pytest.fixture
def strict(make_stack: Callable[..., Stack]) -> Stack:
    return make_stack(settings={"routes": strict_routes()})


@pytest.mark.parametrize("stream", [False, True])
def test_a_strict_route_answers_and_archives_like_any_other(strict: Stack, stream: bool) -> None:
    reply = ask(strict, "POST", PATH, SEARCH_KEY | {"x-sim-chunks": "5"}, CHAT | {"stream": stream})
    assert reply.status == 200
    assert row(strict, reply.headers["x-headgate-exchange-id"])["capture_status"] == "completed"


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_answered_to_its_end_is_archived_whole_though_the_sidecar_dies_at_once(
    strict: Stack, stream: bool
) -> None:
    reply = ask(strict, "POST", PATH, SEARCH_KEY | {"x-sim-chunks": "5"}, CHAT | {"stream": stream})
    os.kill(strict.pids["extproc"], signal.SIGKILL)
    exchange_id = reply.headers["x-headgate-exchange-id"]
    facts = row(strict, exchange_id)
    assert facts["capture_status"] in {"completed", "cut"}
    assert content(strict, exchange_id)["response_body"] == reply.body
