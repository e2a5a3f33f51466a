"""Policy from a bundle server: signed bundles, polled; a bad one is refused, the last good one stays, over restarts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from extproc import policy_tools
from extproc.cli import main
from tests.e2e.proofs import TokenIssuer, openssl
from tests.fault.gateway import ENFORCED, QUICK, Gateway, Reply, chat, new_key, until
from tests.policies.bundle_server import BundleServer, bundle_server
from tests.policies.opa_server import POLICIES

pytestmark = pytest.mark.e2e

TOKEN = "a-token-of-the-bundle-server"
RULE = """package headgate.main

default _action := "deny"

_action := "ACTION" if input.schema_version

decision := {
	"action": _action, "status": 403, "redact": [], "mask": [],
	"reasons": [{"rule": "a.rule", "message": "by REVISION", "action": _action, "enforced": true}],
	"obligations": {"capture": "full", "retention_class": "default"},
}
"""
LIVE_S_MAX = 5.0
"""A poll every second, a heartbeat of at most one more, and a machine that does other things."""


@dataclass(frozen=True)
class Workshop:
    """Builds bundles: the key that counts is called `good`."""

    folder: Path

    def bundle(self, revision: str, action: str = "allow", *, key: str | None = "good") -> bytes:
        source = self.folder / "source"
        shutil.rmtree(source, ignore_errors=True)
        (source / "system").mkdir(parents=True)
        (source / "main.rego").write_text(RULE.replace("ACTION", action).replace("REVISION", revision))
        shutil.copytree(POLICIES / "system" / "log", source / "system" / "log")
        out = self.folder / "bundle.tar.gz"
        policy_tools.bundle(source, out, revision, sign_key=None if key is None else self.folder / f"{key}.pem")
        return out.read_bytes()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("workshop")
    for name in ("good", "other"):
        TokenIssuer(folder, name).create()
    openssl("rsa", "-in", "good.pem", "-pubout", "-out", "good.pub", cwd=folder)
    (folder / "token").write_text(TOKEN)
    return Workshop(folder)


@pytest.fixture(scope="module")
def bundles(workshop: Workshop) -> Iterator[BundleServer]:
    with bundle_server() as server:
        server.content = workshop.bundle("first")
        yield server


def settings(workshop: Workshop, bundles: BundleServer, **policy: Any) -> dict[str, Any]:
    return {
        **QUICK,
        "policy": {
            **QUICK["policy"],
            "bundle_url": f"{bundles.url}/policies/bundle.tar.gz",
            "bundle_token": {"file": str(workshop.folder / "token")},
            "verification_key_file": str(workshop.folder / "good.pub"),
            "poll_s": 1,
            **policy,
        },
    }


@pytest.fixture(scope="module")
def gateway(workshop: Workshop, bundles: BundleServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway"), settings(workshop, bundles)) as running:
        yield running


@pytest.fixture
def served(gateway: Gateway, bundles: BundleServer, workshop: Workshop) -> BundleServer:
    """Everything runs, and the policy called `first`, which allows, is live."""
    bundles.content = workshop.bundle("first")
    until(lambda: revision(gateway) == "first", "the first policy is live")
    return bundles


def revision(gateway: Gateway) -> str | None:
    """The one that judged a request just now, as its row says."""
    return gateway.row(gateway.send(ENFORCED).exchange_id)["policy_revision"]


def doctor(gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> tuple[bool, str]:
    main(["doctor", "--config", str(gateway.plan.config_path), "--format", "json"])
    (found,) = (entry for entry in json.loads(capsys.readouterr().out) if entry["what"] == "opa")
    return found["good"], found["says"]


def test_a_signed_bundle_judges_and_the_row_and_the_doctor_say_which(
    gateway: Gateway, served: BundleServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {request["authorization"] for request in served.requests} == {f"Bearer {TOKEN}"}
    good, says = doctor(gateway, capsys)
    assert good
    assert "revision first, live since 20" in says
    assert "decisions are remembered" in says


def test_a_change_is_live_within_seconds_without_a_restart(
    gateway: Gateway, served: BundleServer, workshop: Workshop
) -> None:
    pids = gateway.stack.pids
    assert gateway.send(ENFORCED).status == 200
    served.content = workshop.bundle("second", "deny")

    def denied() -> Reply | None:
        reply = gateway.send(ENFORCED)
        return reply if reply.status == 403 else None

    reply: Reply = until(denied, "the second policy is live", LIVE_S_MAX)
    assert "by second" in reply.body.decode()
    assert gateway.row(reply.exchange_id)["policy_revision"] == "second"
    assert gateway.stack.pids == pids
    assert {gateway.send(ENFORCED).status for _ in range(10)} == {403}  # no answer of the first one comes back


@pytest.mark.parametrize(
    ("key", "words"),
    [
        pytest.param(None, "missing .signatures.json", id="unsigned"),
        pytest.param("other", "failed to verify JWT signature", id="other-key"),
    ],
)
def test_a_bundle_that_is_not_signed_for_the_key_is_refused_and_the_old_one_stays(
    gateway: Gateway,
    served: BundleServer,
    workshop: Workshop,
    capsys: pytest.CaptureFixture[str],
    key: str | None,
    words: str,
) -> None:
    served.content = workshop.bundle("forged", "deny", key=key)
    until(lambda: not doctor(gateway, capsys)[0], "the doctor sees that the download failed", LIVE_S_MAX)
    good, says = doctor(gateway, capsys)
    assert not good
    assert "revision first" in says
    assert "the last download failed" in says
    assert words in says
    assert revision(gateway) == "first"
    served.content = workshop.bundle("third")
    until(lambda: revision(gateway) == "third", "a good one is taken again", LIVE_S_MAX)
    assert doctor(gateway, capsys)[0]


def test_a_tampered_bundle_is_refused(
    gateway: Gateway, served: BundleServer, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signature of one bundle in another one."""
    unpacked = workshop.folder / "unpacked"
    for name, content in (("evil", workshop.bundle("evil", "allow", key=None)), ("ok", workshop.bundle("ok"))):
        (unpacked / name).mkdir(parents=True)
        (unpacked / f"{name}.tar.gz").write_bytes(content)
        shutil.unpack_archive(unpacked / f"{name}.tar.gz", unpacked / name, filter="data")
    shutil.copy(unpacked / "ok" / ".signatures.json", unpacked / "evil")
    forged = shutil.make_archive(str(unpacked / "forged"), "gztar", unpacked / "evil", ".")
    served.content = Path(forged).read_bytes()
    until(lambda: not doctor(gateway, capsys)[0], "the doctor sees that the download failed", LIVE_S_MAX)
    assert revision(gateway) == "first"


def test_a_restart_without_the_server_serves_the_last_good_bundle(
    gateway: Gateway, served: BundleServer, capsys: pytest.CaptureFixture[str]
) -> None:
    served.content = None
    with gateway.dead("opa"):
        key = new_key()
        assert gateway.send(ENFORCED, chat(), {"x-sim-key": key}).status == 503
        assert gateway.received(key) == []
    assert revision(gateway) == "first"
    until(lambda: "the last download failed" in doctor(gateway, capsys)[1], "the doctor sees that the server is down")


def test_a_kept_bundle_that_was_tampered_with_is_not_served_and_nothing_passes(
    workshop: Workshop, tmp_path: Path
) -> None:
    with bundle_server() as bundles:
        bundles.content = workshop.bundle("first")
        with Gateway(tmp_path, settings(workshop, bundles)) as gateway:
            assert gateway.send(ENFORCED).status == 200
            bundles.content = None
            gateway.hold("opa")
            (kept,) = gateway.plan.configuration.policy.state_dir.rglob("bundle.tar.gz")
            kept.write_bytes(workshop.bundle("planted", key="other"))
            restarts = gateway.stack.child("opa").restarts
            gateway.stack.child("opa").release()
            until(lambda: gateway.stack.child("opa").restarts > restarts, "OPA started again")
            until(lambda: bundles.requests[-1].get("if-none-match") is None, "it asks for its bundle")
            key = new_key()

            def code() -> str:
                reply = gateway.send(ENFORCED, chat(), {"x-sim-key": key})
                assert reply.status == 503
                return str(reply.json["error"]["code"])

            until(lambda: code() == "opa_undefined", "OPA answers that it has no policy")
            assert gateway.received(key) == []


def test_the_decision_log_has_every_decision_and_neither_people_nor_paths_nor_prompts(
    workshop: Workshop, tmp_path: Path
) -> None:
    with bundle_server() as bundles:
        bundles.content = workshop.bundle("first")
        with Gateway(tmp_path, settings(workshop, bundles, decision_log=True)) as gateway:
            for _ in range(3):
                assert gateway.send(ENFORCED, chat("the secret plan")).status == 200
            log = gateway.plan.log_dir / "opa.log"

            def logged() -> list[dict[str, Any]]:
                lines = (json.loads(line) for line in log.read_text().splitlines() if '"decision_id"' in line)
                return [line for line in lines if line.get("path") == "headgate/main/decision"]

            entries = until(lambda: (found := logged())[2:] and found, "all three are logged")
    assert len(entries) == 3
    for entry in entries:
        assert entry["bundles"]["headgate"]["revision"] == "first"
        assert entry["result"]["action"] == "allow"
        assert entry["input"]["principal"]["team"] == "search"
        assert set(entry["erased"]) == {"/input/principal/caller", "/input/request/path"}
        assert "caller" not in entry["input"]["principal"]
    text = log.read_text()
    assert "the secret plan" not in text
    assert "search-ranking" not in text
    assert TOKEN not in text
    assert "system/bundles" not in text
