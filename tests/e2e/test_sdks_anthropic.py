"""anthropic's SDK through the gate: messages plain, streamed and with a tool, and their tokens counted beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import pytest

from extproc.stack import Stack
from tests.e2e.sdk_calls import (
    CALL_TOKENS,
    CALLED,
    DENIED_KEY,
    KEY,
    SCHEMA,
    TEXT,
    Told,
    Trace,
    assert_denied,
    assert_told,
)

pytestmark = pytest.mark.e2e

MODEL = "claude-haiku-4-5"
DATED = "claude-haiku-4-5-20251001"
HELLO: Any = [{"role": "user", "content": "hello"}]
TOOL: Any = {"name": "weather", "description": "d", "input_schema": dict(SCHEMA)}
_plain_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@contextmanager
def client(stack: Stack, trace: Trace, key: str = KEY) -> Iterator[anthropic.Anthropic]:
    base_url = f"{stack.base_url}/anthropic"
    with anthropic.Anthropic(base_url=base_url, api_key=key, default_headers=trace.headers) as made:
        yield made


def told(reason: str, **more: Any) -> Told:
    return Told("anthropic.messages", "anthropic", "chat", MODEL, DATED, (reason,), **more)


@_plain_and_streamed
def test_a_message_answers(stack: Stack, stream: bool) -> None:
    trace = Trace()
    with client(stack, trace) as claude:
        asked: Any = {"model": MODEL, "max_tokens": 64, "messages": HELLO}
        if stream:
            with claude.messages.stream(**asked) as events:
                assert "".join(events.text_stream) == TEXT
        else:
            assert claude.messages.create(**asked).content[0].text == TEXT
    assert_told(stack, trace, told("end_turn", stream=stream))


@_plain_and_streamed
def test_a_message_calls_a_tool(stack: Stack, stream: bool) -> None:
    trace = Trace()
    with client(stack, trace) as claude:
        asked: Any = {"model": MODEL, "max_tokens": 64, "messages": HELLO, "tools": [TOOL]}
        if stream:
            with claude.messages.stream(**asked) as events:
                message = events.get_final_message()
        else:
            message = claude.messages.create(**asked)
    assert [block.input for block in message.content if block.type == "tool_use"] == [CALLED[1]]
    expected = told("tool_use", stream=stream, text=None, tool_calls=(CALLED,), output_tokens=CALL_TOKENS)
    assert_told(stack, trace, expected)


def test_tokens_are_counted_and_models_listed(stack: Stack) -> None:
    counting, listing = Trace(), Trace()
    with client(stack, counting) as claude:
        assert claude.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens > 0
    with client(stack, listing) as claude:
        assert DATED in {model.id for model in claude.models.list()}
    row = counting.row(stack)
    assert (row["api"], row["decision"], row["gen_ai_request_model"]) == ("anthropic.count_tokens", "allow", MODEL)
    assert (listing.row(stack)["api"], listing.row(stack)["decision"]) == ("anthropic.models", "allow")


def test_a_denial_is_a_permission_error_and_is_not_retried(stack: Stack) -> None:
    trace = Trace()
    with client(stack, trace, DENIED_KEY) as claude, pytest.raises(anthropic.PermissionDeniedError) as raised:
        claude.messages.create(model="gpt-5", max_tokens=64, messages=HELLO)
    says = "team search may not use model gpt-5"
    assert_denied(stack, trace, code="access.model_allowlist", message=raised.value.message, says=says)
