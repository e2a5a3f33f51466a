"""Which changes somebody has said yes to: a file beside the policy, so that a pull request shows what it will change.

- change: newly_denied
  rule: content.data_classes
  team: search            # left out: any team
  at_most: 20             # exchanges; left out: any number
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from extproc.errors import OperatorError
from extproc.rehearsal.changes import Change, Line

FILE_BYTES_MAX: Final = 1024 * 1024
_MEMBERS: Final = {"change", "rule", "team", "at_most"}


@dataclass(frozen=True, slots=True)
class Expectation:
    change: Change
    rule: str
    team: str | None = None
    at_most: int | None = None

    def names(self, line: Line) -> bool:
        return line.change is self.change and line.rule == self.rule and self.team in (None, line.team)


def load(path: Path) -> tuple[Expectation, ...]:
    """The expectations of a YAML or JSON file. Raises `OperatorError` with the path, the entry and the reason."""
    try:
        data = path.read_bytes()
        if len(data) > FILE_BYTES_MAX:
            raise OperatorError("expect_invalid", f"{path}: larger than {FILE_BYTES_MAX} bytes")
        entries = yaml.safe_load(data)
    except OSError as error:
        raise OperatorError("expect_invalid", f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise OperatorError("expect_invalid", f"{path}: neither YAML nor JSON") from None
    if entries is None:
        return ()
    if not isinstance(entries, list):
        raise OperatorError("expect_invalid", f"{path}: expected a list of changes")
    return tuple(_expectation(entry, f"{path}: entry {number}") for number, entry in enumerate(entries, start=1))


def _expectation(entry: Any, where: str) -> Expectation:
    if not isinstance(entry, dict) or not {"change", "rule"} <= entry.keys() <= _MEMBERS:
        raise OperatorError("expect_invalid", f"{where}: expected change and rule, and perhaps team and at_most")
    known = [change.value for change in Change]
    if entry["change"] not in known:
        raise OperatorError("expect_invalid", f"{where}: change is one of {', '.join(known)}")
    team, at_most = entry.get("team"), entry.get("at_most")
    if not isinstance(entry["rule"], str) or not isinstance(team, str | None):
        raise OperatorError("expect_invalid", f"{where}: rule and team are names")
    if at_most is not None and (type(at_most) is not int or at_most < 0):
        raise OperatorError("expect_invalid", f"{where}: at_most is a number of exchanges")
    return Expectation(Change(entry["change"]), entry["rule"], team, at_most)


def unexpected(lines: Mapping[Line, int], expectations: Sequence[Expectation]) -> frozenset[Line]:
    """The lines that no expectation names, and those of expectations that allow fewer."""
    met: set[Line] = set()
    for expectation in expectations:
        named = [line for line in lines if expectation.names(line)]
        if expectation.at_most is None or sum(lines[line] for line in named) <= expectation.at_most:
            met.update(named)
    return frozenset(lines.keys() - met)
