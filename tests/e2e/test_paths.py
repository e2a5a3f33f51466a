"""Which calls an enforced route lets through, by method and path. (Paths in disguise: `test_seams`.)"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from extproc.stack import Stack
from tests.e2e.gate import CHAT
from tests.e2e.traffic import OPENAI, Delivery, deliver, denial, received_body, settle

pytestmark = pytest.mark.e2e


def _denied(done: Delivery) -> tuple[Any, ...]:
    """Client, provider and row of a call that nobody reads."""
    error = done.reply.json["error"]
    row = done.facts
    return (done.reply.status, error["code"], len(done.received), row["capture_status"], row["decision"], row["api"])


def _unread(api: str) -> tuple[Any, ...]:
    """`api`: what the body looks like, where there is one. It opens nothing."""
    return (403, "access.opaque_calls", 0, "denied", "deny", api)


def test_dots_lead_to_another_route_only_with_what_that_route_asks_for(stack: Stack) -> None:
    done = deliver(stack, OPENAI, CHAT, path="/openai/%2e%2e/anthropic/v1/models")
    assert (done.reply.status, done.received) == (403, [])
    assert (done.facts["route"], done.facts["path"], done.facts["team"]) == ("anthropic", "/v1/models", "search")
    unknown = deliver(
        stack, OPENAI, CHAT, path="/openai/../anthropic/v1/messages", headers={"authorization": "Bearer x"}
    )
    assert (unknown.reply.status, unknown.received) == (401, [])


def test_a_path_that_nobody_reads_is_denied_with_its_body_unsent(stack: Stack) -> None:
    paths = (
        "/v1/chat/completions/",
        "/v1/Chat/Completions",
        "/V1/CHAT/COMPLETIONS",
        "/v1/chat/completions;x=1",
        "/v1/chat/completions%3Fx",
        "/v1/chat/completions%20",
        "/v1/chat/completions.json",
        "/v1/chat%2Fcompletions",
        "/v1%5cchat%5ccompletions",
        "/%2fv1/chat/completions",
        "/v1/model/..%2F..%2Fv1%2Fchat/completions",
        "/v1/files",
        "/.../v1/models",
        "/%252e%252e/v1/models",
    )
    done = {path: deliver(stack, OPENAI, CHAT, path=f"/openai{path}") for path in paths}
    settle(list(done.values()))
    assert {path: _denied(delivery) for path, delivery in done.items()} == dict.fromkeys(paths, _unread("openai.chat"))
    assert [done[path].facts["path"] for path in paths] == list(paths)


def test_a_path_with_a_nul_is_refused_before_anybody_reads_it(stack: Stack) -> None:
    done = deliver(stack, OPENAI, CHAT, path="/openai/v1/models%00")
    assert (done.reply.status, done.received) == (400, [])
    assert denial(done)["code"] == "bad_request"
    assert (done.facts["answered_by"], done.facts["http_status"], done.facts["decision"]) == ("envoy", 400, None)


def test_an_escaped_slash_passes_only_inside_a_models_name(stack: Stack) -> None:
    """Amazon's SDKs send an ARN so (`%2F`); what would lead out of it when unescaped is read by nobody."""
    profile = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.amazon.nova-lite-v1%3A0"
    body = {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}
    headers = {"authorization": "", "x-api-key": "example-key-research"}
    paths = [f"/model/{name}/converse" for name in (profile, "x%2F..%2F..%2Fy", "..%2Fx", "x%5Cy")]
    done = [deliver(stack, OPENAI, body, path=f"/bedrock{path}", headers=headers) for path in paths]
    settle(done)
    assert [delivery.reply.status for delivery in done] == [200, 403, 403, 403]
    assert [got["path"] for delivery in done for got in delivery.received] == [paths[0]]
    assert done[0].facts["gen_ai_request_model"].endswith(":inference-profile/us.amazon.nova-lite-v1:0")
    assert [delivery.facts["rules"] for delivery in done[1:]] == [["access.opaque_calls"]] * 3


def test_an_unread_call_passes_only_by_method_and_path_on_the_teams_list(stack: Stack) -> None:
    listed = (("GET", "/v1/batches"), ("GET", "/v1/batches/batch_1"))
    others = (
        ("GET", "/v1/batches/a/b"),
        ("GET", "/v1/batches/"),
        ("GET", "/v1/batches;x"),
        ("GET", "/v1/files"),
        ("POST", "/v1/batches"),
        ("DELETE", "/v1/batches/batch_1"),
        ("OPTIONS", "/v1/batches"),
        ("GET", "/v1/chat/completions"),
        ("PUT", "/v1/chat/completions"),
    )
    done = {call: deliver(stack, OPENAI, None, method=call[0], path=f"/openai{call[1]}") for call in (*listed, *others)}
    settle(list(done.values()))
    assert {call: _denied(done[call]) for call in others} == dict.fromkeys(others, _unread("opaque"))
    for call in listed:
        assert [(got["method"], got["path"]) for got in done[call].received] == [call]
        row = done[call].facts
        assert (row["api"], row["decision"], row["team"]) == ("opaque", "allow", "search")
        assert row["response_body"] == done[call].reply.body


def test_a_body_on_an_allowed_unread_call_is_searched_all_the_same(stack: Stack) -> None:
    redacted = deliver(stack, OPENAI, b"to ann.smith@corp-mail.net", method="GET", path="/openai/v1/batches")
    (got,) = redacted.received
    assert received_body(got) == b"to <EMAIL_ADDRESS>"
    assert (redacted.facts["decision"], redacted.facts["request_body"]) == ("redact", b"to <EMAIL_ADDRESS>")
    unreadable = deliver(stack, OPENAI, b"\xff\x00\xfe", method="GET", path="/openai/v1/batches")
    assert (unreadable.reply.status, unreadable.received) == (403, [])
    assert unreadable.facts["rules"] == ["content.uninspected_parts"]


def test_an_upgrade_to_another_protocol_is_refused(stack: Stack) -> None:
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    nonce = base64.b64encode(bytes(16)).decode()
    headers = {**upgrade, "sec-websocket-key": nonce}
    done = deliver(stack, OPENAI, None, method="GET", path="/openai/v1/realtime", headers=headers)
    assert (done.reply.status, done.received) == (403, [])
    assert (done.facts["http_status"], done.facts["answered_by"]) == (403, "envoy")
