"""Readers pass quickly over messages that are plain text. What they count there is what a second look would count."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codecs import codec_for
from extproc.errors import ClientError
from extproc.model import Call, RequestFacts

CHAT = Call("POST", "/v1/chat/completions", "api.openai.com")
RESPONSES = Call("POST", "/v1/responses", "api.openai.com")
CLAUDE = Call("POST", "/v1/messages", "api.anthropic.com")
CONVERSE = Call("POST", "/model/amazon.nova-lite-v1:0/converse", "bedrock-runtime.us-east-1.amazonaws.com")
GEMINI = Call("POST", "/v1beta/models/gemini-x:generateContent", "generativelanguage.googleapis.com")

TEXTS = st.sampled_from(["", "Hi", "naïve · 面積", "a" * 200])
ODD: st.SearchStrategy[Any] = st.sampled_from([None, 1, True, [], {}, ["Hi"], [None], [{}], {"text": "Hi"}])
ROLES = st.sampled_from(["user", "assistant", "system", "developer", "tool", "model"]) | ODD

CHAT_CALLS = st.fixed_dictionaries(
    {},
    optional={
        "id": TEXTS,
        "type": st.just("function"),
        "function": st.fixed_dictionaries({}, optional={"name": TEXTS | ODD, "arguments": TEXTS | ODD}) | ODD,
        "custom": st.fixed_dictionaries({"name": TEXTS, "input": TEXTS}),
    },
)
CHAT_MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "role": ROLES,
        "content": TEXTS | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}), max_size=2) | ODD,
        "tool_call_id": TEXTS,
        "name": TEXTS,
        "tool_calls": st.lists(CHAT_CALLS | ODD, max_size=2),
        "Content": TEXTS,
    },
)
TYPED_TEXTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "input_text", "output_text", "image"]) | ODD, "text": TEXTS | ODD}
)
ITEMS = st.fixed_dictionaries({"role": ROLES, "content": TEXTS | st.lists(TYPED_TEXTS | TEXTS, max_size=2)})
CLAUDE_MESSAGES = st.fixed_dictionaries(
    {"role": ROLES}, optional={"content": TEXTS | st.lists(TYPED_TEXTS, max_size=2) | ODD, "Content": TEXTS}
)
BLOCKS = st.lists(st.fixed_dictionaries({}, optional={"text": TEXTS | ODD, "Text": TEXTS}), max_size=2) | ODD

APIS = [
    pytest.param(CHAT, "messages", CHAT_MESSAGES, id="openai.chat"),
    pytest.param(RESPONSES, "input", ITEMS, id="openai.responses"),
    pytest.param(CLAUDE, "messages", CLAUDE_MESSAGES, id="anthropic.messages"),
    pytest.param(
        CONVERSE, "messages", st.fixed_dictionaries({"role": ROLES, "content": BLOCKS}), id="bedrock.converse"
    ),
    pytest.param(
        GEMINI, "contents", st.fixed_dictionaries({"role": ROLES, "parts": BLOCKS}), id="gemini.generate_content"
    ),
]


def told(call: Call, document: dict[str, Any]) -> RequestFacts | str:
    try:
        return codec_for(call).request(document, call)
    except ClientError as error:
        return f"{error.code}: {error}"


def with_a_member_more(value: Any) -> Any:
    """The same with a member that no api knows, of no bytes, in every object, so that none of them is plain."""
    if type(value) is dict:
        return {**{key: with_a_member_more(held) for key, held in value.items()}, "": None}
    return [with_a_member_more(item) for item in value] if type(value) is list else value


@pytest.mark.parametrize(("call", "key", "messages"), APIS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_plain_message_counts_as_it_does_with_a_member_that_means_nothing(
    call: Call, key: str, messages: st.SearchStrategy[dict[str, Any]], data: st.DataObject
) -> None:
    body = {"model": "m", key: data.draw(st.lists(messages, max_size=3))}
    short, long = told(call, body), told(call, with_a_member_more(body))
    if isinstance(short, RequestFacts) and isinstance(long, RequestFacts):  # in a union, a member more is unknown
        assert set(short.uninspected_parts) <= set(long.uninspected_parts)
        long = dataclasses.replace(long, uninspected_parts=short.uninspected_parts)
    assert short == long
