"""Where a hostile client hides what policy and archive must know: names, escapes in escapes, other alphabets' bytes,
parts within parts, keys that only some providers read, a path that says more than the body."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from capture.record import Request
from extproc import frames
from extproc.codecs import CODECS, codec_for
from extproc.detectors import DETECTORS
from extproc.errors import ClientError, LimitExceeded
from extproc.events import Append, AskPolicy, Decided, Inspected
from extproc.inspection import inspect_request, rewrite_request
from extproc.judgement import Judgement
from extproc.model import (
    Action,
    Call,
    CaptureLevel,
    Credentials,
    Decision,
    Inspection,
    Limits,
    Mode,
    Obligations,
    Principal,
    PrincipalSource,
    Route,
)
from extproc.principal import Directory, fingerprint
from extproc.scanner import Scanner
from extproc.workers import inspect_body

KEY = "sk-ant-api03-" + "Qw3rTy7uIoP9aSdF2gHjK5lZxC8vBnM1qW4eR6tY0-AA"
ADDRESS = "jane.doe@corp-mail.net"
CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}


def _inspect(document: Any, *, api: str = "openai.chat", content_type: str | None = "application/json") -> Inspection:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return inspect_body(api, Call("POST", "/v1/x", "h", content_type), body, Limits())[0]


def _entities(inspection: Inspection) -> list[tuple[str, str]]:
    return [(finding.entity, finding.field) for finding in inspection.findings]


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_model_in_whose_name_a_secret_stands_has_no_name() -> None:
    inspection = _inspect({**CHAT, "model": KEY})
    assert _entities(inspection) == [("ANTHROPIC_API_KEY", "/model")]
    assert inspection.facts.model is None


def test_tools_are_nameless_when_something_was_found_in_a_name() -> None:
    tools = [
        {"type": "function", "function": {"name": "look_up"}},
        {"type": "function", "function": {"name": ADDRESS}},
    ]
    assert _inspect({**CHAT, "tools": tools}).facts.tools == ("(withheld)", "(withheld)")
    described = [{"type": "function", "function": {"name": "look_up", "description": f"ask {ADDRESS}"}}]
    assert _inspect({**CHAT, "tools": described}).facts.tools == ("look_up",)


def test_text_in_the_place_of_a_name_is_no_name() -> None:
    prose = "Dear diary, " * 30
    facts = _inspect({**CHAT, "model": prose, "tools": [{"type": "function", "function": {"name": prose}}]}).facts
    assert (facts.model, facts.tools) == (None, ("(overlong)",))


def test_a_request_frame_lists_a_thousand_tools_at_most() -> None:
    tools = [{"type": "function", "function": {"name": f"f{number}"}} for number in range(1_001)]
    frame = frames.request(
        exchange_id="01989d3e-0000-7000-8000-000000000001", at_ns=1, mode=Mode.ENFORCE,
        inspection=_inspect({**CHAT, "tools": tools}), decision=Decision(Action.ALLOW), done="allow", would=None,
        call=Call("POST", "/", ""), body=None, body_bytes=0, body_sha256=None, content_state="none",
    )  # fmt: skip
    assert (len(frame.tools), frame.tools[-1]) == (1_000, "f999")


def test_a_name_that_the_codec_took_out_of_a_longer_one_is_left_out_too() -> None:
    document = {"request": {"model": f"models/{KEY}", "contents": [{"role": "user", "parts": [{"text": "x"}]}]}}
    call = Call("POST", "/v1internal:generateContent", "h", "application/json")
    inspection = inspect_body("gemini.generate_content", call, json.dumps(document).encode(), Limits())[0]
    assert _entities(inspection) == [("ANTHROPIC_API_KEY", "/request/model")]
    assert inspection.facts.model is None


def test_a_parameter_in_whose_name_a_secret_stands_is_no_parameter() -> None:
    token = "ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA3"
    document = {"messages": [], "additionalModelRequestFields": {token: 1, "top_k": 5}}
    call = Call("POST", "/model/m/converse", "h", "application/json")
    inspection = inspect_body("bedrock.converse", call, json.dumps(document).encode(), Limits())[0]
    assert inspection.facts.parameters == {"top_k": 5}


def test_names_that_nobody_had_the_time_to_look_at_are_left_out() -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "x " * 200_000}], "model": KEY}).encode()
    asked = 0

    def budget() -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise LimitExceeded("inspect_budget", "spent")

    call = Call("POST", "/v1/chat/completions", "h", "application/json")
    inspection = inspect_request(
        CODECS["openai.chat"], call, body, scanner=Scanner(DETECTORS), limits=Limits(), budget=budget
    )
    assert inspection.problem is not None
    assert inspection.problem.code == "inspect_budget"
    assert inspection.facts.model is None


# ── escapes and other encodings ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("escaped", ["jane.doe\\u0040corp-mail.net", "jane.doe@corp-mail\\u002enet"])
def test_what_a_tools_arguments_escape_is_found_and_replaced_there(escaped: str) -> None:
    arguments = '{"to": "' + escaped + '", "subject": "caf\\u00e9"}'
    called = {"id": "1", "type": "function", "function": {"name": "mail", "arguments": arguments}}
    body = json.dumps({**CHAT, "messages": [{"role": "assistant", "tool_calls": [called]}]}).encode()
    inspection = _inspect(body)
    assert _entities(inspection) == [("EMAIL_ADDRESS", "/messages/0/tool_calls/0/function/arguments")]
    rewritten = orjson.loads(rewrite_request(body, inspection.findings, {"EMAIL_ADDRESS"}))
    sent = rewritten["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(sent) == {"to": "<EMAIL_ADDRESS>", "subject": "café"}


def test_escapes_that_hide_nothing_are_no_findings() -> None:
    assert _inspect({**CHAT, "messages": [{"role": "user", "content": 'print("a\\tb\\u0040 \\"x\\"")'}]}).findings == ()


def _kept(body: bytes, path: str, level: CaptureLevel = CaptureLevel.REDACTED) -> tuple[bytes | None, str]:
    """What a shadow route's row holds of a request, and the word for it."""
    route = Route("r", "openai", "h", Mode.SHADOW, Credentials.PASSTHROUGH, PrincipalSource.NONE)
    call = Call("POST", path, "h", "application/json")
    judgement = Judgement(exchange_id="x", route=route, principal=Principal(), call=call, codec=codec_for(call))
    judgement.begin(body, body_bytes=len(body))
    judgement.receive(Inspected(*inspect_body(judgement.codec.api, call, body, Limits())), 1)
    decision = Decision(Action.ALLOW, mask_entities=frozenset({"EMAIL_ADDRESS"}), obligations=Obligations(level))
    (effect,) = judgement.receive(Decided(decision), 2)
    assert isinstance(effect, Append)
    assert isinstance(effect.frame, Request)
    return effect.frame.body, effect.frame.content_state


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16", "utf-32-be"])
def test_a_body_in_another_encoding_that_hides_an_address_is_not_kept(encoding: str) -> None:
    hidden = json.dumps({**CHAT, "messages": [{"role": "user", "content": ADDRESS}]}).encode(encoding)
    assert _kept(hidden, "/v1/chat/completions") == (None, "undecodable")
    assert _kept(hidden, "/v1/files") == (None, "undecodable")
    assert _kept(hidden, "/v1/files", CaptureLevel.FULL) == (hidden, "exact")


def test_an_upload_is_kept_unless_an_address_stands_between_its_bytes() -> None:
    harmless, telling = b"\x89PNG\xff\x00\x01\x02", b"name;mail\nJ\xfcrgen;" + ADDRESS.encode()
    assert _kept(harmless, "/v1/files") == (harmless, "exact")
    assert _kept(telling, "/v1/files") == (None, "undecodable")


def _said(text: str, level: int) -> str:
    """`text` as a string in JSON in a string of JSON …, as agents pass what another tool said."""
    return text if level == 0 else json.dumps({"output": _said(text, level - 1)})


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("before", ["", "\n", "\t", 'a "quoted" word\n'])
def test_no_depth_of_json_in_json_makes_a_keys_first_letter_belong_to_an_escape(before: str, level: int) -> None:
    body = {**CHAT, "messages": [{"role": "user", "content": f'the 5" disk\n{_said(before + KEY, level)}'}]}
    inspection = _inspect(body)
    assert [entity for entity, _ in _entities(inspection)] == ["ANTHROPIC_API_KEY"]
    assert KEY.encode() not in rewrite_request(json.dumps(body).encode(), inspection.findings, {"ANTHROPIC_API_KEY"})


def test_an_escape_before_an_address_stays_one_when_the_address_is_replaced() -> None:
    body = {**CHAT, "messages": [{"role": "user", "content": json.dumps({"mail": f"to\n{ADDRESS}"})}]}
    sent = orjson.loads(
        rewrite_request(json.dumps(body).encode(), _inspect(body).findings, {"EMAIL_ADDRESS"}),
    )
    assert json.loads(sent["messages"][0]["content"]) == {"mail": "to\n<EMAIL_ADDRESS>"}


def test_a_letter_that_only_looks_like_an_escapes_hides_nothing() -> None:
    assert _entities(_inspect({**CHAT, "user": "CORP\\" + "nancy@corp-mail.net"})) == [("EMAIL_ADDRESS", "/user")]


@pytest.mark.parametrize("depth", [2, 3])
def test_escapes_of_escapes_hide_nothing(depth: int) -> None:
    arguments = '{"to": "jane.doe\\u0040corp-mail.net"}'
    for _ in range(depth - 1):
        arguments = json.dumps({"input": arguments})
    called = {"id": "1", "type": "function", "function": {"name": "mail", "arguments": arguments}}
    body = json.dumps({**CHAT, "messages": [{"role": "assistant", "tool_calls": [called]}]}).encode()
    inspection = _inspect(body)
    assert [entity for entity, _ in _entities(inspection)] == ["EMAIL_ADDRESS"]
    rewritten = rewrite_request(body, inspection.findings, {"EMAIL_ADDRESS"})
    assert b"corp-mail" not in rewritten


def test_an_opaque_text_in_utf_16_or_escaped_as_a_url_is_told_to_policy_and_cannot_be_redacted() -> None:
    for body in (
        json.dumps({"to": ADDRESS}).encode("utf-16-le"),
        b"to=jane.doe%40corp-mail.net&cc=",
        b"note=call+%2B49+30+901820+now",
        b"x=" + b"+" * (65_534 - 10) + b"jane.doe%40corp-mail.net",  # where the text is cut in pieces
        b"x=" + b"+" * (65_535 - 10) + b"jane.doe%40corp-mail.net",
    ):
        inspection = _inspect(body, api="opaque", content_type="application/x-www-form-urlencoded")
        assert [field for _, field in _entities(inspection)] == [""]
        assert inspection.hides_findings


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

CARD = 4_539_578_763_621_486  # Luhn's digit is right; issued to nobody
PAID: dict[str, Any] = {"order": 12, "card_number": CARD, "rate": 1.5, "list": [CARD, -7], "ok": True, "float": 1e3}


@pytest.mark.parametrize(
    ("api", "path", "document", "field"),
    [
        (
            "anthropic.messages", "/v1/messages",
            {"model": "m", "max_tokens": 1, "messages": [
                {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "pay", "input": PAID}]}]},
            "/messages/0/content/0/input",
        ),
        (
            "gemini.generate_content", "/v1beta/models/g:generateContent",
            {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "pay", "args": PAID}}]}]},
            "/contents/0/parts/0/functionCall/args",
        ),
        (
            "bedrock.converse", "/model/m/converse",
            {"messages": [{"role": "user", "content": [
                {"toolResult": {"toolUseId": "1", "content": [{"json": PAID}]}}]}]},
            "/messages/0/content/0/toolResult/content/0/json",
        ),
        (
            "mcp", "/mcp",
            {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "pay", "arguments": PAID}},
            "/params/arguments",
        ),
    ],
)  # fmt: skip
def test_a_card_as_a_number_is_found_and_replaced_where_calls_are_objects(
    api: str, path: str, document: dict[str, Any], field: str
) -> None:
    body = json.dumps(document).encode()
    inspection = inspect_body(api, Call("POST", path, "h", "application/json"), body, Limits())[0]
    assert _entities(inspection) == [("CREDIT_CARD", f"{field}/card_number"), ("CREDIT_CARD", f"{field}/list/0")]
    rewritten = rewrite_request(body, inspection.findings, {"CREDIT_CARD"})
    assert rewritten == body.replace(str(CARD).encode(), b'"<CREDIT_CARD>"')


def test_a_number_is_read_with_its_key_and_in_any_spelling_of_a_whole_number() -> None:
    body = b'{"model":"m","messages":[],"a":{"phone":2125550142,"x":4539578763621486.0,"y":[2125550142]}}'
    inspection = _inspect(body)
    assert _entities(inspection) == [("PHONE_NUMBER", "/a/phone"), ("CREDIT_CARD", "/a/x")]
    assert rewrite_request(body, inspection.findings, {"PHONE_NUMBER", "CREDIT_CARD"}) == (
        b'{"model":"m","messages":[],"a":{"phone":"<PHONE_NUMBER>","x":"<CREDIT_CARD>","y":[2125550142]}}'
    )


# ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _part(part: dict[str, Any], api: str = "openai.chat") -> list[tuple[str, str]]:
    document = {**CHAT, "max_tokens": 1, "messages": [{"role": "user", "content": [part]}]}
    return [(found.kind, found.field) for found in _inspect(document, api=api).facts.uninspected_parts]


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}


@pytest.mark.parametrize(
    ("part", "kind", "below"),
    [
        ({"type": "tool_result", "content": [IMAGE]}, "image", "content/0"),
        ({"type": "thinking", "thinking": [{"type": "text", "text": "x"}, IMAGE]}, "image", "thinking/1"),
        ({"type": "tool_result", "content": [{"type": "document", "source": {}}]}, "file", "content/0"),
        ({"type": "tool_result", "content": [{"type": "x", "content": [IMAGE]}]}, "unknown", "content/0/content"),
    ],
)
def test_media_inside_of_a_part_of_text_is_uninspected(part: dict[str, Any], kind: str, below: str) -> None:
    assert _part(part) == [(kind, f"/messages/0/content/0/{below}")]


def test_text_inside_of_a_part_of_text_is_text() -> None:
    assert _part({"type": "thinking", "thinking": [{"type": "text", "text": "x"}]}) == []


def test_a_block_of_text_with_a_source_of_its_own_is_uninspected() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    assert _part({"type": "image_result", "source": source}, "anthropic.messages") == [
        ("unknown", "/messages/0/content/0")
    ]


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("image/png", "image"),
        ("application/octet-stream", "image"),
        ("application/pdf", "file"),
        ("text/plain", "file"),
        ("video/mp4", "video"),
        ("", "image"),
    ],
)
def test_a_data_url_is_of_the_kind_that_it_says(media_type: str, kind: str) -> None:
    url = f"data:{media_type};base64,iVBORw0KGgo="
    assert _part({"type": "image_url", "image_url": {"url": url}}) == [(kind, "/messages/0/content/0")]
    (part,) = _inspect(
        {"model": "m", "input": [{"role": "user", "content": [{"type": "input_file", "file_data": url}]}]},
        api="openai.responses",
    ).facts.uninspected_parts
    assert part.kind == "file", "a file stays one, whatever it says it holds"


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (f"image/png;name={ADDRESS}", "image/png"),
        ("image/4539578763621486", None),  # a card's number makes a media type, too
    ],
)
def test_the_head_of_a_data_url_is_read_though_its_payload_is_not(head: str, media_type: str | None) -> None:
    url = f"data:{head};base64,{'QUJD' * 1_000}"
    document = {**CHAT, "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}
    inspection = _inspect(document)
    assert [field for _, field in _entities(inspection)] == ["/messages/0/content/0/image_url/url"]
    assert [(part.kind, part.media_type) for part in inspection.facts.uninspected_parts] == [("image", media_type)]
    rewritten = rewrite_request(json.dumps(document).encode(), inspection.findings, {"EMAIL_ADDRESS", "CREDIT_CARD"})
    assert b"QUJD" * 1_000 in rewritten


def test_a_key_in_the_place_of_a_payload_is_found() -> None:
    key = "sk-proj-" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xY1zA3" * 4  # made up; as long as they are issued
    source = {"type": "base64", "media_type": "application/pdf", "data": key}
    document = {**CHAT, "max_tokens": 1, "messages": [
        {"role": "user", "content": [{"type": "document", "title": key, "source": source}]}]}  # fmt: skip
    assert [field for _, field in _entities(_inspect(document, api="anthropic.messages"))] == [
        "/messages/0/content/0/title",
        "/messages/0/content/0/source/data",
    ]


def test_images_beside_the_content_are_uninspected() -> None:
    message = {"role": "user", "content": "what is this?", "images": ["aGVsbG8="]}
    (part,) = _inspect({**CHAT, "messages": [message]}).facts.uninspected_parts
    assert (part.kind, part.field) == ("image", "/messages/0/images")


# ── keys and names that only some providers read ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("api", "changed"),
    [
        ("openai.chat", {"messages": [{"role": "user", "Content": [IMAGE]}]}),
        ("openai.chat", {"messages": [{"role": "user", "content": [{"Type": "image_url", **IMAGE, "type": None}]}]}),
        ("openai.chat", {"messages": [{"role": "user", "content": [{"type": "text", "Text": "x"}]}]}),
        ("openai.chat", {"tools": [{"type": "function", "Function": {"name": "run_shell"}}]}),
        ("openai.chat", {"tools": [{"type": "function", "function": {"NAME": "run_shell"}}]}),
        ("anthropic.messages", {"messages": [{"role": "user", "CONTENT": []}]}),
        ("anthropic.messages", {"messages": [{"role": "user", "content": [{"type": "tool_result", "Content": []}]}]}),
        ("anthropic.messages", {"tools": [{"Type": "bash_20250124", "name": "x"}]}),
    ],
)
def test_a_key_that_differs_from_the_apis_in_case_only_is_refused_at_every_depth(
    api: str, changed: dict[str, Any]
) -> None:
    problem = _inspect({**CHAT, **changed}, api=api).problem
    assert problem is not None
    assert problem.code in ("ambiguous_key", "duplicate_key")


@pytest.mark.parametrize(
    ("path", "document", "names"),
    [
        ("/api/v1/chat/completions", {**CHAT, "models": ["a", "b"]}, ("a", "b")),
        (
            "/chat/completions",
            {**CHAT, "fallbacks": ["a", {"model": "b", "messages": []}, {"m": ["c"]}]},
            ("a", "b", "c"),
        ),
        ("/v1/chat/completions", {**CHAT, "providerOptions": {"gateway": {"models": ["a"]}}}, ("a",)),
        ("/v1/completions", {"model": "m", "prompt": "x", "models": ["a"]}, ("a",)),
        ("/v1/responses", {"model": "m", "input": "x", "fallbacks": ["a"]}, ("a",)),
        ("/api/v1/messages", {**CHAT, "max_tokens": 1, "models": ["a"], "fallbacks": [{"model": "b"}]}, ("a", "b")),
        (
            "/v1/publishers/google/models/g:generateContent",
            {"contents": [], "generationConfig": {"routing_config": {"manualMode": {"model_name": "models/a"}}}},
            ("a",),
        ),
    ],
)
def test_whoever_may_answer_in_the_models_stead_is_told_to_policy(
    path: str, document: dict[str, Any], names: tuple[str, ...]
) -> None:
    call = Call("POST", path, "h")
    assert codec_for(call).request(document, call).fallback_models == names


@pytest.mark.parametrize("member", [{"models": ["a", 5]}, {"models": "a"}, {"fallbacks": [5]}, {"fallbacks": {"a": 1}}])
def test_a_list_of_fallbacks_of_another_shape_is_refused(member: dict[str, Any]) -> None:
    call = Call("POST", "/api/v1/chat/completions", "openrouter.ai")
    with pytest.raises(ClientError):
        codec_for(call).request({**CHAT, **member}, call)


def test_what_else_is_searched_for_an_answer_counts_among_the_tools() -> None:
    call = Call("POST", "/v1/chat/completions", "h")
    options = {
        "search_parameters": {"mode": "auto"},
        "plugins": [{"id": "web"}],
        "data_sources": [{"type": "azure_search", "parameters": {"endpoint": "https://example.org"}}],
    }
    assert codec_for(call).request({**CHAT, **options}, call).tools == ("web_search", "web", "azure_search")
    assert codec_for(call).request({**CHAT, "search_parameters": {"mode": "off"}}, call).tools == ()


def test_what_only_another_kind_of_model_reads_at_the_same_address_is_unread() -> None:
    call = Call("POST", "/serving-endpoints/x/invocations", "h")
    (part,) = codec_for(call).request({**CHAT, "input": [[15496, 995]]}, call).uninspected_parts
    assert (part.kind, part.field) == ("unknown", "")
    assert codec_for(call).request(CHAT, call).uninspected_parts == ()


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/openai/deployments/gpt-5-large/chat/completions", "gpt-5-large"),
        ("/v1/engines/gpt-5-large/chat/completions", "gpt-5-large"),
        ("/v1/chat/completions", "gpt-4o"),
    ],
)
def test_where_the_path_names_the_model_policy_judges_that_one(path: str, model: str) -> None:
    body = json.dumps(CHAT).encode()
    route = Route("r", "azure.ai.openai", "h", Mode.ENFORCE, Credentials.INJECT, PrincipalSource.API_KEY)
    call = Call("POST", path, "h", "application/json")
    judgement = Judgement(exchange_id="x", route=route, principal=Principal(), call=call, codec=codec_for(call))
    judgement.begin(body, body_bytes=len(body))
    (asked,) = judgement.receive(Inspected(*inspect_body("openai.chat", call, body, Limits())), 1)
    assert isinstance(asked, AskPolicy)
    assert orjson.loads(asked.document)["request"]["model"] == model


def test_the_whole_of_an_arn_is_the_model_that_is_judged() -> None:
    call = Call("POST", "/model/arn:aws:bedrock:eu:1:imported-model/model/anthropic.claude/converse", "h")
    facts = codec_for(call).request({"messages": []}, call)
    assert facts.model == "arn:aws:bedrock:eu:1:imported-model/model/anthropic.claude"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/embeddings%3F/chat/completions",
        "/v1/embeddings%23/chat/completions",
        "/v1/embeddings;a/chat/completions",
        "/v1/x%00/chat/completions",
        "/v1//chat/completions",
        "/v1/x%0a/v1/messages",
        "/v1/files%2520/v1/messages",
        "/model/x%2F..%2Fy/converse",
        "/model/..%2Fy/converse",
        "/model/x%2F.%2Fy/invoke",
        "/model/x%2Fy/embeddings",
        "/model/x%2Fy/mcp",
        "/model/arn:aws:x/../claude/converse",
        "/v1/files/../chat/completions",
        "/v1/./v1/messages",
        "/mcp/../",
    ],
)
def test_a_path_that_another_server_could_cut_is_spoken_in_no_api(path: str) -> None:
    assert codec_for(Call("POST", path, "h")).api == "opaque"


# ── who ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_made_up_key_in_another_header_hides_no_caller() -> None:
    owner = Principal(PrincipalSource.PROVIDER_KEY, caller="app", team="search")
    directory = Directory({(PrincipalSource.PROVIDER_KEY, fingerprint("k", "sk-own")): owner}, "k")
    route = Route("r", "anthropic", "h", Mode.SHADOW, Credentials.PASSTHROUGH, PrincipalSource.PROVIDER_KEY)
    for headers in (
        {"x-api-key": "sk-own"},
        {"authorization": "Bearer made-up", "x-api-key": "sk-own"},
        {"authorization": "Bearer sk-own", "api-key": "made-up"},
    ):
        assert directory.identify(route, headers, {}, None) == owner
    nobody = directory.identify(route, {"authorization": "Bearer made-up", "api-key": "other"}, {}, None)
    assert (nobody.team, nobody.fingerprint) == (None, fingerprint("k", "made-up"))


def test_who_signs_is_known_by_the_id_of_the_signing_key_whatever_the_signature() -> None:
    owner = Principal(PrincipalSource.PROVIDER_KEY, caller="batch", team="search")
    directory = Directory({(PrincipalSource.PROVIDER_KEY, fingerprint("k", "AKIDEXAMPLE")): owner}, "k")
    route = Route("r", "aws.bedrock", "h", Mode.SHADOW, Credentials.PASSTHROUGH, PrincipalSource.PROVIDER_KEY)
    scope = "20261121/us-east-1/bedrock/aws4_request"
    for signature in ("0dc9310c", "ffffffff"):
        signed = f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders=host, Signature={signature}"
        assert directory.identify(route, {"authorization": signed}, {}, None) == owner


# ── values that only their key tells ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "entity"),
    [
        ({"api_key": "aB3dE5fG7hJ9kL1mN2pQ"}, "API_KEY"),
        ({"ssn": "536221234"}, "US_SSN"),
        ({"phone": "030 1234567"}, "PHONE_NUMBER"),
    ],
)
def test_a_value_that_its_key_tells_is_found_in_a_tools_input(given: dict[str, str], entity: str) -> None:
    block = {"type": "tool_use", "id": "1", "name": "f", "input": given}
    body = json.dumps({**CHAT, "max_tokens": 1, "messages": [{"role": "assistant", "content": [block]}]}).encode()
    inspection = _inspect(body, api="anthropic.messages")
    (key,) = given
    where = f"/messages/0/content/0/input/{key}"
    assert _entities(inspection) == [(entity, where)]
    rewritten = orjson.loads(rewrite_request(body, inspection.findings, {entity}))
    assert rewritten["messages"][0]["content"][0]["input"] == {key: f"<{entity}>"}


def test_a_value_under_a_key_that_tells_nothing_is_only_a_value() -> None:
    assert _inspect({**CHAT, "metadata": {"trace": "aB3dE5fG7hJ9kL1mN2pQ", "order": "536221234"}}).findings == ()
