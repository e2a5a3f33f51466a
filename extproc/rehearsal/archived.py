"""Rows of the archive as replay needs them: what was done, and what policy was asked. Reads, and nothing else.

What policy was asked is in the row itself (`policy_input`), made by the request path's own input builder: nothing has
to be guessed again, and the content tree is not needed. It is read only to look at kept text with today's detectors, a
file of each tree at a time: a join over whole days would hold them in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from capture.database import Database
from extproc.decision import SCHEMA_VERSION
from extproc.model import Action, Mode
from extproc.rehearsal.changes import Past, Question

ENDED_BEFORE: Final = "ended_before_decision"
UNJUDGED: Final = "unjudged"
NO_INPUT: Final = "no_input"
OTHER_CONTRACT: Final = "other_contract"
UNSAID: Final = {
    ENDED_BEFORE: "it ended before policy was asked",
    UNJUDGED: "no policy answered then, so there is nothing to compare with",
    NO_INPUT: "the row does not hold what policy was asked: an older Headgate wrote it, or it was over 64 KiB",
    OTHER_CONTRACT: "policy was asked in another version of the input",
}
"""Why nothing can be said of a row, in words."""

KEPT_BODY_BYTES_MAX: Final = 1024 * 1024
"""A larger kept body is not looked at again: memory holds `_FETCH_ROWS` of them."""
_FETCH_ROWS: Final = 64
_RECORDED_FETCH_ROWS: Final = 1_000

_FACTS: Final = {
    "exchange_id": "exchange_id",
    "at_us": "epoch_us(ts)",
    "team": "team",
    "mode": "mode",
    "decision": "decision",
    "would_decision": "would_decision",
    "deny_rules": "list_transform(list_filter(reasons, lambda r: r.enforced AND r.action = 'deny'), lambda r: r.rule)",
    "redact_rules": (
        "list_transform(list_filter(reasons, lambda r: r.enforced AND r.action = 'redact'), lambda r: r.rule)"
    ),
    "redacted": (
        "list_distinct(list_transform(list_filter(findings, lambda f: f.action IN ('redact', 'would_redact')), "
        "lambda f: f.type))"
    ),
    "findings_truncated": "findings_truncated",
    "findings_irreplaceable": "findings_irreplaceable",
    "problem": "problem",
    "policy_failure": "policy_failure",
    "policy_input": "policy_input",
}
_TEXT: Final = {
    "host": "host",
    "content_state": "request_content_state",
    "content_type": "request_content_type",
    "hints": "request_hints",
    "body_bytes": "octet_length(request_body)",
    "body": f"CASE WHEN octet_length(request_body) <= {KEPT_BODY_BYTES_MAX} THEN request_body END",
}
_MISSING_BEFORE: Final = ("policy_input", "findings_irreplaceable", "request_hints")
"""Columns that archives of older versions do not have."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which exchanges: those that began in [since, until), of one team, on one route."""

    since: datetime
    until: datetime
    team: str | None = None
    route: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """What the archive holds of a request's text."""

    state: str | None
    """`request_content_state`."""
    host: str
    content_type: str | None
    hints: dict[str, str]
    body: bytes | None = field(repr=False)
    """None where nothing is kept, or more than `KEPT_BODY_BYTES_MAX`."""
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Archived:
    """One row. `unsaid` is a key of `UNSAID`, or None; then `past`, `question` and `parsed` are to be used."""

    exchange_id: str
    at_us: int
    """Unix time, microseconds."""
    unsaid: str | None = None
    past: Past | None = None
    question: Question | None = None
    parsed: dict[str, Any] = field(default_factory=dict, repr=False)
    """The question's document, read."""
    text: Text | None = None


def recorded(archive_dir: Path, wanted: Wanted) -> Iterator[Archived]:
    """Every row, without its text. Raises `ArchiveUnusable` and `QueryRefused`."""
    database = Database(archive_dir)
    query, parameters = _query(_columns(database, "facts"), "facts", _FACTS, wanted)
    for row in database.ask(query, parameters, fetch_rows=_RECORDED_FETCH_ROWS).rows:
        yield _archived(row)


def with_text(archive_dir: Path, wanted: Wanted) -> Iterator[Archived]:
    """Every row with what is kept of its text. Raises `ArchiveUnusable` and `QueryRefused`."""
    database = Database(archive_dir)
    for facts, content in database.file_pairs(wanted.since.date(), wanted.until.date()):
        source = f"read_parquet({facts}, hive_partitioning = false) AS facts_file"
        columns = _columns(database, source)
        if content is not None:
            joined = f"read_parquet({content}, hive_partitioning = false) AS content_file"
            columns |= _columns(database, joined)
            source = f"{source} LEFT JOIN {joined} USING (exchange_id)"
            query, parameters = _query(columns, source, _FACTS | _TEXT, wanted)
        else:
            without = dict.fromkeys(_TEXT, "NULL") | {"content_state": "request_content_state"}
            query, parameters = _query(columns, source, _FACTS | without, wanted)
        for row in database.ask(query, parameters, fetch_rows=_FETCH_ROWS).rows:
            yield _archived(row)


def _columns(database: Database, source: str) -> set[str]:
    return set(database.ask(f"SELECT * FROM {source} LIMIT 0").columns)  # noqa: S608 (ours)


def _query(columns: set[str], source: str, selected: dict[str, str], wanted: Wanted) -> tuple[str, Sequence[Any]]:
    missing = [name for name in _MISSING_BEFORE if name not in columns]
    expressions = ("NULL" if text in missing else text for text in selected.values())
    conditions = ["ts >= ?", "ts < ?"]
    parameters: list[Any] = [wanted.since, wanted.until]
    if source == "facts":
        conditions += ["dt >= ?", "dt <= ?"]
        parameters += [wanted.since.date(), wanted.until.date()]
    for name, value in (("team", wanted.team), ("route", wanted.route)):
        if value is not None:
            conditions.append(f"{name} = ?")
            parameters.append(value)
    return f"SELECT {', '.join(expressions)} FROM {source} WHERE {' AND '.join(conditions)}", parameters  # noqa: S608


def _archived(row: tuple[Any, ...]) -> Archived:
    (
        exchange_id, at_us, team, mode, decision, would, deny_rules, redact_rules, redacted, unlisted, irreplaceable,
        problem, failure, document, *text,
    ) = row  # fmt: skip
    done = would if mode == Mode.SHADOW else decision
    unsaid = None
    parsed: dict[str, Any] = {}
    if done is None:
        unsaid = ENDED_BEFORE
    elif failure is not None:
        unsaid = UNJUDGED
    else:
        try:
            parsed = orjson.loads(document) if document is not None else {}
        except orjson.JSONDecodeError:
            parsed = {}
        unsaid = NO_INPUT if not parsed else OTHER_CONTRACT if parsed.get("schema_version") != SCHEMA_VERSION else None
    if unsaid is not None:
        return Archived(exchange_id, at_us, unsaid)
    past = Past(
        exchange_id,
        team,
        Action(done),
        tuple(dict.fromkeys(deny_rules or ())),
        tuple(dict.fromkeys(redact_rules or ())),
        None if unlisted else frozenset(redacted or ()),
        problem,
    )
    # Redaction can also have failed while it was done: then it is a denial in which only rules that redact speak.
    failed = past.done is Action.DENY and not past.deny_rules and bool(past.redact_rules)
    question = Question(
        document.encode(),
        frozenset(finding["entity"] for finding in parsed["findings"]),
        problem,
        bool(irreplaceable) or bool(parsed["findings_truncated"]) or failed,
    )
    return Archived(exchange_id, at_us, None, past, question, parsed, _text(text) if text else None)


def _text(row: Sequence[Any]) -> Text:
    host, state, content_type, hints, size_bytes, body = row
    return Text(state, host or "", content_type, orjson.loads(hints) if hints else {}, body, size_bytes)
