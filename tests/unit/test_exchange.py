"""The exchange: what is replied when, what is written, how it ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.record import AnyFrame, Closed, Opened, Request, ResponsePart
from extproc.events import (
    Deny,
    EnvoyLogged,
    Event,
    Message,
    RequestBody,
    RequestTrailers,
    ResponseBody,
    ResponseTrailers,
    Shutdown,
    StreamClosed,
    Tick,
)
from extproc.model import (
    Action,
    CaptureLevel,
    Durability,
    Finding,
    Inspection,
    Limits,
    Obligations,
    OnDiskFull,
    Problem,
    Route,
)
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

BODY = b'{"model":"m"}'
EMAIL = Finding("EMAIL_ADDRESS", "pii", "/messages/0/content", 0, 5, 1.0)


def plain(route: Route = ENFORCE, **kwargs: bool) -> list[Event]:
    return [
        request_headers(route, **kwargs),
        RequestBody(BODY, True),
        response_headers(route, **kwargs),
        ResponseBody(b"hello END", True),
    ]


def test_an_allowed_exchange_gets_one_reply_a_message_and_one_row() -> None:
    d = drive().play(*plain(), StreamClosed())
    assert [r.message for r in d.sent if not isinstance(r, Deny)] == [
        Message.REQUEST_HEADERS,
        Message.REQUEST_BODY,
        Message.RESPONSE_HEADERS,
        Message.RESPONSE_BODY,
    ]
    assert [type(f) for f in d.frames] == [Opened, Request, ResponsePart, Closed]
    assert d.closed.capture_status == "completed"
    assert d.response_data == b"hello END"
    assert d.request.body == BODY
    assert d.finished == 1


def test_the_response_names_the_exchange() -> None:
    d = drive().play(*plain())
    (reply,) = d.replies(Message.RESPONSE_HEADERS)
    assert reply.set_headers == (("x-headgate-exchange-id", "0190-x"),)


def test_nothing_is_replied_to_the_body_before_the_verdict() -> None:
    d = drive()
    d.play(request_headers(ENFORCE))
    d.event(RequestBody(BODY, True))
    while d.questions:
        assert not d.replies(Message.REQUEST_BODY)
        d.answer()
    assert len(d.replies(Message.REQUEST_BODY)) == 1


def test_the_request_frame_is_written_before_envoy_may_forward() -> None:
    d = drive()
    d.play(request_headers(ENFORCE))
    d.event(RequestBody(BODY, True))
    while not d.replies(Message.REQUEST_BODY):
        d.answer()
    assert any(isinstance(f, Request) for f in d.frames)


def test_a_denial_is_the_last_word() -> None:
    d = drive(decision=DENY).play(request_headers(ENFORCE), RequestBody(BODY, True), StreamClosed())
    assert d.denial is not None
    assert d.denial.reply.status == 403
    assert d.denial.reply.headers["x-headgate-exchange-id"] == "0190-x"
    assert d.closed.capture_status == "denied"
    assert d.closed.answered_by == "headgate"
    assert d.request.decision == "deny"


@pytest.mark.parametrize("code", ["opa_unreachable", "opa_timeout", "opa_undefined", "opa_nonsense"])
def test_without_an_answer_from_policy_an_enforced_route_is_closed_and_keeps_no_text(code: str) -> None:
    d = drive(decision=code).play(request_headers(ENFORCE), RequestBody(BODY, True))
    assert d.denial is not None
    assert d.denial.reply.status == 503
    assert d.request.body is None
    assert d.request.content_state == "unjudged"
    assert d.request.policy_failure == code


@pytest.mark.parametrize("code", ["opa_unreachable", "opa_timeout", "opa_undefined", "opa_nonsense"])
def test_without_an_answer_from_policy_a_shadow_route_goes_on_and_keeps_no_text(code: str) -> None:
    d = drive(decision=code).play(*plain(SHADOW, observed=True))
    assert d.sent == []
    assert d.request.body is None
    assert d.response_data == b""
    assert d.closed.response_content_state == "unjudged"
    assert d.closed.capture_status == "completed"


def test_a_body_with_a_problem_is_refused_on_an_enforced_route_whatever_policy_says() -> None:
    inspection = Inspection(problem=Problem("duplicate_key", "twice", 400))
    d = drive(inspection=inspection).play(request_headers(ENFORCE), RequestBody(BODY, True))
    assert d.denial is not None
    assert d.denial.reply.status == 400
    assert d.request.problem == "duplicate_key"


def test_a_shadow_route_is_never_answered_and_records_what_would_have_been_done() -> None:
    d = drive(decision=DENY).play(*plain(SHADOW, observed=True))
    assert d.sent == []
    assert d.ended
    assert d.request.decision == "allow"
    assert d.request.would_decision == "deny"
    assert d.closed.capture_status == "completed"


def test_in_shadow_a_body_with_a_problem_would_have_been_denied_whatever_policy_says() -> None:
    inspection = Inspection(problem=Problem("duplicate_key", "twice", 400))
    d = drive(decision=ALLOW, inspection=inspection).play(*plain(SHADOW, observed=True))
    assert (d.request.decision, d.request.would_decision) == ("allow", "deny")


def test_in_shadow_more_findings_than_can_be_redacted_would_have_been_denied() -> None:
    entities = frozenset({"EMAIL_ADDRESS"})
    decision = replace(ALLOW, action=Action.REDACT, redact_entities=entities, mask_entities=entities)
    inspection = Inspection(findings=(EMAIL,), findings_truncated=True)
    d = drive(decision=decision, inspection=inspection).play(*plain(SHADOW, observed=True))
    assert (d.request.decision, d.request.would_decision) == ("allow", "deny")


def test_an_enforced_route_that_is_only_observed_does_not_claim_enforcement() -> None:
    d = drive(decision=DENY).play(*plain(ENFORCE, observed=True))
    assert d.sent == []
    assert d.opened.mode == "shadow"


def test_redaction_replaces_what_is_forwarded_and_what_is_archived() -> None:
    decision = replace(
        ALLOW,
        action=Action.REDACT,
        redact_entities=frozenset({"EMAIL_ADDRESS"}),
        mask_entities=frozenset({"EMAIL_ADDRESS"}),
        obligations=Obligations(capture=CaptureLevel.REDACTED),
    )
    d = drive(decision=decision, inspection=Inspection(findings=(EMAIL,))).play(*plain())
    (reply,) = d.replies(Message.REQUEST_BODY)
    assert reply.body == b"<rewritten>"
    assert d.request.body == b"<rewritten>"
    assert d.request.content_state == "redacted"
    assert d.request.decision == "redact"
    assert d.request.findings[0].action == "redact"


@pytest.mark.parametrize("declared", [True, False])
def test_a_changed_body_takes_its_declared_length_with_it(declared: bool) -> None:
    decision = replace(ALLOW, action=Action.REDACT, redact_entities=frozenset({"EMAIL_ADDRESS"}))
    d = drive(decision=decision, inspection=Inspection(findings=(EMAIL,)))
    headers = request_headers(ENFORCE)
    length = {"content-length": str(len(BODY))} if declared else {}
    d.play(replace(headers, headers={**headers.headers, **length}), RequestBody(BODY, True))
    (reply,) = d.replies(Message.REQUEST_BODY)
    assert (("content-length", "11") in reply.set_headers) is declared  # len("<rewritten>")


def test_in_shadow_the_archive_is_masked_though_the_request_is_not() -> None:
    decision = replace(
        ALLOW, mask_entities=frozenset({"EMAIL_ADDRESS"}), obligations=Obligations(capture=CaptureLevel.REDACTED)
    )
    d = drive(decision=decision, inspection=Inspection(findings=(EMAIL,))).play(*plain(SHADOW, observed=True))
    assert d.request.body == b"<rewritten>"


def test_a_found_object_key_is_not_written_down_as_a_place() -> None:
    key = Finding("EMAIL_ADDRESS", "pii", "/contacts/ann@example.org#key", 0, 15, 1.0)
    value = Finding("CREDIT_CARD", "pii", "/contacts/ann@example.org", 0, 16, 1.0)
    d = drive(inspection=Inspection(findings=(key, value))).play(*plain())
    assert [f.field for f in d.request.findings] == ["/contacts/<EMAIL_ADDRESS>#key", "/contacts/<EMAIL_ADDRESS>"]


def test_too_many_findings_to_redact_is_a_refusal() -> None:
    decision = replace(ALLOW, action=Action.REDACT, redact_entities=frozenset({"EMAIL_ADDRESS"}))
    inspection = Inspection(findings=(EMAIL,), findings_truncated=True)
    d = drive(decision=decision, inspection=inspection).play(request_headers(ENFORCE), RequestBody(BODY, True))
    assert d.denial is not None
    assert d.denial.reply.status == 413


def test_metadata_only_keeps_no_text_of_either_side() -> None:
    decision = replace(ALLOW, obligations=Obligations(capture=CaptureLevel.METADATA))
    d = drive(decision=decision).play(*plain())
    assert d.request.body is None
    assert d.request.content_state == "policy"
    assert d.response_data == b""
    assert d.closed.response_content_state == "policy"
    assert d.closed.response_bytes == len(b"hello END")


def test_a_request_without_body_is_judged_at_its_headers() -> None:
    d = drive()
    d.event(request_headers(ENFORCE, end=True))
    while d.questions:
        assert not d.sent
        d.answer()
    assert [r.message for r in d.sent if not isinstance(r, Deny)] == [Message.REQUEST_HEADERS]
    assert d.request.content_state == "none"


def test_a_streamed_request_is_held_back_until_it_is_judged() -> None:
    d = drive().play(request_headers(ENFORCE, buffered=False), RequestBody(b"one ", False), RequestBody(b"two", True))
    assert [r.body for r in d.replies(Message.REQUEST_BODY)] == [b"", b"one two"]


def test_trailers_after_a_streamed_body_are_refused_rather_than_lose_it() -> None:
    d = drive().play(request_headers(ENFORCE, buffered=False), RequestBody(b"one", False), RequestTrailers())
    assert d.denial is not None
    assert d.denial.reply.status == 400


def test_trailers_after_a_buffered_body_are_answered_after_the_body() -> None:
    d = drive().play(request_headers(ENFORCE), RequestBody(BODY, False), RequestTrailers())
    assert [r.message for r in d.sent if not isinstance(r, Deny)] == [
        Message.REQUEST_HEADERS,
        Message.REQUEST_BODY,
        Message.REQUEST_TRAILERS,
    ]


def test_response_trailers_end_the_exchange() -> None:
    d = drive().play(*plain()[:3], ResponseBody(b"x", False), ResponseTrailers())
    assert d.closed.capture_status == "completed"
    assert len(d.replies(Message.RESPONSE_TRAILERS)) == 1


def test_a_client_that_leaves_in_mid_stream_is_told_from_one_that_leaves_after_the_last_event() -> None:
    before = drive().play(*plain()[:3], ResponseBody(b"some", False), StreamClosed())
    after = drive().play(*plain()[:3], ResponseBody(b"some END", False), StreamClosed())
    assert before.closed.capture_status == "client_aborted"
    assert before.closed.response_content_state == "partial"
    assert before.closed.usage_source == "estimated"
    assert after.closed.capture_status == "completed"


def test_an_upstream_that_leaves_is_named_by_envoys_access_log() -> None:
    d = drive(logged=EnvoyLogged("upstream_aborted", 2)).play(
        *plain()[:3], ResponseBody(b"some", False), StreamClosed()
    )
    assert d.closed.capture_status == "upstream_aborted"
    assert d.closed.attempts == 2


def test_a_providers_head_that_envoy_did_not_pass_on_is_not_what_the_client_got() -> None:
    d = drive(logged=EnvoyLogged("upstream_aborted", 1, 502)).play(
        *plain()[:3], ResponseBody(b"some", False), StreamClosed()
    )
    assert (d.closed.http_status, d.closed.answered_by) == (502, "envoy")
    assert d.response_data == b"some"


def test_a_providers_head_that_envoy_passed_on_is_the_providers() -> None:
    d = drive(logged=EnvoyLogged("upstream_aborted", 1, 200)).play(*plain()[:3], StreamClosed())
    assert (d.closed.http_status, d.closed.answered_by) == (200, "upstream")


def test_a_client_that_leaves_before_the_head_came_was_answered_by_nobody() -> None:
    """Envoy logs the provider's status although it passed nothing on."""
    d = drive(logged=EnvoyLogged("client_aborted", 1, 200)).play(*plain()[:2], StreamClosed())
    assert (d.closed.http_status, d.closed.answered_by) == (None, None)


def test_an_end_that_envoy_does_not_explain_is_just_aborted() -> None:
    d = drive(logged=EnvoyLogged(None)).play(*plain()[:3], StreamClosed())
    assert d.closed.capture_status == "aborted"


def test_a_client_that_leaves_while_policy_is_asked_still_gets_a_judged_row() -> None:
    d = drive()
    d.play(request_headers(ENFORCE))
    d.event(RequestBody(BODY, True))
    d.event(StreamClosed())
    d.answer_all()
    assert d.request.decision == "allow"
    assert d.closed.capture_status == "client_aborted"
    assert not d.replies(Message.REQUEST_BODY)


def test_an_answer_by_an_earlier_filter_is_a_row_without_a_request() -> None:
    d = drive().play(response_headers(ENFORCE, status=401), ResponseBody(b"no", True))
    assert [type(f) for f in d.frames if not isinstance(f, ResponsePart)] == [Opened, Closed]
    assert d.closed.http_status == 401
    assert d.closed.answered_by == "envoy"
    assert d.closed.response_content_state == "unjudged"


def test_an_unknown_route_is_refused_where_envoy_waits() -> None:
    headers = request_headers(replace(ENFORCE, name="drifted"))
    d = drive().play(headers)
    assert d.denial is not None
    assert d.denial.reply.status == 500


@pytest.mark.parametrize("frame", [Opened, Request])
def test_a_full_disk_denies_where_the_route_says_deny(frame: type[AnyFrame]) -> None:
    d = drive(spool_full=lambda f: isinstance(f, frame)).play(request_headers(ENFORCE), RequestBody(BODY, True))
    assert d.denial is not None
    assert d.denial.reply.status == 503
    assert d.lost == (1 if frame is Opened else 0)


def test_a_full_disk_passes_and_counts_where_the_route_says_so() -> None:
    route = replace(ENFORCE, on_disk_full=OnDiskFull.PASS_AND_COUNT)
    d = drive(surroundings(route), spool_full=lambda f: True).play(*plain(route))
    assert d.denial is None
    assert len(d.replies(Message.RESPONSE_BODY)) == 1
    assert d.lost == 1
    assert d.frames == []
    assert d.finished == 1


def test_a_closed_frame_that_the_disk_refused_is_written_when_there_is_room_again() -> None:
    full = [True]
    d = drive(spool_full=lambda f: isinstance(f, Closed) and full[0]).play(*plain())
    assert not d.finished
    assert d.exchange.wants_tick
    full[0] = False
    d.play(Tick())
    assert d.closed.capture_status == "completed"
    assert d.finished == 1


def test_strict_durability_holds_the_last_word_until_it_is_on_disk() -> None:
    route = replace(ENFORCE, durability=Durability.STRICT)
    d = drive(surroundings(route)).play(*plain(route)[:3])
    d.event(ResponseBody(b"one", False))
    assert len(d.replies(Message.RESPONSE_BODY)) == 1  # not the last word: let through
    d.event(ResponseBody(b"END", False))
    d.event(ResponseBody(b"", True))
    assert len(d.replies(Message.RESPONSE_BODY)) == 1
    d.answer()
    assert len(d.replies(Message.RESPONSE_BODY)) == 3
    assert d.response_data == b"oneEND"


def test_a_running_stream_is_written_at_each_tick() -> None:
    d = drive().play(*plain()[:3], ResponseBody(b"one", False), Tick())
    assert d.response_data == b"one"
    d.play(ResponseBody(b"two", False), Tick())
    assert [f.index for f in d.frames if isinstance(f, ResponsePart)] == [0, 1]


def test_nothing_of_a_response_is_written_while_the_judgement_is_out() -> None:
    d = drive()
    d.play(request_headers(SHADOW, observed=True))
    d.event(RequestBody(BODY, True))
    d.event(response_headers(SHADOW, observed=True))
    d.event(ResponseBody(b"early", False))
    d.event(Tick())
    assert not any(isinstance(f, ResponsePart) for f in d.frames)
    d.answer_all()
    d.play(ResponseBody(b" END", True))
    assert d.response_data == b"early END"


def test_in_shadow_a_request_that_outlasts_its_answer_is_still_judged_and_kept() -> None:
    headers, body, *response = plain(SHADOW, observed=True)
    d = drive().play(headers, *response)
    assert not d.finished
    d.play(body)
    assert d.ended
    assert d.request.body == BODY
    assert d.closed.capture_status == "completed"
    assert d.response_data == b"hello END"


def test_in_shadow_an_answered_request_that_never_ends_is_a_row_without_a_decision() -> None:
    headers, _, *response = plain(SHADOW, observed=True)
    d = drive().play(headers, *response, StreamClosed())
    assert not [f for f in d.frames if isinstance(f, Request)]
    assert d.closed.capture_status == "completed"


def test_a_request_over_the_limit_is_refused_or_dropped_and_counted() -> None:
    world = surroundings(limits=Limits(body_bytes_max=4))
    enforced = drive(world).play(request_headers(ENFORCE), RequestBody(BODY, True))
    assert enforced.denial is not None
    assert enforced.denial.reply.status == 413
    shadowed = drive(world).play(*plain(SHADOW, observed=True))
    assert shadowed.request.content_state == "over_limit"
    assert shadowed.request.body_bytes == len(BODY)
    assert shadowed.closed.response_content_state == "over_limit"
    assert shadowed.closed.dropped_bytes == len(BODY) + len(b"hello END")


def test_a_message_out_of_turn_fails_the_stream_closed() -> None:
    d = drive().play(request_headers(ENFORCE), request_headers(ENFORCE))
    assert d.aborted == "protocol_error"
    assert d.closed.capture_status == "aborted"


def test_the_drains_end_closes_an_open_exchange_with_what_is_there() -> None:
    d = drive().play(*plain()[:3], ResponseBody(b"some", False), Shutdown())
    assert d.aborted == "shutdown"
    assert d.closed.capture_status == "shutdown"
    assert d.response_data == b"some"
    assert d.finished == 1


def test_the_path_in_the_row_has_neither_prefix_nor_query() -> None:
    d = drive().play(*plain())
    assert d.opened.path == "/v1/chat/completions"


@st.composite
def stories(draw: st.DrawFn) -> tuple[Driver, list[Event]]:
    """Any legal order of Envoy's messages in any mode, cut anywhere, under any decision and spool."""
    observed = draw(st.booleans())
    route = SHADOW if observed else draw(st.sampled_from([ENFORCE, replace(ENFORCE, durability=Durability.STRICT)]))
    chunks = st.lists(st.binary(max_size=5), max_size=4)
    buffered = not observed and draw(st.booleans())
    request: list[Event] = [request_headers(route, observed=observed, buffered=buffered)]
    if not buffered:
        request += [RequestBody(c, False) for c in draw(chunks)]
    trailers = draw(st.booleans())
    request.append(RequestBody(draw(st.binary(max_size=5)), not trailers))
    request += [RequestTrailers()] if trailers else []
    response: list[Event] = [response_headers(route, observed=observed)]
    response += [ResponseBody(c, False) for c in draw(chunks)]
    response.append(draw(st.sampled_from([ResponseBody(b"END", True), ResponseTrailers()])))
    events = request + response
    if observed and draw(st.booleans()):  # the two directions overlap
        order = [0, *draw(st.permutations([0] * (len(request) - 1) + [1] * len(response)))]
        sides = [iter(request), iter(response)]
        events = [next(sides[side]) for side in order]
    if draw(st.booleans()):
        events = events[: draw(st.integers(0, len(events)))]
    decision = draw(st.sampled_from([ALLOW, DENY, "opa_timeout"]))
    refused = draw(st.sampled_from([(), (Opened,), (Request,), (ResponsePart,)]))
    driver = drive(
        surroundings(route, limits=Limits(body_bytes_max=draw(st.sampled_from([8, 1000])))),
        decision=decision,
        spool_full=lambda frame: isinstance(frame, refused),
    )
    return driver, [*events, StreamClosed()]


@settings(max_examples=400, deadline=None)
@given(stories(), st.data())
def test_whatever_comes_each_message_is_answered_once_and_each_opened_frame_has_one_end(
    story: tuple[Driver, list[Event]], data: st.DataObject
) -> None:
    d, events = story
    observed = d.exchange._world.routes[next(iter(d.exchange._world.routes))].name == "shadowed"
    for event in events:
        # Where Envoy waits, its next message comes only after the reply to the last request message.
        d.event(event)
        eager = not observed or data.draw(st.booleans())
        if eager:
            d.answer_all()
        if not observed and (d.denial is not None or d.aborted is not None):
            break
    d.event(StreamClosed())
    d.answer_all()
    assert d.finished == 1
    assert d.exchange._world.memory.used_bytes == 0
    if observed:
        assert d.sent == []
    elif d.denial is None and d.aborted is None:
        for message, count in d.received.items():
            assert len(d.replies(message)) == count
    kinds = [type(f) for f in d.frames]
    assert kinds.count(Opened) == kinds.count(Closed) <= 1
    if not d.lost and kinds:  # a refused Opened may be followed by a part that was on its way: capture ignores it
        assert kinds[0] is Opened
        assert kinds[-1] is Closed
    assert kinds.count(Opened) + d.lost == (1 if d.received else 0)
    indexes = [f.index for f in d.frames if isinstance(f, ResponsePart)]
    assert indexes == sorted(set(indexes))
