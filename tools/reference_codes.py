"""docs/codes.md, from the table in tools/codes.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

TABLE: Final = Path(__file__).with_name("codes.yaml")

_INTRO = """\
# Codes

Generated from `tools/codes.yaml` by `make docs`; do not edit by hand.

Every code that a client, a row of the archive or a metric can show. A client gets a refusal of extproc's in its API's
own error format; the message ends in the code and the exchange's id: `… (access.model_allowlist, exchange 01a1fe3d-…)`.
The code also stands by itself in `error.code` (OpenAI's APIs), in `reason` of the first of `error.details` (Google's)
and in `error.data.code` (MCP). `headgate show ID` shows everything that is known of that exchange.
"""


@dataclass(frozen=True, slots=True)
class Group:
    """One kind of code and where it is met."""

    id: str
    title: str
    where: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """One a code, which comes first."""

    @property
    def codes(self) -> frozenset[str]:
        return frozenset(row[0] for row in self.rows)


def groups() -> Sequence[Group]:
    """The table."""
    return [
        Group(
            entry["id"],
            entry["title"],
            " ".join(entry["where"].split()),
            tuple(entry["columns"]),
            tuple(tuple(map(str, row)) for row in entry["codes"]),
        )
        for entry in yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    ]


def codes_page() -> str:
    lines = [_INTRO]
    for group in groups():
        lines += [f"## {group.title}", "", group.where, ""]
        lines += ["| " + " | ".join(group.columns) + " |", "|" + "---|" * len(group.columns)]
        lines += [f"| `{code}` | {' | '.join(rest)} |" for code, *rest in group.rows]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"
