"""cohere's SDK through the gate: chat in both versions, plain, streamed and with tools; embed and rerank."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cohere
import pytest
from cohere.core.api_error import ApiError

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

MODEL = "command-r-08-2024"
HELLO: Any = [{"role": "user", "content": "hello"}]
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "description": "d", "parameters": dict(SCHEMA)}}]
TEMPLATE_TOKENS = 62
"""What the simulated Cohere counts, and does not bill."""


@contextmanager
def client(stack: Stack, key: str = KEY) -> Iterator[cohere.ClientV2]:
    with cohere.ClientV2(api_key=key, base_url=f"{stack.base_url}/cohere", client_name="test") as made:
        yield made


def sending(trace: Trace) -> Any:
    return {"additional_headers": trace.headers}


def told(**more: Any) -> Told:
    expected: dict[str, Any] = {
        "operation": "chat",
        "request_model": MODEL,
        "response_model": None,
        "finish_reasons": ("COMPLETE",),
        "uncounted_input_tokens": TEMPLATE_TOKENS,
    } | more
    return Told(expected.pop("api", "cohere.v2.chat"), "cohere", **expected)


def test_chat_answers(stack: Stack) -> None:
    trace = Trace()
    with client(stack) as co:
        answer = co.chat(model=MODEL, messages=HELLO, request_options=sending(trace))
    (block,) = answer.message.content or []
    assert block.type == "text"
    assert block.text == TEXT
    row = assert_told(stack, trace, told())
    assert row["gen_ai_response_id"] == answer.id


def test_chat_streams(stack: Stack) -> None:
    trace = Trace()
    with client(stack) as co:
        events = list(co.chat_stream(model=MODEL, messages=HELLO, request_options=sending(trace)))
    deltas: Any = [event for event in events if event.type == "content-delta"]
    assert "".join(event.delta.message.content.text for event in deltas) == TEXT
    assert_told(stack, trace, told(stream=True))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_tool_is_called(stack: Stack, stream: bool) -> None:
    trace = Trace()
    asked: Any = {"model": MODEL, "messages": HELLO, "tools": TOOLS, "request_options": sending(trace)}
    with client(stack) as co:
        if stream:
            events: Any = list(co.chat_stream(**asked))
            assert events[-1].delta.finish_reason == "TOOL_CALL"
        else:
            assert co.chat(**asked).finish_reason == "TOOL_CALL"
    row = trace.row(stack)
    expected = told(
        stream=stream,
        finish_reasons=("TOOL_CALL",),
        text=row["response_text"],  # the plan that precedes the call; where it is kept is said by the codec's tests
        tool_calls=(CALLED,),
        output_tokens=CALL_TOKENS,
    )
    assert_told(stack, trace, expected)
    assert row["tools"] == ["weather"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_the_first_version_is_read_as_well(stack: Stack, stream: bool) -> None:
    trace = Trace()
    with cohere.Client(api_key=KEY, base_url=f"{stack.base_url}/cohere", client_name="test") as co:
        if stream:
            events: Any = list(co.chat_stream(model=MODEL, message="hello", request_options=sending(trace)))
            text = "".join(event.text for event in events if event.event_type == "text-generation")
        else:
            text = co.chat(model=MODEL, message="hello", request_options=sending(trace)).text
    assert text == TEXT
    assert_told(stack, trace, told(api="cohere.v1.chat", stream=stream))


def test_embedding_and_reranking_are_billed_in_their_own_units(stack: Stack) -> None:
    embedding, reranking = Trace(), Trace()
    with client(stack) as co:
        texts = ["hello"]
        co.embed(
            model="embed-v4.0",
            texts=texts,
            input_type="search_document",
            embedding_types=["float"],
            request_options=sending(embedding),
        )
        co.rerank(model="rerank-v3.5", query="a", documents=["a", "b"], request_options=sending(reranking))
    row = embedding.row(stack)
    assert (row["api"], row["gen_ai_operation_name"], row["decision"]) == ("cohere.v2.embed", "embeddings", "allow")
    assert row["gen_ai_request_model"] == "embed-v4.0"
    row = reranking.row(stack)
    assert (row["api"], row["decision"], row["gen_ai_request_model"]) == ("cohere.v2.rerank", "allow", "rerank-v3.5")
    assert '"search_units":1' in row["provider_usage"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_denial_is_a_forbidden_error_and_is_not_retried(stack: Stack, stream: bool) -> None:
    trace = Trace()
    asked: Any = {"model": MODEL, "messages": HELLO, "request_options": sending(trace)}
    with client(stack, DENIED_KEY) as co, pytest.raises(cohere.ForbiddenError) as raised:
        list(co.chat_stream(**asked)) if stream else co.chat(**asked)
    message = raised.value.body["message"]
    says = f"team search may not use model {MODEL}"
    assert_denied(stack, trace, code="access.model_allowlist", message=message, says=says)


def test_a_wrong_key_is_told_in_the_words_of_the_gateway(stack: Stack) -> None:
    with client(stack, "wrong") as co, pytest.raises(ApiError) as raised:
        co.chat(model=MODEL, messages=HELLO)
    assert isinstance(raised.value, cohere.UnauthorizedError)
    assert "client key or token is missing, expired or not known to the gateway" in raised.value.body["message"]
