"""An exchange whose api only its body told, and what its frames keep of the api's own facts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from extproc.codecs import CODECS
from extproc.events import Inspected, RequestBody, ResponseBody, StreamClosed
from extproc.model import Action, CaptureLevel, Finding, Inspection, Obligations, Problem, RequestFacts
from tests.unit.exchange_driver import (
    ALLOW,
    DENY,
    ENFORCE,
    SHADOW,
    Driver,
    drive,
    request_headers,
    response_headers,
    surroundings,
)

BODY = b'{"model": "claude", "messages": []}'
READ = Inspection(api="anthropic.messages", facts=RequestFacts(model="claude"))
ANSWER = json.dumps(
    {"type": "message", "role": "assistant", "model": "claude-served", "content": [], "stop_reason": "end_turn",
     "usage": {"input_tokens": 12, "output_tokens": 34}}
).encode()  # fmt: skip


def test_policy_is_told_that_only_the_body_tells_the_api() -> None:
    d = drive(inspection=READ).play(request_headers(ENFORCE), RequestBody(BODY, True))
    (document,) = d.asked
    assert (document["request"]["api"], document["request"]["api_source"]) == ("anthropic.messages", "body")
    assert document["request"]["operation"] == "chat"


def test_policy_is_told_that_the_path_tells_the_api() -> None:
    d = drive().play(request_headers(ENFORCE), RequestBody(BODY, True))
    (document,) = d.asked
    assert (document["request"]["api"], document["request"]["api_source"]) == ("fake.chat", "path")


def test_a_denial_speaks_the_api_that_the_body_told() -> None:
    d = drive(inspection=READ, decision=DENY).play(request_headers(ENFORCE), RequestBody(BODY, True))
    assert d.denial is not None
    told = json.loads(d.denial.reply.body)
    assert (told["type"], set(told["error"])) == ("error", {"type", "message"})


def test_the_answer_is_read_in_the_api_that_the_body_told() -> None:
    d = drive(inspection=READ).play(
        request_headers(ENFORCE), RequestBody(BODY, True), response_headers(ENFORCE), ResponseBody(ANSWER, True)
    )
    assert (d.request.api, d.opened.api) == ("anthropic.messages", "fake.chat")
    assert (d.closed.response_model, d.closed.input_tokens, d.closed.output_tokens) == ("claude-served", 12, 34)
    assert d.closed.usage_source == "provider"


def test_figures_that_stand_in_the_responses_headers_are_read() -> None:
    read = Inspection(api="bedrock.invoke_model", facts=RequestFacts(model="ai21.j2-mid-v1"))
    head = response_headers(ENFORCE)
    counted = {"x-amzn-bedrock-input-token-count": "10", "x-amzn-bedrock-output-token-count": "7"}
    d = drive(inspection=read).play(
        request_headers(ENFORCE),
        RequestBody(BODY, True),
        replace(head, headers={**head.headers, **counted}),
        ResponseBody(b'{"completions": [{"data": {"text": "Hi"}, "finishReason": {"reason": "length"}}]}', True),
    )
    assert (d.closed.input_tokens, d.closed.output_tokens, d.closed.usage_source) == (10, 7, "provider")


def _answered_before_it_was_inspected(first: bytes, rest: bytes) -> Driver:
    d = drive(inspection=READ)
    d.play(request_headers(SHADOW, observed=True))
    d.event(RequestBody(BODY, True))
    d.event(response_headers(SHADOW, observed=True))
    d.event(ResponseBody(first, False))
    d.answer_all()
    return d.play(ResponseBody(rest, True))


def test_an_answer_that_began_before_the_request_was_read_is_read_from_its_beginning() -> None:
    d = _answered_before_it_was_inspected(ANSWER[:40], ANSWER[40:])
    assert (d.closed.input_tokens, d.closed.output_tokens, d.closed.usage_source) == (12, 34, "provider")
    assert d.response_data == ANSWER


def test_an_answer_too_large_to_be_read_again_passes_without_figures() -> None:
    padded = b" " * (1024 * 1024 + 1) + ANSWER
    d = _answered_before_it_was_inspected(padded[:-10], padded[-10:])
    assert d.closed.capture_status == "completed"
    assert d.closed.response_model is None


TOLD = b'data: {"choices":[{"index":0,"delta":{"content":"12345678"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def _answered_in_shadow(inspection: Inspection, *, whole: bool = True) -> Driver:
    """Eight bytes of text, and no usage."""
    world = replace(surroundings(SHADOW), codec_for=lambda call: CODECS["openai.chat"])
    d = drive(world, inspection=inspection).play(request_headers(SHADOW, observed=True), RequestBody(BODY, whole))
    return d.play(response_headers(SHADOW, observed=True), ResponseBody(TOLD, True), StreamClosed())


def test_text_that_was_counted_is_estimated() -> None:
    d = _answered_in_shadow(Inspection(facts=RequestFacts(text_bytes=40)))
    assert (d.closed.input_tokens, d.closed.output_tokens, d.closed.usage_source) == (10, 2, "estimated")


@pytest.mark.parametrize(
    ("problem", "whole"),
    [
        (Problem("body_too_large", "too large", 413), True),
        (Problem("duplicate_key", "twice", 400), True),
        (None, False),
    ],
    ids=["too large", "two readings", "answered before it was whole"],
)
def test_text_that_nobody_counted_is_not_estimated_as_nothing(problem: Problem | None, whole: bool) -> None:
    d = _answered_in_shadow(Inspection(problem=problem), whole=whole)
    assert d.closed.capture_status == "completed"
    assert (d.closed.input_tokens, d.closed.output_tokens, d.closed.usage_source) == (None, 2, "estimated")


def test_a_late_inspection_finds_an_exchange_that_has_ended() -> None:
    d = drive(inspection=READ)
    d.play(request_headers(ENFORCE))
    d.event(RequestBody(BODY, True))
    d.event(StreamClosed())
    d.answer_all()
    d.event(Inspected(READ))
    assert d.finished == 1


def test_the_frames_keep_what_the_api_tells_and_nothing_that_could_be_text() -> None:
    facts = RequestFacts(
        parameters={"seed": 7, "reasoning_effort": "high", "user": "Ann of Example"},
        called_tools=("look_up",),
        rpc_methods=("tools/call",),
        previous_response_id="resp_1",
        conversation_id="the one about Ann",
    )
    d = drive(inspection=Inspection(facts=facts)).play(request_headers(ENFORCE), RequestBody(BODY, True))
    assert d.request.parameters == '{"reasoning_effort":"high","seed":7}'
    assert (d.request.called_tools, d.request.rpc_methods) == (("look_up",), ("tools/call",))
    assert (d.request.previous_response_id, d.request.conversation_id) == ("resp_1", None)
    assert d.request.api is None


def test_the_providers_own_usage_and_tier_are_kept() -> None:
    usage = {"input_tokens": 3, "output_tokens": 4, "service_tier": "standard", "note": "hello Ann"}
    answer = json.dumps({**json.loads(ANSWER), "usage": usage}).encode()
    d = drive(inspection=READ).play(
        request_headers(ENFORCE), RequestBody(BODY, True), response_headers(ENFORCE), ResponseBody(answer, True)
    )
    assert json.loads(d.closed.provider_usage) == {"input_tokens": 3, "output_tokens": 4, "service_tier": "standard"}


def test_a_model_in_whose_name_something_was_found_is_not_named_by_its_usage_either() -> None:
    usage = {"input_tokens": 3, "output_tokens": 4, "iterations": [{"model": "sk-live-1", "output_tokens": 4}]}
    answer = json.dumps({**json.loads(ANSWER), "usage": usage}).encode()
    found = Finding("API_KEY", "secret", "/model", 0, 9, 1.0)
    for findings, kept in (((), True), ((found,), False)):
        d = drive(inspection=replace(READ, findings=findings)).play(
            request_headers(ENFORCE), RequestBody(BODY, True), response_headers(ENFORCE), ResponseBody(answer, True)
        )
        assert ("sk-live-1" in (d.closed.provider_usage or "")) is kept
        assert (d.closed.response_model is not None) is kept
        assert d.closed.output_tokens == 4


# --- findings where nothing can be replaced (forms) -----------------------------------------------------------------

FOUND = Inspection(
    facts=RequestFacts(model="whisper-1"),
    findings=(Finding("EMAIL_ADDRESS", "pii", "/prompt", 0, 5, 1.0),),
    hides_findings=True,
)
REDACT = replace(
    ALLOW,
    action=Action.REDACT,
    redact_entities=frozenset({"EMAIL_ADDRESS"}),
    mask_entities=frozenset({"EMAIL_ADDRESS"}),
    obligations=Obligations(capture=CaptureLevel.REDACTED),
)


def test_what_must_be_redacted_and_cannot_is_refused_and_not_kept() -> None:
    d = drive(inspection=FOUND, decision=REDACT).play(request_headers(ENFORCE), RequestBody(BODY, True))
    assert d.denial is not None
    assert d.denial.reply.status == 422
    assert (d.closed.error_type, d.request.decision) == ("redaction_failed", "deny")
    assert (d.request.body, d.request.content_state) == (None, "undecodable")


def test_in_shadow_the_same_passes_and_is_told_as_what_would_have_been_denied() -> None:
    d = drive(inspection=FOUND, decision=REDACT).play(request_headers(SHADOW, observed=True), RequestBody(BODY, True))
    assert (d.request.decision, d.request.would_decision) == ("allow", "deny")
    assert d.request.body is None


def test_what_need_not_be_redacted_passes_and_is_kept_only_where_everything_is() -> None:
    kept = drive(inspection=FOUND).play(request_headers(ENFORCE), RequestBody(BODY, True))
    assert (kept.denial, kept.request.body) == (None, BODY)
    masked = replace(REDACT, action=Action.ALLOW, redact_entities=frozenset())
    not_kept = drive(inspection=FOUND, decision=masked).play(request_headers(ENFORCE), RequestBody(BODY, True))
    assert (not_kept.denial, not_kept.request.body) == (None, None)
