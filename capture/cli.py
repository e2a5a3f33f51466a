"""`headgate sql`, `sessions`, `show`, `verify`: asking the archive.

The command line itself (`--archive`, `--config`, what errors look like) is the caller's (of `add_parsers`). A handler
takes a namespace with `archive_dir` and `access_log` set, and returns an exit code (0 fine, 1 found something).
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from capture.database import Database
from capture.errors import QueryRefused
from capture.output import FORMATS, cell, output, safe_text
from capture.show import find, lines
from capture.verify import LogLine, Verification, verify

_SQL_HELP = """\
views: facts (who, what, tokens, money, decisions), content (bodies and text), exchanges (both joined by exchange_id),
decisions (a row per rule that fired), sessions, spend. Columns: docs/columns.md. `dt` in WHERE makes it fast.

  headgate sql "SELECT team, sum(billed_cost) FROM facts WHERE dt >= current_date - 7 GROUP BY team"
"""
_SESSIONS = """
SELECT session_id, started, team, caller, exchanges, turns, models, input_tokens, output_tokens, billed_cost,
       last_status
FROM sessions WHERE (?::VARCHAR IS NULL OR team = ?) ORDER BY last_turn DESC, session_id LIMIT ?
"""
_VERIFY_COLUMNS = (
    "start_time",
    "request_id",
    "exchange_id",
    "route",
    "method",
    "path",
    "response_code",
    "response_flags",
    "duration_ms",
)


def add_parsers(subparsers: Any) -> None:
    """Add this module's commands to an argparse subparsers object; `run` of a parsed namespace is the handler."""
    sql = subparsers.add_parser(
        "sql",
        help="ask the archive in SQL (DuckDB), read-only",
        epilog=_SQL_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sql.add_argument("query", metavar="QUERY", help="one SELECT; - reads it from stdin")
    _add_format(sql)
    sql.set_defaults(run=run_sql)

    sessions = subparsers.add_parser("sessions", help="conversations, the latest first")
    sessions.add_argument("--team", metavar="NAME", help="only this team's")
    sessions.add_argument("--limit", type=_positive, default=50, metavar="N", help="at most N (default: 50)")
    _add_format(sessions)
    sessions.set_defaults(run=run_sessions)

    show = subparsers.add_parser(
        "show",
        help="one exchange or session, laid out to be read",
        description="Needs read access to the content tree.",
    )
    show.add_argument("id", metavar="ID", help="exchange or session id; the beginning is enough when only one has it")
    _add_format(show, default="text", extra=("text",))
    show.set_defaults(run=run_show)

    check = subparsers.add_parser(
        "verify",
        help="requests in Envoy's access log that the archive has no row of",
        description="Exit code 1 when a request has no row. Each line of the log is one request, a JSON object.",
    )
    check.add_argument(
        "--access-log", type=Path, metavar="FILE", help="Envoy's JSON access log; default: that of --config"
    )
    check.add_argument(
        "--grace-s",
        type=float,
        default=30.0,
        metavar="S",
        help="do not judge requests that ended less than S seconds ago (default: 30)",
    )
    _add_format(check)
    check.set_defaults(run=run_verify)


def run_sql(arguments: argparse.Namespace) -> int:
    query = sys.stdin.read() if arguments.query == "-" else arguments.query
    result = Database(arguments.archive_dir).ask(query)
    output(arguments.format).rows(result.columns, result.rows)
    return 0


def run_sessions(arguments: argparse.Namespace) -> int:
    result = Database(arguments.archive_dir).ask(_SESSIONS, [arguments.team, arguments.team, arguments.limit])
    output(arguments.format).rows(result.columns, result.rows)
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    rows = find(Database(arguments.archive_dir), arguments.id)
    if arguments.format == "text":
        for line in lines(rows):
            print(line)
    else:
        output(arguments.format).rows(list(rows[0]), [list(row.values()) for row in rows])
    return 0


def run_verify(arguments: argparse.Namespace) -> int:
    if arguments.access_log is None:
        raise QueryRefused("access_log_unknown", "where is Envoy's access log? give --access-log FILE or --config FILE")
    found = verify(
        arguments.archive_dir,
        arguments.access_log,
        now=datetime.now(UTC),
        grace=timedelta(seconds=arguments.grace_s),
    )
    if found.missing or arguments.format != "table":
        output(arguments.format).rows(_VERIFY_COLUMNS, [_line(line) for line in found.missing])
    print(safe_text(_summary(found)), file=sys.stderr)
    return 0 if found.fine else 1


def _line(line: LogLine) -> list[Any]:
    return [getattr(line, name) for name in _VERIFY_COLUMNS]


def _summary(found: Verification) -> str:
    parts = [f"{found.requests} requests in the access log, {found.missing_count} without a row"]
    if found.recent:
        parts.append(f"{found.recent} too recent to judge")
    if found.unreadable:
        parts.append(f"{found.unreadable} unreadable lines")
    if found.duplicates:
        parts.append(f"{found.duplicates} rows too many")
    if found.lost:
        parts.append(f"{cell(found.lost)} exchanges counted as lost on a full disk")
    return ", ".join(parts)


def _add_format(parser: argparse.ArgumentParser, *, default: str = "table", extra: tuple[str, ...] = ()) -> None:
    parser.add_argument(
        "--format", choices=(*extra, *FORMATS), default=default, help=f"how rows are printed (default: {default})"
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("give at least 1")
    return value
