"""Who is calling: only what Envoy proved counts, and nobody's key leaves a trace."""

from __future__ import annotations

import hmac
import json
import shutil
import ssl
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from extproc.stack import Stack
from tests.e2e.clients import exchange, head
from tests.e2e.gate import CHAT, EXAMPLE, send
from tests.e2e.proofs import AUDIENCE, ISSUER, TokenIssuer, authority, certificate, changed_example
from tests.e2e.traffic import (
    ANTHROPIC,
    ANTHROPIC_SHADOW,
    ENFORCED,
    LEGACY_KEY,
    OPENAI,
    OPENAI_SHADOW,
    SHADOWS,
    Delivery,
    Lane,
    deliver,
    denial,
    settle,
    wait_for_rows,
)

pytestmark = pytest.mark.e2e

LANES = (*ENFORCED, *SHADOWS)
_every_lane = pytest.mark.parametrize("lane", LANES, ids=[lane.name for lane in LANES])


def _refused_by_envoy(done: Delivery, lane: Lane) -> None:
    assert (done.reply.status, done.received) == (401, [])
    told = denial(done)
    assert told["type"] == ("authentication_error" if lane.speaks_anthropic else "invalid_request_error")
    row = done.facts
    assert (row["http_status"], row["answered_by"], row["route"]) == (401, "envoy", lane.name)
    assert (row["team"], row["principal_source"], row["decision"]) == (None, "none", None)
    assert row["request_body"] is None


@pytest.mark.parametrize("lane", ENFORCED, ids=[lane.name for lane in ENFORCED])
@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "", "x-api-key": ""},
        {"authorization": "Bearer wrong", "x-api-key": ""},
        {"authorization": "", "x-api-key": "wrong"},
        {"authorization": "Basic ZXhhbXBsZS1rZXktc2VhcmNo", "x-api-key": ""},
        {"authorization": "Bearer example-key-search, Bearer x", "x-api-key": ""},
        {"authorization": f"Bearer {LEGACY_KEY}", "x-api-key": ""},
        {"authorization": "Bearer simulated-provider-key", "x-api-key": ""},
    ],
    ids=["missing", "wrong bearer", "wrong x-api-key", "basic", "two in one", "somebody's provider key", "our own key"],
)
def test_without_a_client_key_nobody_gets_in(stack: Stack, lane: Lane, headers: dict[str, str]) -> None:
    _refused_by_envoy(deliver(stack, lane, dict(lane.document), headers=headers), lane)


def test_a_key_is_its_own_teams_key(stack: Stack) -> None:
    expected = {
        "example-key-search": ("search", "ranking", "CC-1001", "search-ranking", None, "ranking-api"),
        "example-key-support": ("support", "helpdesk", "CC-1002", "support-helpdesk", None, "helpdesk-bot"),
        "example-key-research": ("research", "lab", "CC-1003", "research-lab", "ada", None),
    }
    done = {key: deliver(stack, OPENAI, CHAT, headers={"authorization": f"Bearer {key}"}) for key in expected}
    settle(list(done.values()))
    for key, who in expected.items():
        row = done[key].facts
        columns = ("team", "project", "cost_center", "caller", "user_id", "workload")
        assert tuple(row[column] for column in columns) == who
        assert (row["principal_source"], row["key_fingerprint"]) == ("api_key", None)


@_every_lane
def test_headers_of_ours_that_a_client_sends_get_nowhere(stack: Stack, lane: Lane) -> None:
    forged = {
        "x-headgate-client": "research-lab",
        "X-HEADGATE-CLIENT": "research-lab",
        "x-headgate-exchange-id": "01a1fe2d-f67b-7c70-bbb2-58e8ac61910f",
        "x-headgate-team": "research",
        "x-headgate-anything-else": "forged",
    }
    done = deliver(stack, lane, dict(lane.document), headers=forged)
    assert done.reply.status == 200
    (got,) = done.received
    assert [name for name in got["headers"] if name.startswith("x-headgate-")] == []
    assert (done.facts["team"], done.facts["caller"] != "research-lab") == ("search", True)
    assert done.facts["exchange_id"] != forged["x-headgate-exchange-id"]
    assert done.reply.headers.get("x-headgate-exchange-id") != forged["x-headgate-exchange-id"]


@pytest.mark.parametrize("lane", ENFORCED, ids=[lane.name for lane in ENFORCED])
def test_a_forged_client_without_a_key_is_still_nobody(stack: Stack, lane: Lane) -> None:
    headers = {"authorization": "", "x-api-key": "", "x-headgate-client": "research-lab"}
    _refused_by_envoy(deliver(stack, lane, dict(lane.document), headers=headers), lane)


def test_a_name_sent_twice_or_in_folded_lines_gets_nowhere(stack: Stack) -> None:
    key = uuid.uuid4().hex
    request = head(
        "POST",
        OPENAI_SHADOW.path,
        [
            *OPENAI_SHADOW.headers.items(),
            ("x-headgate-client", "research-lab"),
            ("x-headgate-client", "support-helpdesk"),
            ("content-length", "0"),
            ("x-sim-key", key),
        ],
    )
    reply = exchange(stack, request)
    done = Delivery(stack, OPENAI_SHADOW, key, reply, stack.upstream_requests(key))
    assert done.facts["caller"] == "search-legacy-app"


# ── what of keys is left behind ──────────────────────────────────────────────────────────────────────────────────────


def _files_with(stack: Stack, secrets: list[bytes]) -> list[str]:
    """Files of the running stack that hold one of these: spool, archive, logs. Envoy has to know its clients' keys."""
    configuration = stack.plan.configuration
    folders = {configuration.capture.spool_dir, configuration.capture.archive_dir, stack.plan.log_dir}
    given = {stack.plan.config_path, stack.plan.envoy_path}
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and path not in given]
    assert any(path.name == "access.log" for path in files)
    return [path.name for path in files if any(secret in path.read_bytes() for secret in secrets)]


def test_keys_reach_the_provider_or_nobody_and_leave_no_trace(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(settings={"telemetry": {"log_level": "debug"}})
    client_key, own_key, marker = "example-key-search", f"sk-own-{uuid.uuid4().hex}", uuid.uuid4().hex
    done = [
        deliver(stack, OPENAI, CHAT | {"user": marker}),
        deliver(stack, ANTHROPIC, dict(ANTHROPIC.document)),
        deliver(stack, OPENAI, CHAT, headers={"x-api-key": client_key, "api-key": client_key}),
        deliver(stack, OPENAI, CHAT | {"model": "gpt-5"}),
        deliver(stack, OPENAI, b"{", headers={"content-type": "application/json"}),
        deliver(stack, OPENAI_SHADOW, CHAT, headers={"authorization": f"Bearer {own_key}"}),
        deliver(stack, ANTHROPIC_SHADOW, dict(ANTHROPIC.document), headers={"x-api-key": own_key}),
    ]
    for injected, header, value in (
        (done[0], "authorization", "Bearer simulated-provider-key"),
        (done[1], "x-api-key", "simulated-provider-key"),
        (done[2], "authorization", "Bearer simulated-provider-key"),
    ):
        (got,) = injected.received
        assert got["headers"][header] == value
        assert client_key not in str(got["headers"])
    for passed, header, value in ((done[5], "authorization", f"Bearer {own_key}"), (done[6], "x-api-key", own_key)):
        (got,) = passed.received
        assert got["headers"][header] == value
        assert "simulated-provider-key" not in str(got["headers"])
    settle(done)
    stack.child("capture").stop()  # it has published and flushed everything it will
    stack.child("extproc").stop()
    stack.child("envoy").stop()
    secrets = [client_key.encode(), own_key.encode(), b"simulated-provider-key"]
    assert _files_with(stack, secrets) == []
    assert done[0].facts["request_body"].count(marker.encode()) == 1  # the search would find what is there


ECHO = """
package headgate.rules.test.echo

verdicts contains {
	"rule": sprintf("test.echo.%s", [key]),
	"message": json.marshal({key: value}),
	"action": "deny",
	"enforced": true,
	"entities": [],
} if {
	some key, value in input
}
"""
"""A rule that tells all that policy was asked, a reason for each part."""


def test_policy_is_asked_without_any_key_text_or_header(make_stack: Callable[..., Stack], tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE.parents[1] / "policies", tmp_path / "policies")
    folder = tmp_path / "policies" / "rules" / "test" / "echo"
    folder.mkdir(parents=True)
    (folder / "echo.rego").write_text(ECHO, encoding="utf-8")
    stack = make_stack(settings={"policy": {"bundle": str(tmp_path / "policies")}})
    headers = {"x-api-key": "example-key-search", "api-key": "sk-another", "cookie": "session=abc"}
    done = deliver(stack, OPENAI, CHAT, headers=headers)
    assert (done.reply.status, done.received) == (403, [])
    told = [json.loads(reason["message"]) for reason in done.facts["reasons"]]
    assert {key: value for part in told for key, value in part.items()} == {
        "schema_version": 1,
        "date": f"{done.facts['ts']:%Y-%m-%d}",
        "phase": "request",
        "mode": "enforce",
        "route": {
            "name": "openai",
            "provider": "openai",
            "destination": "api.openai.com",
            "credentials": "inject",
            "authentication": "api_key",
        },
        "principal": {
            "team": "search",
            "project": "ranking",
            "cost_center": "CC-1001",
            "environment": "production",
            "workload": "ranking-api",
            "caller": "search-ranking",
            "source": "api_key",
            "attributed": True,
        },
        "request": {
            "method": "POST",
            "path": "/v1/chat/completions",
            "api": "openai.chat",
            "api_source": "path",
            "operation": "chat",
            "model": "gpt-4o-mini",
            "stream": False,
            "choices": 1,
            "tools": [],
            "message_count": 1,
            "has_system_text": False,
            "body_bytes": len(json.dumps(CHAT)),
        },
        "findings": [],
        "findings_truncated": False,
        "uninspected_parts": [],
    }


# ── provider keys of the client's own ────────────────────────────────────────────────────────────────────────────────


def test_a_known_provider_key_names_its_team(stack: Stack) -> None:
    for lane in SHADOWS:
        row = deliver(stack, lane, dict(lane.document)).facts
        assert (row["team"], row["caller"], row["principal_source"]) == ("search", "search-legacy-app", "provider_key")


@pytest.mark.parametrize("lane", SHADOWS, ids=[lane.name for lane in SHADOWS])
def test_an_unknown_provider_key_is_kept_as_an_unattributed_fingerprint(stack: Stack, lane: Lane) -> None:
    own_key = f"sk-unknown-{uuid.uuid4().hex}"
    carried = {"x-api-key": own_key} if lane.speaks_anthropic else {"authorization": f"Bearer {own_key}"}
    done = deliver(stack, lane, dict(lane.document), headers=carried)
    assert done.reply.status == 200
    row = done.facts
    assert (row["team"], row["caller"], row["principal_source"]) == (None, None, "provider_key")
    # The first 128 bits of HMAC-SHA256 under the example's `fingerprint_key`.
    assert row["key_fingerprint"] == hmac.new(b"example-fingerprint-key", own_key.encode(), "sha256").hexdigest()[:32]
    assert row["would_decision"] == "deny"
    assert "access.attributed_caller" in row["rules"]


def test_a_call_without_any_key_is_unattributed(stack: Stack) -> None:
    done = deliver(stack, OPENAI_SHADOW, CHAT, headers={"authorization": ""})
    assert done.reply.status == 401  # the provider's own
    assert (done.facts["team"], done.facts["principal_source"], done.facts["key_fingerprint"]) == (None, "none", None)


@_every_lane
def test_requests_that_share_a_clients_request_id_are_rows_of_their_own(stack: Stack, lane: Lane) -> None:
    shared = {"x-request-id": "11111111-1111-4111-8111-111111111111"}
    done = [deliver(stack, lane, dict(lane.document), headers=shared) for _ in range(20)]
    settle(done)
    ids = {delivery.facts["envoy_request_id"] for delivery in done}
    assert len(ids) == 20
    assert shared["x-request-id"] not in ids
    assert len({delivery.facts["exchange_id"] for delivery in done}) == 20


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> TokenIssuer:
    return TokenIssuer(tmp_path_factory.mktemp("issuer")).create()


def test_a_verified_tokens_subject_is_the_caller(
    make_stack: Callable[..., Stack], issuer: TokenIssuer, tmp_path: Path
) -> None:
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [issuer.jwk]}), encoding="utf-8")
    jwt = {"issuer": ISSUER, "audiences": [AUDIENCE], "jwks_file": str(tmp_path / "jwks.json")}
    caller = {"id": "grace", "jwt_subject": "auth0|grace", "user": "grace"}
    stack = make_stack(config=changed_example(tmp_path, first_route={"authentication": "jwt"}, caller=caller, jwt=jwt))

    def bearing(token: str) -> Delivery:
        return deliver(stack, OPENAI, CHAT, headers={"authorization": f"Bearer {token}"})

    known = bearing(issuer.token("auth0|grace"))
    assert known.reply.status == 200
    assert known.received[0]["headers"]["authorization"] == "Bearer simulated-provider-key"
    row = known.facts
    assert (row["team"], row["caller"], row["user_id"]) == ("search", "grace", "grace")
    assert row["principal_source"] == "jwt"

    for stranger in (bearing(issuer.token("auth0|mallory")), bearing(issuer.token(None))):
        assert (stranger.reply.status, stranger.received) == (403, [])
        assert "access.attributed_caller" in denial(stranger)["message"]
        assert (stranger.facts["team"], stranger.facts["decision"]) == (None, "deny")

    other = TokenIssuer(issuer.folder, "other").create()
    header, payload, signature = issuer.token("auth0|grace").split(".")
    forged_payload = issuer.token("auth0|grace", sub="auth0|grace", team="x").split(".")[1]
    for bad in (
        other.token("auth0|grace"),
        issuer.token("auth0|grace", exp=int(time.time()) - 3600),
        issuer.token("auth0|grace", iss="https://elsewhere.example"),
        f"{header}.{forged_payload}.{signature}",
        f"eyJhbGciOiJub25lIn0.{payload}.",
        "example-key-search",
    ):
        _refused_by_envoy(bearing(bad), OPENAI)
    for_others = bearing(issuer.token("auth0|grace", aud="another"))
    assert (for_others.reply.status, for_others.received) == (403, [])
    assert (for_others.facts["answered_by"], for_others.facts["team"]) == ("envoy", None)


# ── certificates ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_verified_certificates_uri_is_the_caller(make_stack: Callable[..., Stack], tmp_path: Path) -> None:
    authority(tmp_path)
    authority(tmp_path, "other-ca")
    certificate(tmp_path, "server", "IP:127.0.0.1")
    certificate(tmp_path, "known", "URI:spiffe://example/ranking")
    certificate(tmp_path, "stranger", "URI:spiffe://example/unknown")
    certificate(tmp_path, "nameless", "DNS:ranking.example")
    certificate(tmp_path, "foreign", "URI:spiffe://example/ranking", signer="other-ca")
    tls = {name: str(tmp_path / file) for name, file in
           (("certificate", "server.pem"), ("private_key", "server.key"), ("client_ca", "ca.pem"))}  # fmt: skip
    caller = {"id": "ranking-pod", "certificate": "spiffe://example/ranking", "workload": "ranking"}
    config = changed_example(
        tmp_path, first_route={"authentication": "certificate"}, caller=caller, listener={"tls": tls}
    )
    stack = make_stack(config=config)

    def shown(name: str | None) -> Delivery:
        trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        if name is not None:
            trust.load_cert_chain(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        key = uuid.uuid4().hex
        headers = {"x-sim-key": key, "x-forwarded-client-cert": "URI=spiffe://example/ranking", "x-api-key": "x"}
        reply = send(stack.plan.configuration.listener.address, "POST", OPENAI.path, headers, CHAT, trust=trust)
        return Delivery(stack, OPENAI, key, reply, stack.upstream_requests(key))

    known = shown("known")
    assert known.reply.status == 200
    row = known.facts
    assert (row["team"], row["caller"], row["workload"]) == ("search", "ranking-pod", "ranking")
    assert row["principal_source"] == "certificate"
    assert "x-forwarded-client-cert" not in known.received[0]["headers"]
    for name in ("stranger", "nameless"):
        unknown = shown(name)
        assert (unknown.reply.status, unknown.received) == (403, [])
        assert "access.attributed_caller" in denial(unknown)["message"]
        assert unknown.facts["team"] is None
    without = shown(None)
    assert (without.reply.status, without.received) == (403, [])
    assert without.facts["answered_by"] == "envoy"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shown("foreign")
    assert len(wait_for_rows(stack, count=4)) == 4
