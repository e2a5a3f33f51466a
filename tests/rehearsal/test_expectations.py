"""Files of expected changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from extproc.errors import OperatorError
from extproc.rehearsal.changes import Because, Change, Line
from extproc.rehearsal.expectations import Expectation, load, unexpected

ADS = Line(Change.NEWLY_DENIED, Because.POLICY, "a.rule", "ads")
SEARCH = Line(Change.NEWLY_DENIED, Because.POLICY, "a.rule", "search")
OTHER_RULE = Line(Change.NEWLY_DENIED, Because.DETECTORS, "b.rule", "ads")
LINES = {ADS: 3, SEARCH: 4, OTHER_RULE: 1}


@pytest.mark.parametrize(
    ("expectations", "left"),
    [
        ([], {ADS, SEARCH, OTHER_RULE}),
        ([Expectation(Change.NEWLY_DENIED, "a.rule")], {OTHER_RULE}),
        ([Expectation(Change.NEWLY_DENIED, "a.rule", team="ads")], {SEARCH, OTHER_RULE}),
        ([Expectation(Change.NEWLY_ALLOWED, "a.rule")], {ADS, SEARCH, OTHER_RULE}),
        ([Expectation(Change.NEWLY_DENIED, "a.rule", at_most=7)], {OTHER_RULE}),
        ([Expectation(Change.NEWLY_DENIED, "a.rule", at_most=6)], {ADS, SEARCH, OTHER_RULE}),
        ([Expectation(Change.NEWLY_DENIED, "a.rule", "ads", 3), Expectation(Change.NEWLY_DENIED, "b.rule")], {SEARCH}),
    ],
)
def test_a_change_is_expected_when_an_entry_names_it_and_allows_as_many(
    expectations: list[Expectation], left: set[Line]
) -> None:
    assert unexpected(LINES, expectations) == left


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    entries = [{"change": "newly_denied", "rule": "a.rule", "team": "ads", "at_most": 3}]
    (tmp_path / "e.json").write_text(json.dumps(entries))
    (tmp_path / "e.yaml").write_text("- {change: newly_denied, rule: a.rule, team: ads, at_most: 3}\n")
    expected = (Expectation(Change.NEWLY_DENIED, "a.rule", "ads", 3),)
    assert load(tmp_path / "e.json") == load(tmp_path / "e.yaml") == expected


def test_an_empty_file_expects_nothing(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("# nothing yet\n")
    assert load(tmp_path / "e.yaml") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("change: newly_denied", "expected a list"),
        ("- newly_denied", "entry 1: expected change and rule"),
        ("- {change: newly_denied}", "entry 1: expected change and rule"),
        ("- {change: newly_denied, rule: a, tame: b}", "entry 1: expected change and rule"),
        ("- {change: denied, rule: a}", "entry 1: change is one of newly_denied, newly_allowed"),
        ("- {change: [], rule: a}", "entry 1: change is one of"),
        ("- {change: newly_denied, rule: 1}", "entry 1: rule and team are names"),
        ("- {change: newly_denied, rule: a, at_most: true}", "entry 1: at_most is a number"),
        ("- {change: newly_denied, rule: a, at_most: -1}", "entry 1: at_most is a number"),
        ("- [", "neither YAML nor JSON"),
        ("- !!python/object/apply:os.system [ls]", "neither YAML nor JSON"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(OperatorError) as refused:
        load(tmp_path / "e.yaml")
    assert said in refused.value.message
    assert str(tmp_path / "e.yaml") in refused.value.message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="No such file"):
        load(tmp_path / "e.yaml")
