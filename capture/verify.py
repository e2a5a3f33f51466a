"""Requests that Envoy answered and the archive has no row of: Envoy's access log is the independent witness.

A line of the log is a JSON object, one per request: `start_time` (ISO 8601), `request_id`, `exchange_id`, `route`,
`method`, `path`, `response_code`, `response_flags`, `duration_ms`. Lines without a route, or with the one
for what no route takes, never were to pass the gate.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from capture.database import Database
from capture.errors import ArchiveUnusable
from capture.status import read_statuses

_LINES_PER_QUERY = 5_000
_ABSENT = (None, "", "-")
_NO_ROUTE = (*_ABSENT, "unmatched")
"""Envoy's own 404 for what no route takes: it goes nowhere, and Headgate is not asked."""


class LogLine(msgspec.Struct, frozen=True):
    start_time: datetime
    request_id: str | None = None
    exchange_id: str | None = None
    route: str | None = None
    method: str | None = None
    path: str | None = None
    response_code: int | str | None = None
    response_flags: str | None = None
    duration_ms: float | str | None = None

    @property
    def ended(self) -> datetime:
        length = self.duration_ms if isinstance(self.duration_ms, int | float) else 0
        return _aware(self.start_time) + timedelta(milliseconds=length)


@dataclass(slots=True)
class Verification:
    """What was found. `missing` are lines without a row, in the log's order."""

    requests: int = 0
    recent: int = 0
    """Ended too recently to be judged."""
    unreadable: int = 0
    """Lines that are no JSON object of this shape."""
    missing: list[LogLine] = field(default_factory=list)
    missing_count: int = 0
    duplicates: int = 0
    """Exchanges with more than one row."""
    lost: int = 0
    """Counted by the spool while its disk was full: they are among the missing, as long as the log reaches back."""

    @property
    def fine(self) -> bool:
        return not (self.missing_count or self.unreadable or self.duplicates)


def verify(
    archive_dir: Path, access_log: Path, *, now: datetime, grace: timedelta, listed_max: int = 10_000
) -> Verification:
    """Compare. Lines that ended within `grace` before `now` are not judged. Raises `ArchiveUnusable` without a log."""
    found = Verification()
    database: Database | None
    try:
        database = Database(archive_dir)
    except ArchiveUnusable as error:
        if error.code != "archive_empty":
            raise
        database = None
    try:
        with access_log.open("rb") as stream:
            for chunk in _chunks(_lines(stream, found), _LINES_PER_QUERY):
                _judge(chunk, database, found, now - grace, listed_max)
    except OSError as error:
        raise ArchiveUnusable("access_log_unreadable", f"cannot read {access_log}: {error.strerror}") from None
    if database is not None:
        rows = database.rows("SELECT count(*) - count(DISTINCT exchange_id) AS n FROM facts")
        found.duplicates = rows[0]["n"]
    found.lost = sum(status.lost for status in read_statuses(archive_dir))
    return found


_line_decoder = msgspec.json.Decoder(LogLine)


def _lines(stream: Iterable[bytes], found: Verification) -> Iterator[LogLine]:
    for raw in stream:
        if not raw.strip():
            continue
        try:
            line = _line_decoder.decode(raw)
        except ValueError:  # msgspec.DecodeError is one
            found.unreadable += 1
            continue
        if line.route not in _NO_ROUTE:
            found.requests += 1
            yield line


def _judge(
    lines: Sequence[LogLine], database: Database | None, found: Verification, until: datetime, listed_max: int
) -> None:
    judged = [line for line in lines if line.ended <= until]
    found.recent += len(lines) - len(judged)
    known = _known(judged, database) if database is not None and judged else set()
    for line in judged:
        if line.request_id in _ABSENT or line.request_id not in known:
            found.missing_count += 1
            if len(found.missing) < listed_max:
                found.missing.append(line)


def _known(lines: Sequence[LogLine], database: Database) -> set[Any]:
    days = [_aware(line.start_time).astimezone(UTC).date() for line in lines]
    result = database.ask(
        "SELECT DISTINCT envoy_request_id FROM facts WHERE dt BETWEEN ? AND ? AND list_contains(?, envoy_request_id)",
        # A day on either side: the row's date is ours, the line's is Envoy's.
        [
            min(days) - timedelta(days=1),
            max(days) + timedelta(days=1),
            [line.request_id for line in lines if line.request_id not in _ABSENT],
        ],
    )
    return {row[0] for row in result.rows}


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _chunks(items: Iterator[LogLine], size: int) -> Iterator[list[LogLine]]:
    while chunk := list(itertools.islice(items, size)):
        yield chunk
