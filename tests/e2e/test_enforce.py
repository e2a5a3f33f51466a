"""Enforced routes: what may pass passes unharmed, and what may not never reaches the provider."""

from __future__ import annotations

import gzip
import hashlib
import json
import uuid
from typing import Any

import pytest

from extproc.stack import Stack
from tests.e2e.clients import chunked, exchange, exchange_h2, head
from tests.e2e.gate import CHAT, MESSAGES
from tests.e2e.traffic import (
    ANTHROPIC,
    ENFORCED,
    EXCHANGE_HEADER,
    OPENAI,
    Delivery,
    Lane,
    deliver,
    received_body,
    refused,
    settle,
    wait_for_rows,
)

pytestmark = pytest.mark.e2e

JSON = {"content-type": "application/json"}
SUPPORT = {"authorization": "Bearer example-key-support"}
RESEARCH = {"authorization": "Bearer example-key-research"}
EMAIL = "ann.smith@corp-mail.net"
SECRET = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
"""The form of a GitHub token, as their documentation shows it."""

_every_api = pytest.mark.parametrize("lane", ENFORCED, ids=[lane.name for lane in ENFORCED])


def _asking(lane: Lane, text: str, **more: Any) -> dict[str, Any]:
    return {**lane.document, "messages": [{"role": "user", "content": text}], **more}


def _only_body(done: Delivery) -> bytes:
    (got,) = done.received
    return received_body(got)


# ── what a body may be wrapped in ────────────────────────────────────────────────────────────────────────────────────


@_every_api
def test_an_allowed_body_is_forwarded_byte_for_byte(stack: Stack, lane: Lane) -> None:
    odd = (
        json.dumps(lane.document, indent=3, ensure_ascii=True).replace("hello", r"h\u00e9llo \/ 1e2").encode() + b"\r\n"
    )
    done = deliver(stack, lane, odd, headers=JSON)
    assert done.reply.status == 200
    assert _only_body(done) == odd
    assert done.facts["request_body"] == odd
    assert (done.facts["decision"], done.facts["request_content_state"]) == ("allow", "exact")


@_every_api
def test_a_body_without_a_content_type_is_forwarded_as_the_json_that_it_was_read_as(stack: Stack, lane: Lane) -> None:
    body = json.dumps(lane.document).encode()
    done = deliver(stack, lane, body)
    assert done.reply.status == 200
    assert done.received[0]["headers"]["content-type"] == "application/json"
    assert _only_body(done) == body
    assert done.facts["request_content_type"] is None


@_every_api
def test_a_gzipped_body_that_is_allowed_stays_as_it_was_sent(stack: Stack, lane: Lane) -> None:
    plain = json.dumps(lane.document).encode()
    sent = gzip.compress(plain)
    done = deliver(stack, lane, sent, headers={**JSON, "content-encoding": "gzip"})
    assert _only_body(done) == sent
    assert done.received[0]["headers"]["content-encoding"] == "gzip"
    assert (done.facts["decision"], done.facts["problem"]) == ("allow", None)
    assert done.facts["request_body"] == plain
    assert done.facts["request_sha256"] == hashlib.sha256(sent).digest()
    assert (done.facts["request_content_encoding"], done.facts["request_bytes"]) == ("gzip", len(sent))


@_every_api
def test_a_gzipped_body_that_is_redacted_goes_on_without_its_coding(stack: Stack, lane: Lane) -> None:
    plain = json.dumps(_asking(lane, f"write to {EMAIL}, please")).encode()
    done = deliver(stack, lane, gzip.compress(plain), headers={**JSON, "content-encoding": "gzip"})
    assert done.reply.status == 200
    expected = plain.replace(EMAIL.encode(), b"<EMAIL_ADDRESS>")
    assert _only_body(done) == expected
    headers = done.received[0]["headers"]
    assert "content-encoding" not in headers
    assert int(headers["content-length"]) == len(expected)
    assert (done.facts["decision"], done.facts["request_body"]) == ("redact", expected)


@_every_api
@pytest.mark.parametrize("size", [1, 7, 100_000], ids=["byte by byte", "in sevens", "whole"])
def test_a_chunked_body_is_judged_whole_however_it_is_cut(stack: Stack, lane: Lane, size: int) -> None:
    body = json.dumps(_asking(lane, f"write to {EMAIL}")).encode()
    key = uuid.uuid4().hex
    headers = [("host", "gate.example"), *lane.headers.items(), *JSON.items(), ("x-sim-key", key)]
    request = head("POST", lane.path, [*headers, ("transfer-encoding", "chunked")])
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    reply = exchange(stack, request, chunked(pieces))
    done = Delivery(stack, lane, key, reply, stack.upstream_requests(key))
    assert reply.status == 200
    assert _only_body(done) == body.replace(EMAIL.encode(), b"<EMAIL_ADDRESS>")
    assert done.facts["decision"] == "redact"


def test_request_trailers_neither_pass_unjudged_nor_stop_the_judgement(stack: Stack) -> None:
    for text, decision, status in (("hello", "allow", 200), (f"key {SECRET}", "deny", 403)):
        key = uuid.uuid4().hex
        headers = [("host", "gate.example"), *OPENAI.headers.items(), *JSON.items(), ("x-sim-key", key)]
        request = head("POST", OPENAI.path, [*headers, ("transfer-encoding", "chunked"), ("trailer", "x-checksum")])
        body = chunked([json.dumps(_asking(OPENAI, text)).encode()], [("x-checksum", "abc")])
        reply = exchange(stack, request, body)
        done = Delivery(stack, OPENAI, key, reply, stack.upstream_requests(key))
        assert reply.status == status
        assert len(done.received) == (1 if status == 200 else 0)
        assert done.facts["decision"] == decision


def test_a_client_that_waits_for_100_continue_is_served(stack: Stack) -> None:
    body, key = json.dumps(CHAT).encode(), uuid.uuid4().hex
    headers = [("host", "gate.example"), *OPENAI.headers.items(), *JSON.items(), ("x-sim-key", key)]
    request = head("POST", OPENAI.path, [*headers, ("expect", "100-continue"), ("content-length", str(len(body)))])
    reply = exchange(stack, request, body, wait_for_continue=True)
    done = Delivery(stack, OPENAI, key, reply, stack.upstream_requests(key))
    assert reply.status == 200
    assert _only_body(done) == body
    assert done.facts["decision"] == "allow"


@_every_api
def test_http2_is_judged_like_http1(stack: Stack, lane: Lane) -> None:
    for text, trailers, status, decision in (
        ("hello", (), 200, "allow"),
        (f"write to {EMAIL}", (("x-checksum", "abc"),), 200, "redact"),
        (f"key {SECRET}", (), 403, "deny"),
    ):
        key = uuid.uuid4().hex
        body = json.dumps(_asking(lane, text)).encode()
        headers = {**lane.headers, **JSON, "x-sim-key": key}
        reply = exchange_h2(stack, "POST", lane.path, headers, [body[:20], body[20:]], trailers)
        done = Delivery(stack, lane, key, reply, stack.upstream_requests(key))
        assert (reply.status, done.facts["decision"]) == (status, decision)
        expected = body.replace(EMAIL.encode(), b"<EMAIL_ADDRESS>")
        assert [received_body(got) for got in done.received] == ([expected] if status == 200 else [])
        assert done.facts["exchange_id"] == reply.headers[EXCHANGE_HEADER]


# ── what may be in it ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("model", ["gpt-5", "GPT-4O", " gpt-4o", "", "\ngpt-4o"])
def test_a_model_that_is_not_on_the_teams_list_isrefused(stack: Stack, model: str) -> None:
    refused(deliver(stack, OPENAI, CHAT | {"model": model}), "access.model_allowlist")


@_every_api
def test_a_request_without_a_model_isrefused(stack: Stack, lane: Lane) -> None:
    without = {key: value for key, value in lane.document.items() if key != "model"}
    refused(deliver(stack, lane, without), "access.model_allowlist")


def test_a_model_is_allowed_by_team(stack: Stack) -> None:
    assert deliver(stack, OPENAI, CHAT | {"model": "o9-new"}, headers=RESEARCH).reply.status == 200
    refused(deliver(stack, OPENAI, CHAT | {"model": "gpt-4o"}, headers=SUPPORT), "access.model_allowlist")


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400}}
FILE = {"type": "file", "file": {"file_id": "file-abc"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "A" * 400, "format": "wav"}}
UNHEARD_OF = {"type": "hologram", "hologram": {"data": "A" * 400}}
CLAUDE_IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400}}
CLAUDE_PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "A" * 400}}


@pytest.mark.parametrize(
    ("lane", "part"),
    [
        (OPENAI, IMAGE),
        (OPENAI, FILE),
        (OPENAI, AUDIO),
        (OPENAI, UNHEARD_OF),
        (ANTHROPIC, CLAUDE_IMAGE),
        (ANTHROPIC, CLAUDE_PDF),
    ],
    ids=["image", "file", "audio", "unheard of", "claude image", "claude pdf"],
)
def test_a_part_that_no_detector_reads_isrefused_by_default(stack: Stack, lane: Lane, part: dict[str, Any]) -> None:
    document = {**lane.document, "model": "gpt-4o-mini" if lane is OPENAI else "claude-haiku-4-5"}
    document["messages"] = [{"role": "user", "content": [{"type": "text", "text": "look"}, part]}]
    headers = SUPPORT if lane is OPENAI else {"x-api-key": "example-key-support"}
    row = refused(deliver(stack, lane, document, headers=headers), "content.uninspected_parts")
    (told,) = row["uninspected_parts"]
    assert told["field"] == "/messages/0/content/1"


def test_an_image_passes_where_the_team_may_send_them(stack: Stack) -> None:
    document = CHAT | {"messages": [{"role": "user", "content": [{"type": "text", "text": "look"}, IMAGE]}]}
    done = deliver(stack, OPENAI, document)
    assert done.reply.status == 200
    assert _only_body(done) == json.dumps(document).encode()
    assert [part["kind"] for part in done.facts["uninspected_parts"]] == ["image"]


@_every_api
def test_personal_data_is_replaced_and_every_other_string_keeps_its_bytes(stack: Stack, lane: Lane) -> None:
    document = _asking(lane, f"café / {EMAIL} 😀 and again {EMAIL}", metadata={"user_id": "@@"})
    spaced = json.dumps(document, indent=2, ensure_ascii=False).replace('"@@"', r'"caf\u00e9 \/ \ud83d\ude00"')
    body = spaced.encode()
    done = deliver(stack, lane, body, headers=JSON)
    assert done.reply.status == 200
    expected = spaced.replace(EMAIL, "<EMAIL_ADDRESS>").encode()
    assert _only_body(done) == expected
    row = done.facts
    assert (row["decision"], row["rules"]) == ("redact", ["content.data_classes"])
    assert (row["request_content_state"], row["request_body"]) == ("redacted", expected)
    assert row["request_sha256"] == hashlib.sha256(body).digest()
    # Offsets are UTF-8 bytes of the decoded string: "café / " is 8 of them, " 😀 and again " is 16.
    length = len(EMAIL)
    assert [(f["type"], f["action"], f["start"], f["end"]) for f in row["findings"]] == [
        ("EMAIL_ADDRESS", "redact", 8, 8 + length),
        ("EMAIL_ADDRESS", "redact", 24 + length, 24 + 2 * length),
    ]


def test_personal_data_behind_escapes_is_replaced(stack: Stack) -> None:
    body = (
        json.dumps(_asking(OPENAI, "@@")).replace("@@", EMAIL.replace("@", r"\u0040").replace("a", r"\u0061")).encode()
    )
    done = deliver(stack, OPENAI, body, headers=JSON)
    assert json.loads(_only_body(done))["messages"] == [{"role": "user", "content": "<EMAIL_ADDRESS>"}]
    assert done.facts["decision"] == "redact"


@_every_api
def test_a_secret_stops_the_request_and_is_kept_nowhere(stack: Stack, lane: Lane) -> None:
    row = refused(deliver(stack, lane, _asking(lane, f"my token is {SECRET}")), "content.data_classes")
    assert row["request_content_state"] == "redacted"
    assert SECRET.encode() not in row["request_body"]
    assert [finding["data_class"] for finding in row["findings"]] == ["secret"]


def test_a_secret_in_a_key_a_tool_or_metadata_is_found_too(stack: Stack) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {SECRET: {"type": "string"}}}}}
    hidden: tuple[dict[str, Any], ...] = (
        {"tools": [tool]},
        {"metadata": {"note": SECRET}},
        {"stop": [SECRET]},
        {SECRET: 1},
    )
    deliveries = [deliver(stack, OPENAI, CHAT | more) for more in hidden]
    settle(deliveries)
    for done in deliveries:
        refused(done, "content.data_classes")


def test_a_rule_in_shadow_only_says_what_it_would_have_done(stack: Stack) -> None:
    """`limits.max_output_tokens` is in shadow, and the support team has a limit of 4,096."""
    over = deliver(stack, OPENAI, CHAT | {"max_tokens": 5000}, headers=SUPPORT)
    assert over.reply.status == 200
    assert len(over.received) == 1
    assert (over.facts["decision"], over.facts["would_decision"]) == ("allow", "deny")
    (reason,) = over.facts["reasons"]
    assert (reason["rule"], reason["action"], reason["enforced"]) == ("limits.max_output_tokens", "deny", False)
    within = deliver(stack, OPENAI, CHAT | {"max_tokens": 4096}, headers=SUPPORT)
    assert (within.facts["would_decision"], within.facts["reasons"]) == (None, [])


# ── every answer names its exchange ──────────────────────────────────────────────────────────────────────────────────


def test_every_answer_of_an_enforced_route_names_its_exchange(stack: Stack) -> None:
    known, unknown = dict(OPENAI.headers), {"authorization": "Bearer unknown"}
    named = []
    for status, path, headers, body in (
        (200, OPENAI.path, known, CHAT),
        (401, OPENAI.path, unknown, CHAT),
        (403, OPENAI.path, known, CHAT | {"model": "gpt-5"}),
        (400, OPENAI.path, known, CHAT | {"messages": 1}),
        (404, OPENAI.path, RESEARCH, CHAT | {"model": "missing-"}),
        (429, OPENAI.path, {**known, "x-sim-status": "429"}, CHAT),
        (500, OPENAI.path, {**known, "x-sim-status": "500"}, CHAT),
        (503, OPENAI.path, {**known, "x-sim-status": "503"}, CHAT),
        (200, ANTHROPIC.path, dict(ANTHROPIC.headers), MESSAGES),
    ):
        reply = deliver(stack, OPENAI, body, path=path, headers=headers).reply
        assert reply.status == status
        named.append((str(uuid.UUID(reply.headers[EXCHANGE_HEADER])), reply.status))
    ids = {exchange_id for exchange_id, _ in named}
    found = wait_for_rows(stack, lambda row: row["exchange_id"] in ids, count=len(named))
    assert {(row["exchange_id"], row["http_status"]) for row in found} == set(named)
