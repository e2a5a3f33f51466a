"""Keyed placeholders through Envoy: what the provider's prompt cache and the archive's readers get of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from extproc.stack import Stack
from tests.e2e.gate import CHAT
from tests.e2e.traffic import OPENAI, Delivery, deliver, received_body, refused, settle

pytestmark = pytest.mark.e2e

KEYED = {"redaction": {"key": {"value": "an example key of placeholders"}, "period_days": 3650}}
SUPPORT = {"authorization": "Bearer example-key-support"}
EMAIL = "ann.smith@corp-mail.net"
SECRET = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
"""The form of a GitHub token, as their documentation shows it."""


def _turn(*texts: str) -> dict[str, Any]:
    """A conversation: what the user said, and what the model answered, in turn."""
    roles = ("user", "assistant")
    return CHAT | {"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]}


def _sent(done: Delivery) -> bytes:
    (got,) = done.received
    return received_body(got)


def _placeholder(body: bytes) -> str:
    (name,) = set(re.findall(rb"<EMAIL_ADDRESS_[a-p]{10}>", body))
    return str(name, "ascii")


def test_the_turns_of_a_conversation_begin_with_the_same_bytes(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(settings=KEYED)
    first = deliver(stack, OPENAI, _turn(f"write to {EMAIL}"))
    name = _placeholder(_sent(first))
    # The model answers with the placeholder; the client resends what it said itself, and that answer.
    second = deliver(stack, OPENAI, _turn(f"write to {EMAIL}", f"Dear {name},", f"and copy {EMAIL}, bob@corp-mail.net"))
    settle([first, second])
    assert _sent(second).startswith(_sent(first)[: -len(b"]}")])
    assert [message["content"].count(name) for message in json.loads(_sent(second))["messages"]] == [1, 1, 1]
    assert b"@corp-mail.net" not in _sent(second)
    for done in (first, second):
        assert (done.facts["decision"], done.facts["request_body"]) == ("redact", _sent(done))
        assert EMAIL not in str(done.facts)


def test_another_team_has_another_placeholder_and_the_archive_masks_with_the_same(
    make_stack: Callable[..., Stack],
) -> None:
    stack = make_stack(settings=KEYED)
    mine = deliver(stack, OPENAI, _turn(EMAIL))
    theirs = deliver(stack, OPENAI, _turn(EMAIL), headers=SUPPORT)
    denied = deliver(stack, OPENAI, _turn(f"{EMAIL} has {SECRET}"))
    settle([mine, theirs, denied])
    assert _placeholder(_sent(mine)) != _placeholder(_sent(theirs))
    row = refused(denied, "content.data_classes")
    assert _placeholder(row["request_body"]) == _placeholder(_sent(mine))
    assert re.search(rb"<GITHUB_TOKEN_[a-p]{10}>", row["request_body"])
    assert SECRET.encode() not in row["request_body"]
