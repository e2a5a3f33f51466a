"""The data of a policy folder: what a schema says, what the rules know, and what a person gets to read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc import cli, policy_check
from extproc.errors import DependencyError, OperatorError
from extproc.stack import plan
from tests.e2e.gate import EXAMPLE
from tests.policies.opa_server import POLICIES

SCHEMA = json.loads((POLICIES / "schemas" / "settings.json").read_text(encoding="utf-8"))
LEAVE = {
    "rule": "access.model_allowlist",
    "team": "support",
    "owner": "ada@example.com",
    "reason": "a trial",
    "expires": "2026-12-31",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(POLICIES, tmp_path / "policies")


def changed(folder: Path, **members: Any) -> list[str]:
    """The faults of the example's data with these members."""
    path = folder / "data" / "data.yaml"
    data = yaml.safe_load((POLICIES / "data" / "data.yaml").read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(data | members), encoding="utf-8")
    return policy_check.data_faults(folder)


def test_the_example_has_no_faults() -> None:
    assert policy_check.data_faults(POLICIES) == []


def test_a_whole_entry_of_each_kind_has_no_faults(copy: Path) -> None:
    freeze = {"kind": "tool", "value": "run_*", "owner": "soc@example.com", "reason": "a test"}
    settings = {
        "models": ["*"],
        "tools": ["search"],
        "rpc_methods": ["tools/*"],
        "data_classes": {"pii": {"eu.example.com": "allow", "*.example.com": "redact", "*": "deny"}},
        "parameter_limits": {"temperature": 0.7, "choices": 1, "image_count": 0},
        "system_prompt_apis": ["openai.*"],
        "enforcement": {"content.prompt_injection": "enforce"},
        "capture_by_class": {"secret": "metadata"},
        "retention_by_class": {"pii": "month"},
        "retention_order": ["month", "default"],
        "max_output_tokens": 100,
    }
    teams = {"blue": settings | {"environments": {"staging": settings}}}
    assert changed(copy, teams=teams, freezes=[freeze], exceptions=[LEAVE, {**LEAVE, "model": "gpt-*"}]) == []


def test_what_the_file_says_as_people_write_it_is_read_as_opa_reads_it(copy: Path) -> None:
    """A day without quotes is a date to some YAML readers; OPA takes it as text."""
    with (copy / "data" / "data.yaml").open("a", encoding="utf-8") as data:
        data.write("")
    text = (copy / "data" / "data.yaml").read_text(encoding="utf-8")
    entry = "exceptions:\n  - {rule: access.api_allowlist, owner: ada, reason: a trial, expires: 2026-12-31}\n"
    (copy / "data" / "data.yaml").write_text(text.replace("exceptions: []\n", entry), encoding="utf-8")
    assert policy_check.data_faults(copy) == []


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({"teams": {"blue": {"modles": []}}}, "data.teams.blue: Additional property modles is not allowed"),
        ({"teams": {"blue": {"models": "gpt-4o"}}}, "data.teams.blue.models: Invalid type"),
        ({"teams": {"blue": {"models": ["a", 5]}}}, "data.teams.blue.models[1]: Invalid type"),
        ({"teams": {"blue": {"capture": "all"}}}, 'data.teams.blue.capture: must be one of the following: "full"'),
        ({"teams": {"blue": {"data_classes": {"pii": "permit"}}}}, "data.teams.blue.data_classes.pii: "),
        ({"teams": {"blue": {"data_classes": {"pii": {"*": "no"}}}}}, "data.teams.blue.data_classes.pii: "),
        ({"teams": {"blue": {"parameter_limits": {"temprature": 1}}}}, "property temprature is not allowed"),
        ({"teams": {"blue": {"enforcement": {"access.nothing": "shadow"}}}}, "there is no such rule: access.nothing"),
        (
            {"teams": {"blue": {"environments": {"lab": {"enforcement": {"a.b": "shadow"}}}}}},
            "data.teams.blue.environments.lab.enforcement: there is no such rule: a.b",
        ),
        ({"freezes": [{"kind": "planet", "value": "mars", "owner": "a", "reason": "b"}]}, "data.freezes[0].kind: must"),
        ({"freezes": [{"kind": "team", "value": "blue"}]}, "data.freezes[0]: owner is required"),
        ({"freez": []}, "data: Additional property freez is not allowed"),
    ],
)
def test_each_fault_is_named_with_its_place(copy: Path, members: dict[str, Any], fault: str) -> None:
    assert [said for said in changed(copy, **members) if fault in said], changed(copy, **members)


@pytest.mark.parametrize("field", ["rule", "owner", "reason", "expires"])
def test_an_exception_without_owner_reason_or_expiry_is_refused(copy: Path, field: str) -> None:
    without = {name: value for name, value in LEAVE.items() if name != field}
    assert changed(copy, exceptions=[LEAVE, without]) == [f"data.exceptions[1]: {field} is required"]
    assert [fault for fault in changed(copy, exceptions=[{**LEAVE, field: ""}]) if f"exceptions[0].{field}: " in fault]


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("rule", "access.nothing", "data.exceptions[0].rule: there is no such rule: access.nothing"),
        ("rule", "access.freeze", "data.exceptions[0].rule: access.freeze knows no exceptions"),
        ("expires", "2026-02-30", "data.exceptions[0].expires: 2026-02-30 is no day of the calendar"),
        ("expires", "never", "data.exceptions[0].expires: never is no day of the calendar"),
        ("teams", "support", "data.exceptions[0]: Additional property teams is not allowed"),
    ],
)
def test_an_exception_that_could_not_hold_is_refused(copy: Path, field: str, value: str, fault: str) -> None:
    assert [said for said in changed(copy, exceptions=[{**LEAVE, field: value}]) if said.startswith(fault)]


def test_what_has_expired_is_told_and_no_fault(copy: Path) -> None:
    assert changed(copy, exceptions=[LEAVE]) == []
    assert policy_check.expired(copy, "2026-12-31") == []
    assert policy_check.expired(copy, "2027-01-01") == [
        "data.exceptions[0]: the exception from access.model_allowlist expired on 2026-12-31"
    ]


def test_a_folder_without_data_says_so(copy: Path) -> None:
    shutil.rmtree(copy / "data")
    assert policy_check.data_faults(copy) == ["data: there is none: data/data.yaml is missing or empty"]


def test_a_folder_without_a_schema_is_nobodys_to_check(copy: Path) -> None:
    (copy / "schemas" / "settings.json").unlink()
    assert changed(copy, anything=1) == []


def test_a_folder_that_opa_cannot_load_is_an_error(copy: Path) -> None:
    (copy / "data" / "data.yaml").write_text("default: [", encoding="utf-8")
    with pytest.raises(OperatorError) as refused:
        policy_check.data_faults(copy)
    assert refused.value.code == "policy_invalid"


def test_without_opa_it_is_a_missing_dependency(tmp_path: Path) -> None:
    with pytest.raises(DependencyError):
        policy_check.data_faults(POLICIES, tmp_path / "opa")


def test_policy_check_prints_every_fault_and_fails(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    changed(copy, exceptions=[{**LEAVE, "owner": ""}])
    assert cli.main(["policy", "check", "--policies", str(copy)]) == 1
    assert "policy: data.exceptions[0].owner: String length" in capfd.readouterr().err


def test_the_local_stack_does_not_start_on_data_that_nobody_meant(copy: Path, tmp_path: Path) -> None:
    changed(copy, freezes=[{"kind": "team", "value": "search"}])
    settings = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    settings |= {"policy": {"bundle": str(copy)}, "teams": str(EXAMPLE.parent / "teams.yaml")}
    config = tmp_path / "headgate.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    with pytest.raises(OperatorError, match=r"data\.freezes\[0\]: owner is required"):
        plan(config, state=tmp_path / "state", port=0)


def test_every_setting_of_the_example_is_described_in_the_schema() -> None:
    data = yaml.safe_load((POLICIES / "data" / "data.yaml").read_text(encoding="utf-8"))
    described = SCHEMA["definitions"]["settings"]["properties"]
    assert set(data["default"]) <= set(described)
    assert all("description" in setting for setting in described.values())
    assert set(SCHEMA["definitions"]["entry"]["properties"]) == {*described, "environments"}


# ── Regal ────────────────────────────────────────────────────────────────────────────────────────────────────────────

REGAL = policy_check.find_regal()
needs_regal = pytest.mark.skipif(REGAL is None, reason="no regal: `make tools` builds it")


@needs_regal
def test_regal_finds_nothing_in_the_policies() -> None:
    assert REGAL is not None
    assert policy_check.lint(POLICIES, REGAL) == 0


@needs_regal
def test_regal_finds_what_it_is_there_for(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert REGAL is not None
    (copy / "lib" / "careless.rego").write_text(
        "package headgate.lib.careless\n\nx if {\n\tis_string(input.mode) == true\n\ttype_name(input.mode)\n}\n",
        encoding="utf-8",
    )
    assert policy_check.lint(copy, REGAL) == 1
    assert "careless.rego" in capfd.readouterr().out
