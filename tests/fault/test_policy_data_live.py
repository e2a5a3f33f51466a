"""Freezes and exceptions through Envoy: a change of data alone, live within seconds, without a restart."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc import policy_tools
from tests.e2e.proofs import TokenIssuer, openssl
from tests.fault.gateway import ENFORCED, QUICK, Gateway, Reply, chat, until
from tests.policies.bundle_server import BundleServer, bundle_server
from tests.policies.opa_server import POLICIES

pytestmark = pytest.mark.e2e

LIVE_S_MAX = 5.0
"""What is promised of a freeze."""


@dataclass(frozen=True)
class Desk:
    """Where somebody changes the policy's data: the bundle server has it at once."""

    folder: Path
    server: BundleServer

    def publish(self, **members: Any) -> str:
        """The library with the example's data and these members. Returns the revision."""
        source = self.folder / "policies"
        shutil.rmtree(source, ignore_errors=True)
        shutil.copytree(POLICIES, source)
        data = yaml.safe_load((source / "data" / "data.yaml").read_text(encoding="utf-8"))
        (source / "data" / "data.yaml").write_text(yaml.safe_dump(data | members), encoding="utf-8")
        out = self.folder / "bundle.tar.gz"
        revision = policy_tools.bundle(source, out, sign_key=self.folder / "good.pem")
        self.server.content = out.read_bytes()
        return revision


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    TokenIssuer(folder, "good").create()
    openssl("rsa", "-in", "good.pem", "-pubout", "-out", "good.pub", cwd=folder)
    with bundle_server() as server:
        yield Desk(folder, server)


@pytest.fixture(scope="module")
def gateway(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    desk.publish()
    policy = QUICK["policy"] | {
        "bundle_url": f"{desk.server.url}/bundle.tar.gz",
        "verification_key_file": str(desk.folder / "good.pub"),
        "poll_s": 1,
    }
    with Gateway(tmp_path_factory.mktemp("gateway"), {**QUICK, "policy": policy}) as running:
        yield running


def answered(gateway: Gateway, status: int, body: Any = None) -> Reply:
    """The first answer with this status, within what is promised."""

    def sent() -> Reply | None:
        reply = gateway.send(ENFORCED, body)
        return reply if reply.status == status else None

    found: Reply = until(sent, f"requests are answered with {status}", LIVE_S_MAX)
    return found


@pytest.mark.parametrize(
    ("kind", "value"),
    [("team", "search"), ("caller", "search-ranking"), ("model", "gpt-4o*"), ("destination", "api.openai.com")],
)
def test_a_freeze_binds_within_five_seconds_and_ends_as_fast(
    gateway: Gateway, desk: Desk, kind: str, value: str
) -> None:
    desk.publish()
    answered(gateway, 200)
    revision = desk.publish(freezes=[{"kind": kind, "value": value, "owner": "soc@example.com", "reason": "a drill"}])
    reply = answered(gateway, 403)
    assert f"{kind} {value} is frozen by soc@example.com: a drill" in reply.body.decode()
    row = gateway.row(reply.exchange_id)
    assert (row["policy_revision"], row["decision"]) == (revision, "deny")
    desk.publish()
    answered(gateway, 200)


def test_an_exception_lets_through_what_a_rule_denies_and_the_row_says_by_whose_leave(
    gateway: Gateway, desk: Desk
) -> None:
    desk.publish()
    forbidden = chat(model="o3")
    answered(gateway, 403, forbidden)
    leave = {"rule": "access.model_allowlist", "team": "search", "owner": "ada@example.com", "reason": "a trial"}
    today = datetime.now(UTC).date()
    desk.publish(exceptions=[leave | {"expires": (today + timedelta(days=1)).isoformat()}])
    reply = answered(gateway, 200, forbidden)
    row = gateway.row(reply.exchange_id)
    assert row["decision"] == "allow"
    (reason,) = [reason for reason in row["reasons"] if reason["rule"] == "access.model_allowlist"]
    assert reason["enforced"] is False
    assert reason["message"].startswith("exception of ada@example.com until ")
    desk.publish(exceptions=[leave | {"expires": (today - timedelta(days=1)).isoformat()}])
    answered(gateway, 403, forbidden)
