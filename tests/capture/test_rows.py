"""Rows: what they say, what they leave open, and that no body can keep one from being written."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture import record
from capture.columns import SECTIONS, Tree, schema
from capture.derive import DeriveLimits
from capture.join import Joined, Joiner
from capture.parquet import table
from capture.record import AnyFrame, Request, ResponsePart, UninspectedRecord
from capture.rows import Bodies, Rows, bare_rows, read, rows
from capture.spool.segment import FrameRef
from extproc.codec import Codec
from extproc.codecs import CODECS
from tests.capture.story import FINDING, INCARNATION, REASON, Story, chat, completion, exchange_id, streamed

LIMITS = DeriveLimits()


def joined(frames: list[AnyFrame]) -> tuple[Joined, Bodies]:
    joiner = Joiner(INCARNATION)
    found = [joiner.feed(record.encode(frame), FrameRef(1, n, 1, n)) for n, frame in enumerate(frames)]
    request = next((frame.body for frame in frames if isinstance(frame, Request)), None)
    response = b"".join(frame.data for frame in frames if isinstance(frame, ResponsePart))
    item = found[-1] if found[-1] is not None else next(joiner.close_open(len(frames)))
    return item, Bodies(request, response or None)


def build(
    frames: list[AnyFrame], *, codecs: Mapping[str, Codec] = CODECS, limits: DeriveLimits = LIMITS
) -> dict[str, Any]:
    """The row as the archive holds it: both trees, through Arrow."""
    built = rows(read(*joined(frames), codecs, limits), None, limits)
    facts = table(Tree.FACTS, [built.facts]).to_pylist()[0]
    return facts | table(Tree.CONTENT, [built.content]).to_pylist()[0] | {"dt": built.dt}


def test_a_whole_exchange_says_everything() -> None:
    story = Story(
        1,
        request_body=chat(("system", "be brief"), ("user", "hello")),
        opened={"trace_id": "ab" * 16, "span_id": "cd" * 8, "cost_center": "cc1", "environment": "production"},
        request={
            "reasons": (REASON,),
            "findings": (FINDING,),
            "decision": "redact",
            "temperature": 0.5,
            "tools": ("x",),
        },
        closed={"time_to_first_token_ns": 250_000_000, "gateway_overhead_ns": 1_500_000, "attempts": 2},
    )
    row = build(story.frames())
    assert row["dt"] == "2026-11-18"
    assert row["hour"] == 11
    assert row["ts"].isoformat() == "2026-11-18T11:06:41+00:00"
    assert row["exchange_id"] == exchange_id(1)
    assert row["envoy_request_id"] == "envoy-1"
    assert (row["team"], row["project"], row["cost_center"], row["caller"]) == ("search", "ranking", "cc1", "alice")
    assert (row["gen_ai_request_model"], row["gen_ai_response_model"]) == ("gpt-4o-mini", "gpt-4o-mini-2024-07-18")
    assert (row["gen_ai_usage_input_tokens"], row["gen_ai_usage_output_tokens"]) == (9, 3)
    assert row["billed_cost"] == Decimal("0.0000031500")
    assert row["cost_unknown_reason"] is None
    assert (row["duration"], row["time_to_first_token"], row["gateway_overhead"]) == (0.9, 0.25, 0.0015)
    assert row["decision"] == "redact"
    assert row["rules"] == ["pii.email"]
    assert row["reasons"][0]["message"] == "holds an e-mail address"
    assert row["findings"][0]["field"] == "/messages/0/content"
    assert (row["capture_status"], row["attempts"], row["http_status"]) == ("completed", 2, 200)
    assert row["request_body"] == story.request_body
    assert row["response_body"] == completion("hi there")
    assert (row["system_text"], row["prompt_text"], row["response_text"]) == ("be brief", "hello", "hi there")
    assert row["messages"][-1]["role"] == "assistant"
    assert row["warnings"] == []
    assert row["text_truncated"] is False


def test_what_steered_the_call_and_the_providers_own_figures_are_in_the_facts() -> None:
    usage = '{"prompt_tokens":9,"completion_tokens":3}'
    story = Story(
        1,
        request={
            "parameters": '{"top_p":0.5}',
            "called_tools": ("look",),
            "rpc_methods": ("tools/call",),
            "conversation_id": "conv_1",
            "previous_response_id": "resp_0",
        },
        closed={"provider_usage": usage, "service_tier": "default"},
    )
    row = build(story.frames())
    assert (row["request_parameters"], row["provider_usage"]) == ('{"top_p":0.5}', usage)
    assert (row["called_tools"], row["rpc_methods"]) == (["look"], ["tools/call"])
    assert (row["gen_ai_conversation_id"], row["previous_response_id"]) == ("conv_1", "resp_0")
    assert row["service_tier"] == "default"


def test_a_cut_stream_has_the_usage_that_its_stored_part_tells_and_no_cost() -> None:
    story = Story(
        1, response=(streamed("one ", "two "), streamed("three ")), head={"content_type": "text/event-stream"}
    )
    row = build(story.frames()[:-1])
    assert row["capture_status"] == "cut"
    assert row["billed_cost"] is None
    assert row["cost_unknown_reason"] == "cut"
    assert row["usage_source"] in ("partial", "estimated")
    assert row["gen_ai_response_model"] == "gpt-4o-mini-2024-07-18"
    assert row["response_content_state"] == "partial"
    assert row["response_text"] == "one two three "
    assert row["http_status"] == 200
    assert row["duration"] is None


def test_an_exchange_that_was_cut_before_the_decision_says_nothing_about_it() -> None:
    row = build(Story(1).frames()[:1])
    assert row["capture_status"] == "cut"
    assert row["decision"] is None
    assert row["request_content_state"] is None
    assert row["usage_source"] == "none"
    assert row["response_content_state"] is None
    assert row["response_bytes"] is None


def test_a_denied_exchange_has_its_reasons_and_no_response() -> None:
    frames = Story(
        1,
        response=(),
        request={"decision": "deny", "reasons": (REASON,)},
        closed={
            "capture_status": "denied",
            "answered_by": "headgate",
            "http_status": 403,
            "response_model": None,
            "input_tokens": None,
            "output_tokens": None,
            "usage_source": "none",
            "billed_cost": Decimal(0),
            "response_content_state": "none",
        },
    ).frames()
    row = build(frames)
    assert (row["capture_status"], row["decision"], row["http_status"]) == ("denied", "deny", 403)
    assert row["response_body"] is None
    assert row["billed_cost"] == 0


def test_gzip_is_removed_from_the_stored_response() -> None:
    body = completion("hi there")
    row = build(Story(1, response=(gzip.compress(body),), head={"content_encoding": "gzip"}).frames())
    assert row["response_body"] == body
    assert row["response_content_encoding"] is None
    assert row["response_text"] == "hi there"


def test_gzip_that_was_cut_gives_what_was_there() -> None:
    body = streamed(*(hashlib.sha256(b"%d" % n).hexdigest() for n in range(200)))
    packed = gzip.compress(body)
    head = {"content_encoding": "gzip", "content_type": "text/event-stream"}
    row = build(Story(1, response=(packed[: len(packed) // 2],), head=head).frames()[:-1])
    assert row["response_content_encoding"] is None
    assert body.startswith(row["response_body"])
    assert len(row["response_body"]) > 1_000


def test_a_response_that_cannot_be_decoded_stays_as_it_came_and_says_in_what() -> None:
    row = build(Story(1, response=(b"\x1f\x8bnot gzip",), head={"content_encoding": "gzip"}).frames())
    assert row["response_body"] == b"\x1f\x8bnot gzip"
    assert row["response_content_encoding"] == "gzip"
    assert row["response_text"] is None
    assert row["warnings"] == ["undecodable_content"]


def test_a_bomb_is_not_inflated() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    row = build(Story(1, response=(bomb,), head={"content_encoding": "gzip"}).frames())
    assert row["response_body"] == bomb
    assert row["response_content_encoding"] == "gzip"
    assert len(row["warnings"]) == 1


def test_facts_hold_no_text_of_anybody() -> None:
    secret = "zanzibar"
    story = Story(
        1,
        request_body=chat(("system", secret), ("user", secret)),
        response=(completion(secret),),
        request={
            "findings": (
                record.FindingRecord(**{**_fields(FINDING), "field": f"/messages/0/{secret}/input/{secret}#key"}),
            ),
            "uninspected_parts": (
                UninspectedRecord(kind="image", field=f"/messages/0/content/{secret}", media_type=f"{secret} x"),
                UninspectedRecord(kind="image", field="/messages/0/content/1", media_type="image/png", size_bytes=5),
            ),
        },
        closed={"error_type": "server_error", "error_message": secret},
    )
    built = rows(read(*joined(story.frames()), CODECS, LIMITS), None, LIMITS)
    assert secret not in repr(built.facts)
    facts = table(Tree.FACTS, [built.facts]).to_pylist()[0]
    assert facts["findings"][0]["field"] == "/messages/0/*/input/*#key"
    assert facts["uninspected_parts"] == [
        {"kind": "image", "field": "/messages/0/content/*", "media_type": None, "size_bytes": None},
        {"kind": "image", "field": "/messages/0/content/1", "media_type": "image/png", "size_bytes": 5},
    ]
    assert built.content["finding_fields"] == [f"/messages/0/{secret}/input/{secret}#key"]
    assert built.content["error_message"] == secret


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def test_a_body_with_a_missing_part_is_not_called_exact() -> None:
    frames = Story(1, response=(b"a", b"b", b"c")).frames()
    del frames[3]
    item, _ = joined(frames)
    built = rows(read(item, Bodies(None, b"a"), CODECS, LIMITS), None, LIMITS)
    assert built.facts["response_content_state"] == "partial"
    assert "response_part_missing" in built.facts["warnings"]


class Broken:
    """A codec with a bug in every method that capture calls."""

    api = "openai.chat"
    operation = "chat"

    def conversation(self, request_body: bytes | None, response_body: bytes | None) -> Any:
        raise RecursionError

    def response(self, **_: Any) -> Any:
        raise ValueError("bug")


def test_a_codec_that_fails_leaves_columns_open_and_a_warning() -> None:
    codecs: Any = {"openai.chat": Broken()}
    row = build(Story(1).frames(), codecs=codecs)
    assert row["prompt_text"] is None
    assert row["request_body"] == chat(("user", "hello"))
    assert row["warnings"] == ["derivation_failed"]
    assert build(Story(1).frames()[:-1], codecs=codecs)["capture_status"] == "cut"


def test_an_exchange_whose_api_only_its_body_told_is_a_row_of_that_api() -> None:
    opened = {"api": "opaque", "operation": None, "path": "/our/own"}
    row = build(Story(1, opened=opened, request={"api": "openai.chat"}).frames())
    assert (row["api"], row["gen_ai_operation_name"]) == ("openai.chat", "chat")
    assert (row["prompt_text"], row["response_text"]) == ("hello", "hi there")
    cut = build(Story(1, opened=opened, request={"api": "openai.chat"}).frames()[:-1])
    assert (cut["api"], cut["gen_ai_usage_output_tokens"]) == ("openai.chat", 3)
    assert bare_rows(joined(Story(1, opened=opened, request={"api": "openai.chat"}).frames())[0]).facts["api"] == (
        "openai.chat"
    )


def test_an_api_without_a_codec_keeps_its_bodies() -> None:
    row = build(Story(1, api="from.the.future").frames())
    assert row["response_body"] == completion("hi there")
    assert row["messages"] is None


def test_derived_text_is_cut_at_its_limit_between_characters_and_the_body_is_not() -> None:
    limits = DeriveLimits(text_bytes_max=5, messages_bytes_max=200)
    body = chat(("user", "éééé"))
    row = build(Story(1, request_body=body).frames(), limits=limits)
    assert row["prompt_text"] == "éé"
    assert row["text_truncated"] is True
    assert row["request_body"] == body


def test_a_million_empty_messages_are_bounded_too() -> None:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}] * 100_000}).encode()
    row = build(Story(1, request_body=body).frames())
    assert len(row["messages"]) <= LIMITS.messages_bytes_max // 64 + 1
    assert row["text_truncated"] is True


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1e30", "-1e10"])
def test_money_that_no_column_can_hold_is_unknown_and_not_rounded_to_something(amount: str) -> None:
    row = build(Story(1, closed={"billed_cost": Decimal(amount)}).frames())
    assert row["billed_cost"] is None
    assert row["cost_unknown_reason"] == "unrepresentable"


def test_numbers_that_no_column_can_hold_are_left_out_and_named() -> None:
    frames = Story(1, request={"max_output_tokens": 2**63}).frames()
    row = build(frames)
    assert row["gen_ai_request_max_tokens"] is None
    assert row["warnings"] == ["unrepresentable:gen_ai_request_max_tokens"]
    assert row["gen_ai_request_model"] == "gpt-4o-mini"


def test_an_impossible_time_still_has_a_partition() -> None:
    assert build(Story(1, opened={"at_ns": 2**62}).frames())["dt"] == "2116-02-20"
    assert build(Story(1, opened={"at_ns": -1}).frames())["dt"] == "1970-01-01"
    assert build(Story(1, opened={"at_ns": 2**63}).frames())["dt"] == "2262-04-11"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "text", "type"]), inner)
    ),
    max_leaves=8,
)


@given(
    request=st.binary(max_size=80) | json_values.map(lambda v: json.dumps({"messages": v}).encode()),
    response=st.binary(max_size=80)
    | json_values.map(lambda v: b"data: " + json.dumps({"choices": v}).encode() + b"\n\n"),
    encoding=st.sampled_from([None, "gzip", "br", "zstd", "deflate", "x, y", "\x00"]),
    api=st.sampled_from(sorted(CODECS)),
    whole=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_no_body_can_keep_a_row_from_being_written(
    request: bytes, response: bytes, encoding: str | None, api: str, *, whole: bool
) -> None:
    story = Story(1, api=api, request_body=request, response=(response,), head={"content_encoding": encoding})
    row = build(story.frames() if whole else story.frames()[:-1])
    assert row["exchange_id"] == exchange_id(1)
    assert row["request_body"] == request
    assert "row_failed" not in row["warnings"]


def test_the_barest_row_says_who_when_and_how_it_ended() -> None:
    item, _ = joined(Story(1).frames())
    built: Rows = bare_rows(item)
    assert built.facts["warnings"] == ["row_failed"]
    assert built.facts["capture_status"] == "completed"
    assert table(Tree.FACTS, [built.facts]).num_rows == table(Tree.CONTENT, [built.content]).num_rows == 1


def test_every_column_of_a_row_is_in_the_schema_and_described() -> None:
    built = rows(read(*joined(Story(1).frames()), CODECS, LIMITS), None, LIMITS)
    assert set(built.facts) <= set(schema(Tree.FACTS).names)
    assert set(built.content) <= set(schema(Tree.CONTENT).names)
    columns = [column for sections in SECTIONS.values() for section in sections for column in section.columns]
    assert all(column.description for column in columns)
    shared = set(schema(Tree.FACTS).names) & set(schema(Tree.CONTENT).names)
    assert shared == {"exchange_id"}
