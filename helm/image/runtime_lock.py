"""Prints the part of requirements.lock that Headgate needs to run.

    python runtime_lock.py pyproject.toml requirements.lock > runtime.lock

Run by an interpreter that has the whole lock installed: what a package needs is read from its own metadata, and the
answer holds for that interpreter and platform. The lines keep their hashes, so `pip --require-hashes` takes them.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(direct: list[str]) -> set[str]:
    """Canonical names of the given requirements and of all that they need, extras included."""
    seen: set[tuple[str, str]] = set()
    waiting = [Requirement(text) for text in direct]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in requires(name) or ():
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    waiting.append(needed)
    return {name for name, _ in seen}


def stanzas(lock: str) -> dict[str, str]:
    """The lock's entries by canonical name: the line with the version, and the lines with its hashes."""
    parts = re.split(r"(?m)^(?=[A-Za-z0-9])", lock)
    return {canonicalize_name(found[0]): part for part in parts if (found := re.match(r"[A-Za-z0-9._-]+", part))}


def runtime_lock(pyproject: str, lock: str) -> str:
    """The lock's entries for `project.dependencies` and theirs. Raises `KeyError` for one that is not locked."""
    wanted = closure(tomllib.loads(pyproject)["project"]["dependencies"])
    entries = stanzas(lock)
    return "".join(entries[name] for name in sorted(wanted))


if __name__ == "__main__":
    sys.stdout.write(runtime_lock(*(Path(name).read_text(encoding="utf-8") for name in sys.argv[1:3])))
