"""Patterns that a deployment adds: found like any other, and no file with a fault is ever half used."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc import workers
from extproc.cli import main
from extproc.codecs import CODECS
from extproc.config import Configuration
from extproc.custom_patterns import all_detectors, load_patterns
from extproc.errors import OperatorError
from extproc.events import Inspect
from extproc.model import Call, Limits
from extproc.scanner import Scanner
from tests.detectors.marked import found, hits_of, plain

EMPLOYEE = {
    "entity": "EMPLOYEE_ID",
    "data_class": "pii",
    "what": "Number of an employee",
    "pattern": r"\bE-[0-9]{6}\b",
    "context": ["employee", "сотрудник"],
    "examples": {"hits": ["employee E-123456"], "misses": ["part E-123456", "employee E-12345"]},
}
PROJECT = {
    "entity": "PROJECT_NAME",
    "data_class": "internal",
    "pattern": r"(?i)project (aurora|borealis)",
    "score": 0.9,
    "examples": {"hits": ["Project Aurora is late"]},
}
BADGE = {
    "entity": "BADGE",
    "data_class": "pii",
    "pattern": r"\bB-[0-9]{4}\b",
    "context": ["табель"],
    "examples": {"hits": ["табель B-1234"], "misses": ["B-1234"]},
}
LOYALTY = {
    "entity": "LOYALTY_CARD",
    "data_class": "pii",
    "pattern": r"\b9[0-9]{10}\b",
    "checksum": "luhn",
    "examples": {},  # below
}


def luhn_digit(number: str) -> str:
    """By hand: from the right, every second digit doubled, nines cast out."""
    total = sum(
        sum(divmod(int(digit) * 2, 10)) if place % 2 == 0 else int(digit)
        for place, digit in enumerate(reversed(number))
    )
    return str(-total % 10)


LOYALTY["examples"] = {"hits": ["9000000000" + luhn_digit("9000000000")], "misses": ["90000000000"]}


def written(folder: Path, *patterns: dict[str, Any]) -> Path:
    path = folder / "patterns.yaml"
    path.write_text(yaml.safe_dump({"patterns": list(patterns)}, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("entity", "marked"),
    [
        ("EMPLOYEE_ID", "the Employee «E-123456» left"),
        ("EMPLOYEE_ID", "сотрудник «E-123456»"),
        ("BADGE", "табель «B-1234»"),
        ("PROJECT_NAME", "we call it project «AURORA» here"),
        ("LOYALTY_CARD", "card «9000000000" + luhn_digit("9000000000") + "» ok"),
    ],
)
def test_a_pattern_of_the_deployment_is_found(tmp_path: Path, entity: str, marked: str) -> None:
    scanner = Scanner(all_detectors(load_patterns(written(tmp_path, EMPLOYEE, PROJECT, BADGE, LOYALTY))))
    assert found(scanner, plain(marked)) == [(entity, hit) for hit in hits_of(marked)]


@pytest.mark.parametrize("text", ["part E-123456", "employee E-12345", "90000000000", "projects aurora"])
def test_what_its_context_or_its_check_digit_refuses_is_left_alone(tmp_path: Path, text: str) -> None:
    scanner = Scanner(all_detectors(load_patterns(written(tmp_path, EMPLOYEE, PROJECT, LOYALTY))))
    assert found(scanner, text) == []


def test_a_class_of_the_deployment_does_not_hide_personal_data_inside_it(tmp_path: Path) -> None:
    line = {
        "entity": "INTERNAL_LINE",
        "data_class": "internal",
        "pattern": r"INTERNAL:[^\n]*",
        "score": 1.0,
        "examples": {"hits": ["INTERNAL: x"]},
    }
    scanner = Scanner(all_detectors(load_patterns(written(tmp_path, line))))
    hits = scanner.scan("INTERNAL: ask ada@example.org — bald".encode())
    assert {(hit.entity, hit.data_class) for hit in hits} == {("INTERNAL_LINE", "internal"), ("EMAIL_ADDRESS", "pii")}


def test_a_hit_is_whole_characters_whatever_the_pattern_says(tmp_path: Path) -> None:
    odd = {"entity": "ODD", "data_class": "odd", "pattern": "x.", "examples": {"hits": ["xy"]}}
    scanner = Scanner(all_detectors(load_patterns(written(tmp_path, odd))))
    assert found(scanner, "x🔑 xé") == [("ODD", "x🔑"), ("ODD", "xé")]


def test_a_pattern_that_may_begin_inside_a_character_holds_back_everywhere(tmp_path: Path) -> None:
    odd = {"entity": "ODD", "data_class": "odd", "pattern": "[^a]x", "examples": {"hits": ["bx"]}}
    detector = all_detectors(load_patterns(written(tmp_path, odd)))[-1]
    assert found(Scanner([detector]), "éx") == [("ODD", "éx")]
    assert detector.patterns[0].starts == frozenset(range(256))
    named = all_detectors(load_patterns(written(tmp_path, EMPLOYEE)))[-1]
    assert named.patterns[0].starts == frozenset(b"E")


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"entity": "EMAIL_ADDRESS"}, "patterns.0 (EMAIL_ADDRESS): is an entity of Headgate's own"),
    ({"entity": "lower"}, "patterns.0.entity"),
    ({"data_class": "Not One"}, "patterns.0.data_class"),
    ({"pattern": "(unclosed"}, "pattern: not RE2 syntax: missing )"),
    ({"pattern": r"a(?=b)"}, "pattern: not RE2 syntax"),
    ({"pattern": "(a)(b)"}, "more than one capturing group"),
    ({"pattern": "a*"}, "matches nothing at all"),
    ({"pattern": "[a-z0-9]{500}x{1,500}"}, "pattern: too large"),
    ({"context": [" "]}, "context: an empty word"),
    ({"checksum": "crc"}, "patterns.0.checksum"),
    ({"score": 2}, "patterns.0.score"),
    ({"unknown": 1}, "patterns.0.unknown: there is no such field"),
    ({"examples": {"hits": []}}, "patterns.0.examples.hits"),
    ({"examples": {"hits": ["employee E-1"]}}, "examples.hits.0: nothing is found in it"),
    (
        {"examples": {"hits": ["employee E-123456"], "misses": ["x", "employee E-654321"]}},
        "examples.misses.1: something is found in it",
    ),
]


@pytest.mark.parametrize(("change", "reason"), FAULTS)
def test_a_fault_names_the_file_the_entry_and_the_reason(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    path = written(tmp_path, EMPLOYEE | change)
    with pytest.raises(OperatorError) as refusal:
        load_patterns(path)
    assert refusal.value.code == "config_invalid"
    assert str(path) in refusal.value.message
    assert reason in refusal.value.message


def test_one_entity_has_one_data_class(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"patterns\.1 \(EMPLOYEE_ID\): an entity has one data class"):
        load_patterns(written(tmp_path, EMPLOYEE, EMPLOYEE | {"data_class": "internal"}))


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    written(tmp_path, EMPLOYEE)
    example = yaml.safe_load((Path(__file__).parents[2] / "envoy" / "headgate.yaml").read_text(encoding="utf-8"))
    example["detectors"] = {"patterns_file": "patterns.yaml"}
    (tmp_path / "teams.yaml").write_text("teams: []\n", encoding="utf-8")
    example["teams"] = "teams.yaml"
    example["policy"] = {"bundle": str(Path(__file__).parents[2] / "policies")}
    path = tmp_path / "headgate.yaml"
    path.write_text(yaml.safe_dump(example), encoding="utf-8")
    return path


def test_scan_looks_for_them_and_lists_them(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = configured.parent / "note.txt"
    text.write_text("größe: employee E-123456", encoding="utf-8")
    assert main(["scan", str(text), "--config", str(configured)]) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["entity"], finding["start"], finding["end"]) == ("EMPLOYEE_ID", 16, 24)
    assert main(["scan", str(text)]) == 0
    capsys.readouterr()
    assert main(["scan", "--list", "--config", str(configured), "--format", "json"]) == 0
    by_name = {row["entity"]: row for row in json.loads(capsys.readouterr().out)}
    assert by_name["EMPLOYEE_ID"]["what"] == "Number of an employee"
    assert by_name["EMPLOYEE_ID"]["data_class"] == "pii"
    assert by_name["IP_ADDRESS"]["presidio"] is True
    assert by_name["JAILBREAK"]["presidio"] is False


def test_scan_needs_something_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scan"]) == 2
    assert "one of the arguments PATH --list is required" in capsys.readouterr().err
    assert main(["scan", "--list", "x.txt"]) == 2


def test_a_faulty_file_stops_scan_and_check(configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--config", str(configured)]) == 0
    assert "patterns.yaml: fine: 1 patterns" in capsys.readouterr().out
    written(configured.parent, EMPLOYEE | {"pattern": "(x"})
    assert main(["scan", "-", "--config", str(configured)]) == 2
    assert main(["config", "check", "--config", str(configured)]) == 2
    assert "patterns.yaml: patterns.0 (EMPLOYEE_ID): pattern: not RE2 syntax" in capsys.readouterr().err


def test_the_setting_is_relative_to_the_configuration(configured: Path) -> None:
    settings = yaml.safe_load(configured.read_text(encoding="utf-8"))
    loaded = Configuration.model_validate(settings, context={"base": configured.parent})
    assert loaded.detectors.patterns_file == configured.parent / "patterns.yaml"


def test_small_bodies_and_workers_look_for_them_alike(tmp_path: Path) -> None:
    custom = load_patterns(written(tmp_path, EMPLOYEE))
    pool = workers.Workers(Limits(), processes=1, inline_bytes_max=1 << 16, custom=custom)
    body = b'{"model": "m", "messages": [{"role": "user", "content": "employee E-123456"}]}'
    call = Call("POST", "/v1/chat/completions", "api.openai.com", content_type="application/json")
    effect = Inspect(CODECS["openai.chat"], call, body, "caller")
    try:
        pool.start()
        for inspected in (pool.inspect_now(effect), asyncio.run(pool.inspect(effect))):
            assert [finding.entity for finding in inspected.inspection.findings] == ["EMPLOYEE_ID"]
    finally:
        pool.stop()
        workers.use_patterns(())
