"""What a replay found, for people and for programs: counts by change, rule and team, and exchange ids, never text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from capture.output import output, safe_text
from extproc.rehearsal.archived import UNSAID, Wanted
from extproc.rehearsal.changes import Change, Line, Tally
from extproc.rehearsal.reinspection import UNSEEN
from extproc.rehearsal.replay import Seen

CANNOT_SAY: Final = "cannot_say"
COLUMNS: Final = ("change", "because", "rule", "team", "exchanges", "expected", "examples")
_REASONS: Final = UNSAID | UNSEEN


@dataclass(frozen=True, slots=True)
class Report:
    wanted: Wanted
    revision: str | None
    seen: Seen
    tally: Tally
    unexpected: frozenset[Line]


def print_report(report: Report, format_: str) -> None:
    """JSON and CSV have all in one row each; a table has its examples below."""
    rows = list(_rows(report))
    if format_ != "table":
        output(format_).rows(COLUMNS, rows)
        return
    output(format_).rows(COLUMNS[:-1], [row[:-1] for row in rows])
    examples = [(row[0], row[2], row[3], example) for row in rows for example in row[-1]]
    if examples:
        print()
        output(format_).rows(("change", "rule", "team", "example"), examples)


def _rows(report: Report) -> Iterator[tuple[Any, ...]]:
    """The rule of a row that cannot be judged is the reason why."""
    tally = report.tally
    order = list(Change)
    for line in sorted(tally.lines, key=lambda line: (order.index(line.change), -tally.lines[line], line)):
        expected = line not in report.unexpected
        counted = tally.lines[line]
        yield line.change.value, line.because.value, line.rule, line.team, counted, expected, [*tally.examples(line)]
    for reason, count in tally.cannot_say.most_common():
        yield CANNOT_SAY, None, reason, None, count, None, [*tally.examples(reason)]


def summary(report: Report) -> str:
    """Some lines: what was looked at, what changes in all, of what nothing can be said."""
    seen, tally, wanted = report.seen, report.tally, report.wanted
    lines = [
        f"bundle revision {report.revision or '(none)'}, exchanges from {_time(wanted.since)} to {_time(wanted.until)}"
    ]
    if seen.first_us is None or seen.last_us is None:
        return safe_text("\n".join((*lines, "no exchanges there: nothing was rehearsed")))
    span = f"{_time(_of_us(seen.first_us))} to {_time(_of_us(seen.last_us))}"
    lines.append(f"{_exchanges(seen.rows)} looked at ({span}), {seen.judged} judged")
    changed = [f"{tally.exchanges[change]} {change.value}" for change in Change if tally.exchanges[change]]
    lines.append(f"changes: {', '.join(changed) or 'none'}")
    if seen.failed:
        lines.append(f"{_exchanges(seen.failed)} got no decision from this bundle, which is a denial")
    lines += [f"cannot say: {count} ({_REASONS.get(why, why)})" for why, count in tally.cannot_say.most_common()]
    if report.unexpected:
        lines.append(f"{sum(tally.lines[line] for line in report.unexpected)} of the changes were not expected")
    return safe_text("\n".join(lines))


def _exchanges(count: int) -> str:
    return f"{count} exchange{'' if count == 1 else 's'}"


def _of_us(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1_000_000, UTC)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
