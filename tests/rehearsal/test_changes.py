"""What changes, by the row and another decision: every pair of outcomes, and how they are counted."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.decision import failed
from extproc.model import Action, Decision, Reason
from extproc.rehearsal.archived import UNSAID
from extproc.rehearsal.changes import OTHER, Because, Change, Changed, Past, Question, Tally, changes_of
from extproc.rehearsal.reinspection import UNSEEN

EMAIL, CARD = "EMAIL_ADDRESS", "CREDIT_CARD"
ALLOW = Decision(Action.ALLOW, (Reason("shadowed.rule", "no", Action.DENY, enforced=False),))
DENY = Decision(
    Action.DENY, (Reason("new.deny", "no", Action.DENY, True), Reason("new.redact", "", Action.REDACT, True))
)
FOUND = frozenset({EMAIL, CARD})


def redact(*entities: str) -> Decision:
    return Decision(
        Action.REDACT, (Reason("new.redact", "", Action.REDACT, True),), redact_entities=frozenset(entities)
    )


def was(done: Action, *entities: str, problem: str | None = None) -> Past:
    deny = ("old.deny",) if done is Action.DENY and problem is None else ()
    return Past("id", "search", done, deny, ("old.redact",) if entities else (), frozenset(entities), problem)


@pytest.mark.parametrize(
    ("past", "decision", "expected"),
    [
        (was(Action.ALLOW), ALLOW, []),
        (was(Action.ALLOW), DENY, [(Change.NEWLY_DENIED, ("new.deny",))]),
        (was(Action.ALLOW), redact(EMAIL), [(Change.NEWLY_REDACTED, ("new.redact",))]),
        (was(Action.DENY), DENY, []),
        (was(Action.DENY), ALLOW, [(Change.NEWLY_ALLOWED, ("old.deny",))]),
        (was(Action.DENY), redact(EMAIL), [(Change.NEWLY_ALLOWED, ("old.deny",))]),
        (was(Action.REDACT, EMAIL), redact(EMAIL), []),
        (was(Action.REDACT, EMAIL), redact(EMAIL, "NOT_FOUND"), []),
        (was(Action.REDACT, EMAIL), DENY, [(Change.NEWLY_DENIED, ("new.deny",))]),
        (was(Action.REDACT, EMAIL), ALLOW, [(Change.NO_LONGER_REDACTED, ("old.redact",))]),
        (was(Action.REDACT, EMAIL), redact(EMAIL, CARD), [(Change.NEWLY_REDACTED, ("new.redact",))]),
        (was(Action.REDACT, EMAIL, CARD), redact(CARD), [(Change.NO_LONGER_REDACTED, ("old.redact",))]),
        (
            was(Action.REDACT, EMAIL),
            redact(CARD),
            [(Change.NEWLY_REDACTED, ("new.redact",)), (Change.NO_LONGER_REDACTED, ("old.redact",))],
        ),
        (was(Action.ALLOW), failed("opa_undefined"), [(Change.NEWLY_DENIED, ("opa_undefined",))]),
        (was(Action.DENY), failed("opa_undefined"), []),
    ],
)
def test_a_change_is_named_with_the_rules_that_make_it(
    past: Past, decision: Decision, expected: list[tuple[Change, tuple[str, ...]]]
) -> None:
    assert changes_of(past, Question(b"", FOUND), decision) == tuple(Changed(*change) for change in expected)


def test_what_cannot_be_replaced_would_be_denied_instead_of_redacted() -> None:
    question = Question(b"", FOUND, irreplaceable=True)
    assert changes_of(was(Action.ALLOW), question, redact(EMAIL)) == (Changed(Change.NEWLY_DENIED, ("new.redact",)),)
    assert changes_of(was(Action.DENY), question, redact(EMAIL)) == ()


def test_a_row_that_does_not_list_all_its_findings_is_not_compared_by_entity() -> None:
    past = Past("id", "search", Action.REDACT, redacted=None)
    assert changes_of(past, Question(b"", FOUND), redact(CARD)) == ()
    assert [c.change for c in changes_of(past, Question(b"", FOUND), ALLOW)] == [Change.NO_LONGER_REDACTED]


@pytest.mark.parametrize("decision", [ALLOW, DENY, redact(EMAIL), failed("opa_nonsense")])
def test_a_body_with_a_problem_is_refused_whatever_policy_says(decision: Decision) -> None:
    past = was(Action.DENY, problem="duplicate_key")
    assert changes_of(past, Question(b"", FOUND, problem="duplicate_key"), decision) == ()


def test_a_problem_that_is_only_seen_today_denies_and_one_that_is_gone_allows() -> None:
    seen = changes_of(was(Action.ALLOW), Question(b"", problem="too_deep"), ALLOW)
    assert seen == (Changed(Change.NEWLY_DENIED, ("too_deep",)),)
    gone = changes_of(was(Action.DENY, problem="too_deep"), Question(b""), ALLOW)
    assert gone == (Changed(Change.NEWLY_ALLOWED, ("too_deep",)),)


ENTITIES = st.frozensets(st.sampled_from([EMAIL, CARD]), min_size=1)


@given(ENTITIES, ENTITIES, st.booleans())
def test_the_decision_that_was_made_changes_nothing(before: frozenset[str], rest: frozenset[str], hides: bool) -> None:
    """Whatever an enforced route did with a decision, the same decision is no change."""
    for decision in (ALLOW, DENY, redact(*before)):
        blocked = decision.action is Action.REDACT and hides
        done = Action.DENY if blocked else decision.action
        redacted = before if done is Action.REDACT else frozenset()
        past = Past("id", None, done, redacted=redacted)
        assert changes_of(past, Question(b"", before | rest, irreplaceable=hides), decision) == ()


def test_an_exchange_counts_once_in_all_and_once_for_each_rule() -> None:
    tally = Tally(examples_max=2)
    for number in (3, 1, 2):
        past = Past(f"id-{number}", None, Action.ALLOW)
        tally.add(past, Changed(Change.NEWLY_DENIED, ("a", "b")), Because.POLICY)
    assert tally.exchanges == {Change.NEWLY_DENIED: 3}
    assert [(line.rule, line.team, count) for line, count in tally.lines.items()] == [
        ("a", "(unattributed)", 3),
        ("b", "(unattributed)", 3),
    ]
    assert tally.examples(next(iter(tally.lines))) == ("id-1", "id-2")


def test_lines_are_bounded_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.rehearsal.changes.LINES_MAX", 3)
    tally = Tally(examples_max=0)
    for rule, team in product("abc", "xy"):
        past = Past("id", team, Action.ALLOW)
        tally.add(past, Changed(Change.NEWLY_DENIED, (rule,)), Because.POLICY)
    assert len(tally.lines) == 4
    assert sum(tally.lines.values()) == 6
    assert sum(count for line, count in tally.lines.items() if line.rule == OTHER) == 3


def test_every_change_and_every_reason_is_explained() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    assert {word for word in (*Change, *UNSAID, *UNSEEN) if f"`{word}`" not in page} == set()
