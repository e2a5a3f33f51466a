"""What people see who use the providers' own SDKs: their usual exceptions, with our message."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anthropic
import openai
import pytest

from extproc.stack import Stack
from extproc.stack.ready import answers
from tests.e2e.gate import until
from tests.e2e.support import row

pytestmark = pytest.mark.e2e

_plain_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
HELLO: Any = [{"role": "user", "content": "hello"}]


@contextmanager
def _openai(stack: Stack, key: str = "example-key-search") -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stack.base_url}/openai/v1", api_key=key, max_retries=0) as client:
        yield client


@contextmanager
def _anthropic(stack: Stack, key: str = "example-key-search") -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=f"{stack.base_url}/anthropic", api_key=key, max_retries=0) as client:
        yield client


def _openai_error(
    stack: Stack, kind: type[openai.APIStatusError], *, key: str = "example-key-search", **asked: Any
) -> Any:
    sent = {"model": "gpt-4o-mini", "messages": HELLO} | asked
    sim_key = uuid.uuid4().hex
    with _openai(stack, key) as client, pytest.raises(kind) as raised:
        client.chat.completions.create(**sent, extra_headers={"x-sim-key": sim_key})
    assert stack.upstream_requests(sim_key) == []
    return raised.value


def _anthropic_error(
    stack: Stack, kind: type[anthropic.APIStatusError], *, key: str = "example-key-search", **asked: Any
) -> Any:
    sent = {"model": "claude-simulated", "max_tokens": 64, "messages": HELLO} | asked
    sim_key = uuid.uuid4().hex
    with _anthropic(stack, key) as client, pytest.raises(kind) as raised:
        client.messages.create(**sent, extra_headers={"x-sim-key": sim_key})
    assert stack.upstream_requests(sim_key) == []
    return raised.value


@_plain_and_streamed
def test_a_denial_is_a_permission_error_with_the_rules_message(stack: Stack, stream: bool) -> None:
    told = _openai_error(stack, openai.PermissionDeniedError, model="gpt-5", stream=stream)
    assert "team search may not use model gpt-5; allowed: gpt-4o*, claude-*" in told.message
    assert (told.code, told.type) == ("access.model_allowlist", "permission_denied")
    assert told.response.headers["x-headgate-exchange-id"] in told.message
    ours = _anthropic_error(stack, anthropic.PermissionDeniedError, model="gpt-5", stream=stream)
    assert "team search may not use model gpt-5; allowed: gpt-4o*, claude-*" in ours.message
    assert ours.body["error"]["type"] == "permission_error"
    assert ours.body["request_id"] == ours.response.headers["x-headgate-exchange-id"]


@_plain_and_streamed
def test_a_wrong_key_is_an_authentication_error(stack: Stack, stream: bool) -> None:
    told = _openai_error(stack, openai.AuthenticationError, key="sk-wrong", stream=stream)
    assert "client key or token is missing, expired or not known to the gateway" in told.message
    ours = _anthropic_error(stack, anthropic.AuthenticationError, key="sk-wrong", stream=stream)
    assert "client key or token is missing, expired or not known to the gateway" in ours.message


@_plain_and_streamed
def test_a_request_that_is_none_is_a_bad_request_error(stack: Stack, stream: bool) -> None:
    told = _openai_error(stack, openai.BadRequestError, messages="hello", stream=stream)
    assert "messages" in told.message
    assert told.code == "invalid_request"
    ours = _anthropic_error(stack, anthropic.BadRequestError, messages="hello", stream=stream)
    assert "messages" in ours.message
    assert ours.body["error"]["type"] == "invalid_request_error"


def test_without_policy_it_is_a_server_error_that_sdks_retry(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack()
    stack.child("opa").hold()
    for stream in (False, True):
        told = _openai_error(stack, openai.InternalServerError, stream=stream)
        assert (told.status_code, told.code) == (503, "opa_unreachable")
        assert "policy could not be asked" in told.message
        assert told.response.headers["x-headgate-exchange-id"] in told.message
        ours = _anthropic_error(stack, anthropic.InternalServerError, stream=stream)
        assert ours.status_code == 503
        assert "policy could not be asked" in ours.message
        assert ours.response.headers.get("x-should-retry") != "false"
    stack.child("opa").release()
    until(lambda: answers(stack.plan.configuration.opa_socket, "/health?bundles=true"))
    with _openai(stack) as client:
        assert client.chat.completions.create(model="gpt-4o-mini", messages=HELLO).choices[0].finish_reason == "stop"


def test_a_providers_own_error_stays_its_own(stack: Stack) -> None:
    with _openai(stack) as client, pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="gpt-4o-mini", messages=HELLO, extra_headers={"x-sim-status": "429"})
    assert raised.value.message == "Error code: 429 - simulated failure"
    kept = row(stack, raised.value.response.headers["x-headgate-exchange-id"])
    assert (kept["http_status"], kept["answered_by"], kept["error_type"]) == (429, "upstream", "rate_limit_error")


def test_answers_plain_streamed_and_with_tools_come_through(stack: Stack) -> None:
    text = "This is a simulated answer that no model "
    tool: Any = {"name": "weather", "description": "d", "input_schema": {"type": "object", "properties": {}}}
    function: Any = {"type": "function", "function": {"name": "weather", "parameters": tool["input_schema"]}}
    with _openai(stack) as client:
        ask = client.chat.completions.create
        assert ask(model="gpt-4o-mini", messages=HELLO).choices[0].message.content == text
        streamed = [
            chunk.choices[0].delta.content or "" for chunk in ask(model="gpt-4o-mini", messages=HELLO, stream=True)
        ]
        assert "".join(streamed) == text
        (call,) = ask(model="gpt-4o-mini", messages=HELLO, tools=[function]).choices[0].message.tool_calls or []
        assert call.type == "function"
        assert call.function.name == "weather"
    with _anthropic(stack) as claude:
        sent: Any = {"model": "claude-simulated", "max_tokens": 64, "messages": HELLO}
        (block,) = claude.messages.create(**sent).content
        assert block.type == "text"
        assert block.text == text
        with claude.messages.stream(**sent) as stream:
            assert "".join(stream.text_stream) == text
        (use,) = claude.messages.create(**sent, tools=[tool]).content
        assert use.type == "tool_use"
        assert use.name == "weather"
