"""The references under docs/, made from the code: `python -m tools.references [--check]`.

    docs/cli.md            the commands                     docs/columns.md       the archive's columns
    docs/configuration.md  headgate.yaml, teams.yaml        docs/codes.md         every code a person can meet
    docs/metrics.md        what extproc counts              docs/policy-input.md  what rules read, and the rules
    docs/entities.md       what the detectors find         docs/platform.md      only the figures of bench/results in it

Writes the pages; `--check` only compares, and ends with 1 when a page is out of step. Same code, same bytes: nothing in
here depends on time, terminal or machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tools.reference_cli import cli_page
from tools.reference_codes import codes_page
from tools.reference_entities import entities_page
from tools.reference_policy import policy_page
from tools.reference_settings import settings_page

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
FIGURES: Final = "bench/results/exchange.md"
"""Included in docs/platform.md between two comments."""


def columns_page() -> str:
    from capture.columns import render_columns_reference

    return render_columns_reference()


def metrics_page() -> str:
    """Of `extproc.telemetry.Metrics`: a histogram and a counter are scraped under more names than one."""
    from extproc.telemetry import Metrics

    registered = Metrics().registry
    lines = [
        "# Metrics",
        "",
        "Generated from `extproc/telemetry.py` by `make docs`; do not edit by hand.",
        "",
        "extproc serves them for Prometheus on `telemetry.metrics_address` (`/metrics`). They count exchanges,",
        "messages and states, never content. What to alert on: [platform.md](platform.md#what-to-alert-on). The counts",
        "of capture are in `_status/<replica_id>.json` of the archive, those of Envoy on its admin socket.",
        "",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in sorted(registered.collect(), key=lambda metric: metric.name):
        labels = ", ".join(f"`{name}`" for name in label_names(metric.name))
        lines.append(
            f"| `{scraped_name(metric.name, metric.type)}` | {metric.type} | {labels} | {metric.documentation} |"
        )
    lines += [
        "",
        "A histogram is scraped as `…_bucket`, `…_sum` and `…_count`; every counter has a `…_created` beside it.",
    ]
    return "\n".join(lines) + "\n"


def scraped_name(name: str, kind: str) -> str:
    """The name in the exposition format: counters end in `_total`."""
    return f"{name}_total" if kind == "counter" else name


def label_names(metric: str) -> tuple[str, ...]:
    """The labels of a metric, in their order. They are not part of what a registry collects before the first count."""
    from extproc.telemetry import Metrics

    for instrument in vars(Metrics()).values():
        if getattr(instrument, "_name", None) == metric:
            return tuple(instrument._labelnames)  # noqa: SLF001 (no public way)
    raise LookupError(metric)


def platform_page() -> str:
    """The page as it is, with the figures of the last `make bench` between its markers. Raises `ValueError`."""
    page, figures = (DOCS / "platform.md").read_text(encoding="utf-8"), _text(ROOT / FIGURES)
    begin, end = f"<!-- begin {FIGURES} -->\n", f"<!-- end {FIGURES} -->"
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not (begun and ended):
        raise ValueError(f"docs/platform.md has lost the markers of {FIGURES}")
    if figures is None:
        return page
    _, _, told = figures.partition("\n")  # without its heading
    return f"{before}{begin}\n{told.strip()}\n\n{end}{after}"


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "cli.md": cli_page,
    "configuration.md": settings_page,
    "metrics.md": metrics_page,
    "columns.md": columns_page,
    "codes.md": codes_page,
    "entities.md": entities_page,
    "policy-input.md": policy_page,
    "platform.md": platform_page,
}


def out_of_step() -> list[str]:
    """Names of the pages that are not what the code says."""
    return [name for name, page in PAGES.items() if _text(DOCS / name) != page()]


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the references under docs/ from the code.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 when a page is out of step")
    arguments = parser.parse_args(argv)
    stale = out_of_step()
    for name in stale:
        if arguments.check:
            print(f"docs/{name} is out of step with the code: run make docs", file=sys.stderr)
        else:
            (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
            print(f"docs/{name} written")
    return 1 if stale and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())
