"""openai's SDK through the gate, on OpenAI's own address and on Azure's: chat, Responses, embeddings and the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
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

MODEL = "gpt-4o-mini"
DATED = "gpt-4o-mini-2024-07-18"
HELLO: Any = [{"role": "user", "content": "hello"}]
FUNCTION: Any = {"name": "weather", "description": "d", "parameters": dict(SCHEMA)}
_plain_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@contextmanager
def client(stack: Stack, trace: Trace, key: str = KEY) -> Iterator[openai.OpenAI]:
    base_url = f"{stack.base_url}/openai/v1"
    with openai.OpenAI(base_url=base_url, api_key=key, default_headers=trace.headers) as made:
        yield made


@contextmanager
def azure(stack: Stack, trace: Trace, key: str = KEY) -> Iterator[openai.AzureOpenAI]:
    with openai.AzureOpenAI(
        azure_endpoint=f"{stack.base_url}/azure", api_version="2024-10-21", api_key=key, default_headers=trace.headers
    ) as made:
        yield made


def told(api: str, reasons: tuple[str, ...] | None, **more: Any) -> Told:
    expected: dict[str, Any] = {
        "provider": "openai",
        "operation": "chat",
        "request_model": MODEL,
        "response_model": DATED,
    } | more
    return Told(api, finish_reasons=reasons, **expected)


@_plain_and_streamed
def test_chat_answers(stack: Stack, stream: bool) -> None:
    trace = Trace()
    with client(stack, trace) as ai:
        asked: Any = {"model": MODEL, "messages": HELLO}
        if stream:
            chunks = ai.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
            assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TEXT
        else:
            assert ai.chat.completions.create(**asked).choices[0].message.content == TEXT
    assert_told(stack, trace, told("openai.chat", ("stop",), stream=stream))


@_plain_and_streamed
def test_chat_calls_a_tool(stack: Stack, stream: bool) -> None:
    trace = Trace()
    asked: Any = {"model": MODEL, "messages": HELLO, "tools": [{"type": "function", "function": FUNCTION}]}
    with client(stack, trace) as ai:
        if stream:
            asked |= {"stream_options": {"include_usage": True}}
            with ai.chat.completions.stream(**asked) as events:
                calls = events.get_final_completion().choices[0].message.tool_calls or []
        else:
            calls = ai.chat.completions.create(**asked).choices[0].message.tool_calls or []
    assert [call.function.name for call in calls] == ["weather"]
    expected = told(
        "openai.chat", ("tool_calls",), stream=stream, text=None, tool_calls=(CALLED,), output_tokens=CALL_TOKENS
    )
    assert_told(stack, trace, expected)


@_plain_and_streamed
def test_a_response_answers(stack: Stack, stream: bool) -> None:
    trace = Trace()
    with client(stack, trace) as ai:
        if stream:
            with ai.responses.stream(model=MODEL, input="hello") as events:
                response = events.get_final_response()
        else:
            response = ai.responses.create(model=MODEL, input="hello")
    assert response.output_text == TEXT
    row = assert_told(stack, trace, told("openai.responses", ("completed",), stream=stream))
    assert row["gen_ai_response_id"] == response.id


@_plain_and_streamed
def test_a_response_calls_a_function(stack: Stack, stream: bool) -> None:
    trace = Trace()
    asked: Any = {"model": MODEL, "input": HELLO, "tools": [{"type": "function", **FUNCTION, "strict": False}]}
    with client(stack, trace) as ai:
        if stream:
            types = [event.type for event in ai.responses.create(**asked, stream=True)]
            assert "response.function_call_arguments.done" in types
        else:
            assert ai.responses.create(**asked).output[0].type == "function_call"
    expected = told(
        "openai.responses", ("completed",), stream=stream, text=None, tool_calls=(CALLED,), output_tokens=CALL_TOKENS
    )
    assert_told(stack, trace, expected)


def test_embeddings_moderations_and_models_are_read(stack: Stack) -> None:
    embedding, moderating, listing = Trace(), Trace(), Trace()
    with client(stack, embedding) as ai:
        assert len(ai.embeddings.create(model="text-embedding-3-small", input="hello").data[0].embedding) == 3
    with client(stack, moderating) as ai:
        assert ai.moderations.create(model="omni-moderation-latest", input="hello").results[0].flagged is False
    with client(stack, listing) as ai:
        assert MODEL in {model.id for model in ai.models.list()}
    expected = Told(
        "openai.embeddings",
        "openai",
        "embeddings",
        "text-embedding-3-small",
        "text-embedding-3-small",
        None,
        text=None,
        output_tokens=0,  # vectors are no tokens
    )
    assert_told(stack, embedding, expected)
    assert (moderating.row(stack)["api"], moderating.row(stack)["decision"]) == ("openai.moderations", "allow")
    assert (listing.row(stack)["api"], listing.row(stack)["decision"]) == ("openai.models", "allow")


@_plain_and_streamed
def test_azure_is_asked_by_its_deployment(stack: Stack, stream: bool) -> None:
    trace = Trace()
    with azure(stack, trace) as ai:
        asked: Any = {"model": "my-deployment", "messages": HELLO}
        if stream:
            chunks = ai.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
            assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TEXT
        else:
            assert ai.chat.completions.create(**asked).choices[0].message.content == TEXT
    row = assert_told(
        stack,
        trace,
        told(
            "openai.chat",
            ("stop",),
            stream=stream,
            provider="azure.ai.openai",
            request_model="my-deployment",
            response_model="my-deployment",
        ),
    )
    assert row["path"] == "/openai/deployments/my-deployment/chat/completions"
    (received,) = trace.received(stack)
    assert received["headers"]["api-key"] == "simulated-provider-key"
    assert received["path"].endswith("?api-version=2024-10-21")


@_plain_and_streamed
def test_a_denied_response_is_a_permission_error_and_is_not_retried(stack: Stack, stream: bool) -> None:
    trace = Trace()
    with client(stack, trace, DENIED_KEY) as ai, pytest.raises(openai.PermissionDeniedError) as raised:
        ai.responses.create(model="gpt-5", input="hello", stream=stream)
    assert_denied(
        stack,
        trace,
        code="access.model_allowlist",
        message=raised.value.message,
        says="team search may not use model gpt-5",
    )


def test_a_denied_deployment_and_a_denied_embedding_are_permission_errors(stack: Stack) -> None:
    deployment, embedding = Trace(), Trace()
    with azure(stack, deployment, DENIED_KEY) as ai, pytest.raises(openai.PermissionDeniedError) as raised:
        ai.chat.completions.create(model="my-deployment", messages=HELLO)
    says = "team search may not use model my-deployment"
    assert_denied(stack, deployment, code="access.model_allowlist", message=raised.value.message, says=says)
    with client(stack, embedding, DENIED_KEY) as ai, pytest.raises(openai.PermissionDeniedError) as raised:
        ai.embeddings.create(model="text-embedding-3-small", input="hello")
    says = "team search may not use model text-embedding-3-small"
    assert_denied(stack, embedding, code="access.model_allowlist", message=raised.value.message, says=says)
