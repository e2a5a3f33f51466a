"""The chart through real helm: it lints, its examples are what it renders, and a wrong value is refused by name."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart import CHART, EXAMPLES, FIRST_STEPS, ROOT, example_text, run_helm, template, try_template

VALUES: dict[str, Any] = yaml.safe_load(FIRST_STEPS.read_text())
SHADOW = {
    "name": "openai-shadow",
    "match": {"hosts": ["api.openai.com"]},
    "provider": "openai",
    "mode": "shadow",
    "credentials": "passthrough",
    "authentication": "none",
}


def changed(path: str, value: object) -> dict[str, Any]:
    """The first example with one value changed; `+` at the end of a path appends to a list."""
    values = copy.deepcopy(VALUES)
    node: Any = values
    *above, last = path.split(".")
    for key in above:
        node = node[int(key)] if isinstance(node, list) else node.setdefault(key, {})
    if last.endswith("+"):
        node[last[:-1]].append(value)
    else:
        node[last] = value
    return values


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_passes_helm_lint_strict(example: Path) -> None:
    done = run_helm("lint", "--strict", CHART, "--values", example / "values.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_the_rendered_example_beside_the_values_is_what_helm_renders(example: Path) -> None:
    kept = (example / "rendered.yaml").read_text()
    assert kept == example_text(example / "values.yaml"), "review and run: python -m tests.chart"


def test_the_packaged_chart_renders_the_same_and_holds_the_policy_without_its_tests(tmp_path: Path) -> None:
    assert run_helm("package", CHART, "--destination", tmp_path).returncode == 0
    (package,) = tmp_path.glob("*.tgz")
    assert template(FIRST_STEPS, chart=package) == template(FIRST_STEPS)
    listed = subprocess.run(["tar", "tzf", package], capture_output=True, text=True, check=True).stdout.split()
    assert "headgate/files/policies/main.rego" in listed
    assert not [name for name in listed if name.endswith("_test.rego")]


def test_the_schema_follows_the_settings() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools/chart_schema.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("replcas", 2, "'replcas'"),
        ("settings.limits.drain_ms_maxx", 1, "'drain_ms_maxx'"),
        ("settings.routes.0.mod", "shadow", "'/settings/routes/0'"),
        ("settings.routes.0.mode", "watch", "'/settings/routes/0/mode'"),
        ("settings.providers.openai.credential.header", "X Key", "credential/header'"),
        ("settings.capture.spool_dir", "/elsewhere", "'spool_dir'"),
        ("settings.limits.workers", 0, "'/settings/limits/workers'"),
        ("settings.routes", [], "'/settings/routes'"),
        ("teams.0.projects.0.callers.0.apikey", {}, "'apikey'"),
        ("envoy.logLevel", "debug", "'/envoy/logLevel'"),
        ("extproc.resources.limit", {}, "'limit'"),
        ("policy.files", {"../outside.rego": "package x"}, "../outside.rego"),
        ("image.digest", "latest", "'/image/digest'"),
        ("runAsUser", 0, "'/runAsUser'"),
        ("opa.diagnosticPort", 80, "'/opa/diagnosticPort'"),
    ],
)
def test_a_wrong_value_is_refused_and_the_message_names_it(path: str, value: object, named: str) -> None:
    done = try_template(changed(path, value))
    assert done.returncode != 0
    assert named in done.stderr


@pytest.mark.parametrize(
    ("path", "forbidden"),
    [
        ("settings.providers.openai.credential.secret", {"value": "sk-not-to-be-here"}),
        ("settings.providers.openai.credential.secret", {"env": "OPENAI_API_KEY"}),
        ("settings.providers.openai.credential.secret", {"file": "/etc/headgate/client-keys/openai"}),
        ("settings.providers.openai.credential.secret", {"file": "/etc/headgate/provider-keys/../../passwd"}),
        ("teams.0.projects.0.callers.0.api_key", {"value": "key-not-to-be-here"}),
        ("teams.0.projects.0.callers.0.api_key", {"file": "/etc/headgate/provider-keys/openai"}),
    ],
)
def test_no_value_can_hold_a_secret_or_point_at_one_of_another_container(path: str, forbidden: object) -> None:
    done = try_template(changed(path, forbidden))
    assert done.returncode != 0
    assert path.rpartition(".")[2] in done.stderr
    assert "not-to-be-here" not in done.stderr


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("replicas", 2, "archive.existingClaim"),
        ("settings.routes+", SHADOW, "fingerprintKey.existingSecret is needed: settings.routes[openai-shadow]"),
        ("settings.routes.0.provider", "opnai", 'settings.routes[openai].provider: "opnai"'),
        ("settings.routes.0.authentication", "jwt", "settings.jwt is needed: settings.routes[openai]"),
        ("settings.routes.0.authentication", "certificate", "tls.clientCa is needed: settings.routes[openai]"),
        ("settings.jwt", {"issuer": "https://login.example.com"}, "jwks.existingConfigMap is needed"),
        ("settings.providers.openai.ca_file", "/etc/headgate/ca/own.pem", "ca.existingConfigMap is needed"),
        ("providerKeys.existingSecret", "", "providerKeys.existingSecret is needed"),
        ("clientKeys.existingSecret", "", "clientKeys.existingSecret is needed: the key of caller search-ranking"),
        ("tls.clientCa", True, "tls.existingSecret is needed"),
        ("policy.existingConfigMap", "rules", "policy.items is needed"),
        ("drain.settleSeconds", 61, "drain.settleSeconds must not be more than drain.seconds"),
    ],
)
def test_a_value_that_needs_another_says_which(path: str, value: object, says: str) -> None:
    done = try_template(changed(path, value))
    assert done.returncode != 0
    assert says in done.stderr


def test_readiness_by_extproc_is_refused_where_a_shadow_route_would_go_down_with_it() -> None:
    values = changed("extproc.gateReadiness", True) | {"fingerprintKey": {"existingSecret": "fingerprints"}}
    assert "readinessProbe" in template(values)
    values["settings"]["routes"].append(SHADOW)
    done = try_template(values)
    assert done.returncode != 0
    assert "extproc.gateReadiness" in done.stderr
