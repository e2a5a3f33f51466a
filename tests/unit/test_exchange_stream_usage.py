"""Usage that is asked for: the request that asks, and the response that passes through an editor in full duplex."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.events import (
    Event,
    Message,
    Reply,
    RequestBody,
    ResponseBody,
    ResponseHeaders,
    ResponseTrailers,
    Rewrite,
    RewriteFailed,
    StreamClosed,
)
from extproc.model import (
    Action,
    CaptureLevel,
    Durability,
    Finding,
    Inspection,
    Obligations,
    RequestFacts,
    Route,
    StreamUsage,
)
from extproc.opening import Surroundings
from tests.unit.exchange_driver import (
    ALLOW,
    DENY,
    ENFORCE,
    SHADOW,
    Driver,
    FakeCodec,
    drive,
    request_headers,
    response_headers,
    surroundings,
)

ASK = replace(ENFORCE, stream_usage=StreamUsage.ASK)
KEEP = replace(ENFORCE, stream_usage=StreamUsage.ASK_AND_KEEP_CHUNK)
BODY = b'{"stream": true}'
STREAMED = Inspection(facts=RequestFacts(model="m", stream=True))
EMAIL = Finding("EMAIL_ADDRESS", "pii", "/messages/0/content", 0, 5, 1.0)
REDACT = replace(
    ALLOW,
    action=Action.REDACT,
    redact_entities=frozenset({"EMAIL_ADDRESS"}),
    mask_entities=frozenset({"EMAIL_ADDRESS"}),
    obligations=Obligations(capture=CaptureLevel.REDACTED),
)


class Lagging:
    """Takes out `-`, and holds back the last byte until the next or the end."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        held = self._held + data.replace(b"-", b"")
        self._held = held[-1:]
        return held[:-1]

    def flush(self) -> bytes:
        held, self._held = self._held, b""
        return held


class AskedCodec(FakeCodec):
    def usage_remover(self) -> Lagging:
        return Lagging()


def _world(route: Route, codec: FakeCodec | None = None) -> Surroundings:
    return replace(surroundings(route), codec_for=lambda call: codec or AskedCodec())


def _asked(route: Route = ASK, codec: FakeCodec | None = None, **script: Any) -> Driver:
    script.setdefault("inspection", STREAMED)
    return drive(_world(route, codec), **script).play(request_headers(route), RequestBody(BODY, True))


def _sent(d: Driver) -> bytes:
    return b"".join(r.body or b"" for r in d.replies(Message.RESPONSE_BODY))


def _ends(d: Driver) -> list[bool | None]:
    return [r.streamed_end for r in d.replies(Message.RESPONSE_BODY)]


# --- the request ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", [ASK, KEEP], ids=["ask", "keep"])
def test_a_stream_without_usage_is_asked_for_it_and_archived_as_the_client_sent_it(route: Route) -> None:
    d = _asked(route)
    (reply,) = d.replies(Message.REQUEST_BODY)
    assert reply.body == b"<asking>"
    assert d.request.body == BODY
    assert (d.request.decision, d.request.content_state) == ("allow", "exact")


@pytest.mark.parametrize(
    "facts",
    [RequestFacts(stream=False), RequestFacts(stream=True, asks_stream_usage=True)],
    ids=["not streamed", "asked by the client"],
)
@pytest.mark.parametrize("route", [ASK, KEEP], ids=["ask", "keep"])
def test_what_needs_no_question_is_forwarded_as_it_came(facts: RequestFacts, route: Route) -> None:
    d = _asked(route, inspection=Inspection(facts=facts))
    (reply,) = d.replies(Message.REQUEST_BODY)
    assert reply.body is None
    d.play(response_headers(route), ResponseBody(b"a-b", True))
    assert b"".join(r.body or b"" for r in d.replies(Message.RESPONSE_BODY)) == (b"a-b" if route is ASK else b"")


def test_estimate_changes_nothing() -> None:
    d = _asked(ENFORCE)
    (reply,) = d.replies(Message.REQUEST_BODY)
    assert reply.body is None
    assert not any(r.duplex_response for r in d.replies(Message.REQUEST_HEADERS))


def test_in_shadow_nothing_is_asked_whatever_the_route_says() -> None:
    route = replace(SHADOW, stream_usage=StreamUsage.ASK)
    d = drive(_world(route), inspection=STREAMED).play(request_headers(route, observed=True), RequestBody(BODY, True))
    assert d.sent == []
    assert d.request.body == BODY


def test_where_nothing_can_be_taken_out_again_nothing_is_asked() -> None:
    d = _asked(ASK, FakeCodec())
    assert d.replies(Message.REQUEST_BODY)[0].body is None
    assert not d.replies(Message.REQUEST_HEADERS)[0].duplex_response


def test_an_api_that_only_the_body_told_is_not_asked_for_what_could_not_be_taken_out() -> None:
    """Full duplex can only be chosen at the request's headers."""
    read = replace(STREAMED, api="openai.chat")
    assert _asked(ASK, FakeCodec(), inspection=read).replies(Message.REQUEST_BODY)[0].body is None
    assert _asked(KEEP, FakeCodec(), inspection=read).replies(Message.REQUEST_BODY)[0].body == b"<asking>"


def test_a_denied_request_is_asked_nothing() -> None:
    d = _asked(decision=DENY)
    assert d.denial is not None
    assert not d.replies(Message.REQUEST_BODY)


def test_an_api_that_cannot_be_asked_after_all_is_forwarded_as_it_came() -> None:
    d = _asked(asked_body=None)
    assert d.replies(Message.REQUEST_BODY)[0].body is None


def test_the_redacted_body_is_what_asks() -> None:
    d = drive(_world(ASK), inspection=replace(STREAMED, findings=(EMAIL,)), decision=REDACT)
    d.play(request_headers(ASK))
    d.event(RequestBody(BODY, True))
    d.answer()
    d.answer()
    (question,) = d.questions
    assert isinstance(question, Rewrite)
    assert (question.asking, question.forwarded) == ("fake.chat", frozenset({"EMAIL_ADDRESS"}))
    d.answer_all()
    assert d.replies(Message.REQUEST_BODY)[0].body == b"<asking>"
    assert (d.request.body, d.request.decision) == (b"<rewritten>", "redact")


def test_masking_in_the_archive_alone_asks_with_the_body_as_it_came() -> None:
    masked = replace(REDACT, action=Action.ALLOW, redact_entities=frozenset())
    d = drive(_world(ASK), inspection=replace(STREAMED, findings=(EMAIL,)), decision=masked)
    d.play(request_headers(ASK))
    d.event(RequestBody(BODY, True))
    d.answer()
    d.answer()
    (question,) = d.questions
    assert isinstance(question, Rewrite)
    assert (question.asking, question.forwarded) == ("fake.chat", frozenset())


def test_a_question_that_cannot_be_asked_denies_nothing() -> None:
    d = drive(_world(ASK), inspection=STREAMED)
    d.play(request_headers(ASK))
    d.event(RequestBody(BODY, True))
    d.answer()
    d.answer()
    d.questions.clear()
    d.play(RewriteFailed("inspection_failed"))
    assert d.denial is None
    assert d.replies(Message.REQUEST_BODY)[0].body is None
    assert d.request.body == BODY


def test_a_changed_body_has_its_own_length_and_no_content_coding() -> None:
    headers = request_headers(ASK)
    coded = replace(headers, headers={**headers.headers, "content-length": "9", "content-encoding": "gzip"})
    d = drive(_world(ASK), inspection=replace(STREAMED, decoded_body=BODY)).play(coded, RequestBody(b"<gzipped>", True))
    (reply,) = d.replies(Message.REQUEST_BODY)
    assert reply.set_headers == (("content-length", "8"),)  # len("<asking>")
    assert reply.remove_headers == ("content-encoding",)
    assert d.request.body == BODY


# --- the response ---------------------------------------------------------------------------------------------------


def test_full_duplex_is_chosen_at_the_requests_headers() -> None:
    (reply,) = _asked().replies(Message.REQUEST_HEADERS)
    assert reply.duplex_response
    (reply,) = _asked(KEEP).replies(Message.REQUEST_HEADERS)
    assert not reply.duplex_response


def test_the_client_gets_the_edited_bytes_and_the_archive_the_providers() -> None:
    d = _asked().play(
        response_headers(ASK), ResponseBody(b"ab-", False), ResponseBody(b"-c", False), ResponseBody(b"END", True)
    )
    assert _sent(d) == b"abcEND"
    assert _ends(d)[-1] is True
    assert _ends(d).count(True) == 1
    assert d.response_data == b"ab--cEND"
    assert (d.closed.response_bytes, d.closed.response_content_state) == (8, "exact")
    assert d.closed.usage_source == "provider"


def test_bytes_may_lag_behind_their_message() -> None:
    d = _asked().play(response_headers(ASK), ResponseBody(b"a", False))
    assert d.replies(Message.RESPONSE_BODY) == []
    d.play(ResponseBody(b"b", False))
    assert _sent(d) == b"a"
    d.play(ResponseBody(b"", True))
    assert (_sent(d), _ends(d)) == (b"ab", [False, True])


def test_trailers_end_the_bytes_and_follow_them() -> None:
    d = _asked().play(response_headers(ASK), ResponseBody(b"a-b", False), ResponseTrailers())
    kinds = [r.message for r in d.sent if isinstance(r, Reply)][2:]
    assert kinds == [
        Message.RESPONSE_HEADERS,
        Message.RESPONSE_BODY,
        Message.RESPONSE_BODY,
        Message.RESPONSE_TRAILERS,
    ]
    assert (_sent(d), _ends(d)) == (b"ab", [False, False])
    assert d.closed.capture_status == "completed"


def test_an_answer_in_a_content_coding_passes_as_it_is_and_the_row_says_so() -> None:
    coded = replace(response_headers(ASK), headers={":status": "200", "content-encoding": "gzip"})
    d = _asked().play(coded, ResponseBody(b"a-b", True))
    assert (_sent(d), _ends(d)) == (b"a-b", [True])
    assert "usage_chunk_kept" in d.closed.warnings


@pytest.mark.parametrize("status", [400, 429, 500])
def test_an_error_passes_unedited(status: int) -> None:
    d = _asked().play(response_headers(ASK, status=status), ResponseBody(b"a-b", True))
    assert _sent(d) == b"a-b"
    assert d.closed.warnings == ()


def test_an_answer_without_a_body_ends_with_its_headers() -> None:
    d = _asked().play(response_headers(ASK, end=True))
    assert d.replies(Message.RESPONSE_BODY) == []
    assert d.closed.capture_status == "completed"


def test_the_slices_of_one_message_go_together() -> None:
    d = _asked().play(
        response_headers(ASK), ResponseBody(b"a-", False, last_slice=False), ResponseBody(b"b", True, last_slice=True)
    )
    assert (_sent(d), _ends(d)) == (b"ab", [True])


def test_strict_durability_holds_the_last_word_back_in_full_duplex_too() -> None:
    route = replace(ASK, durability=Durability.STRICT)
    d = _asked(route).play(response_headers(route))
    d.event(ResponseBody(b"one", False))
    assert _sent(d) == b"on"
    d.event(ResponseBody(b"END", False))
    d.event(ResponseBody(b"-", True))
    assert _sent(d) == b"on"
    d.answer()
    assert _sent(d) == b"on"
    d.answer()
    assert (_sent(d), _ends(d)) == (b"oneEND", [False, False, True])
    assert d.response_data == b"oneEND-"


def test_a_stream_that_is_cut_leaves_what_was_there() -> None:
    d = _asked().play(response_headers(ASK), ResponseBody(b"some", False), StreamClosed())
    assert (_sent(d), _ends(d)) == (b"som", [False])
    assert (d.closed.capture_status, d.closed.response_content_state) == ("client_aborted", "partial")
    assert d.response_data == b"some"


@settings(max_examples=200, deadline=None)
@given(
    chunks=st.lists(st.binary(max_size=6), max_size=6),
    trailers=st.booleans(),
    strict=st.booleans(),
    encoded=st.booleans(),
    asked=st.booleans(),
    cut=st.none() | st.integers(0, 9),
    eager=st.lists(st.booleans(), min_size=12, max_size=12),
)
def test_whatever_comes_the_bytes_go_out_in_order_and_end_once(
    chunks: list[bytes],
    trailers: bool,
    strict: bool,
    encoded: bool,
    asked: bool,
    cut: int | None,
    eager: list[bool],
) -> None:
    route = replace(ASK, durability=Durability.STRICT if strict else Durability.STANDARD)
    inspection = STREAMED if asked else Inspection(facts=RequestFacts(stream=False))
    d = drive(_world(route), inspection=inspection).play(request_headers(route), RequestBody(BODY, True))
    headers = {":status": "200"} | ({"content-encoding": "gzip"} if encoded else {})
    whole = b"".join(chunks) + b"END"
    events: list[Event] = [
        ResponseHeaders(headers, False, response_headers(route).context),
        *(ResponseBody(chunk, False) for chunk in chunks),
        ResponseBody(b"END", not trailers),
        *([ResponseTrailers()] if trailers else []),
    ]
    for event, at_once in zip(events[:cut], eager, strict=False):
        d.event(event)
        if at_once:
            d.answer_all()
    d.answer_all()
    d.event(StreamClosed())
    d.answer_all()
    expected = whole.replace(b"-", b"") if asked and not encoded else whole
    came = cut is None or cut >= len(events)
    assert _sent(d) == expected if came else expected.startswith(_sent(d))
    assert _ends(d).count(True) == (1 if came and not trailers else 0)
    assert True not in _ends(d)[:-1]
    assert len(d.replies(Message.RESPONSE_TRAILERS)) == (1 if came and trailers else 0)
    assert d.response_data == (whole if came else b"".join(e.data for e in events[:cut] if isinstance(e, ResponseBody)))
    assert d.finished == 1
    assert d.exchange._world.memory.used_bytes == 0
