"""Each process is killed under load, over and over, and then rows are counted: none lost, none twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.gateway import ASKING, ENFORCED, Gateway
from tests.fault.harness import Accounts, torture

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

EACH_IN_TURN = ("capture", "extproc", "opa", "capture", "envoy", "extproc", "capture", "envoy", "extproc", "capture")


def test_whoever_is_killed_under_load_every_exchange_has_exactly_one_row(tmp_path: Path) -> None:
    with Gateway(tmp_path, ASKING) as gateway:
        accounts = torture(gateway, EACH_IN_TURN)
    assert accounts.faults() == []
    assert accounts.rounds == len(EACH_IN_TURN)
    assert accounts.told > 100
    assert accounts.statuses["200"] > 100


def test_the_last_word_of_a_stack_that_is_stopped_is_in_its_archive(tmp_path: Path) -> None:
    with Gateway(tmp_path) as gateway:
        told = [gateway.send(ENFORCED).exchange_id for _ in range(10)]
    assert sorted(row["exchange_id"] for row in gateway.rows()) == sorted(told)


def test_the_accounts_name_every_kind_of_fault() -> None:
    """The harness can fail: numbers that are wrong are told, numbers that are right are not."""
    assert Accounts(rows=3, opened=3, told=3).faults() == []
    broken = Accounts(
        rows=2,
        opened=3,
        lost=["a"],
        duplicates=["b"],
        unjudged=["c"],
        unbalanced=[{"missing": 1}],
        shadow_failures=1,
        unnamed=1,
        spoiled=1,
    )
    assert len(broken.faults()) == 8
    assert Accounts(rows=4, opened=3).faults() == ["1 rows were never opened: [0]"]
