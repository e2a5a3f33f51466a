"""What was done with an exchange, what another decision would do, and the difference: counted by rule and team. Pure.

Compared is what becomes of the request (allow, redact, deny), as the request path derives it from a decision: a problem
of the body is a denial whatever policy says, and so is a redaction of what cannot be replaced. What the archive may
keep, status codes and messages are not compared.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from extproc.model import Action, Decision

NO_RULE: Final = "policy"
"""In the place of a rule's id where a decision names none."""
UNATTRIBUTED: Final = "(unattributed)"
OTHER: Final = "(other)"
LINES_MAX: Final = 10_000
"""Different (change, rule, team); those beyond are counted together, as rule and team `(other)`."""


class Change(StrEnum):
    NEWLY_DENIED = "newly_denied"
    NEWLY_ALLOWED = "newly_allowed"
    """Denied then; now it would pass, redacted or not."""
    NEWLY_REDACTED = "newly_redacted"
    """It would still pass, with more replaced than then."""
    NO_LONGER_REDACTED = "no_longer_redacted"
    """It would still pass, with less replaced than then."""


class Because(StrEnum):
    POLICY = "policy"
    DETECTORS = "detectors"
    """The bundle would have decided as was done; what today's codecs and detectors see makes the difference."""


@dataclass(frozen=True, slots=True)
class Past:
    """What the row says was done, or would have been on a shadow route."""

    exchange_id: str
    team: str | None
    done: Action
    deny_rules: tuple[str, ...] = ()
    """Rules that bound and denied."""
    redact_rules: tuple[str, ...] = ()
    redacted: frozenset[str] | None = frozenset()
    """Entities replaced, of those found; None when the row does not list them all."""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What policy is asked, and what stands beside the question."""

    document: bytes = field(repr=False)
    found: frozenset[str] = frozenset()
    """Entities of its findings."""
    problem: str | None = None
    irreplaceable: bool = False
    """A decision to redact is a denial."""


@dataclass(frozen=True, slots=True)
class Changed:
    change: Change
    rules: tuple[str, ...]
    """Those that make the change: of the new decision where it is stricter, else of the old one. Never empty."""


def changes_of(past: Past, question: Question, decision: Decision) -> tuple[Changed, ...]:
    """What is different if `decision` is the answer to `question`; mostly nothing."""
    if past.problem is not None and past.problem == question.problem:
        return ()  # refused then and now, whatever policy says
    now, rules = _outcome(question, decision)
    if past.done is Action.DENY:
        if now is Action.DENY:
            return ()
        said = past.deny_rules or past.redact_rules or (past.problem or NO_RULE,)
        return (Changed(Change.NEWLY_ALLOWED, said),)
    if now is Action.DENY:
        return (Changed(Change.NEWLY_DENIED, rules),)
    if now is past.done:
        return tuple(_other_entities(past, question, decision, rules)) if now is Action.REDACT else ()
    if now is Action.REDACT:
        return (Changed(Change.NEWLY_REDACTED, rules),)
    return (Changed(Change.NO_LONGER_REDACTED, past.redact_rules or (NO_RULE,)),)


def _outcome(question: Question, decision: Decision) -> tuple[Action, tuple[str, ...]]:
    """What is done, and by which rules."""
    if question.problem is not None:
        return Action.DENY, (question.problem,)
    if decision.failure is not None:
        return Action.DENY, (decision.failure,)
    rules = {reason.rule: None for reason in decision.reasons if reason.enforced and reason.action is decision.action}
    named = tuple(rules) or (NO_RULE,)
    if decision.action is Action.REDACT and question.irreplaceable:
        return Action.DENY, named
    return decision.action, named


def _other_entities(past: Past, question: Question, decision: Decision, rules: tuple[str, ...]) -> Iterator[Changed]:
    if past.redacted is None:
        return
    now = decision.redact_entities & question.found
    if now - past.redacted:
        yield Changed(Change.NEWLY_REDACTED, rules)
    if past.redacted - now:
        yield Changed(Change.NO_LONGER_REDACTED, past.redact_rules or (NO_RULE,))


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """What a count is of."""

    change: Change
    because: Because
    rule: str
    team: str


class Tally:
    """Counts, and of each line the first `examples_max` exchange ids."""

    def __init__(self, examples_max: int) -> None:
        self._examples_max = examples_max
        self.lines: Counter[Line] = Counter()
        self.exchanges: Counter[Change] = Counter()
        """One exchange counts once here, whatever the number of rules."""
        self.cannot_say: Counter[str] = Counter()
        self._examples: dict[Line | str, list[_Latest]] = {}

    def add(self, past: Past, changed: Changed, because: Because) -> None:
        self.exchanges[changed.change] += 1
        for rule in changed.rules:
            line = Line(changed.change, because, rule, past.team or UNATTRIBUTED)
            if line not in self.lines and len(self.lines) >= LINES_MAX:
                line = Line(changed.change, because, OTHER, OTHER)
            self.lines[line] += 1
            self._exemplify(line, past.exchange_id)

    def add_unsaid(self, reason: str, exchange_id: str) -> None:
        self.cannot_say[reason] += 1
        self._exemplify(reason, exchange_id)

    def examples(self, line: Line | str) -> tuple[str, ...]:
        """Exchange ids, the earliest first: ids are ordered by time, so they are the same ones in every run."""
        return tuple(sorted(latest.exchange_id for latest in self._examples.get(line, ())))

    def _exemplify(self, line: Line | str, exchange_id: str) -> None:
        kept = self._examples.setdefault(line, [])
        if len(kept) < self._examples_max:
            heapq.heappush(kept, _Latest(exchange_id))
        elif kept and exchange_id < kept[0].exchange_id:
            heapq.heapreplace(kept, _Latest(exchange_id))


@dataclass(frozen=True, slots=True)
class _Latest:
    """Sorted backwards, so that a heap's first is the latest id, the next one to go."""

    exchange_id: str

    def __lt__(self, other: _Latest) -> bool:
        return self.exchange_id > other.exchange_id
