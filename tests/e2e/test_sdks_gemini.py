"""google-genai through the gate: generating, streaming, calling functions, counting, embedding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

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

MODEL = "gemini-2.5-flash"
FUNCTION = types.FunctionDeclaration(name="weather", description="d", parameters_json_schema=dict(SCHEMA))
USING: Any = types.GenerateContentConfig(
    tools=[types.Tool(function_declarations=[FUNCTION])],
    automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
)


@contextmanager
def gemini(stack: Stack, trace: Trace, key: str = KEY) -> Iterator[genai.Client]:
    options = types.HttpOptions(base_url=f"{stack.base_url}/gemini", headers=trace.headers)
    client = genai.Client(api_key=key, vertexai=False, http_options=options)
    try:
        yield client
    finally:
        client.close()


def told(**more: Any) -> Told:
    expected: dict[str, Any] = {
        "operation": "generate_content",
        "request_model": MODEL,
        "response_model": MODEL,
        "finish_reasons": ("STOP",),
    } | more
    return Told("gemini.generate_content", "gcp.gemini", **expected)


def test_generating_answers(stack: Stack) -> None:
    trace = Trace()
    with gemini(stack, trace) as client:
        assert client.models.generate_content(model=MODEL, contents="hello").text == TEXT
    row = assert_told(stack, trace, told())
    assert row["path"].endswith(f"/models/{MODEL}:generateContent")
    (received,) = trace.received(stack)
    assert received["headers"]["x-goog-api-key"] == "simulated-provider-key"


def test_generating_streams(stack: Stack) -> None:
    trace = Trace()
    with gemini(stack, trace) as client:
        chunks = list(client.models.generate_content_stream(model=MODEL, contents="hello"))
    assert "".join(chunk.text or "" for chunk in chunks) == TEXT
    assert_told(stack, trace, told(stream=True))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_function_is_called(stack: Stack, stream: bool) -> None:
    trace = Trace()
    with gemini(stack, trace) as client:
        asked: Any = {"model": MODEL, "contents": "hello", "config": USING}
        answers = (
            list(client.models.generate_content_stream(**asked))
            if stream
            else [client.models.generate_content(**asked)]
        )
    (call,) = answers[0].function_calls or []
    assert (call.name, call.args) == CALLED
    row = assert_told(stack, trace, told(stream=stream, text=None, tool_calls=(CALLED,), output_tokens=CALL_TOKENS))
    assert row["tools"] == ["weather"]


def test_counting_embedding_and_the_list_of_models_are_read_too(stack: Stack) -> None:
    counting, embedding, listing = Trace(), Trace(), Trace()
    with gemini(stack, counting) as client:
        assert (client.models.count_tokens(model=MODEL, contents="hello").total_tokens or 0) > 0
    with gemini(stack, embedding) as client:
        embeddings = client.models.embed_content(model="gemini-embedding-001", contents="hello").embeddings or []
        assert len(embeddings[0].values or []) == 3
    with gemini(stack, listing) as client:
        assert "models/gpt-4o" in {model.name for model in client.models.list()}
    assert (listing.row(stack)["api"], listing.row(stack)["decision"]) == ("gemini.models", "allow")
    assert (counting.row(stack)["api"], counting.row(stack)["decision"]) == ("gemini.count_tokens", "allow")
    row = embedding.row(stack)
    assert (row["api"], row["gen_ai_operation_name"]) == ("gemini.embed_content", "embeddings")
    assert row["gen_ai_request_model"] == "gemini-embedding-001"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_denial_is_a_client_error_and_is_not_retried(stack: Stack, stream: bool) -> None:
    trace = Trace()
    asked: Any = {"model": MODEL, "contents": "hello"}
    with gemini(stack, trace, DENIED_KEY) as client, pytest.raises(errors.ClientError) as raised:
        list(client.models.generate_content_stream(**asked) if stream else client.models.generate_content(**asked))
    assert (raised.value.code, raised.value.status) == (403, "PERMISSION_DENIED")
    says = f"team search may not use model {MODEL}"
    assert_denied(stack, trace, code="access.model_allowlist", message=raised.value.message or "", says=says)


def test_a_wrong_key_is_told_in_the_words_of_the_gateway(stack: Stack) -> None:
    with gemini(stack, Trace(), "wrong") as client, pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model=MODEL, contents="hello")
    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")
    assert "client key or token is missing, expired or not known to the gateway" in (raised.value.message or "")
