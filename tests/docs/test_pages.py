"""What the pages say can be typed: links lead somewhere, commands parse, queries answer, settings are settings."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from capture.database import Database
from extproc.cli import parser
from extproc.config import Configuration
from extproc.policy_check import data_faults
from extproc.policy_tools import check
from extproc.teams import Teams
from tests.docs.conftest import EXCHANGES
from tests.docs.pages import PAGES, ROOT, Block, anchors, blocks, links, name_of

BY_HAND = ("README.md", "CONTRIBUTING.md", "docs/analysts.md", "docs/apis.md", "docs/platform.md", "docs/security.md")


def named(found: list[Block]) -> list[Any]:
    assert found, "the pages have no such block: the test would test nothing"
    return [pytest.param(block, id=block.name) for block in found]


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_relative_link_leads_to_a_file_and_a_heading_that_exist(path: Path) -> None:
    broken = []
    for link in links(path):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(link)
    assert broken == []


def test_no_page_is_an_orphan() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        targets = {(page.parent / link.partition("#")[0]).resolve() for link in links(page) if ":" not in link}
        found = {t for target in targets for t in ([*target.glob("*.md")] if target.is_dir() else [target])}
        waiting += [target for target in found if target.suffix == ".md" and target not in reached]
    assert {name_of(path) for path in (ROOT / "docs").rglob("*.md")} <= {name_of(path) for path in reached}


@pytest.mark.parametrize("block", named(blocks("sql", *BY_HAND)))
def test_every_documented_query_finds_something(block: Block, archive: Path) -> None:
    assert Database(archive).rows(block.body)


@pytest.mark.parametrize("block", named(blocks("sql standalone")))
def test_the_archive_can_be_read_from_its_paths_alone(block: Block, archive: Path) -> None:
    here = Path.cwd()
    os.chdir(archive.parent)
    try:
        assert len(duckdb.connect().execute(block.body).fetchall()) == EXCHANGES
    finally:
        os.chdir(here)


@pytest.mark.parametrize("block", named(blocks("sh", *BY_HAND)))
def test_every_documented_command_is_one(block: Block) -> None:
    for words in commands(block.body):
        parser().parse_args(words)


def commands(body: str) -> list[list[str]]:
    """The arguments of each `headgate …` in a shell block."""
    found = []
    for line in re.sub(r"\\\n", " ", body).split("\n"):
        words = shlex.split(line, comments=True)
        if "headgate" not in words:
            continue
        words = words[words.index("headgate") + 1 :]
        end = next((place for place, word in enumerate(words) if word in ("|", ">", "<")), len(words))
        found.append(words[:end])
    return found


def test_a_command_that_is_none_would_be_noticed() -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(commands("echo x | headgate nothing --at all")[0])


@pytest.mark.parametrize("block", named(blocks("yaml", *BY_HAND)))
def test_every_documented_setting_is_one(block: Block) -> None:
    said = yaml.safe_load(block.body)
    if isinstance(said.get("teams"), dict):
        _must_be_policy_data(said)
    elif "teams" in said:
        Teams.model_validate(said)
    else:
        example = yaml.safe_load((ROOT / "envoy" / "headgate.yaml").read_text(encoding="utf-8"))
        Configuration.model_validate(example | said, context={"base": ROOT / "envoy"})


def _must_be_policy_data(said: dict[str, Any]) -> None:
    """Data of policies/data/data.yaml, as OPA holds it to the schema; a page may leave `default` out."""
    with tempfile.TemporaryDirectory() as folder:
        policies = shutil.copytree(ROOT / "policies", Path(folder) / "policies")
        text = yaml.safe_dump({"default": {}} | said, default_flow_style=False)
        (policies / "data" / "data.yaml").write_text(text.replace("'2026-12-31'", "2026-12-31"), encoding="utf-8")
        assert data_faults(policies) == []


@pytest.mark.parametrize("block", named(blocks("python", *BY_HAND)))
def test_every_documented_piece_of_python_compiles(block: Block) -> None:
    compile(block.body, block.name, "exec")


def test_the_rule_that_the_page_teaches_passes_its_own_check(tmp_path: Path) -> None:
    rule, test = blocks("rego", "docs/security.md")
    policies = tmp_path / "my-policies"
    shutil.copytree(ROOT / "policies", policies)
    folder = policies / "rules" / "access" / "workload_allowlist"
    folder.mkdir()
    (folder / "workload_allowlist.rego").write_text(rule.body, encoding="utf-8")
    (folder / "workload_allowlist_test.rego").write_text(test.body, encoding="utf-8")
    assert check(policies) == 0


def test_every_entity_that_a_detector_finds_is_in_its_list_once() -> None:
    from extproc.detectors import DETECTORS

    page = (ROOT / "docs" / "entities.md").read_text(encoding="utf-8")
    found = sorted(note.name for detector in DETECTORS for note in detector.notes)
    assert found == sorted({pattern.entity for detector in DETECTORS for pattern in detector.patterns})
    assert found == sorted(re.findall(r"^\| \**`([A-Z0-9_]{4,})`\** \|", page, re.MULTILINE))


def test_every_entity_that_the_page_for_security_teams_speaks_of_is_one() -> None:
    from extproc.detectors import DETECTORS

    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = page.partition("## What the detectors find")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([A-Z0-9_]{4,})`", section))
    assert named
    assert named <= {note.name for detector in DETECTORS for note in detector.notes}


def test_the_picture_of_the_flow_is_an_image() -> None:
    assert ET.parse(ROOT / "docs" / "flow.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
