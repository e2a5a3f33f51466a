"""The chart as real helm renders it. `python -m tests.chart` writes the rendered examples anew: review the diff."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm"
EXAMPLES = sorted(path.parent for path in (CHART / "examples").glob("*/values.yaml"))
FIRST_STEPS = CHART / "examples" / "first-steps" / "values.yaml"
RELEASE = "headgate"
Node = dict[str, Any]


@cache
def helm() -> Path:
    """`bin/helm`, or the one on PATH, of the version that tools/helm pins. Never skipped: without it a test fails."""
    pinned = re.search(r"helm\.sh/helm/v4 v(4\.\d+)\.", (ROOT / "tools" / "helm" / "go.mod").read_text())
    assert pinned is not None
    found = next(
        (p for p in (ROOT / "bin" / "helm", Path(shutil.which("helm") or "/nonexistent")) if p.is_file()), None
    )
    assert found is not None, "no helm: `make tools` builds bin/helm"
    version = subprocess.run([found, "version", "--short"], capture_output=True, text=True, check=True).stdout
    assert version.startswith(f"v{pinned[1]}"), f"{found} is {version.strip()}, wanted {pinned[1]}: run `make tools`"
    return found


def run_helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Helm with a home of its own, so that nobody's settings, plugins or repositories come in."""
    with tempfile.TemporaryDirectory(prefix="hg-helm-") as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home}
        command = [helm(), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def template(values: Path | Mapping[str, Any], *more: str, chart: Path = CHART) -> str:
    """The rendered manifests. `values` is laid over the chart's own; a failed rendering fails the test."""
    done = try_template(values, *more, chart=chart)
    assert done.returncode == 0, done.stderr
    return done.stdout


def try_template(values: Path | Mapping[str, Any], *more: str, chart: Path = CHART) -> subprocess.CompletedProcess[str]:
    if isinstance(values, Path):
        return run_helm("template", RELEASE, chart, "--values", values, *more)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(dict(values), file)
        file.flush()
        return run_helm("template", RELEASE, chart, "--values", file.name, *more)


def manifests(rendered: str) -> list[Node]:
    return [document for document in yaml.safe_load_all(rendered) if document]


def one(documents: list[Node], kind: str, name: str | None = None) -> Node:
    found = [d for d in documents if d["kind"] == kind and name in (None, d["metadata"]["name"])]
    assert len(found) == 1, [(d["kind"], d["metadata"]["name"]) for d in documents]
    return found[0]


def pod(documents: list[Node]) -> Node:
    spec: Node = one(documents, "StatefulSet")["spec"]["template"]["spec"]
    return spec


def containers(spec: Node) -> dict[str, Node]:
    """By name, in the order in which they start."""
    return {container["name"]: container for container in [*spec["initContainers"], *spec["containers"]]}


def example_text(values: Path) -> str:
    """What lies beside an example: all but the policy's texts, which are those of policies/ and change with them."""
    rendered = template(values)
    documents = [part for part in re.split(r"(?m)^---\n", rendered) if part.strip()]
    kept = [part for part in documents if "# Source: headgate/templates/policy.yaml" not in part]
    text = "---\n" + "---\n".join(kept)
    return re.sub(r"(checksum/policy: ).*", r"\1# of the policy's files", text)


if __name__ == "__main__":
    for example in EXAMPLES:
        (example / "rendered.yaml").write_text(example_text(example / "values.yaml"), encoding="utf-8")
        print(example.relative_to(ROOT))
