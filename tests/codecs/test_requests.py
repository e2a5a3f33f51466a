"""Requests are read strictly: what a sloppy reading would take for something else is refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codecs import CODECS, codec_for
from extproc.errors import ClientError
from extproc.media import PARTS_MAX
from extproc.model import Call, RequestFacts

OPENAI = CODECS["openai.chat"]
ANTHROPIC = CODECS["anthropic.messages"]
CALL = Call("POST", "/v1/x", "h")
CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}

both = pytest.mark.parametrize("codec", [OPENAI, ANTHROPIC], ids=lambda c: c.api)


@pytest.mark.parametrize(
    ("method", "path", "api"),
    [
        ("POST", "/v1/chat/completions", "openai.chat"),
        ("POST", "/chat/completions", "openai.chat"),
        ("POST", "/api/v1/chat/completions", "openai.chat"),
        ("POST", "/openai/deployments/gpt-5/chat/completions", "openai.chat"),
        ("POST", "/v1/messages", "anthropic.messages"),
        ("POST", "/anthropic/v1/messages", "anthropic.messages"),
        ("GET", "/v1/chat/completions", "opaque"),
        ("post", "/v1/chat/completions", "opaque"),
        ("POST", "/v1/chat/completions/", "opaque"),
        ("POST", "/v1/chat/completions/abc", "opaque"),
        ("POST", "/v1/notchat/completions", "opaque"),
        ("POST", "/v1/xchat/completions", "opaque"),
        ("POST", "/v1/CHAT/completions", "opaque"),
        ("POST", "/v1/messages/count_tokens", "anthropic.count_tokens"),
        ("POST", "/v1/messages/batches", "opaque"),
        ("POST", "/v1/threads/t/messages", "opaque"),
        ("GET", "/v1/messages", "opaque"),
        ("POST", "/v1/embeddings", "openai.embeddings"),
        ("POST", "", "opaque"),
    ],
)
def test_calls_are_told_by_method_and_the_end_of_the_path(method: str, path: str, api: str) -> None:
    assert codec_for(Call(method, path, "example.org")).api == api


def _refusal(codec: Any, document: Any) -> ClientError:
    with pytest.raises(ClientError) as refused:
        codec.request(document, CALL)
    return refused.value


@both
@pytest.mark.parametrize(
    "document",
    [
        [],
        "text",
        None,
        {},
        {"model": "m"},
        {"model": "m", "messages": None},
        {"model": "m", "messages": "Hi"},
        {"model": "m", "messages": {"role": "user"}},
        {"model": "m", "messages": ["Hi"]},
        {"model": "m", "messages": [["Hi"]]},
        {"model": "m", "messages": [{"role": 1, "content": "Hi"}]},
        {"model": "m", "messages": [{"role": "user", "content": 5}]},
        {"model": "m", "messages": [{"role": "user", "content": {"type": "text", "text": "Hi"}}]},
        {"model": "m", "messages": [{"role": "user", "content": [["Hi"]]}]},
        {"model": "m", "messages": [{"role": "user", "content": [{"type": 1}]}]},
        {**CHAT, "model": ["m"]},
        {**CHAT, "model": 1},
        {**CHAT, "stream": "false"},
        {**CHAT, "stream": 1},
        {**CHAT, "max_tokens": "5"},
        {**CHAT, "max_tokens": 5.5},
        {**CHAT, "max_tokens": True},
        {**CHAT, "max_tokens": -2},
        {**CHAT, "max_tokens": 1e30},
        {**CHAT, "temperature": "0"},
        {**CHAT, "tools": {}},
        {**CHAT, "tools": ["f"]},
        {**CHAT, "tools": [{"type": 7}]},
    ],
)
def test_another_shape_than_the_api_has_is_refused(codec: Any, document: Any) -> None:
    assert _refusal(codec, document).code == "invalid_request"


@pytest.mark.parametrize(
    "document",
    [
        {**CHAT, "n": 0},
        {**CHAT, "n": "2"},
        {**CHAT, "stream_options": []},
        {**CHAT, "stream_options": {"include_usage": "yes"}},
        {**CHAT, "functions": [1]},
        {**CHAT, "messages": [{"role": "assistant", "tool_calls": {}}]},
        {**CHAT, "messages": [{"role": "assistant", "tool_calls": ["f"]}]},
        {**CHAT, "messages": [{"role": "assistant", "tool_calls": [{"function": "f"}]}]},
    ],
)
def test_chat_members_have_their_own_shapes(document: Any) -> None:
    assert _refusal(OPENAI, document).code == "invalid_request"


@pytest.mark.parametrize(
    "document",
    [
        {**CHAT, "system": 5},
        {**CHAT, "max_tokens": -1},
        {**CHAT, "system": [["text"]]},
        {**CHAT, "mcp_servers": ["x"]},
        {**CHAT, "messages": [{"role": "user", "content": [{"type": "image", "source": "x"}]}]},
        {**CHAT, "messages": [{"role": "user", "content": [{"type": "tool_result", "content": 5}]}]},
    ],
)
def test_message_members_have_their_own_shapes(document: Any) -> None:
    assert _refusal(ANTHROPIC, document).code == "invalid_request"


@both
def test_an_integer_may_be_written_with_a_point(codec: Any) -> None:
    assert codec.request({**CHAT, "max_tokens": 256.0}, CALL).max_output_tokens == 256


@pytest.mark.parametrize(
    ("limits", "meant"),
    [
        ({"max_tokens": -1}, None),
        ({"max_tokens": -1, "max_completion_tokens": 5}, None),
        ({"max_tokens": 7, "max_completion_tokens": 5}, 7),
        ({"max_tokens": 0}, 0),
        ({}, None),
    ],
)
def test_the_largest_limit_counts_and_minus_one_is_none(limits: dict[str, int], meant: int | None) -> None:
    assert OPENAI.request({**CHAT, **limits}, CALL).max_output_tokens == meant


def test_a_completion_without_limit_may_say_minus_one() -> None:
    completions = CODECS["openai.completions"]
    assert completions.request({"model": "m", "prompt": "Hi", "max_tokens": -1}, CALL).max_output_tokens is None


@both
@pytest.mark.parametrize("key", ["Model", "MESSAGES", "sTream", "\u017ftream", "tool\u017f", "max_to\u212aens"])
def test_a_key_that_some_servers_take_for_another_is_refused(codec: Any, key: str) -> None:
    assert _refusal(codec, {**CHAT, key: None}).code == "ambiguous_key"


@both
def test_a_refusal_says_where_and_quotes_nothing(codec: Any) -> None:
    refusal = _refusal(
        codec, {**CHAT, "messages": [{"role": "user", "content": "Hi"}, {"role": "hunter2", "content": 5}]}
    )
    assert refusal.message.startswith("messages[1].content must be a string or a list of ")
    assert "hunter2" not in _refusal(codec, {**CHAT, "stream": "hunter2"}).message


@both
def test_null_is_the_same_as_absent(codec: Any) -> None:
    nulls = dict.fromkeys(("stream", "max_tokens", "temperature", "tools", "n", "stream_options", "system"))
    assert codec.request({**CHAT, **nulls}, CALL) == codec.request(CHAT, CALL)


@both
def test_unknown_members_pass(codec: Any) -> None:
    assert codec.request({**CHAT, "brand_new_option": {"x": 1}}, CALL) == codec.request(CHAT, CALL)


def test_more_unread_parts_than_can_be_listed_are_refused() -> None:
    content = [{"type": "image_url", "image_url": {"url": "https://example.org"}}] * (PARTS_MAX + 1)
    assert _refusal(OPENAI, {"messages": [{"role": "user", "content": content}]}).code == "invalid_request"


def test_blocks_nested_deeper_than_anyone_nests_count_as_unread() -> None:
    block: dict[str, Any] = {"type": "text", "text": "deep"}
    for _ in range(20):
        block = {"type": "tool_result", "content": [block]}
    facts = ANTHROPIC.request({"model": "m", "messages": [{"role": "user", "content": [block]}]}, CALL)
    assert [part.kind for part in facts.uninspected_parts] == ["unknown"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["role", "content", "type", "text", "tool_calls", "function", "name", "source", "data", "image_url", "url",
             "input_audio", "file", "messages", "tools", "system", "stream", "arguments", "thinking"]
        ),
        inner | st.sampled_from(["text", "image_url", "image", "document", "base64", "tool_result", "function"]),
        max_size=5,
    ),
    max_leaves=15,
)  # fmt: skip


@both
@given(JSON, JSON, JSON)
@settings(max_examples=150, deadline=None)
def test_any_document_gives_facts_or_a_typed_error(codec: Any, content: Any, message: Any, document: Any) -> None:
    for candidate in (document, {"messages": [message]}, {"messages": [{"role": "user", "content": content}]}):
        try:
            facts = codec.request(candidate, CALL)
        except ClientError:
            continue
        assert isinstance(facts, RequestFacts)
