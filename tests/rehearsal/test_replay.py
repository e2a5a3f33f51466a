"""`headgate policy replay` over a real archive with a real OPA, through the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from capture.record import Request
from extproc.cli import main
from extproc.model import Call, Mode
from tests.capture.story import Story, exchange_id
from tests.rehearsal.past import MAIN, Asked, archive, chat, denies, past, policy, redacts

MAIL = "Write to ada@example.org"
MAIL_ID, CARD_ID = "EMAIL_ADDRESS", "CREDIT_CARD"
BOTH = f"{MAIL}, card 4111 1111 1111 1111"
GPT4 = 'input.request.model == "gpt-4o"'


_MIXED = f"""
denied if {{ {GPT4} }}

redact := [] if {{ denied }} else := [e.entity | some e in input.findings; e.entity == "{MAIL_ID}"]

action := "deny" if {{ denied }} else := "redact" if {{ count(redact) > 0 }} else := "allow"

reasons := [{{"rule": "access.model", "message": "no", "action": "deny", "enforced": true}}] if {{ denied }}
else := [{{"rule": "content.mail", "message": "hid", "action": "redact", "enforced": true}}] if {{ count(redact) > 0 }}
else := []
"""


@dataclass
class Replayed:
    code: int
    rows: list[dict[str, Any]]
    said: str

    @property
    def counts(self) -> dict[tuple[str, str, str | None], int]:
        return {(row["change"], row["rule"], row["team"]): row["exchanges"] for row in self.rows}


@dataclass
class Command:
    capsys: pytest.CaptureFixture[str]

    def __call__(self, archive_dir: Path, bundle: Path, *arguments: str) -> Replayed:
        span = ("--since", "2026-11-01", "--until", "2026-12-01")
        code, out, err = self.raw(archive_dir, bundle, "--format", "json", *span, *arguments)
        return Replayed(code, json.loads(out) if out else [], err)

    def raw(self, archive_dir: Path, bundle: Path, *arguments: str) -> tuple[int, str, str]:
        code = main(["policy", "replay", "--archive", str(archive_dir), "--bundle", str(bundle), *arguments])
        out, err = self.capsys.readouterr()
        return code, out, err


@pytest.fixture
def replay(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Judged by a policy that redacts e-mail addresses and denies gpt-4o."""
    folder = tmp_path_factory.mktemp("mixed")
    rules = policy(folder / "rules")
    (rules / "main.rego").write_text(MAIN.partition("default action")[0] + _MIXED, encoding="utf-8")
    return past(
        folder,
        rules,
        Asked(),
        Asked(team="ads"),
        Asked(chat(MAIL)),
        Asked(chat(BOTH), team="ads"),
        Asked(chat(model="gpt-4o")),
        Asked(chat(model="gpt-4o"), mode=Mode.SHADOW, team=None),
        Asked(chat(MAIL), mode=Mode.SHADOW),
    )


def test_the_policy_that_judged_changes_nothing(mixed: Path, replay: Command) -> None:
    replayed = replay(mixed, mixed.parent / "rules")
    assert (replayed.code, replayed.rows) == (0, [])
    assert (
        "7 exchanges looked at (2026-11-18 11:06:41Z to 2026-11-18 11:06:47Z), 7 judged\nchanges: none" in replayed.said
    )


def test_a_bundle_archive_is_replayed_as_its_folder_is(mixed: Path, replay: Command) -> None:
    assert replay(mixed, mixed.parent / "past.tar.gz").rows == []


def test_what_would_be_denied_or_let_through_is_named_by_rule_and_team(
    mixed: Path, replay: Command, tmp_path: Path
) -> None:
    rules = policy(tmp_path / "rules", denies("access.ads", 'input.principal.team == "ads"'))
    replayed = replay(mixed, rules)
    assert replayed.code == 1
    assert replayed.counts == {
        ("newly_denied", "access.ads", "ads"): 2,
        ("newly_allowed", "access.model", "(unattributed)"): 1,
        ("newly_allowed", "access.model", "search"): 1,
        ("no_longer_redacted", "content.mail", "search"): 2,
    }
    denied = next(row for row in replayed.rows if row["change"] == "newly_denied")
    assert denied["examples"] == [exchange_id(2), exchange_id(4)]
    assert {row["because"] for row in replayed.rows} == {"policy"}
    assert "changes: 2 newly_denied, 2 newly_allowed, 2 no_longer_redacted" in replayed.said
    assert "6 of the changes were not expected" in replayed.said


def test_what_would_be_replaced_is_compared_by_entity(mixed: Path, replay: Command, tmp_path: Path) -> None:
    rules = policy(tmp_path / "rules", redacts("content.all", MAIL_ID, CARD_ID))
    assert replay(mixed, rules).counts == {
        ("newly_redacted", "content.all", "ads"): 1,  # the card beside the address
        ("newly_allowed", "access.model", "(unattributed)"): 1,
        ("newly_allowed", "access.model", "search"): 1,
    }


def test_only_a_team_a_route_or_a_span_is_looked_at(mixed: Path, replay: Command, tmp_path: Path) -> None:
    rules = policy(tmp_path / "rules", denies("all", "true"))
    assert replay(mixed, rules, "--team", "ads").counts == {("newly_denied", "all", "ads"): 2}
    assert "no exchanges there" in replay(mixed, rules, "--route", "nowhere").said
    spanned = replay(mixed, rules, "--since", "2026-11-18T11:06:42Z", "--until", "2026-11-18T11:06:43Z")
    assert spanned.counts == {("newly_denied", "all", "ads"): 1}


def test_an_undefined_decision_is_a_denial(mixed: Path, replay: Command, tmp_path: Path) -> None:
    folder = policy(tmp_path / "rules")
    (folder / "main.rego").write_text(
        MAIN.replace('default action := "allow"', 'action := "allow" if input.principal.team == "search"')
    )
    replayed = replay(mixed, folder)
    assert replayed.counts[("newly_denied", "opa_undefined", "ads")] == 2
    assert "3 exchanges got no decision from this bundle" in replayed.said


def test_a_bundle_that_errs_on_one_input_denies_that_one_alone(mixed: Path, replay: Command, tmp_path: Path) -> None:
    errs = '\naction := "allow" if { input.principal.team == "ads"; count(input.findings) > 0 }\n'
    conflict = '\naction := "deny" if { input.principal.team == "ads"; count(input.findings) > 0 }\n'
    replayed = replay(mixed, policy(tmp_path / "rules", errs, conflict), "--team", "ads")
    assert replayed.counts == {("newly_denied", "opa_nonsense", "ads"): 1}
    assert replayed.rows[0]["examples"] == [exchange_id(4)]


def test_an_answer_that_is_no_decision_denies(mixed: Path, replay: Command, tmp_path: Path) -> None:
    folder = policy(tmp_path / "rules")
    (folder / "main.rego").write_text(MAIN.replace('default action := "allow"', 'default action := "maybe"'))
    assert replay(mixed, folder, "--team", "ads").counts == {("newly_denied", "opa_nonsense", "ads"): 2}


def test_an_expected_change_is_no_failure(mixed: Path, replay: Command, tmp_path: Path) -> None:
    rules = policy(tmp_path / "rules", denies("access.ads", 'input.principal.team == "ads"'))
    expect = tmp_path / "expect.yaml"
    expect.write_text(
        "- {change: newly_denied, rule: access.ads, team: ads, at_most: 2}\n"
        "- {change: newly_allowed, rule: access.model}\n- {change: no_longer_redacted, rule: content.mail}\n"
    )
    replayed = replay(mixed, rules, "--expect", str(expect))
    assert (replayed.code, {row["expected"] for row in replayed.rows}) == (0, {True})
    expect.write_text(expect.read_text().replace("at_most: 2", "at_most: 1"))
    replayed = replay(mixed, rules, "--expect", str(expect))
    assert replayed.code == 1
    assert [row["rule"] for row in replayed.rows if not row["expected"]] == ["access.ads"]


def test_tables_and_csv_say_the_same(mixed: Path, replay: Command, tmp_path: Path) -> None:
    rules = policy(tmp_path / "rules", denies("access.ads", 'input.principal.team == "ads"'))
    arguments = ("--since", "2026-11-01", "--until", "2026-12-01", "--team", "ads", "--limit", "1")
    _, out, _ = replay.raw(mixed, rules, *arguments, "--format", "csv")
    head, row = out.splitlines()
    assert head == "change,because,rule,team,exchanges,expected,examples"
    assert row == f'newly_denied,policy,access.ads,ads,2,false,"[""{exchange_id(2)}""]"'
    _, out, _ = replay.raw(mixed, rules, *arguments)
    assert out.count(exchange_id(2)) == 1
    assert exchange_id(4) not in out


def test_a_request_that_could_not_be_redacted_stays_denied(replay: Command, tmp_path: Path) -> None:
    rules = policy(tmp_path / "rules", redacts("content.mail", MAIL_ID))
    form = (
        b'--b\r\ncontent-disposition: form-data; name="model"\r\n\r\ngpt-image-1\r\n--b\r\n'
        b'content-disposition: form-data; name="prompt"\r\n\r\nada@example.org\r\n--b--\r\n'
    )
    edits = Call("POST", "/v1/images/edits", "api.openai.com", content_type="multipart/form-data; boundary=b")
    kept = past(
        tmp_path / "past",
        rules,
        Asked(form, call=edits),
        Asked(form, call=edits, mode=Mode.SHADOW),
        Asked(chat(MAIL), fails_to_redact=True),
    )
    assert replay(kept, rules).rows == []
    allowing = replay(kept, policy(tmp_path / "allowing"))
    assert allowing.counts == {("newly_allowed", "content.mail", "search"): 3}


def test_a_body_with_a_problem_is_no_change_in_either_mode(replay: Command, tmp_path: Path) -> None:
    rules, twice = policy(tmp_path / "rules"), b'{"model": "a", "model": "b", "messages": []}'
    kept = past(tmp_path / "past", rules, Asked(twice), Asked(twice, mode=Mode.SHADOW))
    assert replay(kept, rules).rows == []


def test_what_cannot_be_said_is_counted_by_reason(replay: Command, tmp_path: Path) -> None:
    old = Story(1).frames()  # a row without the question, as older versions wrote them
    never = [frame for frame in Story(2).frames() if not isinstance(frame, Request)]
    unjudged = Story(3, request={"policy_failure": "opa_timeout", "decision": "deny", "policy_input": b"{}"}).frames()
    newer = Story(4, request={"policy_input": b'{"schema_version":2}'}).frames()
    torn = Story(5, request={"policy_input": b'{"schema_ver'}).frames()
    kept = archive(tmp_path, [old, never, unjudged, newer, torn])
    replayed = replay(kept, policy(tmp_path / "rules", denies("all", "true")))
    assert replayed.code == 0
    assert replayed.counts == {
        ("cannot_say", "no_input", None): 2,
        ("cannot_say", "ended_before_decision", None): 1,
        ("cannot_say", "unjudged", None): 1,
        ("cannot_say", "other_contract", None): 1,
    }
    assert "cannot say: 2 (the row does not hold what policy was asked" in replayed.said


def test_text_is_not_read_unless_it_is_asked_for(mixed: Path, replay: Command, tmp_path: Path) -> None:
    facts_alone = tmp_path / "facts-alone"
    facts_alone.mkdir()
    (facts_alone / "facts").symlink_to(mixed / "facts")
    assert replay(facts_alone, mixed.parent / "rules").rows == []
    current = replay(facts_alone, mixed.parent / "rules", "--detectors", "current")
    assert current.counts == {("cannot_say", "text_unreadable", None): 7}


def test_todays_detectors_are_named_apart_from_the_bundle(
    replay: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = policy(tmp_path / "rules", redacts("content.mail", MAIL_ID))
    from extproc import workers

    scanner = workers.scanner()

    class Fewer:
        def scan(self, text: bytes, budget: Callable[[], None]) -> list[Any]:
            return [hit for hit in scanner.scan(text, budget) if hit.entity != MAIL_ID]

    with monkeypatch.context() as patched:  # an older Headgate, which knows no e-mail addresses
        patched.setattr(workers, "scanner", Fewer)
        kept = past(tmp_path / "past", rules, Asked(chat(MAIL)), Asked(), Asked(b""))
    assert replay(kept, rules).rows == []
    current = replay(kept, rules, "--detectors", "current")
    assert [(r["change"], r["because"], r["rule"], r["examples"]) for r in current.rows] == [
        ("newly_redacted", "detectors", "content.mail", [exchange_id(1)])
    ]


def test_text_that_is_not_whole_says_nothing_about_todays_detectors(replay: Command, tmp_path: Path) -> None:
    less = (
        'capture := "redacted" if { input.principal.team == "search" }\n\n'
        'capture := "metadata" if { input.principal.team == "ads" }\n'
    )
    rules = policy(tmp_path / "rules", less)
    hides = policy(tmp_path / "hides", redacts("content.mail", MAIL_ID), less)
    kept = past(tmp_path / "past", hides, Asked(chat(MAIL)), Asked(chat(MAIL), team="ads"), Asked(team=None))
    current = replay(kept, rules, "--detectors", "current")
    assert current.counts == {
        ("no_longer_redacted", "content.mail", "search"): 1,
        ("no_longer_redacted", "content.mail", "ads"): 1,
        ("cannot_say", "text_redacted", None): 1,
        ("cannot_say", "text_policy", None): 1,
    }


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (None, "there is no such bundle"),
        ({}, "no main.rego there"),
        ({"main.rego": "package headgate.main\n\ndecision := "}, "rego_parse_error"),
    ],
)
def test_an_unusable_bundle_is_named_with_the_reason(
    mixed: Path, replay: Command, tmp_path: Path, contents: dict[str, str] | None, said: str
) -> None:
    if contents is not None:
        (tmp_path / "rules").mkdir()
    for name, text in (contents or {}).items():
        (tmp_path / "rules" / name).write_text(text)
    code, out, err = replay.raw(mixed, tmp_path / "rules")
    assert (code, out) == (3, "")
    assert str(tmp_path / "rules") in err
    assert said in err


def test_a_file_that_is_no_bundle_is_named_with_opas_reason(mixed: Path, replay: Command, tmp_path: Path) -> None:
    (tmp_path / "bundle.tar.gz").write_bytes(b"no archive at all")
    code, _, err = replay.raw(mixed, tmp_path / "bundle.tar.gz")
    assert code == 3
    assert f"{tmp_path}/bundle.tar.gz: OPA cannot serve it" in err


def test_a_bundle_without_the_decision_is_unusable(mixed: Path, replay: Command, tmp_path: Path) -> None:
    from extproc import policy_tools

    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "main.rego").write_text("package elsewhere\n\ndecision := true\n")
    policy_tools.bundle(tmp_path / "rules", tmp_path / "b.tar.gz")
    code, _, err = replay.raw(mixed, tmp_path / "b.tar.gz")
    assert code == 3
    assert "no package headgate.main" in err


def test_without_opa_the_exit_code_is_3(
    mixed: Path, replay: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from extproc import policy_tools

    missing = policy_tools.find_opa
    monkeypatch.setattr(policy_tools, "find_opa", lambda opa=None: missing(tmp_path / "opa"))
    code, _, err = replay.raw(mixed, policy(tmp_path / "rules"))
    assert (code, "there is no opa at" in err) == (3, True)


@pytest.mark.parametrize("arguments", [("--since", "yesterday"), ("--limit", "-1"), ("--detectors", "all")])
def test_a_wrong_option_is_a_usage_error(mixed: Path, replay: Command, arguments: tuple[str, str]) -> None:
    assert replay.raw(mixed, mixed.parent / "rules", *arguments)[0] == 2


def test_a_wrong_expect_file_is_a_usage_error(mixed: Path, replay: Command, tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text("- {rule: a}\n")
    assert replay.raw(mixed, mixed.parent / "rules", "--expect", str(tmp_path / "e.yaml"))[0] == 2


def test_no_archive_is_a_missing_dependency(replay: Command, tmp_path: Path) -> None:
    assert replay.raw(tmp_path / "nowhere", policy(tmp_path / "rules"))[0] == 3


def test_nothing_is_written_and_nothing_is_left_running(mixed: Path, replay: Command) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in mixed.rglob("*")}

    before = state()
    mixed.chmod(0o555)
    assert replay(mixed, mixed.parent / "rules", "--detectors", "current").code == 0
    mixed.chmod(0o755)
    assert state() == before
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert [pid for pid in children if b"opa" in Path(f"/proc/{pid}/cmdline").read_bytes()] == []


def test_equal_questions_are_asked_once(replay: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from extproc.rehearsal.judge import Judge

    rules = policy(tmp_path / "rules", denies("access.model", GPT4))
    kept = past(tmp_path / "past", rules, *[Asked(chat(f"question {'?' * n}")) for n in range(4)], Asked(team="ads"))
    asked: list[int] = []
    decide = Judge.decide

    async def counted(self: Judge, keys: Any) -> Any:
        asked.append(len(keys))
        return await decide(self, keys)

    monkeypatch.setattr(Judge, "decide", counted)
    assert "5 judged" in replay(kept, rules).said
    assert asked == [1]  # this policy reads the model alone, and the findings not at all
    impure = policy(tmp_path / "impure", 'capture := "full" if time.now_ns() > 0\n')
    asked.clear()
    assert replay(kept, impure).rows == []
    assert asked == [5]


def test_windows_that_fill_up_lose_no_row(replay: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from extproc.rehearsal import replay as module

    monkeypatch.setattr(module, "BATCH_ROWS", 2)
    rules = policy(tmp_path / "rules", denies("access.team", 'startswith(input.principal.team, "t")'))
    teams = [f"{letter}{number}" for number in range(6) for letter in "tu"]
    kept = past(tmp_path / "past", policy(tmp_path / "before"), *[Asked(team=team) for team in teams])
    assert replay(kept, rules).counts == {("newly_denied", "access.team", f"t{n}"): 1 for n in range(6)}


def test_frames_of_before_are_still_read() -> None:
    frame = next(frame for frame in Story(1).frames() if isinstance(frame, Request))
    assert (frame.policy_input, frame.findings_irreplaceable, frame.hints) == (None, False, {})
