"""`policy replay`: what a bundle would change, rehearsed on the archive."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from extproc.commands import Subparsers, add_config, load_config

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO: Final = re.compile(r"([0-9]{1,6})([mhdw])")
_DESCRIPTION: Final = (
    "Asks a bundle what it would have decided about archived exchanges, and prints what would change. "
    "Exit code 1: something changes that --expect does not name; 3: there is no OPA, or it cannot serve the bundle. "
    "Nothing is written."
)


def add_parser(verbs: Subparsers) -> None:
    parser = verbs.add_parser(
        "replay", help="what a bundle would change, rehearsed on the archive", description=_DESCRIPTION
    )
    parser.add_argument(
        "--bundle", type=Path, metavar="PATH", help="folder, or bundle archive (.tar.gz); default: policy.bundle"
    )
    parser.add_argument("--archive", type=Path, metavar="DIR", help="archive folder; default: that of --config")
    parser.add_argument(
        "--since", type=_moment, default="7d", metavar="WHEN",
        help="7d, 12h, 2026-11-01 or 2026-11-01T08:00Z (default: 7d)",
    )  # fmt: skip
    parser.add_argument("--until", type=_moment, default="0m", metavar="WHEN", help="in the same words (default: now)")
    parser.add_argument("--team", metavar="NAME", help="only this team's")
    parser.add_argument("--route", metavar="NAME", help="only this route's")
    parser.add_argument(
        "--expect",
        type=Path,
        metavar="FILE",
        help="YAML or JSON list of changes that are wanted: {change, rule, team?, at_most?}",
    )
    parser.add_argument(
        "--detectors", choices=("recorded", "current"), default="recorded",
        help="recorded (default): what was found then, so that only policy differs; current: look at kept text again",
    )  # fmt: skip
    parser.add_argument("--limit", type=_count, default=3, metavar="N", help="examples of each change (default: 3)")
    parser.add_argument(
        "--format", choices=("table", "json", "csv"), default="table", help="how rows are printed (default: table)"
    )
    add_config(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    import asyncio
    import sys
    from functools import partial

    from extproc.model import Limits
    from extproc.rehearsal import archived, expectations
    from extproc.rehearsal.changes import Tally
    from extproc.rehearsal.judge import Judge
    from extproc.rehearsal.private_opa import private_opa
    from extproc.rehearsal.reinspection import asked_today
    from extproc.rehearsal.replay import replay
    from extproc.rehearsal.report import Report, print_report, summary

    bundle, archive_dir, limits = arguments.bundle, arguments.archive, Limits()
    if bundle is None or archive_dir is None or arguments.config is not None:
        settings = load_config(arguments)
        limits = settings.exchange_limits()
        bundle = bundle or settings.policy.bundle
        archive_dir = archive_dir or settings.capture.archive_dir
    expected = expectations.load(arguments.expect) if arguments.expect is not None else ()
    wanted = archived.Wanted(arguments.since, arguments.until, arguments.team, arguments.route)
    again = arguments.detectors == "current"
    rows = archived.with_text(archive_dir, wanted) if again else archived.recorded(archive_dir, wanted)
    tally = Tally(arguments.limit)
    with private_opa(bundle) as opa:
        judge = Judge(opa.socket, opa.facts)
        today = partial(asked_today, limits=limits) if again else None
        seen = asyncio.run(replay(rows, judge, tally, today))
        revision = opa.revision
    report = Report(wanted, revision, seen, tally, expectations.unexpected(tally.lines, expected))
    print_report(report, arguments.format)
    print(summary(report), file=sys.stderr)
    return 1 if report.unexpected else 0


def _moment(text: str) -> datetime:
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("give 7d, 12h, 2026-11-01 or 2026-11-01T08:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 4:
        raise argparse.ArgumentTypeError("give a number from 0 to 9999")
    return int(text)
