"""`headgate policy new rule`: what it writes passes, means something, and overwrites nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from extproc import cli, policy_check
from extproc.errors import OperatorError
from extproc.policy_scaffold import new_rule
from extproc.policy_tools import find_opa
from tests.policies.opa_server import POLICIES


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return shutil.copytree(POLICIES, tmp_path / "policies")


def test_a_new_rule_passes_the_whole_check(copy: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["policy", "new", "rule", "access.approved_models", "--policies", str(copy)]
    assert cli.main(arguments) == 0
    assert "headgate policy check" in capfd.readouterr().out
    assert cli.main([*arguments[:3], "limits.a_rule_with_a_name_of_fourty_one_letters_", *arguments[4:]]) == 0
    assert cli.main(["policy", "check", "--policies", str(copy)]) == 0
    said = capfd.readouterr()
    assert "FAIL" not in said.out + said.err


@pytest.mark.parametrize(("enforcement", "binds"), [("shadow", "false"), ("enforce", "true")])
def test_it_does_by_default_what_was_asked_for(copy: Path, enforcement: str, binds: str) -> None:
    rule, test = new_rule(copy, "access.approved_models", enforcement=enforcement)
    assert f"#   enforcement: {enforcement}\n" in rule.read_text(encoding="utf-8")
    assert f"verdict.enforced == {binds}" in test.read_text(encoding="utf-8")


def test_its_test_notices_when_the_rule_permits_everything(copy: Path) -> None:
    rule, _ = new_rule(copy, "access.approved_models")
    text = rule.read_text(encoding="utf-8")
    rule.write_text(text.replace("default permitted := false", "default permitted := true"), encoding="utf-8")
    command = [str(find_opa()), "test", "--bundle", "--run", "approved_models_test", "."]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True)
    assert done.returncode != 0
    assert "test_a_missing_field_fires: FAIL" in done.stdout


def test_every_line_of_a_long_name_still_fits(copy: Path) -> None:
    if (regal := policy_check.find_regal()) is None:
        pytest.skip("no regal: `make tools` builds it")
    new_rule(copy, "a_category_whose_name_is_as_long_as_it_ca.a_rule_whose_name_is_as_long_as_it_may_be")
    assert policy_check.lint(copy, regal) == 0


@pytest.mark.parametrize("rule_id", ["access", "Access.rule", "access.rule.more", "../x.y", "access.", "a b.c", ""])
def test_an_id_that_is_none_is_refused(copy: Path, rule_id: str) -> None:
    with pytest.raises(OperatorError) as refused:
        new_rule(copy, rule_id)
    assert refused.value.code == "rule_id_invalid"


def test_a_rule_that_is_there_stays_as_it_is(copy: Path) -> None:
    before = (copy / "rules/access/freeze/freeze.rego").read_bytes()
    with pytest.raises(OperatorError) as refused:
        new_rule(copy, "access.freeze")
    assert refused.value.code == "rule_exists"
    assert (copy / "rules/access/freeze/freeze.rego").read_bytes() == before


def test_a_folder_that_is_no_policys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"no main\.rego"):
        new_rule(tmp_path, "access.approved_models")
