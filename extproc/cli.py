"""`headgate`: one command, help on everything, exit codes that scripts can trust.

    0  fine                                    2  usage or configuration error
    1  found something, or was refused         3  a dependency is unreachable

What a command needs is imported when it runs, never before: `headgate serve` must not load DuckDB, and `--help` must
not load anything. Errors are one clear line on stderr, never a traceback (`HEADGATE_DEBUG=1` shows it for a bug).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from extproc import commands
from extproc.commands import configuration, doctor, inspecting, keys, policy, running, scanning
from extproc.errors import DependencyError, HeadgateError

ARCHIVE_COMMANDS: Final = ("sql", "sessions", "show", "verify")
"""Those of `capture.cli`: it is imported only for them, and to say which there are."""
OTHER_COMMANDS: Final = (
    "up",
    "serve",
    "archive",
    "config",
    "envoy-config",
    "opa-config",
    "doctor",
    "policy",
    "key",
    "inspect",
    "scan",
)
EXIT_BUG: Final = 70
"""Something escaped that should not have (sysexits.h EX_SOFTWARE)."""
EXIT_INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except SystemExit as stop:  # argparse: help was printed, or the usage was wrong
        return stop.code if isinstance(stop.code, int) else 2
    except HeadgateError as error:
        print(f"headgate: {error.message}", file=sys.stderr)
        return 3 if isinstance(error, DependencyError) else 2
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read us has seen enough
        return 0
    except Exception as error:
        if os.environ.get("HEADGATE_DEBUG"):
            raise
        name = type(error).__name__
        print(f"headgate: internal error ({name}); HEADGATE_DEBUG=1 shows where: please report it", file=sys.stderr)
        return EXIT_BUG


def _run(arguments: list[str]) -> int:
    command = next((text for text in arguments if not text.startswith("-")), None)
    top = parser(with_archive=command not in OTHER_COMMANDS)
    parsed = top.parse_args(arguments)
    if command in ARCHIVE_COMMANDS:
        _locate_archive(parsed)
    code: int = parsed.run(parsed)
    return code


def parser(*, with_archive: bool = True) -> argparse.ArgumentParser:
    """The whole command line. `with_archive` adds the commands that ask the archive, and loads what they need."""
    top = argparse.ArgumentParser(
        prog="headgate",
        description="Governs LLM traffic behind Envoy: policy, redaction, metering and a Parquet archive.",
        epilog="exit codes: 0 fine, 1 found something or refused, 2 usage or configuration error, "
        "3 a dependency is unreachable",
    )
    top.add_argument("--version", action=_Version, help="print the version and stop")
    subparsers = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (running, configuration, doctor, policy, keys, inspecting, scanning):
        module.add_parsers(subparsers)
    if with_archive:
        _add_archive_parsers(subparsers)
    return top


class _Version(argparse.Action):
    """Like argparse's own, but looks the version up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:  # noqa: A002
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"headgate {version('headgate')}")
        parser.exit()


def _add_archive_parsers(subparsers: commands.Subparsers) -> None:
    from capture import cli as archive_cli

    before = set(subparsers.choices)
    archive_cli.add_parsers(subparsers)
    for name in set(subparsers.choices) - before:
        group = subparsers.choices[name].add_argument_group("where the archive lies")
        group.add_argument("--archive", type=Path, metavar="DIR", help="archive folder; default: that of --config")
        commands.add_config(group)


def _locate_archive(arguments: argparse.Namespace) -> None:
    """Sets `archive_dir` and `access_log` for the handlers of `capture.cli`."""
    if arguments.archive is not None:
        arguments.archive_dir, arguments.access_log = arguments.archive, getattr(arguments, "access_log", None)
        return
    settings = commands.load_config(arguments)
    arguments.archive_dir = settings.capture.archive_dir
    arguments.access_log = getattr(arguments, "access_log", None) or settings.access_log


if __name__ == "__main__":
    sys.exit(main())
