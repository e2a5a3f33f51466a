"""What Envoy, as we configure it, does to a request on its way: asked of a real Envoy."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import gzip
import hashlib
import hmac
import http.client
import json
import os
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.config import Secret
from extproc.stack import Plan
from tests.e2e.gate import CHAT, EXAMPLE, MESSAGES, SEARCH_KEY, Gate, until
from tests.e2e.sidecar import EXCHANGE_ID

pytestmark = pytest.mark.e2e

SHADOW = {"host": "api.openai.com", "authorization": "Bearer sk-of-the-client"}


@pytest.fixture(scope="module")
def shared_gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with Gate(tmp_path_factory.mktemp("gate")) as gate:
        yield gate


@pytest.fixture
def gate(shared_gate: Gate) -> Gate:
    shared_gate.seen.forget()
    return shared_gate


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


def test_a_request_reaches_the_provider_with_its_own_path_host_and_key(gate: Gate, key: str) -> None:
    reply = gate.send(
        "POST", "/openai/v1/chat/completions?a=b", {**SEARCH_KEY, "x-sim-key": key, "accept-encoding": "gzip"}, CHAT
    )
    assert reply.status == 200
    (got,) = gate.forwarded(key)
    assert got["path"] == "/v1/chat/completions?a=b"
    assert got["headers"]["host"] == "api.openai.com"
    assert got["headers"]["authorization"] == "Bearer simulated-provider-key"
    assert got["headers"]["accept-encoding"] == "identity"
    assert got["body_sha256"] == hashlib.sha256(json.dumps(CHAT).encode()).hexdigest()


@pytest.mark.parametrize("name", ["x-http-method-override", "x-original-url", "x-rewrite-url"])
def test_no_header_makes_the_provider_take_another_call_than_the_judged_one(gate: Gate, key: str, name: str) -> None:
    gate.send("POST", "/openai/v1/chat/completions", {**SEARCH_KEY, "x-sim-key": key, name: "DELETE"}, CHAT)
    (got,) = gate.forwarded(key)
    assert name not in got["headers"]


def test_anthropic_gets_its_key_in_its_own_header_and_no_other_key(gate: Gate, key: str) -> None:
    headers = {"x-api-key": "example-key-search", "authorization": "", "anthropic-version": "2023-06-01"}
    reply = gate.send("POST", "/anthropic/v1/messages", {**headers, "x-sim-key": key}, MESSAGES)
    assert reply.status == 200
    (got,) = gate.forwarded(key)
    assert got["path"] == "/v1/messages"
    assert got["headers"]["host"] == "api.anthropic.com"
    assert got["headers"]["x-api-key"] == "simulated-provider-key"
    assert "authorization" not in got["headers"]


def test_the_sidecar_sees_neither_the_clients_key_nor_the_providers(gate: Gate) -> None:
    gate.send("POST", "/openai/v1/chat/completions", SEARCH_KEY, CHAT)
    stream = gate.seen.only_stream()
    everything = json.dumps([stream.request_headers, stream.response_headers, stream.attributes])
    assert "example-key-search" not in everything
    assert "simulated-provider-key" not in everything
    assert stream.request_headers["x-headgate-client"] == "search-ranking"


def test_a_clients_own_headers_of_ours_get_nowhere(gate: Gate, key: str) -> None:
    forged = {
        "X-Headgate-Client": "research-lab",
        "x-headgate-exchange-id": "forged",
        "x-headgate-anything": "forged",
        "x-request-id": "forged",
        "x-envoy-max-retries": "9",
        "x-envoy-retry-on": "5xx",
        "x-forwarded-for": "203.0.113.7",
    }
    for path, own in (("/openai/v1/chat/completions", SEARCH_KEY), ("/v1/chat/completions", SHADOW)):
        gate.seen.forget()
        assert gate.send("POST", path, {**forged, **own, "x-sim-key": key}, CHAT).status == 200
        told = gate.seen.only_stream()
        assert "forged" not in json.dumps([told.request_headers, told.attributes])
        assert told.request_headers.get("x-headgate-client") != "research-lab"
    for got in gate.forwarded(key):
        left = {name for name in got["headers"] if name.startswith(("x-headgate-", "x-envoy-", "x-forwarded-"))}
        assert left == set()
        assert uuid.UUID(got["headers"]["x-request-id"]).version == 4


def test_the_sidecar_is_told_route_call_and_ending(gate: Gate) -> None:
    gate.send("POST", "/openai/v1/chat/completions?x=1", {**SEARCH_KEY, "host": "gate.example"}, CHAT)
    stream = gate.seen.only_stream()
    assert stream.kinds == ["request_headers", "request_body", "response_headers", "response_body"]
    asked = stream.attributes["request_headers"]
    assert asked["xds.route_name"] == "openai"
    assert asked["request.path"] == "/openai/v1/chat/completions?x=1"
    assert asked["request.method"] == "POST"
    assert asked["request.host"] == "gate.example"
    assert asked["request.id"] == stream.request_headers["x-request-id"]
    assert stream.attributes["response_headers"]["response.code_details"] == "via_upstream"
    assert stream.response_headers["x-envoy-attempt-count"] == "1"


def test_the_attempt_count_is_for_the_sidecar_alone(gate: Gate) -> None:
    reply = gate.send("POST", "/openai/v1/chat/completions", SEARCH_KEY, CHAT)
    assert [name for name in reply.headers if name.startswith("x-envoy-")] == []


def test_a_retry_is_counted_and_succeeds(gate: Gate, key: str) -> None:
    headers = {**SEARCH_KEY, "x-sim-key": key, "x-sim-fail-times": "1"}
    assert gate.send("POST", "/openai/v1/chat/completions", headers, CHAT).status == 200
    assert gate.seen.only_stream().response_headers["x-envoy-attempt-count"] == "2"
    assert len(gate.forwarded(key)) == 2


def test_a_shadow_route_is_never_retried(gate: Gate, key: str) -> None:
    headers = {**SHADOW, "x-sim-key": key, "x-sim-fail-times": "1"}
    assert gate.send("POST", "/v1/chat/completions", headers, CHAT).status == 503
    assert len(gate.forwarded(key)) == 1


@pytest.mark.parametrize(
    ("headers", "details"),
    [({}, "missing_api_key"), ({"authorization": "Bearer wrong"}, "unknown_api_key")],
    ids=["no key", "wrong key"],
)
def test_a_refusal_by_envoy_is_told_to_the_sidecar_and_speaks_openai(
    gate: Gate, headers: dict[str, str], details: str
) -> None:
    reply = gate.send("POST", "/openai/v1/chat/completions", headers, CHAT)
    assert reply.status == 401
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-headgate-exchange-id"] == EXCHANGE_ID
    assert reply.json["error"]["code"] == "unauthenticated"
    stream = gate.seen.only_stream()
    assert stream.kinds[0] == "response_headers"
    told = stream.attributes["response_headers"]
    assert told["response.code_details"] == details
    assert told["xds.route_name"] == "openai"
    assert told["request.method"] == "POST"
    assert uuid.UUID(told["request.id"]).version == 4


def test_a_refusal_by_envoy_speaks_anthropic_where_the_client_does(gate: Gate) -> None:
    reply = gate.send("POST", "/anthropic/v1/messages", {"x-api-key": "wrong"}, MESSAGES)
    assert reply.status == 401
    assert reply.json["type"] == "error"
    assert reply.json["error"]["type"] == "authentication_error"
    assert uuid.UUID(reply.json["request_id"]).version == 4


def test_the_sidecars_own_denial_passes_as_it_is(gate: Gate) -> None:
    reply = gate.send("POST", "/openai/v1/chat/completions", {**SEARCH_KEY, "x-test-deny": "1"}, CHAT)
    assert (reply.status, reply.body) == (403, b'{"denied": "by the sidecar"}')


@pytest.mark.parametrize("path", ["/nothing", "/openaix/v1/chat/completions", "/openai", "/v1/chat/completions"])
def test_what_no_route_wants_is_not_found_and_nobody_is_bothered(gate: Gate, path: str) -> None:
    reply = gate.send("POST", path, {**SEARCH_KEY, "host": "gate.example"}, CHAT)
    assert (reply.status, reply.json["error"]["code"]) == (404, "unknown_route")
    assert uuid.UUID(reply.headers["x-headgate-exchange-id"]).version == 4
    assert gate.seen.streams == []


def test_an_escaped_slash_is_refused(gate: Gate) -> None:
    assert gate.send("POST", "/openai/v1%2Fchat/completions", SEARCH_KEY, CHAT).status == 400


def test_dots_in_a_path_cannot_leave_a_route(gate: Gate, key: str) -> None:
    reply = gate.send("POST", "/openai/../anthropic/v1/messages", {**SEARCH_KEY, "x-sim-key": key}, MESSAGES)
    assert reply.status == 200
    assert gate.seen.only_stream().attributes["request_headers"]["xds.route_name"] == "anthropic"


def test_an_upgrade_is_not_let_through(gate: Gate) -> None:
    headers = {**SEARCH_KEY, "connection": "upgrade", "upgrade": "websocket"}
    assert gate.send("GET", "/openai/v1/realtime", headers).status == 403


def test_a_shadow_route_changes_nothing_and_tells_everything(gate: Gate, key: str) -> None:
    headers = {**SHADOW, "host": "api.openai.com:443", "x-sim-key": key, "accept-encoding": "gzip, br"}
    reply = gate.send("POST", "/v1/chat/completions", headers, CHAT)
    assert reply.status == 200
    assert "x-headgate-exchange-id" not in reply.headers
    assert reply.headers["server"] == "simulated"
    assert int(reply.headers["content-length"]) == len(reply.body)
    (got,) = gate.forwarded(key)
    assert got["headers"]["authorization"] == SHADOW["authorization"]
    assert got["headers"]["accept-encoding"] == "gzip, br"
    stream = gate.seen.only_stream()
    assert stream.observed
    assert stream.request_headers["authorization"] == SHADOW["authorization"]
    assert stream.request_body == json.dumps(CHAT).encode()
    assert stream.response_body_bytes == len(reply.body)
    assert stream.attributes["request_headers"]["xds.route_name"] == "openai-shadow"


def test_a_provider_cannot_name_an_exchange(gate: Gate) -> None:
    forged = {"x-sim-header": "x-headgate-exchange-id: forged"}
    watched = gate.send("POST", "/v1/chat/completions", {**SHADOW, **forged}, CHAT)
    assert watched.status == 200
    assert "x-headgate-exchange-id" not in watched.headers
    judged = gate.send("POST", "/openai/v1/chat/completions", {**SEARCH_KEY, **forged}, CHAT)
    assert judged.headers["x-headgate-exchange-id"] == EXCHANGE_ID
    kept = gate.send("POST", "/v1/chat/completions", {**SHADOW, "x-sim-header": "x-own: kept"}, CHAT)
    assert kept.headers["x-own"] == "kept"


def test_response_trailers_reach_sidecar_and_client(gate: Gate) -> None:
    headers = {**SEARCH_KEY, "x-sim-trailers": "x-checksum: abc", "te": "trailers"}
    assert gate.send("POST", "/openai/v1/chat/completions", headers, CHAT).status == 200
    assert gate.seen.only_stream().kinds[-1] == "response_trailers"


def test_an_encoded_answer_passes_unharmed(gate: Gate) -> None:
    reply = gate.send("POST", "/v1/chat/completions", {**SHADOW, "x-sim-encoding": "gzip"}, CHAT)
    assert reply.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(reply.body))["object"] == "chat.completion"


def test_health_is_answered_by_envoy_itself(gate: Gate) -> None:
    reply = gate.send("GET", "/-/healthy")
    assert (reply.status, reply.body) == (200, b"ok\n")
    assert gate.seen.streams == []


def test_a_client_that_hangs_up_is_told_by_the_access_log_service(gate: Gate) -> None:
    body = json.dumps(CHAT | {"stream": True}).encode()
    with gate.raw() as client:
        client.sendall(
            b"POST /openai/v1/chat/completions HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer example-key-search\r\n"
            b"x-sim-chunks: 500\r\nx-sim-chunk-delay-ms: 20\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    gate.seen.wait_for(lambda me: me.logged)
    entry = gate.seen.logged[0]
    assert entry.common_properties.response_flags.downstream_connection_termination
    assert entry.request.request_id == gate.seen.streams[0].request_headers["x-request-id"]


def test_a_provider_that_dies_is_told_by_the_access_log_service(gate: Gate) -> None:
    headers = {**SEARCH_KEY, "x-sim-abort-after-chunks": "3", "x-sim-chunk-delay-ms": "20"}
    with pytest.raises(http.client.IncompleteRead):
        gate.send("POST", "/openai/v1/chat/completions", headers, CHAT | {"stream": True})
    gate.seen.wait_for(lambda me: me.logged)
    told = gate.seen.logged[0].common_properties
    # A chunked body without its last chunk is a protocol error to Envoy, a reset one a termination.
    assert told.response_flags.upstream_protocol_error or told.response_flags.upstream_connection_termination
    assert not told.response_flags.downstream_connection_termination
    assert told.upstream_request_attempt_count == 1


def test_a_request_that_ends_well_is_not_in_the_access_log_service(gate: Gate) -> None:
    assert gate.send("POST", "/openai/v1/chat/completions", SEARCH_KEY, CHAT).status == 200
    with contextlib.suppress(http.client.HTTPException):  # an answer of Envoy's, or half of one: both end badly
        gate.send("POST", "/openai/v1/chat/completions", {**SEARCH_KEY, "x-sim-abort-after-chunks": "0"}, CHAT)
    gate.seen.wait_for(lambda me: me.logged)
    assert len(gate.seen.logged) == 1


def test_the_access_log_has_a_line_a_request_without_query_or_key(gate: Gate) -> None:
    mark = uuid.uuid4().hex
    gate.send("GET", "/-/healthy")
    gate.send("POST", f"/openai/v1/chat/completions?mark={mark}", SEARCH_KEY, CHAT)
    request_id = gate.seen.only_stream().request_headers["x-request-id"]
    until(lambda: any(line["request_id"] == request_id for line in gate.access_log()))
    (line,) = [line for line in gate.access_log() if line["request_id"] == request_id]
    assert line["exchange_id"] == EXCHANGE_ID
    assert (line["route"], line["mode"], line["method"]) == ("openai", "enforce", "POST")
    assert (line["path"], line["protocol"], line["response_code"]) == ("/v1/chat/completions", "HTTP/1.1", 200)
    assert (line["upstream_attempts"], line["response_flags"]) == (1, "-")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["start_time"])
    whole = gate.plan.configuration.access_log.read_text(encoding="utf-8")
    assert mark not in whole
    assert "example-key" not in whole
    assert "healthy" not in whole


# --- gates of their own: failures, limits, other proofs --------------------------------------------------------------


def test_without_a_sidecar_enforced_routes_close_and_shadow_routes_stay_open(tmp_path: Path, key: str) -> None:
    with Gate(tmp_path) as gate:
        gate.stop_sidecar()
        refused = gate.send("POST", "/openai/v1/chat/completions", {**SEARCH_KEY, "x-sim-key": key}, CHAT)
        assert (refused.status, refused.json["error"]["code"]) == (503, "unavailable")
        assert "x-should-retry" not in refused.headers
        assert gate.forwarded(key) == []
        assert gate.send("POST", "/v1/chat/completions", SHADOW, CHAT).status == 200


def test_a_body_over_the_limit_is_refused_in_the_apis_format(tmp_path: Path, key: str) -> None:
    with Gate(tmp_path, settings={"limits": {"body_bytes_max": 100_000}}) as gate:
        fits, too_large = b'{"a":"%b"}' % (b"x" * 99_000), b'{"a":"%b"}' % (b"x" * 3_000_000)
        assert gate.send("POST", "/openai/v1/chat/completions", SEARCH_KEY, fits).status == 400  # no messages in it
        refused = gate.send("POST", "/openai/v1/chat/completions", {**SEARCH_KEY, "x-sim-key": key}, too_large)
        assert (refused.status, refused.json["error"]["code"]) == (413, "request_too_large")
        assert refused.headers["x-should-retry"] == "false"
        assert gate.forwarded(key) == []
        assert gate.send("POST", "/v1/chat/completions", SHADOW, too_large).status == 400  # the provider's own


def test_without_a_provider_the_client_gets_an_error_of_its_api(tmp_path: Path) -> None:
    with Gate(tmp_path) as gate:
        gate.child("upstream").hold()
        reply = gate.send("POST", "/anthropic/v1/messages", SEARCH_KEY, MESSAGES)
        assert (reply.status, reply.json["error"]["type"]) == (503, "api_error")


def test_a_stopped_sidecar_does_not_stall_a_200_mb_response_in_shadow(tmp_path: Path) -> None:
    """Invariant 5. The sidecar is a process of its own here, so that it can be stopped: it accepts, and never reads."""
    with Gate(tmp_path) as gate:
        gate.stop_sidecar()
        code = (
            "import sys\nfrom pathlib import Path\nfrom tests.e2e.sidecar import Sidecar\n"
            "Sidecar(Path(sys.argv[1]))\nprint('up', flush=True)\nsys.stdin.read()\n"
        )
        command = [str(Path(os.sys.executable)), "-c", code, str(gate.plan.configuration.extproc_socket)]  # type: ignore[attr-defined]
        with subprocess.Popen(
            command, cwd=EXAMPLE.parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as sidecar:
            try:
                assert sidecar.stdout is not None
                assert sidecar.stdout.readline() == b"up\n"
                assert gate.send("POST", "/v1/chat/completions", SHADOW, CHAT).status == 200
                sidecar.send_signal(signal.SIGSTOP)
                started = time.monotonic()
                headers = {**SHADOW, "x-sim-body-bytes": str(200_000_000)}
                reply = gate.send("POST", "/v1/chat/completions", headers, CHAT, timeout_s=60)
                assert len(reply.body) > 200_000_000
                assert time.monotonic() - started < 30
                assert gate.send("POST", "/v1/chat/completions", SHADOW, CHAT).status == 200
            finally:
                sidecar.kill()


def _token(claims: dict[str, Any], secret: bytes) -> str:
    def text(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    signed = f"{text(json.dumps({'alg': 'HS256', 'kid': 'k'}).encode())}.{text(json.dumps(claims).encode())}"
    return f"{signed}.{text(hmac.new(secret, signed.encode(), 'sha256').digest())}"


def _config(tmp_path: Path, **changes: Any) -> Path:
    """The example with the first route changed."""
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    document["teams"] = str(EXAMPLE.parent / "teams.yaml")
    document["policy"]["bundle"] = str(EXAMPLE.parents[1] / "policies")
    document["routes"][0] |= changes.pop("route")
    path = tmp_path / "headgate.yaml"
    path.write_text(yaml.safe_dump(document | changes), encoding="utf-8")
    return path


def test_a_verified_token_reaches_the_sidecar_and_a_forged_one_does_not_pass(tmp_path: Path, key: str) -> None:
    secret = b"a-secret-of-at-least-thirty-two-bytes"
    jwk = {"kty": "oct", "kid": "k", "alg": "HS256", "k": base64.urlsafe_b64encode(secret).rstrip(b"=").decode()}
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [jwk]}), encoding="utf-8")
    jwt = {"issuer": "https://id.example", "audiences": ["headgate"], "jwks_file": str(tmp_path / "jwks.json")}
    claims = {"iss": "https://id.example", "aud": "headgate", "sub": "ada", "exp": int(time.time()) + 600}
    config = _config(tmp_path, route={"authentication": "jwt"}, jwt=jwt)
    with Gate(tmp_path / "state", config=config) as gate:
        good = {"authorization": f"Bearer {_token(claims, secret)}", "x-sim-key": key}
        assert gate.send("POST", "/openai/v1/chat/completions", good, CHAT).status == 200
        stream = gate.seen.only_stream()
        assert stream.metadata["envoy.filters.http.jwt_authn"]["headgate"]["sub"] == "ada"
        assert "authorization" not in stream.request_headers
        assert gate.forwarded(key)[0]["headers"]["authorization"] == "Bearer simulated-provider-key"
        for bad in (
            {"authorization": f"Bearer {_token(claims, b'another-secret-of-thirty-two-bytes!!')}"},
            {"authorization": f"Bearer {_token(claims | {'exp': 1}, secret)}"},
            {"authorization": f"Bearer {_token({k: v for k, v in claims.items() if k != 'exp'}, secret)}"},
            {},
        ):
            refused = gate.send("POST", "/openai/v1/chat/completions", bad, CHAT)
            assert (refused.status, refused.json["error"]["code"]) == (401, "unauthenticated")


def _openssl(*arguments: str, cwd: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


def _certificate(folder: Path, name: str, san: str) -> None:
    (folder / f"{name}.ext").write_text(f"subjectAltName={san}\n", encoding="utf-8")
    _openssl(
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
        "-keyout", f"{name}.key", "-out", f"{name}.csr", cwd=folder,
    )  # fmt: skip
    _openssl(
        "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
        "-extfile", f"{name}.ext", "-out", f"{name}.pem", cwd=folder,
    )  # fmt: skip


def test_a_certificate_route_wants_a_verified_certificate_and_the_others_do_not(tmp_path: Path) -> None:
    import ssl

    _openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test-ca",
        "-days", "2", "-keyout", "ca.key", "-out", "ca.pem", cwd=tmp_path,
    )  # fmt: skip
    _certificate(tmp_path, "server", "IP:127.0.0.1")
    _certificate(tmp_path, "client", "URI:spiffe://example/app")
    tls = {
        "certificate": str(tmp_path / "server.pem"),
        "private_key": str(tmp_path / "server.key"),
        "client_ca": str(tmp_path / "ca.pem"),
    }
    config = _config(tmp_path, route={"authentication": "certificate"}, listener={"tls": tls})
    anonymous = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    known = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    known.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    with Gate(tmp_path / "state", config=config) as gate:
        assert gate.send("POST", "/openai/v1/chat/completions", {}, CHAT, trust=known).status == 200
        told = gate.seen.only_stream().attributes["request_headers"]
        assert told["connection.uri_san_peer_certificate"] == "spiffe://example/app"
        assert told["connection.mtls"] is True
        refused = gate.send("POST", "/openai/v1/chat/completions", SEARCH_KEY, CHAT, trust=anonymous)
        assert (refused.status, refused.json["error"]["code"]) == (403, "forbidden")
        assert gate.send("POST", "/anthropic/v1/messages", SEARCH_KEY, MESSAGES, trust=anonymous).status == 200


@pytest.mark.parametrize("ending", ["", "\n"], ids=["bare", "newline"])
def test_a_providers_key_is_read_from_its_file_however_the_file_ends(tmp_path: Path, key: str, ending: str) -> None:
    """Most tools end a file with a newline, which cannot stand in a header."""
    (tmp_path / "provider-key").write_text(f"key-from-a-file{ending}", encoding="utf-8")

    def with_file(plan: Plan) -> Plan:
        provider = plan.configuration.providers["openai"]
        assert provider.credential is not None
        secret = Secret(file=tmp_path / "provider-key")
        changed = provider.model_copy(update={"credential": provider.credential.model_copy(update={"secret": secret})})
        providers = {**plan.configuration.providers, "openai": changed}
        return dataclasses.replace(plan, configuration=plan.configuration.model_copy(update={"providers": providers}))

    with Gate(tmp_path / "state", change=with_file) as gate:
        assert "key-from-a-file" not in gate.plan.envoy_path.read_text(encoding="utf-8")
        reply = gate.send("POST", "/openai/v1/chat/completions", {**SEARCH_KEY, "x-sim-key": key}, CHAT)
        assert reply.status == 200
        assert gate.forwarded(key)[0]["headers"]["authorization"] == "Bearer key-from-a-file"
