"""docs/apis.md: every api and no other, every warning, every key that `headgate inspect` prints; its figures hold."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from extproc.cli import main
from extproc.codecs import CODECS
from extproc.commands.inspecting import describe
from extproc.commands.recorded import Recorded, recordings
from extproc.pricing import _PROVIDERS
from tests.codecs import counted
from tests.docs.pages import ROOT, blocks
from tests.docs.test_codes import TABLE

PAGE = (ROOT / "docs" / "apis.md").read_text(encoding="utf-8")
NO_WORD = "\N{EN DASH}"
OF_RECORDING = {"request_unrecorded"}
"""Warnings of extproc that are no matter of reading."""
NAME = re.compile(r"`([a-z0-9_.]+)`")
OF_GROUPS = {"request": "what else", "usage": "what the provider said"}
"""Objects in what `inspect` prints whose keys one line explains, and how that line begins."""


def section(heading: str) -> str:
    """What stands below a heading of the second level."""
    _, found, rest = PAGE.partition(f"\n## {heading}\n")
    assert found, heading
    return rest.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every row of its tables, heads and rules left out."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.split("\n") if line[:1] == "|"]
    heads = {place for place, cells in enumerate(found) if set("".join(cells)) <= {"-"}}
    return [cells for place, cells in enumerate(found) if place not in heads and place + 1 not in heads]


def tables(text: str) -> list[list[list[str]]]:
    return [found for block in text.split("\n\n") if (found := rows(block))]


def names(cells: list[list[str]], column: int = 0) -> list[str]:
    return [name for row in cells for name in NAME.findall(row[column])]


def test_every_api_has_its_addresses_and_no_other_api_has() -> None:
    addresses, _ = tables(section("The APIs"))
    assert sorted(names(addresses)) == sorted(CODECS)


def test_every_api_that_is_read_says_what_its_answers_tell() -> None:
    _, answers = tables(section("The APIs"))
    assert set(names(answers)) == set(CODECS) - {"opaque"}


def test_the_operation_of_each_api_is_the_one_in_its_rows() -> None:
    addresses, _ = tables(section("The APIs"))
    told = {name: cells[1] for cells in addresses for name in NAME.findall(cells[0])}
    assert told == {api: codec.operation or NO_WORD for api, codec in CODECS.items()}


def test_every_warning_that_reading_can_give_is_listed() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "extproc").rglob("*.py"))
    said = {code for code in TABLE["warning"] if f'"{code}"' in sources}
    assert set(names(rows(section("Warnings")))) == said - OF_RECORDING


def test_every_provider_with_prices_is_listed() -> None:
    listed = section("Money").partition("**Priced providers**")[2].partition("\nAny other name")[0]
    assert set(NAME.findall(listed)) == set(_PROVIDERS)


def test_no_more_recordings_are_claimed_than_there_are() -> None:
    of_apis, _ = tables(section("What this is tested with"))
    claimed = {name: int(cells[1] or 0) for cells in of_apis for name in NAME.findall(cells[0])}
    assert set(claimed) == set(CODECS)
    there = counted.own()
    assert {api: count for api, count in claimed.items() if count > there[api]} == {}
    assert claimed.keys() - {"opaque"} == {api for api, count in claimed.items() if count}
    assert int(of_apis[-1][1]) == sum(claimed.values())


def test_the_figures_of_the_corpus_are_those_that_are_counted_in_it() -> None:
    if not counted.has_corpus():
        pytest.skip("HEADGATE_CORPUS does not name a corpus with exchanges/")
    of_apis, of_providers = tables(section("What this is tested with"))
    apis, providers = counted.exchanges()
    answers, billed = counted.answers(), counted.priced()
    assert {cells[0].strip("`"): (int(cells[2] or 0), int(cells[3] or 0)) for cells in of_apis[:-1]} == {
        api: (apis[api], answers[api]) for api in CODECS
    }
    assert {cells[0].strip("`"): (int(cells[1]), int(cells[2] or 0)) for cells in of_providers[:-1]} == {
        provider: (count, billed[provider]) for provider, count in providers.items()
    }


def inspected() -> dict[str, Any]:
    (command,) = [block for block in blocks("sh", "docs/apis.md") if block.body.count("\n") == 1]
    (recorded,) = recordings(ROOT / command.body.split()[-1])
    assert isinstance(recorded, Recorded)
    return describe(recorded)


def test_inspect_prints_what_the_page_shows() -> None:
    (example,) = blocks("json", "docs/apis.md")
    assert list(json.loads(example.body).items()) == list(inspected().items())


def test_every_key_that_inspect_prints_is_explained_and_no_other() -> None:
    explained = {name: cells[1] for cells in rows(section("headgate inspect")) for name in NAME.findall(cells[0])}
    printed = inspected()
    assert set(explained) == {*printed, "unreadable"}
    for group, begin in OF_GROUPS.items():
        assert explained[group].startswith(begin)
        assert set(printed[group]) <= set(NAME.findall(explained[group])), group


def test_the_exit_code_says_what_the_page_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "request.json").write_text("[]")
    assert main(["inspect", str(ROOT / "tests/codecs/recordings/openai.models/the_list")]) == 0
    capsys.readouterr()
    assert main(["inspect", str(tmp_path)]) == 1
    assert json.loads(capsys.readouterr().out).keys() == {"id", "unreadable"}
    assert main(["inspect", str(tmp_path / "nothing")]) == 2
