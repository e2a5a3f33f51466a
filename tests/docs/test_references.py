"""The generated references: in step with the code, and complete when counted in another way than they are made."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from capture.columns import Tree, schema
from extproc.config import Configuration
from extproc.teams import Teams
from extproc.telemetry import Metrics
from tests.docs.pages import ROOT
from tools import references

DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_reference_is_in_step_with_the_code() -> None:
    assert references.out_of_step() == []


def test_a_reference_that_is_out_of_step_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in references.PAGES:
        (tmp_path / name).write_text(page(name), encoding="utf-8")
    (tmp_path / "metrics.md").write_text("# Metrics\n", encoding="utf-8")
    monkeypatch.setattr(references, "DOCS", tmp_path)
    assert references.main(["--check"]) == 1
    assert references.out_of_step() == ["metrics.md"]
    assert references.main([]) == 0
    assert (tmp_path / "metrics.md").read_text(encoding="utf-8") == page("metrics.md")


def test_every_command_that_help_lists_is_in_the_reference() -> None:
    text = subprocess.run(
        [sys.executable, "-m", "extproc", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    listed = re.findall(r"^    ([a-z-]+)  ", text, re.MULTILINE)
    assert len(listed) > 10
    headings = re.findall(r"^## headgate (.+)$", page("cli.md"), re.MULTILINE)
    assert {name for name in listed if not any(h == name or h.startswith(f"{name} ") for h in headings)} == set()


def test_every_setting_is_in_the_reference_with_its_meaning() -> None:
    text = page("configuration.md")
    fields = set()
    for model in (Configuration, Teams):
        document = model.model_json_schema()
        for definition in (document, *document["$defs"].values()):
            fields |= set(definition.get("properties", ()))
    assert len(fields) > 60
    assert {name for name in fields if not re.search(rf"^\| `{name}` \|", text, re.MULTILINE)} == set()
    assert re.findall(r"^\| `\w+` \|.*\|  \|$", text, re.MULTILINE) == [], "a setting without a description"


def test_every_limit_says_what_happens_beyond_it() -> None:
    limits = page("configuration.md").partition("### `limits`")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| `(\w+_max)` \|.*$", limits, re.MULTILINE)
    silent = [name for name in rows if not re.search(rf"^\| `{name}` \|.*Beyond:", limits, re.MULTILINE)]
    assert rows
    assert silent == ["inline_bytes_max"]  # no limit but a threshold; its line says what it decides


def test_every_metric_that_is_scraped_is_in_the_reference() -> None:
    scraped = re.findall(r"^# TYPE (\S+) (\S+)$", generate_latest(Metrics().registry).decode(), re.MULTILINE)
    names = {name for name, _ in scraped if not name.endswith("_created")}
    assert len(names) > 10
    assert {name for name in names if f"| `{name}` |" not in page("metrics.md")} == set()


def test_every_column_is_in_the_reference() -> None:
    facts, content = page("columns.md").split("\n## `content`")
    for tree, text in ((Tree.FACTS, facts), (Tree.CONTENT, content)):
        assert {name for name in schema(tree).names if f"| `{name}` |" not in text} == set()


def test_every_rule_is_in_the_reference() -> None:
    ids = {
        re.search(r"#   id: (\S+)", path.read_text(encoding="utf-8"))[1]  # type: ignore[index]
        for path in (ROOT / "policies" / "rules").rglob("*.rego")
        if not path.name.endswith("_test.rego")
    }
    assert len(ids) > 5
    assert {name for name in ids if f"| `{name}` |" not in page("policy-input.md")} == set()
