"""Writes the table of values in docs/deploy-kubernetes.md: `python tools/chart_values.py [--check]`.

It is made from helm/values.yaml: a value is a key below a `# --` comment, and that comment is its description.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[1]
VALUES: Final = ROOT / "helm" / "values.yaml"
PAGE: Final = ROOT / "docs" / "deploy-kubernetes.md"
BEGIN: Final = "<!-- values: written by tools/chart_values.py -->"
END: Final = "<!-- end of values -->"
DEFAULT_CHARS_MAX: Final = 60


def values(text: str) -> Iterator[tuple[str, str, str]]:
    """(dotted path, default, description) of each value, in the order in which they stand."""
    defaults = yaml.safe_load(text)
    above: list[tuple[int, str]] = []
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# --"):
            comment = [stripped.removeprefix("# --").strip()]
        elif stripped.startswith("#") and comment:
            comment.append(stripped.removeprefix("#").strip())
        elif (key := re.match(r"( *)([A-Za-z_]\w*):", line)) is not None:
            above = [item for item in above if item[0] < len(key[1])] + [(len(key[1]), key[2])]
            if comment:
                path = ".".join(name for _, name in above)
                yield path, _default(_at(defaults, path)), " ".join(comment)
            comment = []
        else:
            comment = []


def _at(node: Any, path: str) -> Any:
    for key in path.split("."):
        node = node[key]
    return node


def _default(value: Any) -> str:
    """As one line of YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False).removesuffix("...\n").strip()
    return "see values.yaml" if len(text) > DEFAULT_CHARS_MAX else f"`{text}`"


def page(text: str) -> str:
    """The page with the table as it should be."""
    rows = [
        f"| `{path}` | {default} | {description.replace('|', chr(92) + '|')} |"
        for path, default, description in values(VALUES.read_text(encoding="utf-8"))
    ]
    table = "\n".join(["| value | default | what it is |", "|---|---|---|", *rows])
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def main(argv: list[str]) -> int:
    text = PAGE.read_text(encoding="utf-8")
    wanted = page(text)
    if "--check" not in argv:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if text == wanted:
        return 0
    print("docs/deploy-kubernetes.md is out of step with helm/values.yaml: run python tools/chart_values.py")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
