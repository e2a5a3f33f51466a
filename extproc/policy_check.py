"""What `opa check` cannot say of a policy folder: is its data what the rules read, and what does Regal think of it?

    data_faults(folder)   data/**/data.yaml against schemas/settings.json, and against the rules → one line each
    require_data(folder)  the same, as an error: the local stack does not start on data that nobody meant
    lint(folder)          `regal lint`, where Regal is built

OPA itself reads and validates the data (`json.match_schema`), so nothing here can read it in another way than OPA will.
"""

from __future__ import annotations

import datetime
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from extproc.errors import DependencyError, OperatorError
from extproc.policy_tools import OPA_SECONDS_MAX, find_opa

SCHEMA: Final = "schemas/settings.json"
FREEZE: Final = "access.freeze"
"""The one rule that knows no exceptions."""
_QUERY: Final = "[json.match_schema(data.data, input), data.data]"


def data_faults(folder: Path, opa: Path | None = None) -> list[str]:
    """Every fault of the folder's data as `path: reason`, sorted; none for a folder that has no schema for its data.

    Raises `OperatorError` (`policy_invalid`) when OPA cannot load the folder, `DependencyError` when there is no OPA.
    """
    schema = folder / SCHEMA
    if not schema.is_file():
        return []
    try:
        text = schema.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise OperatorError("policy_invalid", f"{schema} cannot be read") from None
    answer = _evaluated(folder, text, opa)
    if answer is None:
        return ["data: there is none: data/data.yaml is missing or empty"]
    (_, mismatches), data = answer
    faults = {f"{_path(fault['field'])}: {_reason(fault)}" for fault in mismatches}
    return sorted(faults | set(_faults_beside_the_schema(data, _rule_ids(folder))))


def require_data(folder: Path, opa: Path | None = None) -> None:
    """Raises `OperatorError` (`policy_data_invalid`) with every fault, `DependencyError` when there is no OPA."""
    faults = data_faults(folder, opa)
    if faults:
        raise OperatorError("policy_data_invalid", f"{folder}: the policy's data is not valid:\n" + "\n".join(faults))


def expired(folder: Path, today: str, opa: Path | None = None) -> list[str]:
    """The exceptions that hold no more on that day (`2026-12-31`), a line each: they can go."""
    answer = _evaluated(folder, "{}", opa)
    if answer is None:
        return []
    return [
        f"data.exceptions[{index}]: the exception from {entry['rule']} expired on {entry['expires']}"
        for index, entry in _entries(answer[1], "exceptions")
        if str(entry.get("expires")) < today
    ]


def find_regal() -> Path | None:
    """`bin/regal` beside this package (a checkout), or the one on PATH; None where there is none."""
    beside = Path(sys.modules[__name__].__file__ or ".").resolve().parent.parent / "bin" / "regal"
    if beside.is_file():
        return beside
    found = shutil.which("regal")
    return None if found is None else Path(found)


def lint(folder: Path, regal: Path) -> int:
    """`regal lint` with the folder's own `.regal/config.yaml`; its findings are printed. Returns 0, or 1 for any."""
    sys.stdout.flush()
    try:
        done = subprocess.run(
            [str(regal), "lint", "--format", "compact", "."], cwd=folder, timeout=OPA_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        raise DependencyError("regal_failed", f"{regal} could not be run") from None
    return 1 if done.returncode != 0 else 0


def _evaluated(folder: Path, schema: str, opa: Path | None) -> Any:
    """[[valid, mismatches], data], or None where there is no data."""
    command = [str(find_opa(opa)), "eval", "--format", "json", "--bundle", ".", "--stdin-input", _QUERY]
    try:
        done = subprocess.run(
            command, cwd=folder, input=schema, timeout=OPA_SECONDS_MAX, check=False, capture_output=True, text=True
        )
    except (OSError, subprocess.TimeoutExpired):
        raise DependencyError("opa_failed", "opa eval could not be run") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {"errors": [{"message": "opa eval said nothing"}]}
    if "errors" in answer:
        raise OperatorError("policy_invalid", f"{folder}: {answer['errors'][0].get('message', 'it does not load')}")
    return answer["result"][0]["expressions"][0]["value"] if answer.get("result") else None


def _path(field: str) -> str:
    """`teams.blue.models.0` → `data.teams.blue.models[0]`."""
    return "data" if field.lower() == "(root)" else "data." + re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", field)


def _reason(fault: Mapping[str, str]) -> str:
    """What OPA says, without the path that it repeats."""
    return fault["desc"].removeprefix(fault["field"]).strip()


def _rule_ids(folder: Path) -> frozenset[str]:
    return frozenset(
        f"{rule.parent.parent.name}.{rule.stem}"
        for rule in folder.glob("rules/*/*/*.rego")
        if not rule.stem.endswith("_test")
    )


def _faults_beside_the_schema(data: Any, rules: frozenset[str]) -> Iterator[str]:
    """What a schema cannot say: a rule that there is not, a day that no calendar has."""
    for index, entry in _entries(data, "exceptions"):
        where = f"data.exceptions[{index}]"
        rule, expires = entry.get("rule"), entry.get("expires")
        if rule == FREEZE:
            yield f"{where}.rule: {FREEZE} knows no exceptions: take the freeze out instead"
        elif isinstance(rule, str) and rule not in rules:
            yield f"{where}.rule: there is no such rule: {rule}"
        if isinstance(expires, str) and not _is_day(expires):
            yield f"{where}.expires: {expires} is no day of the calendar (YYYY-MM-DD)"
    for where, settings in _settings(data):
        enforcement = settings.get("enforcement")
        for rule in enforcement if isinstance(enforcement, dict) else ():
            if rule not in rules:
                yield f"{where}.enforcement: there is no such rule: {rule}"


def _entries(data: Any, key: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    entries = data.get(key) if isinstance(data, dict) else None
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield index, entry


def _settings(data: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object of settings with its path: the default's, the teams', and those of their environments."""
    if not isinstance(data, dict):
        return
    teams = data.get("teams")
    named = {"data.default": data.get("default")}
    named |= {f"data.teams.{name}": entry for name, entry in (teams.items() if isinstance(teams, dict) else ())}
    for where, entry in named.items():
        if isinstance(entry, dict):
            yield where, entry
            environments = entry.get("environments")
            for name, settings in environments.items() if isinstance(environments, dict) else ():
                if isinstance(settings, dict):
                    yield f"{where}.environments.{name}", settings


def _is_day(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
