"""Responses are read whatever they are: cut, broken, huge or hostile."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codec import Codec
from extproc.codecs import CODECS
from extproc.dialects.openai_chat.tool_calls import CallSlots
from extproc.framing import response_body
from extproc.model import Call, RequestFacts, ResponseFacts, Usage, UsageSource

OPENAI = CODECS["openai.chat"]
ANTHROPIC = CODECS["anthropic.messages"]
CALL = Call("POST", "/v1/x", "h")
ASKED = RequestFacts(text_bytes=41)

all_codecs = pytest.mark.parametrize("codec", list(CODECS.values()), ids=lambda c: c.api)


def _facts(codec: Codec, *chunks: bytes, status: int = 200, complete: bool = True) -> ResponseFacts:
    decoder = codec.response(call=CALL, status=status, content_type=None, request=ASKED)
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.finish(complete=complete)


def _data(*documents: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)


def _chunk(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more}


def test_a_client_that_hangs_up_still_used_tokens() -> None:
    usage = _facts(OPENAI, _data(_chunk("12345"), _chunk("678")), complete=False).usage
    assert usage == Usage(input_tokens=11, output_tokens=2, source=UsageSource.ESTIMATED)
    assert _facts(OPENAI, complete=False).usage == Usage(input_tokens=11, output_tokens=0, source=UsageSource.ESTIMATED)


def test_running_usage_of_a_cut_stream_is_a_floor() -> None:
    running = {"prompt_tokens": 9, "completion_tokens": 1}
    usage = _facts(OPENAI, _data(_chunk("x" * 40, usage=running)), complete=False).usage
    assert usage == Usage(input_tokens=9, output_tokens=10, source=UsageSource.PARTIAL)
    usage = _facts(OPENAI, _data(_chunk("x", usage={**running, "completion_tokens": 50})), complete=False).usage
    assert usage == Usage(input_tokens=9, output_tokens=50, source=UsageSource.PARTIAL)


def test_usage_after_the_finish_reason_is_final_however_the_stream_ends() -> None:
    finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    last = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
    usage = _facts(OPENAI, _data(_chunk("x" * 40), finish, last), complete=False).usage
    assert usage == Usage(input_tokens=9, output_tokens=1, source=UsageSource.PROVIDER)


def test_a_cut_message_counts_the_larger_of_what_was_said_and_seen() -> None:
    begin = {"type": "message_start", "message": {"usage": {"input_tokens": 30, "output_tokens": 5}}}
    delta = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "x" * 41}}
    assert _facts(ANTHROPIC, _data(begin), complete=False).usage == Usage(30, 5, source=UsageSource.PARTIAL)
    assert _facts(ANTHROPIC, _data(begin, delta), complete=False).usage == Usage(30, 11, source=UsageSource.PARTIAL)
    final = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 8}}
    assert _facts(ANTHROPIC, _data(begin, delta, final), complete=False).usage == Usage(
        30, 8, source=UsageSource.PROVIDER
    )


def test_terminal_is_known_as_soon_as_the_api_says_so() -> None:
    for codec, before, last in (
        (OPENAI, _data(_chunk("x")), b"data: [DONE]\n\n"),
        (ANTHROPIC, _data({"type": "message_start", "message": {}}), _data({"type": "message_stop"})),
    ):
        decoder = codec.response(call=CALL, status=200, content_type=None, request=ASKED)
        decoder.feed(before)
        assert not decoder.terminal
        decoder.feed(last)
        assert decoder.terminal
        assert decoder.finish(complete=False).terminal


def test_a_json_body_is_terminal_only_when_it_is_whole() -> None:
    body = b'{"model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    assert _facts(OPENAI, body, complete=False).terminal
    cut = _facts(OPENAI, body[:-1], complete=False)
    assert (cut.model, cut.terminal, cut.warnings) == ("m", False, ("truncated",))


def test_an_event_that_cannot_be_read_is_a_warning_and_the_next_counts() -> None:
    facts = _facts(OPENAI, b"data: {broken\n\n" + _data(_chunk("abc")))
    assert (facts.text_bytes, facts.warnings) == (3, ("undecodable_event", "truncated"))


def test_half_an_emoji_in_a_chunk_is_counted_not_refused() -> None:
    facts = _facts(OPENAI, b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n')
    assert (facts.text_bytes, facts.warnings) == (3, ("truncated",))


def test_lines_of_something_else_are_a_warning() -> None:
    facts = _facts(OPENAI, b"<html>\n<h1>Bad gateway</h1>\n", status=502)
    assert (facts.usage.source, facts.warnings) == (UsageSource.NONE, ("unknown_sse_field",))


def test_a_body_over_the_limit_is_dropped_and_said() -> None:
    body = response_body.ResponseBody(json_bytes_max=100)
    for _ in range(50):
        body.feed(b'{"a": "aaaaaaaaaaaaaaaaaaaaaa')
    assert body.is_oversized
    assert body.held_bytes == 0
    with pytest.raises(ValueError, match="too large"):
        body.document()


@all_codecs
def test_a_decoder_can_go_to_another_process(codec: Codec) -> None:
    decoder = codec.response(call=CALL, status=200, content_type=None, request=ASKED)
    decoder.feed(b'{"model": "m", "choices": [], "type": "message", ')
    there = pickle.loads(pickle.dumps(decoder))
    for one in (decoder, there):
        one.feed(b'"usage": {"prompt_tokens": 3, "completion_tokens": 4, "input_tokens": 3, "output_tokens": 4}}')
    assert there.finish(complete=True) == decoder.finish(complete=True)


@all_codecs
def test_a_failure_by_status_uses_no_tokens(codec: Codec) -> None:
    assert _facts(codec, b'{"error": {"message": "no"}}', status=500).usage == Usage()


def test_names_and_messages_are_cut_to_what_a_row_can_hold() -> None:
    long = "x" * 10_000
    facts = _facts(OPENAI, json.dumps({"model": long, "id": long, "error": {"type": long, "message": long}}).encode())
    assert facts.error is not None
    assert len(facts.model or "") == len(facts.response_id or "") == len(facts.error.type) == 256
    assert len(facts.error.message) == 4_096


def test_calls_are_bounded() -> None:
    slots = CallSlots()
    for index in range(5_000):
        slots.number(0, {"index": index, "function": {"name": "f"}})
    assert len(slots.names) == 1_024


@all_codecs
@pytest.mark.parametrize("chunks", [1_000, 4_000])
def test_state_does_not_grow_with_the_stream(codec: Codec, chunks: int) -> None:
    decoder = codec.response(call=CALL, status=200, content_type=None, request=ASKED)
    events = _data(_chunk("some text"), {"type": "content_block_delta", "delta": {"text": "some text"}})
    for _ in range(chunks):
        decoder.feed(events)
    assert len(pickle.dumps(decoder)) < 2_000


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "delta", "message", "content", "usage", "error", "type", "index", "tool_calls", "function",
             "name", "id", "model", "prompt_tokens", "completion_tokens", "total_tokens", "finish_reason", "x_groq",
             "input_tokens", "output_tokens", "content_block", "text", "iterations", "reasoning_details", "input"]
        ),
        inner | st.sampled_from(["message_start", "content_block_start", "content_block_delta", "message_delta"]),
        max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip


# To make an example takes longer than to read it, so each of them goes to all codecs.


@given(st.lists(VALUES, max_size=4), st.booleans(), st.sampled_from([200, 400]))
@settings(max_examples=200, deadline=None)
def test_any_json_gives_facts(documents: list[Any], streamed: bool, status: int) -> None:
    body = _data(*documents) if streamed else json.dumps(documents[0] if documents else {}).encode()
    for codec in CODECS.values():
        facts = _facts(codec, body, status=status)
        assert isinstance(facts, ResponseFacts), codec.api
        assert (facts.usage.input_tokens or 0) >= 0, codec.api
        codec.conversation(CALL, body, body)


@given(st.binary(max_size=80), st.lists(st.integers(1, 9), max_size=9), st.booleans())
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_give_facts_whatever_the_chunks(body: bytes, sizes: list[int], complete: bool) -> None:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(body[at : at + size])
        at += size
    for codec in CODECS.values():
        whole = _facts(codec, body, complete=complete)
        assert _facts(codec, *pieces, body[at:], complete=complete) == whole, codec.api
        codec.conversation(CALL, body, body)
