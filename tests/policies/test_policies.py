"""The policy folder as security teams use it: format, types, tests, metadata, bundle."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from extproc import policy_tools
from extproc.decision import build_input
from extproc.errors import DependencyError, OperatorError
from extproc.model import (
    Action,
    Call,
    CaptureLevel,
    Credentials,
    Finding,
    Inspection,
    Mode,
    Principal,
    PrincipalSource,
    RequestFacts,
    Route,
    UninspectedPart,
)
from extproc.opa import OpaClient
from tests.policies.opa_server import POLICIES, opa_server

SCHEMA = json.loads((POLICIES / "schemas" / "input.json").read_text())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(POLICIES, tmp_path / "policies")


def test_the_policies_are_formatted_typed_tested_and_covered() -> None:
    assert policy_tools.check(POLICIES) == 0


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("lib/team.rego", "\n\nx   :=   1\n", "opa fmt --write puts it right): lib/team.rego"),
        ("rules/limits/max_output_tokens/max_output_tokens.rego", "\npermitted if input.request.modle\n", "modle"),
        ("main_test.rego", "\ntest_that_fails if 1 == 2\n", "test_that_fails"),
        ("lib/team.rego", "\nuntested := 1 if {\n" + "\tinput.mode\n" * 120 + "}\n", "coverage is below"),
    ],
    ids=["format", "misspelt field", "failing test", "untested rule"],
)
def test_check_finds(copy: Path, file: str, text: str, complaint: str, capfd: pytest.CaptureFixture[str]) -> None:
    with (copy / file).open("a") as policy:
        policy.write(text)
    assert policy_tools.check(copy) == 1
    said = capfd.readouterr()
    assert complaint in said.out + said.err


def annotated() -> list[dict[str, Any]]:
    opa = str(policy_tools.find_opa())
    told = subprocess.run(
        [opa, "inspect", "--annotations", "--format=json", str(POLICIES)], capture_output=True, check=True
    ).stdout
    return [
        entry["annotations"] | {"file": Path(entry["location"]["file"])}
        for entry in json.loads(told)["annotations"]
        if entry["annotations"].get("scope") == "package" and "/rules/" in entry["location"]["file"]
    ]


def schema_paths(schema: dict[str, Any], prefix: str = "") -> set[str]:
    found = set()
    for name, inner in schema.get("properties", {}).items():
        found |= {prefix + name} | schema_paths(inner, f"{prefix}{name}.")
    return found


def test_every_rule_has_its_folder_its_test_and_its_metadata() -> None:
    rules = annotated()
    assert {rule["file"].stem for rule in rules} == {
        path.stem for path in (POLICIES / "rules").rglob("*.rego") if not path.stem.endswith("_test")
    }
    assert len(rules) >= 7
    known = schema_paths(SCHEMA)
    for rule in rules:
        file, custom = rule["file"], rule["custom"]
        assert custom["id"] == f"{file.parent.parent.name}.{file.stem}"
        assert file.parent.name == file.stem
        assert (file.parent / f"{file.stem}_test.rego").is_file()
        assert rule["title"]
        assert rule["description"]
        assert custom["enforcement"] in {"enforce", "shadow"}
        assert custom["severity"] in {"low", "medium", "high", "critical"}
        assert custom["reads"]
        assert set(custom["reads"]) <= known, f"{file.stem} says it reads what the input does not have"


def test_a_rule_reads_what_it_declares() -> None:
    """`reads` decides later what must be in a memo's key: an input field in the text of a rule has to be in it."""
    for rule in annotated():
        text = rule["file"].read_text().partition("\npackage ")[2]
        for path in schema_paths(SCHEMA):
            if f"input.{path}" in text and not any(p.startswith(f"{path}.") for p in schema_paths(SCHEMA)):
                assert path in rule["custom"]["reads"], f"{rule['file'].stem} reads {path}"


# ── the bundle ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_bundle_leaves_the_tests_out(tmp_path: Path) -> None:
    policy_tools.bundle(POLICIES, tmp_path / "bundle.tar.gz")
    with tarfile.open(tmp_path / "bundle.tar.gz") as bundle:
        names = bundle.getnames()
    assert any(name.endswith("main.rego") for name in names)
    assert not [name for name in names if name.endswith("_test.rego")]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle.tar.gz"]


def test_the_revision_follows_the_content_and_nothing_else(copy: Path, tmp_path: Path) -> None:
    first = policy_tools.bundle(POLICIES, tmp_path / "a.tar.gz")
    assert policy_tools.bundle(copy, tmp_path / "b.tar.gz") == first
    (copy / "main_test.rego").unlink()
    assert policy_tools.content_revision(copy) == first  # tests are not in the bundle
    with (copy / "data" / "data.yaml").open("a") as data:
        data.write("\n# a comment\n")
    assert policy_tools.bundle(copy, tmp_path / "c.tar.gz") != first


def test_a_revision_can_be_given(tmp_path: Path) -> None:
    assert policy_tools.bundle(POLICIES, tmp_path / "b.tar.gz", revision="release-7") == "release-7"
    with tarfile.open(tmp_path / "b.tar.gz") as bundle:
        manifest = bundle.extractfile("/.manifest")
        assert manifest is not None
        assert json.load(manifest)["revision"] == "release-7"


def test_a_broken_policy_is_refused_and_the_old_bundle_stays(copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar.gz"
    policy_tools.bundle(copy, out)
    before = out.read_bytes()
    (copy / "lib" / "team.rego").write_text("package headgate.lib.team\nthis is no rego")
    with pytest.raises(OperatorError) as refused:
        policy_tools.bundle(copy, out)
    assert refused.value.code == "policy_invalid"
    assert "team.rego" in refused.value.message
    assert out.read_bytes() == before


def test_a_folder_without_policy_is_an_error_that_names_it(tmp_path: Path) -> None:
    for command in (policy_tools.test, policy_tools.check):
        with pytest.raises(OperatorError, match=r"no main\.rego"):
            command(tmp_path)


def test_a_missing_opa_is_a_missing_dependency(tmp_path: Path) -> None:
    with pytest.raises(DependencyError) as missing:
        policy_tools.check(POLICIES, tmp_path / "opa")
    assert missing.value.code == "opa_missing"


# ── from facts to decision, through real OPA ─────────────────────────────────────────────────────────────────────────


def asked(
    team: str | None, model: str | None, findings: tuple[Finding, ...] = (), parts: tuple[UninspectedPart, ...] = ()
) -> bytes:
    return build_input(
        route=Route(
            "openai", "openai", "api.openai.com", Mode.ENFORCE, Credentials.INJECT, PrincipalSource.API_KEY, "/openai"
        ),
        principal=Principal(PrincipalSource.API_KEY if team else PrincipalSource.NONE, team=team),
        call=Call("POST", "/v1/chat/completions", "api.openai.com"),
        api="openai.chat",
        operation="chat",
        inspection=Inspection(RequestFacts(model=model, message_count=1, uninspected_parts=parts), findings),
        body_bytes=10,
    )


EMAIL = Finding("EMAIL_ADDRESS", "pii", "/messages/0/content", 0, 16, 0.9)
KEY = Finding("AWS_ACCESS_KEY", "secret", "/messages/0/content", 20, 40, 0.95)
IMAGE = UninspectedPart("image", "/messages/0/content/1", "image/png", 100)


def test_the_bundle_decides_as_the_example_settings_say(tmp_path: Path) -> None:
    revision = policy_tools.bundle(POLICIES, tmp_path / "bundle.tar.gz")

    async def decide() -> None:
        with opa_server("-b", str(tmp_path / "bundle.tar.gz")) as server:
            async with OpaClient(server.socket_path, deadline_ms=5_000) as opa:
                allowed = await opa.decide(asked("search", "gpt-4o"))
                assert (allowed.action, allowed.reasons) == (Action.ALLOW, ())
                assert allowed.policy_revision == revision
                assert allowed.obligations.capture is CaptureLevel.REDACTED

                denied = await opa.decide(asked("support", "gpt-5"))
                assert (denied.action, denied.status) == (Action.DENY, 403)
                assert denied.reasons[0].rule == "access.model_allowlist"
                assert (
                    denied.reasons[0].message
                    == "team support may not use model gpt-5; allowed: gpt-4o-mini, claude-haiku-*"
                )
                # The example of a rule in shadow: it speaks, and nothing comes of it.
                assert [(r.rule, r.enforced) for r in denied.reasons[1:]] == [("limits.max_output_tokens", False)]

                redacted = await opa.decide(asked("support", "gpt-4o-mini", (EMAIL, EMAIL)))
                assert redacted.action is Action.REDACT
                assert redacted.redact_entities == redacted.mask_entities == {"EMAIL_ADDRESS"}

                free = await opa.decide(asked("research", "o3-pro", (EMAIL,)))
                assert (free.action, free.mask_entities) == (Action.ALLOW, frozenset())
                assert free.obligations.retention_class == "research"

                secret = await opa.decide(asked("research", "o3-pro", (EMAIL, KEY)))
                assert (secret.action, secret.mask_entities) == (Action.DENY, {"AWS_ACCESS_KEY"})

                assert (await opa.decide(asked("search", "gpt-4o", parts=(IMAGE,)))).action is Action.ALLOW
                assert (await opa.decide(asked("support", "gpt-4o-mini", parts=(IMAGE,)))).action is Action.DENY
                assert (await opa.decide(asked(None, "gpt-4o"))).action is Action.DENY
                assert (await opa.decide(asked("search", None))).action is Action.DENY

    asyncio.run(decide())
