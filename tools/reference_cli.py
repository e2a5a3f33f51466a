"""docs/cli.md, from the parsers of `extproc.cli`. Rendered here rather than by argparse, whose layout changes between
Python versions and with the width of the terminal."""

# ruff: noqa: SLF001 (argparse shows its parts nowhere else)

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

_INTRO = """\
# The command

Generated from the command line of `headgate` by `make docs`; do not edit by hand.

`headgate COMMAND --help` says the same. Wherever a command takes `--config`, the order is: what is given, then the
environment variable `HEADGATE_CONFIG`, then `./headgate.yaml`, then `./envoy/headgate.yaml`.

| exit code | meaning |
|---|---|
| 0 | fine |
| 1 | it found something, or something was refused |
| 2 | the usage or the configuration is wrong; the message says what |
| 3 | a dependency cannot be reached or used |
| 70 | a bug; `HEADGATE_DEBUG=1` shows where |
| 130 | interrupted (Ctrl-C) |
"""


def cli_page() -> str:
    from extproc.cli import parser

    lines = [_INTRO]
    for name, command, summary in commands(parser(with_archive=True)):
        lines += _command(name, command, summary)
    return "\n".join(lines).rstrip() + "\n"


def commands(
    parser: argparse.ArgumentParser, prefix: str = "headgate"
) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    """(name, parser, summary) of each command that can be run, in the order of the help."""
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        summaries = {choice.dest: choice.help or "" for choice in action._choices_actions}
        for name, below in action.choices.items():
            nested = list(commands(below, f"{prefix} {name}"))
            yield from nested or [(f"{prefix} {name}", below, summaries.get(name, ""))]


def _command(name: str, parser: argparse.ArgumentParser, summary: str) -> list[str]:
    arguments = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    usage = " ".join([name, *(_usage(action) for action in arguments)])
    lines = [f"## {name}", "", _sentence(summary), ""]
    if parser.description and _sentence(parser.description) != _sentence(summary):
        lines += [_sentence(" ".join(parser.description.split())), ""]
    lines += ["```", usage, "```", ""]
    if arguments:
        lines += ["| argument | meaning |", "|---|---|"]
        lines += [f"| `{_signature(action)}` | {_meaning(action)} |" for action in arguments]
        lines.append("")
    if parser.epilog:
        lines += ["```", parser.epilog.strip(), "```", ""]
    return lines


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return text
    ends = text if text.endswith((".", "?", "!")) else f"{text}."
    return ends[0].upper() + ends[1:]


def _value(action: argparse.Action) -> str:
    """What stands for the value of an argument; empty for a flag."""
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, str):
        return action.metavar
    return "|".join(map(str, action.choices)) if action.choices is not None else action.dest.upper()


def _signature(action: argparse.Action) -> str:
    name = action.option_strings[-1] if action.option_strings else ""
    more = "…" if action.nargs == "+" else ""
    return f"{name} {_value(action)}{more}".strip().replace("|", "\\|")


def _usage(action: argparse.Action) -> str:
    signature = _signature(action).replace("\\|", "|")
    optional = bool(action.option_strings) and not action.required
    return f"[{signature}]" if optional else signature


def _meaning(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default))
    told = "default" in text or action.default in (None, False, argparse.SUPPRESS) or not action.option_strings
    if not told:
        default: Any = action.default
        text = f"{text}; default: `{default}`" if text else f"default: `{default}`"
    return text.replace("|", "\\|") or "—"
