"""Whether a policy's decisions may be remembered, read from what real OPA compiled."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extproc import policy_tools
from extproc.opa.builtins import IMPURE, PURE
from extproc.opa.bundle_facts import BUNDLES_PATH, CONFIG_PATH, POLICIES_PATH, BundleFacts, examine
from extproc.opa.policy import UNREAD
from tests.policies.opa_server import POLICIES, OpaServer, opa_server

BUNDLE = {"result": {"b": {"etag": "", "manifest": {"revision": "r", "roots": [""]}}}}
PLAIN_CONFIG = {"result": {"labels": {}}}


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("opa")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def ask(opa: OpaServer, method: str, path: str, body: str | None = None) -> bytes:
    connection = _Connection(opa.socket_path)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        answer = response.read()
        assert response.status == 200, answer
        return answer
    finally:
        connection.close()


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaServer]:
    with opa_server() as running:
        yield running


def compiled(opa: OpaServer, *modules: str) -> bytes:
    """The modules as OPA lists them once it has compiled them."""
    names = [f"/v1/policies/m{number}" for number in range(len(modules))]
    for name, text in zip(names, modules, strict=True):
        ask(opa, "PUT", name, text)
    try:
        return ask(opa, "GET", POLICIES_PATH)
    finally:
        for name in reversed(names):
            ask(opa, "DELETE", name)


def facts_of(opa: OpaServer, *modules: str, bundles: Any = BUNDLE, config: Any = PLAIN_CONFIG) -> BundleFacts:
    return examine(json.dumps(bundles).encode(), compiled(opa, *modules), json.dumps(config).encode())


def rule(expression: str) -> str:
    return f"package headgate.main\n\ndecision := x if {{\n\tx := {expression}\n}}\n"


def test_the_two_lists_hold_every_builtin_of_the_pinned_opa() -> None:
    ran = subprocess.run(
        [policy_tools.find_opa(), "capabilities", "--current"], capture_output=True, check=True, text=True
    )
    builtins = json.loads(ran.stdout)["builtins"]
    assert {builtin["name"] for builtin in builtins} == PURE | IMPURE
    assert not PURE & IMPURE
    assert {builtin["name"] for builtin in builtins if builtin.get("nondeterministic")} <= IMPURE


IMPURE_CALLS = {
    "time": rule("time.now_ns()"),
    "random": rule('rand.intn("x", 100)'),
    "a fresh id": rule('uuid.rfc4122("x")'),
    "the network": rule('http.send({"method": "get", "url": "http://127.0.0.1:1"})'),
    "the environment": rule("opa.runtime().env"),
    "a certificate's dates": rule("crypto.x509.parse_and_verify_certificates(input.chain)"),
    "a token's dates": rule("io.jwt.decode_verify(input.token, {})"),
    "a remote schema": rule("json.match_schema({}, {})"),
    "inside a comprehension": rule("[y | some y in [time.now_ns()]]"),
    "inside an argument": rule("max([1, time.now_ns()])"),
    "in an every": "package headgate.main\n\ndecision if {\n\tevery y in [1] { y < time.now_ns() }\n}\n",
    "in the head's value": "package headgate.main\n\ndecision := time.now_ns()\n",
    "in the head's key": "package headgate.main\n\ndecision[time.now_ns()] := 1\n",
    "in a default": "package headgate.main\n\ndefault decision := 1\n\ndecision := 2 if rand.intn(\"x\", 2) == 1\n",
    "in a function": "package headgate.main\n\nf(x) := x + time.now_ns()\n\ndecision := f(1)\n",
    "in the place of another": rule("data.other.f({}) with data.other.f as http.send"),
    "in an else": "package headgate.main\n\ndecision := 1 if input.a\n\nelse := time.now_ns()\n",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(IMPURE_CALLS))
def test_a_call_that_is_not_a_function_of_its_arguments_is_seen_wherever_it_stands(opa: OpaServer, name: str) -> None:
    other = "package other\n\nf(_) := 1\n"
    found = facts_of(opa, other, IMPURE_CALLS[name])
    assert found.bypass == "impure_builtin", found
    assert found.detail.startswith("the policy calls ")


def test_an_impure_helper_that_no_rule_calls_counts_too(opa: OpaServer) -> None:
    assert facts_of(opa, rule("1"), "package lib\n\nnow := time.now_ns()\n").bypass == "impure_builtin"


PURE_CALLS = {
    "arithmetic": rule("input.a + 1"),
    "text": rule('sprintf("%v", [regex.match("a", input.a)])'),
    "an id made of arguments": rule("crypto.hmac.sha256(input.a, data.key)"),
    "a time that is told": rule("time.add_date(input.now_ns, 0, 0, 1)"),
    "a rule called time": "package headgate.main\n\nimport data.time\n\ndecision := time.now_ns\n",
    "a variable called like a builtin's first word": rule("y if { rand := {1}; y := count(rand) }").replace(
        "x := y if { rand := {1}; y := count(rand) }", "rand := {1}\n\tx := count(rand)"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PURE_CALLS))
def test_a_policy_that_is_a_function_of_its_input_may_be_remembered(opa: OpaServer, name: str) -> None:
    assert facts_of(opa, PURE_CALLS[name]).bypass is None


def bundles(**changes: Any) -> Any:
    manifest = {"revision": "r", "roots": ["headgate"]} | changes.pop("manifest", {})
    return {"result": {"b": {"etag": "", "manifest": manifest} | changes}}


def test_data_that_is_in_no_bundle_turns_memory_off(opa: OpaServer) -> None:
    assert facts_of(opa, rule("data.headgate.x"), bundles=bundles()).bypass is None
    outside = facts_of(opa, rule("data.frozen.teams"), bundles=bundles())
    assert (outside.bypass, outside.detail) == (
        "outside_data",
        "the policy reads data.frozen.teams, which is in no bundle",
    )


def test_a_path_that_is_only_known_at_run_time_counts_as_all_below_what_is_known(opa: OpaServer) -> None:
    assert facts_of(opa, rule("data.headgate.x[input.a].b"), bundles=bundles()).bypass is None
    assert facts_of(opa, rule("data.frozen[input.a].b"), bundles=bundles()).bypass == "outside_data"
    deep = bundles(manifest={"roots": ["headgate", "frozen/now"]})
    assert facts_of(opa, rule("data.frozen.now[input.a]"), bundles=deep).bypass is None
    assert facts_of(opa, rule("data.frozen[input.a].now"), bundles=deep).bypass == "outside_data"
    assert facts_of(opa, rule("data.frozen.nowhere"), bundles=deep).bypass == "outside_data"  # no prefix of letters


def test_two_bundles_together_may_hold_all_that_is_read_and_have_a_revision_of_both(opa: OpaServer) -> None:
    both = {"result": {name: {"manifest": {"revision": f"{name}-1", "roots": [root]}} for name, root in
                       (("rules", "headgate"), ("freeze", "frozen/now"))}}  # fmt: skip
    found = facts_of(opa, rule("[data.headgate.x, data.frozen.now.teams]"), bundles=both)
    assert (found.bypass, found.revision) == (None, "freeze=freeze-1,rules=rules-1")
    both["result"]["freeze"]["manifest"]["revision"] = ""
    assert facts_of(opa, rule("1"), bundles=both).bypass == "no_revision"


@pytest.mark.parametrize(
    ("served", "config", "reason"),
    [
        ({"result": {}}, PLAIN_CONFIG, "no_revision"),
        ({}, PLAIN_CONFIG, "no_revision"),
        (bundles(manifest={"revision": ""}), PLAIN_CONFIG, "no_revision"),
        (bundles(manifest={"wasm": [{"entrypoint": "headgate/main/decision"}]}), PLAIN_CONFIG, "wasm"),
        (bundles(), {"result": {"bundles": {"b": {"resource": "x.tar.gz"}}}}, "no_etag"),
        (bundles(etag='"1"'), {"result": {"bundles": {"b": {"resource": "x.tar.gz"}}}}, None),
        (bundles(), {"result": {"bundles": {"b": {"resource": "file:///x.tar.gz"}}}}, None),
        (bundles(), {"result": {"decision_logs": {"console": True}}}, "decision_log"),
        (bundles(), [], "unreadable"),
        ([], PLAIN_CONFIG, "unreadable"),
    ],
)
def test_a_policy_whose_content_its_name_does_not_vouch_for_is_not_remembered(
    opa: OpaServer, served: Any, config: Any, reason: str | None
) -> None:
    assert facts_of(opa, rule("1"), bundles=served, config=config).bypass == reason


UNREADABLE = {
    "nothing": b"",
    "no result": b"{}",
    "no list": b'{"result": 5}',
    "a reference to nothing": b'{"result": [{"ast": {"rules": [{"type": "ref"}]}}]}',
    "too deep": b'{"result": [{"ast": {"rules": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}]}",
}


@pytest.mark.parametrize("policies", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_not_remembered(policies: bytes) -> None:
    assert examine(json.dumps(BUNDLE).encode(), policies, json.dumps(PLAIN_CONFIG).encode()).bypass == "unreadable"


READS = [
    ("input.request.body_bytes", True),
    ("input.request.model", False),
    ("input.request", True),
    ("input", True),
    ("[y | some y in input.request]", True),
    ("input[data.headgate.key]", True),
    ("object.get(input, [\"request\", \"body_bytes\"], 0)", True),
    ("input.request[input.route.name]", True),
    ("input.request.body_bytes.more", True),
    ("input.principal.team", False),
    ("[1 | walk(input, [_, _])]", True),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "read"), READS)
def test_it_is_known_which_parts_of_the_input_a_rule_can_read(opa: OpaServer, expression: str, read: bool) -> None:
    assert facts_of(opa, rule(expression)).may_read(("request", "body_bytes")) is read


def test_the_policy_of_the_repository_is_pure_and_all_of_it_is_in_its_bundle(tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar.gz"
    revision = policy_tools.bundle(POLICIES, out)
    with opa_server("-b", str(out)) as running:
        found = examine(*(ask(running, "GET", path) for path in (BUNDLES_PATH, POLICIES_PATH, CONFIG_PATH)))
    assert found == BundleFacts(revision, reads=found.reads)
    assert found.may_read(("request", "model"))
    # No rule takes `input.request` as a whole, or by a name made up at run time. Else what differs from request to
    # request would have to be sent although nobody reads it, and no two requests of an agent would be equal.
    assert [path for path in UNREAD if found.may_read(path)] == []


def test_nobody_can_put_data_or_rules_beside_a_bundle_that_owns_all_paths(tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar.gz"
    policy_tools.bundle(POLICIES, out)
    with opa_server("-b", str(out)) as running:
        for path, body in (("/v1/data/data/teams", "{}"), ("/v1/policies/x", "package x"), ("/v1/data/system/y", "{}")):
            with pytest.raises(AssertionError, match="owned by bundle"):
                ask(running, "PUT", path, body)
