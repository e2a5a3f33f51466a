"""Every recording gives the facts that were worked out by hand, whatever the chunks it comes in."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.codecs import CODECS
from extproc.model import Conversation, ErrorFacts, RequestFacts, ResponseFacts, UninspectedPart, Usage, UsageSource
from tests.codecs.support import Recording, bytewise, own_recordings

UNMETERED = {
    "openai.models",
    "mcp",
    "gemini.count_tokens",
    "gemini.models",
    "anthropic.count_tokens",
    "anthropic.models",
}
"""No model is run."""
UNHEARD = {"openai.audio"}
"""Nobody can tell tokens of speech from its bytes, so there is no estimate of them."""

each_recording = pytest.mark.parametrize("folder", own_recordings(), ids=lambda f: f"{f.parent.name}/{f.name}")


def _request(told: dict[str, Any]) -> RequestFacts:
    parts = tuple(UninspectedPart(**part) for part in told.get("uninspected_parts", ()))
    lists = {key: tuple(value) for key, value in told.items() if type(value) is list}
    return RequestFacts(**{**told, **lists, "uninspected_parts": parts})


def _response(told: dict[str, Any]) -> ResponseFacts:
    """`said` is written out where it differs from `usage`; the provider's words have a test of their own."""
    usage = told.get("usage", {})
    figures = {key: value for key, value in usage.items() if key != "source"}
    said = told.get("said", figures if usage.get("source") == "provider" else {})
    return ResponseFacts(
        **{
            **{key: value for key, value in told.items() if key != "provider_usage"},
            "said": Usage(**said),
            "usage": Usage(**figures, source=UsageSource(usage.get("source", "none"))),
            "error": ErrorFacts(**told["error"]) if "error" in told else None,
            **{key: tuple(told.get(key, ())) for key in ("finish_reasons", "tool_calls", "warnings")},
        }
    )


def _without_words(facts: ResponseFacts) -> ResponseFacts:
    return replace(facts, provider_usage=None)


def test_every_api_has_recordings() -> None:
    assert {folder.parent.name for folder in own_recordings()} == set(CODECS) - {"opaque"}


@each_recording
def test_the_call_is_recognised(folder: Path) -> None:
    assert Recording(folder).codec.api == folder.parent.name


@each_recording
def test_the_request_is_read(folder: Path) -> None:
    recording = Recording(folder)
    assert recording.request_facts == _request(recording.expected["request"])


@each_recording
def test_the_response_is_read_whole_and_byte_by_byte(folder: Path) -> None:
    recording = Recording(folder)
    expected = _response(recording.expected["response"])
    assert _without_words(recording.response_facts(recording.response_body)) == expected
    assert _without_words(recording.response_facts(*bytewise(recording.response_body))) == expected


@each_recording
def test_the_providers_last_words_on_usage_are_kept_as_they_were(folder: Path) -> None:
    recording = Recording(folder)
    told = recording.expected["response"]
    words = recording.response_facts(recording.response_body).provider_usage
    if "provider_usage" in told:
        assert words is not None
        assert json.loads(words) == told["provider_usage"]
    elif told.get("usage", {}).get("source") != "provider" and "said" not in told:
        assert words is None


@each_recording
@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_pieces_give_the_same_facts_and_no_prefix_fails(folder: Path, data: st.DataObject) -> None:
    recording = Recording(folder)
    body = recording.response_body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), min_size=1, max_size=8)))
    pieces = [body[a:b] for a, b in pairwise([0, *cuts, len(body)])]
    whole = _response(recording.expected["response"])
    assert _without_words(recording.response_facts(*pieces)) == whole

    cut_off = recording.response_facts(*pieces[:-1], complete=False)
    runs_a_model = recording.codec.api not in UNMETERED and recording.call.method == "POST"
    counts = runs_a_model and (whole.error or whole.usage.source is not UsageSource.NONE)
    if 200 <= recording.status < 300 and cut_off.error is None and counts:
        assert cut_off.usage.source is not UsageSource.NONE
        assert cut_off.usage.input_tokens is not None or recording.codec.api in UNHEARD


@each_recording
def test_the_conversation_is_put_together(folder: Path) -> None:
    recording = Recording(folder)
    told = recording.expected["conversation"]
    got = recording.codec.conversation(recording.call, recording.request_body, recording.response_body)
    assert [[m.role, [[p.type, p.text] for p in m.parts]] for m in got.messages] == told["messages"]
    assert [[c.tool_call_id, c.tool_name, c.arguments] for c in got.tool_calls] == told.get("tool_calls", [])
    assert (got.system_text, got.response_text, got.reasoning_text, list(got.tools)) == (
        told.get("system_text"),
        told.get("response_text"),
        told.get("reasoning_text"),
        told.get("tools", []),
    )
    assert got.request_message_count == recording.request_facts.message_count


@each_recording
def test_half_a_conversation_is_read_as_far_as_it_goes(folder: Path) -> None:
    recording = Recording(folder)
    request, response = recording.request_body, recording.response_body
    codec, call = recording.codec, recording.call
    asked = codec.conversation(call, request, None)
    assert len(asked.messages) == asked.request_message_count
    assert codec.conversation(call, None, response).request_message_count == 0
    assert codec.conversation(call, None, None) == Conversation()
    for cut in range(0, len(response), 7):
        codec.conversation(call, request[:cut], response[:cut])
