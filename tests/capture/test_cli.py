"""`headgate sql`, `sessions`, `show`, `verify` over a real archive, through the command line."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from capture import record
from capture.archive import Archiver, ArchiveSettings
from capture.database import views
from capture.spool.writer import SpoolWriter
from extproc.cli import main
from tests.capture.story import FINDING, INCARNATION, REASON, Story, chat, completion, exchange_id

EVIL = "\x1b]0;owned\x07\x1b[31m red \u202etxt.exe"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stack with 'quotes' and [brackets]")
    writer = SpoolWriter(folder / "spool", replica_id="replica-1", incarnation=INCARNATION)
    second = chat(("user", "hello"), ("assistant", "hi there"), ("user", EVIL))
    stories = [
        Story(1),
        Story(2, request_body=second, response=(completion("second answer"),)),
        Story(3, opened={"team": "ads"}, request={"decision": "deny", "reasons": (REASON,), "findings": (FINDING,)}),
        Story(4, closed={"billed_cost": None, "billing_currency": None, "cost_unknown_reason": "unknown_model"}),
    ]
    for story in stories:
        for frame in story.frames():
            writer.append(record.encode(frame))
    writer.close()
    archiver = Archiver(ArchiveSettings(folder / "spool", folder / "archive"))
    archiver.drain()
    archiver.close()
    return folder / "archive"


class Command:
    def __init__(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.archive, self.capsys = archive, capsys

    def __call__(self, name: str, *arguments: str) -> tuple[int, str, str]:
        code = main([name, "--archive", str(self.archive), *arguments])
        out, err = self.capsys.readouterr()
        return code, out, err


@pytest.fixture
def headgate(archive: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(archive, capsys)


def test_sql_prints_a_table(headgate: Command) -> None:
    query = "SELECT team, count(*) AS n, sum(billed_cost) AS cost FROM facts GROUP BY 1 ORDER BY 1"
    code, out, err = headgate("sql", query)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "team    n  cost",
        "──────  ─  ──────────",
        "ads     1  0.00000315",
        "search  3   0.0000063",
        "(2 rows)",
    ]


def test_sql_takes_an_archive_by_a_relative_path(
    archive: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(archive.parent)
    assert Command(Path("archive"), capsys)("sql", "FROM facts SELECT count(*)")[0] == 0


def test_sql_prints_json_with_exact_money(headgate: Command) -> None:
    _, out, _ = headgate("sql", "--format", "json", "SELECT billed_cost, ts, request_body FROM exchanges WHERE seq = 1")
    assert '"billed_cost":0.0000031500' in out
    (row,) = json.loads(out, parse_float=Decimal)
    assert row == {
        "billed_cost": Decimal("0.0000031500"),
        "ts": "2026-11-18T11:06:41Z",
        "request_body": chat(("user", "hello")).decode(),
    }


def test_sql_prints_csv(headgate: Command) -> None:
    _, out, _ = headgate("sql", "--format", "csv", "SELECT seq, rules, 'a,b' AS x FROM facts ORDER BY seq")
    assert list(csv.reader(io.StringIO(out)))[3] == ["3", '["pii.email"]', "a,b"]


@pytest.mark.parametrize("format_", ["table", "csv", "json", "text"])
def test_archived_text_cannot_drive_a_terminal(headgate: Command, format_: str) -> None:
    if format_ == "text":
        _, out, _ = headgate("show", exchange_id(2))
    else:
        _, out, _ = headgate(
            "sql", "--format", format_, f"SELECT prompt_text FROM content WHERE exchange_id = '{exchange_id(2)}'"
        )
    assert "owned" in out
    assert not [char for char in out if (ord(char) < 32 and char != "\n") or ord(char) in (0x7F, 0x9B, 0x202E)]


def test_json_keeps_hostile_text_exactly(headgate: Command) -> None:
    _, out, _ = headgate("sql", "--format", "json", "SELECT prompt_text FROM content WHERE prompt_text LIKE '%owned%'")
    assert json.loads(out) == [{"prompt_text": EVIL}]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT nope FROM facts", '"nope" not found'),
        ("SELECT 1; SELECT 2", "exactly one statement"),
        ("", "exactly one statement"),
        ("SELECT 'a'::INTEGER", "Could not convert"),
    ],
)
def test_a_bad_query_is_one_clear_line(headgate: Command, query: str, says: str) -> None:
    code, out, err = headgate("sql", query)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO '{archive}/facts/x.csv'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{archive}/facts/x.csv'",
        "explain(analyze) COPY (SELECT 1) TO '{archive}/facts/x.csv'",
        "explain/**/analyze/**/ COPY (SELECT 1) TO '{archive}/facts/x.csv'",
        "EXPORT DATABASE '{archive}/facts/x'",
        "ATTACH '{archive}/facts/x.db'",
        "CREATE TABLE x AS SELECT 1",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "PRAGMA database_list",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM '/etc/hostname'",
        "SELECT * FROM glob('/etc/*')",
        "CALL pragma_version()",
    ],
)
def test_a_query_can_neither_write_nor_read_anything_else(headgate: Command, query: str) -> None:
    before = sorted(headgate.archive.rglob("*"))
    code, out, _ = headgate("sql", query.format(archive=str(headgate.archive).replace("'", "''")))
    assert (code, out) == (2, "")
    assert sorted(headgate.archive.rglob("*")) == before


def test_summaries_and_plans_are_reading(headgate: Command) -> None:
    for query in (
        "DESCRIBE facts",
        "SUMMARIZE facts",
        "EXPLAIN SELECT 1",
        "SHOW TABLES",
        "FROM facts",
        "PIVOT facts ON team USING count(*) GROUP BY route",
    ):
        assert headgate("sql", query)[0] == 0, query


@pytest.mark.parametrize("name", ["facts", "content", *sorted(views())])
def test_every_view_can_be_asked(headgate: Command, name: str) -> None:
    code, out, _ = headgate("sql", "--format", "json", f"SELECT * FROM {name}")
    assert code == 0
    assert json.loads(out)


def test_the_views_say_what_happened(headgate: Command) -> None:
    _, out, _ = headgate("sql", "--format", "json", "SELECT rule, message, decision FROM decisions WHERE team = 'ads'")
    assert json.loads(out) == [{"rule": "pii.email", "message": "holds an e-mail address", "decision": "deny"}]
    _, out, _ = headgate(
        "sql", "--format", "json", "SELECT requests, input_tokens, cost_unknown FROM spend WHERE team = 'search'"
    )
    assert sorted(json.loads(out), key=lambda row: row["requests"]) == [
        {"requests": 1, "input_tokens": 9, "cost_unknown": 1},
        {"requests": 2, "input_tokens": 18, "cost_unknown": 0},
    ]


def test_sessions_lists_conversations(headgate: Command) -> None:
    _, out, _ = headgate("sessions", "--format", "json")
    rows = {row["session_id"]: row for row in json.loads(out)}
    assert rows[exchange_id(1)]["turns"] == 2
    assert rows[exchange_id(1)]["exchanges"] == 2
    assert len(rows) == 3
    _, out, _ = headgate("sessions", "--team", "ads", "--format", "json")
    assert [row["session_id"] for row in json.loads(out)] == [exchange_id(3)]


def test_show_lays_out_a_session(headgate: Command) -> None:
    code, out, _ = headgate("show", exchange_id(1))
    assert code == 0
    assert "2 exchanges" in out
    assert out.index("turn 1") < out.index("    hello") < out.index("    hi there") < out.index("turn 2")
    assert "search / ranking / alice" in out
    assert "9 in, 3 out (provider)" in out
    assert "0.00000315 USD" in out
    assert "… 2 earlier messages resent" in out


def test_show_tells_a_denial_and_its_reason(headgate: Command) -> None:
    _, out, _ = headgate("show", exchange_id(3))
    assert "deny; pii.email (redact): holds an e-mail address" in out
    assert "email at /messages/0/content (redact)" in out


def test_show_tells_why_a_cost_is_unknown(headgate: Command) -> None:
    assert "unknown: unknown_model" in headgate("show", exchange_id(4))[1]


def test_show_takes_a_prefix_that_only_one_has(headgate: Command) -> None:
    code, _, err = headgate("show", exchange_id(1)[:20])
    assert (code, "ids begin with" in err) == (2, True)
    code, _, err = headgate("show", "ffff")
    assert (code, "no exchange or session" in err) == (2, True)
    code, _, err = headgate("show", "01")
    assert (code, "at least 4" in err) == (2, True)
    code, out, _ = headgate("show", "--format", "json", exchange_id(2))
    assert [row["turn"] for row in json.loads(out)] == [2]


@pytest.mark.parametrize("command", [("sql", "SELECT 1"), ("sessions",), ("show", "0123")])
def test_an_empty_or_missing_archive_says_so(
    command: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = Command(tmp_path, capsys)(*command)
    assert (code, out) == (3, "")
    assert "holds no rows yet" in err
    code, _, err = Command(tmp_path / "nowhere", capsys)(*command)
    assert code == 3
    assert "there is no archive" in err


def test_who_may_not_read_content_still_asks_the_facts(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "facts").symlink_to(archive / "facts")
    (tmp_path / "content").mkdir()
    code, out, _ = Command(tmp_path, capsys)(
        "sql", "--format", "json", "SELECT count(*) AS n, count(request_body) AS m FROM exchanges"
    )
    assert (code, json.loads(out)) == (0, [{"n": 4, "m": 0}])


def log_line(number: int | str, **fields: Any) -> str:
    line = {
        "start_time": "2026-11-18T11:06:41.000Z",
        "request_id": f"envoy-{number}",
        "exchange_id": None,
        "route": "openai",
        "method": "POST",
        "path": "/v1/chat/completions",
        "response_code": 200,
        "response_flags": "-",
        "duration_ms": 900,
    }
    return json.dumps(line | fields) + "\n"


def test_verify_is_content_when_every_request_has_its_row(headgate: Command, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(
        "".join(log_line(number) for number in range(1, 5)) + log_line("x", route=None) + log_line("y", route="-")
    )
    code, out, err = headgate("verify", "--access-log", str(log))
    assert (code, out, err) == (0, "", "4 requests in the access log, 0 without a row\n")


def test_verify_expects_no_row_of_what_no_route_took(headgate: Command, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(log_line(1) + log_line("scanner", route="unmatched", path="/wp-login.php", response_code=404))
    code, out, err = headgate("verify", "--access-log", str(log))
    assert (code, out, err) == (0, "", "1 requests in the access log, 0 without a row\n")


def test_verify_lists_requests_without_a_row_those_included_that_envoy_answered_alone(
    headgate: Command, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    log.write_text(
        log_line(1)
        + log_line(99, response_code=503, response_flags="UAEX")
        + log_line("-", request_id=None)
        + "rubbish\n"
    )
    code, out, err = headgate("verify", "--format", "json", "--access-log", str(log))
    assert code == 1
    assert [row["request_id"] for row in json.loads(out)] == ["envoy-99", None]
    assert "3 requests in the access log, 2 without a row, 1 unreadable lines" in err


def test_verify_does_not_judge_what_has_just_ended(headgate: Command, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(log_line(99, start_time="2999-01-01T00:00:00Z"))
    code, _, err = headgate("verify", "--access-log", str(log))
    assert (code, "1 too recent" in err) == (0, True)


def test_verify_against_an_archive_without_rows_finds_every_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "archive").mkdir()
    log = tmp_path / "access.log"
    log.write_text(log_line(1))
    code, out, _ = Command(tmp_path / "archive", capsys)("verify", "--access-log", str(log))
    assert code == 1
    assert "envoy-1" in out


def test_verify_without_a_log_says_what_to_give(headgate: Command, tmp_path: Path) -> None:
    assert headgate("verify")[0] == 2
    code, _, err = headgate("verify", "--access-log", str(tmp_path / "none"))
    assert (code, "cannot read" in err) == (3, True)
