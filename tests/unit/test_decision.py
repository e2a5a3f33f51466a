"""What policy is asked and how its answer is read."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.decision import FAILURES, NAME_BYTES_MAX, build_input, failed, parse_decision, would
from extproc.errors import DependencyError
from extproc.model import (
    Action,
    Call,
    CaptureLevel,
    Credentials,
    Decision,
    Finding,
    Inspection,
    Mode,
    Obligations,
    Principal,
    PrincipalSource,
    Problem,
    Reason,
    RequestFacts,
    Route,
    UninspectedPart,
)
from tests.policies.opa_server import POLICIES
from tests.policies.schema import faults

SCHEMA = json.loads((POLICIES / "schemas" / "input.json").read_text())

ROUTE = Route("openai", "openai", "api.openai.com", Mode.ENFORCE, Credentials.INJECT, PrincipalSource.API_KEY)
PRINCIPAL = Principal(
    source=PrincipalSource.API_KEY,
    caller="website-prod",
    team="search",
    project="website",
    cost_center="cc-1",
    environment="production",
    user_id="jane",
    workload="web",
    fingerprint="0" * 32,
)
FACTS = RequestFacts(
    model="gpt-4o",
    stream=True,
    max_output_tokens=100,
    choices=2,
    temperature=0.5,
    tools=("look_up", "book"),
    message_count=3,
    has_system_text=True,
    text_bytes=999,
    uninspected_parts=(
        UninspectedPart("image", "/messages/0/content/2", "image/png", 10),
        UninspectedPart("image", "/messages/0/content/1", "image/png", 20),
        UninspectedPart("file", "/messages/0/content/3"),
    ),
)
FINDINGS = (
    Finding("US_SSN", "pii", "/messages/1/content", 0, 11, 0.9),
    Finding("EMAIL_ADDRESS", "pii", "/messages/1/content", 20, 30, 0.9),
    Finding("EMAIL_ADDRESS", "pii", "/messages/0/content", 0, 10, 0.9),
)


PLACES = {"/messages/0/content": "user", "/messages/1/content": "tool_result"}
AT_NS = 1_798_761_599_999_999_999
"""The last nanosecond of 2026 in UTC: `date -ud 2026-12-31T23:59:59 +%s`."""


def built(**changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "route": ROUTE,
        "principal": PRINCIPAL,
        "call": Call("POST", "/v1/chat/completions", "api.openai.com", "application/json"),
        "api": "openai.chat",
        "operation": "chat",
        "inspection": Inspection(FACTS, FINDINGS, places=PLACES),
        "body_bytes": 1234,
        "at_ns": AT_NS,
    }
    return json.loads(build_input(**(arguments | changes)))


# ── the input ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_input_is_the_documented_document() -> None:
    assert built() == {
        "schema_version": 1,
        "phase": "request",
        "mode": "enforce",
        "date": "2026-12-31",
        "route": {
            "name": "openai",
            "provider": "openai",
            "destination": "api.openai.com",
            "credentials": "inject",
            "authentication": "api_key",
        },
        "principal": {
            "team": "search",
            "project": "website",
            "cost_center": "cc-1",
            "environment": "production",
            "user": "jane",
            "workload": "web",
            "caller": "website-prod",
            "source": "api_key",
            "attributed": True,
        },
        "request": {
            "method": "POST",
            "path": "/v1/chat/completions",
            "api": "openai.chat",
            "api_source": "path",
            "operation": "chat",
            "model": "gpt-4o",
            "stream": True,
            "max_output_tokens": 100,
            "choices": 2,
            "temperature": 0.5,
            "tools": ["look_up", "book"],
            "message_count": 3,
            "has_system_text": True,
            "body_bytes": 1234,
        },
        "findings": [
            {"entity": "EMAIL_ADDRESS", "data_class": "pii", "count": 2, "places": ["tool_result", "user"]},
            {"entity": "US_SSN", "data_class": "pii", "count": 1, "places": ["tool_result"]},
        ],
        "findings_truncated": False,
        "uninspected_parts": [{"kind": "file"}, {"kind": "image", "media_type": "image/png"}],
    }


def test_of_the_time_policy_learns_the_day_alone() -> None:
    assert built(at_ns=0)["date"] == "1970-01-01"
    assert built(at_ns=AT_NS + 1)["date"] == "2027-01-01"
    assert built(at_ns=AT_NS) == built(at_ns=AT_NS - 86_399 * 10**9)
    assert "date" not in built(at_ns=None)


def test_a_finding_whose_place_nobody_knows_is_in_another_one() -> None:
    assert [found["places"] for found in built(inspection=Inspection(FACTS, FINDINGS))["findings"]] == [["other"]] * 2


def test_what_is_not_known_is_absent_not_null() -> None:
    document = built(principal=Principal(), inspection=Inspection(RequestFacts()), operation=None)
    assert document["principal"] == {"source": "none", "attributed": False}
    assert set(document["request"]) == {
        "method", "path", "api", "api_source", "stream", "choices", "tools", "message_count", "has_system_text",
        "body_bytes",
    }  # fmt: skip


def test_what_a_call_does_itself_is_told_where_it_does_something() -> None:
    facts = RequestFacts(called_tools=("look_up", "x" * 257), rpc_methods=("tools/call", "ping"), image_count=3)
    request = built(inspection=Inspection(facts), api="mcp", api_source="body")["request"]
    assert request["called_tools"] == ["look_up", "(overlong)"]
    assert request["rpc_methods"] == ["tools/call", "ping"]
    assert request["image_count"] == 3
    assert (request["api"], request["api_source"]) == ("mcp", "body")


def test_of_a_body_that_no_codec_read_nothing_is_claimed() -> None:
    opaque = built(api="opaque", operation=None, inspection=Inspection())
    assert opaque["request"] == {
        "method": "POST",
        "path": "/v1/chat/completions",
        "api": "opaque",
        "api_source": "path",
        "body_bytes": 1234,
    }
    broken = built(inspection=Inspection(problem=Problem("duplicate_key", "a key stands there twice")))
    assert broken["request"]["problem"] == "duplicate_key"
    assert "stream" not in broken["request"]


def test_the_text_is_canonical() -> None:
    inspection = Inspection(FACTS, tuple(reversed(FINDINGS)))
    arguments: dict[str, Any] = {
        "route": ROUTE, "principal": PRINCIPAL, "call": Call("GET", "/é", "h"), "api": "a", "operation": None,
        "body_bytes": 0,
    }  # fmt: skip
    text = build_input(inspection=inspection, **arguments)
    assert text == build_input(inspection=Inspection(FACTS, FINDINGS), **arguments)
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def test_no_name_is_long_enough_to_be_a_text() -> None:
    long = "x" * (NAME_BYTES_MAX + 1)
    document = built(
        inspection=Inspection(RequestFacts(model=long, tools=(long, "ok"))), call=Call("GET", "/" * 9999, "")
    )
    assert "model" not in document["request"]
    assert "path" not in document["request"]
    assert document["request"]["tools"] == ["(overlong)", "ok"]
    assert built(inspection=Inspection(RequestFacts(model="x" * NAME_BYTES_MAX)))["request"]["model"]


@pytest.mark.parametrize(("tokens", "seen"), [(10**30, 2**63 - 1), (-(10**30), 1 - 2**63), (7, 7)])
def test_numbers_beyond_what_json_readers_agree_on_are_the_largest_they_do(tokens: int, seen: int) -> None:
    assert built(inspection=Inspection(RequestFacts(max_output_tokens=tokens)))["request"]["max_output_tokens"] == seen


def test_a_temperature_that_json_cannot_say_is_absent() -> None:
    for value in (float("inf"), float("nan")):
        assert "temperature" not in built(inspection=Inspection(RequestFacts(temperature=value)))["request"]


def test_findings_that_were_cut_say_so() -> None:
    assert built(inspection=Inspection(FACTS, FINDINGS, findings_truncated=True))["findings_truncated"] is True


names = st.one_of(st.none(), st.text(max_size=12))
principals = st.builds(
    Principal,
    source=st.sampled_from(PrincipalSource),
    caller=names,
    team=names,
    project=names,
    cost_center=names,
    environment=names,
    user_id=names,
    workload=names,
    fingerprint=names,
)
routes = st.builds(
    Route,
    name=st.text(max_size=5),
    provider=st.text(max_size=5),
    host=st.text(max_size=5),
    mode=st.sampled_from(Mode),
    credentials=st.sampled_from(Credentials),
    authentication=st.sampled_from(PrincipalSource),
)
facts = st.builds(
    RequestFacts,
    model=names,
    stream=st.booleans(),
    max_output_tokens=st.one_of(st.none(), st.integers()),
    choices=st.integers(),
    temperature=st.one_of(st.none(), st.floats()),
    tools=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    uninspected_parts=st.lists(
        st.builds(
            UninspectedPart,
            kind=st.sampled_from(["image", "audio", "video", "file", "reference", "unknown"]),
            field=st.just("/x"),
            media_type=names,
        ),
        max_size=3,
    ).map(tuple),
)
inspections = st.builds(
    Inspection,
    facts=facts,
    findings=st.lists(
        st.builds(Finding, st.sampled_from("AB"), st.sampled_from(["pii", "secret"]), st.just("/x"), st.just(0),
                  st.just(1), st.just(0.5)), max_size=4,
    ).map(tuple),
    findings_truncated=st.booleans(),
    problem=st.one_of(st.none(), st.just(Problem("too_deep", "deep"))),
)  # fmt: skip


@given(routes, principals, inspections, st.sampled_from(["openai.chat", "opaque"]), names)
@settings(max_examples=200, deadline=None)
def test_whatever_is_built_fits_the_schema_that_rego_is_checked_against(
    route: Route, principal: Principal, inspection: Inspection, api: str, operation: str | None
) -> None:
    document = built(route=route, principal=principal, inspection=inspection, api=api, operation=operation)
    assert faults(document, SCHEMA) == []


def test_the_schema_check_can_fail() -> None:
    document = built()
    for path, value in (("mode", "audit"), ("principal", None), ("findings", [{"entity": "A"}]), ("extra", 1)):
        assert faults(document | {path: value}, SCHEMA)
    assert faults({}, SCHEMA)
    assert faults(document | {"request": document["request"] | {"choices": True}}, SCHEMA)


# ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────────

RESULT: dict[str, Any] = {
    "action": "redact",
    "status": 403,
    "reasons": [
        {"rule": "b.shadow", "message": "would stop", "action": "deny", "enforced": False},
        {"rule": "a.enforced", "message": "replaced", "action": "redact", "enforced": True},
    ],
    "redact": ["EMAIL_ADDRESS"],
    "mask": ["AWS_ACCESS_KEY"],
    "obligations": {"capture": "redacted", "retention_class": "default"},
}
PROVENANCE = {"version": "1.22.0", "bundles": {"bundle.tar.gz": {"revision": "r1"}}}


def answer(result: Any = RESULT, provenance: Any = PROVENANCE) -> bytes:
    return json.dumps({"provenance": provenance, "result": result}).encode()


def code_of(body: bytes) -> str:
    with pytest.raises(DependencyError) as refused:
        parse_decision(body)
    return refused.value.code


def test_a_whole_answer_is_a_decision() -> None:
    assert parse_decision(answer()) == Decision(
        action=Action.REDACT,
        reasons=(
            Reason("a.enforced", "replaced", Action.REDACT, enforced=True),
            Reason("b.shadow", "would stop", Action.DENY, enforced=False),
        ),
        redact_entities=frozenset({"EMAIL_ADDRESS"}),
        mask_entities=frozenset({"EMAIL_ADDRESS", "AWS_ACCESS_KEY"}),
        status=403,
        obligations=Obligations(CaptureLevel.REDACTED, "default"),
        policy_revision="r1",
    )


@pytest.mark.parametrize(
    ("provenance", "revision"),
    [
        ({"version": "1.22.0"}, None),  # plain files
        ({"version": "1.22.0", "bundles": {"b": {"revision": ""}}}, None),
        ({"version": "1.22.0", "bundles": {"z": {"revision": "2"}, "a": {"revision": "1"}}}, "a=1,z=2"),
        ({"version": "1.22.0", "revision": "old"}, "old"),  # one bundle, the older API
    ],
)
def test_the_revision_is_what_opa_says_it_served(provenance: Any, revision: str | None) -> None:
    assert parse_decision(answer(provenance=provenance)).policy_revision == revision


@pytest.mark.parametrize("body", [b"{}", b'{"provenance":{"version":"1"}}', b'{"warning":{"code":"x"}}'])
def test_no_result_is_no_decision(body: bytes) -> None:
    assert code_of(body) == "opa_undefined"


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"not json", b'{"result":', b"\xff", b'{"result":null}', b'{"result":{}}']
)
def test_what_is_not_the_document_is_nonsense(body: bytes) -> None:
    assert code_of(body) == "opa_nonsense"


@pytest.mark.parametrize("field", sorted(RESULT))
def test_a_missing_field_is_nonsense(field: str) -> None:
    result = {name: value for name, value in RESULT.items() if name != field}
    assert code_of(answer(result)) == "opa_nonsense"


@pytest.mark.parametrize(
    "change",
    [
        {"action": "permit"},
        {"action": "Allow"},
        {"action": None},
        {"action": True},
        {"status": "403"},
        {"status": 200},
        {"status": 999},
        {"redact": "EMAIL_ADDRESS"},
        {"redact": [1]},
        {"mask": None},
        {"obligations": {"capture": "everything", "retention_class": "default"}},
        {"obligations": {"capture": "full"}},
        {"reasons": [{"rule": "a", "message": "m", "action": "deny"}]},
        {"reasons": [{"rule": "a", "message": "m", "action": "stop", "enforced": True}]},
        # contradictions
        {"action": "allow"},
        {"redact": []},
        {"reasons": [{"rule": "a", "message": "m", "action": "deny", "enforced": True}]},
    ],
)
def test_a_wrong_or_contradictory_field_is_nonsense(change: dict[str, Any]) -> None:
    assert code_of(answer(RESULT | change)) == "opa_nonsense"


def test_what_a_newer_policy_adds_does_no_harm() -> None:
    assert parse_decision(answer(RESULT | {"route": "elsewhere"})).action is Action.REDACT


def test_no_value_of_the_answer_reaches_the_error_message() -> None:
    for change in ({"action": "tell me a secret"}, {"status": "a secret"}, {"obligations": {"a secret": 1}}):
        with pytest.raises(DependencyError) as refused:
            parse_decision(answer(RESULT | change))
        assert "secret" not in refused.value.message


def test_reasons_are_bounded_and_the_ones_that_bind_come_first() -> None:
    many = [
        {"rule": f"shadow.{n:03}", "message": "m" * 9999, "action": "deny", "enforced": False} for n in range(500)
    ] + [{"rule": "z.last", "message": "no", "action": "deny", "enforced": True}]
    decision = parse_decision(answer(RESULT | {"action": "deny", "reasons": many}))
    assert len(decision.reasons) == 64
    assert decision.reasons[0].rule == "z.last"
    assert max(len(reason.message) for reason in decision.reasons) == 500


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.sampled_from(["allow", "deny"])),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(sorted(RESULT)), inner, max_size=6)
        ),
        max_leaves=8,
    )
)
@settings(max_examples=200, deadline=None)
def test_any_answer_is_a_decision_or_a_typed_error(junk: Any) -> None:
    result = copy.deepcopy(RESULT)
    if isinstance(junk, dict):
        result |= junk
    for body in (answer(result), answer(junk), json.dumps(junk).encode()):
        outcome: object
        try:
            outcome = parse_decision(body).action
        except DependencyError as error:
            outcome = error.code
        assert outcome in {*Action, "opa_nonsense", "opa_undefined"}


# ── what follows from it ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("code", FAILURES)
def test_without_an_answer_all_is_denied_and_no_text_kept(code: str) -> None:
    decision = failed(code)
    assert decision.action is Action.DENY
    assert decision.status == 503
    assert decision.obligations.capture is CaptureLevel.METADATA
    assert decision.failure == code
    assert would(decision, Mode.SHADOW) == "deny"
    assert would(decision, Mode.ENFORCE) is None


ALLOW, REDACT, DENY = Action.ALLOW, Action.REDACT, Action.DENY


@pytest.mark.parametrize(
    ("mode", "action", "reasons", "expected"),
    [
        (Mode.SHADOW, ALLOW, [], "allow"),
        (Mode.SHADOW, DENY, [(DENY, True)], "deny"),
        (Mode.SHADOW, ALLOW, [(DENY, False)], "allow"),  # an enforced route would have allowed it
        (Mode.ENFORCE, ALLOW, [], None),
        (Mode.ENFORCE, ALLOW, [(DENY, False)], "deny"),
        (Mode.ENFORCE, ALLOW, [(REDACT, False)], "redact"),
        (Mode.ENFORCE, REDACT, [(REDACT, True), (DENY, False)], "deny"),
        (Mode.ENFORCE, REDACT, [(REDACT, True), (REDACT, False)], None),
        (Mode.ENFORCE, DENY, [(DENY, True), (REDACT, False)], None),
    ],
)
def test_would_decision(mode: Mode, action: Action, reasons: list[tuple[Action, bool]], expected: str | None) -> None:
    decision = Decision(
        action, tuple(Reason(f"r.{n}", "m", a, enforced=enforced) for n, (a, enforced) in enumerate(reasons))
    )
    assert would(decision, mode) == expected
