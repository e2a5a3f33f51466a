"""Who says what stands at a place: by hand, and beside what each api's own codec makes of its recordings."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.framing import strict_json
from extproc.framing.json_strings import pointer, walk
from extproc.places import PLACES, place_of, places
from tests.codecs.support import Recording, own_recordings

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "type", "tools", "system", "content", "toolResult", "output", "a/b", "0", "~#key"]
            ),
            inner | st.sampled_from(["user", "tool", "mcp_call", "tool_result"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)

BY_HAND: list[tuple[str, Any, str, str]] = [
    ("chat: the user", {"messages": [{"role": "user", "content": "x"}]}, "/messages/0/content", "user"),
    ("chat: a tool", {"messages": [{"role": "tool", "content": "x"}]}, "/messages/0/content", "tool_result"),
    ("chat: the developer", {"messages": [{"role": "developer", "content": "x"}]}, "/messages/0/content", "system"),
    ("chat: a role nobody knows", {"messages": [{"role": "judge", "content": "x"}]}, "/messages/0/content", "other"),
    ("chat: no role", {"messages": [{"content": "x"}]}, "/messages/0/content", "other"),
    (
        "chat: a tool's description",
        {"tools": [{"type": "function", "function": {"description": "x"}}]},
        "/tools/0/function/description",
        "tool_definition",
    ),
    (
        "chat: a call",
        {"messages": [{"role": "assistant", "tool_calls": [{"type": "function", "function": {"arguments": "x"}}]}]},
        "/messages/0/tool_calls/0/function/arguments",
        "assistant",
    ),
    ("responses: plain input", {"input": "x"}, "/input", "user"),
    ("responses: instructions", {"instructions": "x"}, "/instructions", "system"),
    (
        "responses: a result",
        {"input": [{"type": "function_call_output", "output": "x"}]},
        "/input/0/output",
        "tool_result",
    ),
    (
        "responses: what a server-side tool said",
        {"input": [{"type": "mcp_call", "arguments": "y", "output": "x"}]},
        "/input/0/output",
        "tool_result",
    ),
    (
        "responses: what the model told that tool",
        {"input": [{"type": "mcp_call", "arguments": "x", "output": "y"}]},
        "/input/0/arguments",
        "assistant",
    ),
    (
        "responses: what a server says its tools do",
        {"input": [{"type": "mcp_list_tools", "tools": [{"description": "x"}]}]},
        "/input/0/tools/0/description",
        "tool_definition",
    ),
    (
        "messages: a result in the user's message",
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"text": "x"}]}]}]},
        "/messages/0/content/0/content/0/text",
        "tool_result",
    ),
    (
        "messages: nothing inside a result is anything else",
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": {"role": "user"}}]}]},
        "/messages/0/content/0/content/role",
        "tool_result",
    ),
    (
        "messages: the input of a call is the model's, whatever its members are called",
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "input": {"system": "x"}}]}]},
        "/messages/0/content/0/input/system",
        "assistant",
    ),
    ("gemini: no role", {"contents": [{"parts": [{"text": "x"}]}]}, "/contents/0/parts/0/text", "user"),
    (
        "gemini: a function's response, in either spelling",
        {"contents": [{"role": "user", "parts": [{"function_response": {"response": {"output": "x"}}}]}]},
        "/contents/0/parts/0/function_response/response/output",
        "tool_result",
    ),
    (
        "gemini: system",
        {"system_instruction": {"parts": [{"text": "x"}]}},
        "/system_instruction/parts/0/text",
        "system",
    ),
    ("converse: a tool", {"toolConfig": {"tools": [{"name": "x"}]}}, "/toolConfig/tools/0/name", "tool_definition"),
    (
        "gemini: system, as its SDKs send it",
        {"systemInstruction": {"role": "user", "parts": [{"text": "x"}]}},
        "/systemInstruction/parts/0/text",
        "system",
    ),
    (
        "converse: a result",
        {"messages": [{"role": "user", "content": [{"toolResult": {"content": [{"text": "x"}]}}]}]},
        "/messages/0/content/0/toolResult/content/0/text",
        "tool_result",
    ),
    (
        "cohere: the model",
        {"chat_history": [{"role": "CHATBOT", "message": "x"}]},
        "/chat_history/0/message",
        "assistant",
    ),
    ("cohere: what a search brought", {"documents": [{"text": "x"}]}, "/documents/0/text", "tool_result"),
    (
        "mcp: arguments",
        {"method": "tools/call", "params": {"arguments": {"q": "x"}}},
        "/params/arguments/q",
        "assistant",
    ),
    ("a member's name stands where its value does", {"tools": [{"x": 1}]}, "/tools/0/x#key", "tool_definition"),
    ("raw text", "x", "", "other"),
    ("nothing there", {"messages": []}, "/messages/3/content", "other"),
]


@pytest.mark.parametrize(
    ("document", "where", "place"), [case[1:] for case in BY_HAND], ids=[case[0] for case in BY_HAND]
)
def test_the_place_of(document: Any, where: str, place: str) -> None:
    assert place_of(document, where) == place


# ── beside the codecs ────────────────────────────────────────────────────────────────────────────────────────────────

ROLES = {
    "user": "user", "human": "user", "assistant": "assistant", "model": "assistant", "chatbot": "assistant",
    "system": "system", "developer": "system", "tool": "tool_result", "function": "tool_result",
}  # fmt: skip


def said(recording: Recording) -> dict[str, str]:
    """Each text that the codec finds in the request, and whose it is by the codec; those that stand for two are out."""
    conversation = recording.codec.conversation(recording.call, recording.request_body or None, None)
    found: dict[str, set[str]] = {}
    if conversation.system_text:
        found.setdefault(conversation.system_text, set()).add("system")
    for message in conversation.messages[: conversation.request_message_count]:
        for part in message.parts:
            if part.type in ("text", "tool_result") and part.text and len(part.text) > 3:
                whose = "tool_result" if part.type == "tool_result" else ROLES.get(message.role.lower(), "other")
                found.setdefault(part.text, set()).add(whose)
    return {text: next(iter(whose)) for text, whose in found.items() if len(whose) == 1}


def compared() -> list[tuple[str, str, str, str]]:
    """(api, recording and place, whose by the codec, whose by the walk) of each string that is a text of a codec's."""
    rows = []
    for recording in map(Recording, own_recordings()):
        if not recording.request_body or "json" not in (recording.call.content_type or ""):
            continue
        document = strict_json.parse(recording.request_body, depth_max=128)
        texts = said(recording)
        for place, is_key, text in walk(document):
            if not is_key and text in texts:
                where = pointer(place)
                rows.append(
                    (recording.codec.api, f"{recording.folder.name} {where}", texts[text], place_of(document, where))
                )
    return rows


def differs_with_reason(api: str, where: str, _: str, by_walk: str) -> bool:
    """Documents to be ranked are what a search brought; a conversation to be moderated keeps its speakers."""
    return (api.endswith("rerank") and "/documents/" in where and by_walk == "tool_result") or (
        api == "openai.moderations" and by_walk == "assistant"
    )


def test_the_walk_agrees_with_every_codec_on_who_speaks() -> None:
    rows = compared()
    assert [row for row in rows if row[2] != row[3] and not differs_with_reason(*row)] == []
    apis = Counter(row[0] for row in rows)
    chats = {"openai.chat", "openai.responses", "anthropic.messages", "gemini.generate_content", "bedrock.converse"}
    assert {*chats, "cohere.v1.chat", "cohere.v2.chat", "ollama.chat", "bedrock.invoke_model"} <= set(apis)
    assert {row[2] for row in rows} >= {"user", "assistant", "system", "tool_result"}


@given(JSON)
def test_every_string_of_any_document_has_a_place(document: Any) -> None:
    fields = [pointer(place, is_key=is_key) for place, is_key, _ in walk(document)]
    assert set(places(document, fields).values()) <= set(PLACES)


@given(st.text())
def test_any_pointer_has_a_place(where: str) -> None:
    assert place_of({"messages": [{"role": "user"}]}, where) in PLACES
