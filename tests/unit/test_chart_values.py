"""Every value is documented where it stands, known to the schema, and changes what is rendered."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.chart import CHART, FIRST_STEPS, template

DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
FREE = {"policy.data", "policy.files", "service.annotations", "serviceAccount.annotations", "podAnnotations"} | {
    "podLabels", "nodeSelector", "affinity", "settings.providers", "settings.listener", "settings.policy",
    "settings.redaction", "settings.telemetry", "envoy.resources", "opa.resources", "extproc.resources",
    "capture.resources", "keeper.resources", "init.resources",
}  # fmt: skip
"""Values that are mappings of the user's own, or of `headgate.yaml`."""


def leaves(node: dict[str, Any], above: str = "") -> list[str]:
    """Dotted paths of all values."""
    found = []
    for key, value in node.items():
        path = f"{above}.{key}".lstrip(".")
        found += leaves(value, path) if isinstance(value, dict) and path not in FREE else [path]
    return found


LEAVES = leaves(DEFAULTS)
DIGEST = "sha256:" + "0123456789abcdef" * 4
RESOURCES = {"requests": {"cpu": "123m"}}
PATTERN = {"entity": "BADGE", "data_class": "pii", "pattern": "B-[0-9]{4}", "examples": {"hits": ["B-1234"]}}
BY_DEFAULT_ELSEWHERE = {"settings.providers", "settings.routes", "teams", "providerKeys.existingSecret"} | {
    "clientKeys.existingSecret"
}
"""The example that the others are laid over has them: test_chart_pod.py looks at what they become."""

CHANGES: list[tuple[str, Any, str]] = [
    ("nameOverride", "gate", "app.kubernetes.io/name: gate\n"),
    ("fullnameOverride", "llm-gate", "name: llm-gate-pods"),
    ("replicas", 5, "replicas: 5"),
    ("settings.listener", {"connections_max": 77}, "connections_max: 77"),
    ("settings.jwt", {"issuer": "https://login.example.com"}, "issuer: https://login.example.com"),
    ("settings.policy", {"deadline_ms": 123}, "deadline_ms: 123"),
    ("settings.limits.drain_ms_max", 12_345, "drain_ms_max: 12345"),
    ("settings.capture.spool_bytes_max", 10_737_418_241, "spool_bytes_max: 10737418241"),
    ("settings.telemetry", {"log_level": "error"}, "log_level: error"),
    ("policy.data", {"default": {"models": ["m-1"]}}, "- m-1"),
    ("policy.files", {"rules/content/mine/mine.rego": "package mine\n"}, "path: bundle/rules/content/mine/mine.rego"),
    ("patterns", [PATTERN], "mountPath: /etc/headgate/patterns.yaml"),
    ("fingerprintKey.existingSecret", "fingerprints", "secretName: fingerprints"),
    ("redactionKey.existingSecret", "placeholders", "secretName: placeholders"),
    ("redactionKey.key", "rk", "file: /etc/headgate/redaction-key/rk"),
    ("settings.redaction", {"period_days": 77}, "period_days: 77"),
    ("fingerprintKey.key", "fp", "file: /etc/headgate/fingerprint-key/fp"),
    ("tls.existingSecret", "gate-tls", "secretName: gate-tls"),
    ("tls.clientCa", True, "client_ca: /etc/headgate/tls/ca.crt"),
    ("jwks.existingConfigMap", "key-sets", "name: key-sets"),
    ("jwks.key", "set.json", "jwks_file: /etc/headgate/jwks/set.json"),
    ("ca.existingConfigMap", "own-cas", "name: own-cas"),
    ("state.size", "123Gi", "storage: 123Gi"),
    ("state.storageClass", "fast", "storageClassName: fast"),
    ("archive.perReplica", True, "name: archive\n"),
    ("archive.size", "456Gi", "storage: 456Gi"),
    ("archive.storageClass", "large", "storageClassName: large"),
    ("accessLog.bytesMax", 1_234_567, '"1234567"'),
    ("port", 8081, "containerPort: 8081"),
    ("service.type", "LoadBalancer", "type: LoadBalancer"),
    ("service.port", 8443, "port: 8443"),
    ("service.annotations", {"a.example/b": "c-service"}, "a.example/b: c-service"),
    ("metrics.enabled", True, "metrics_address: 0.0.0.0:9999"),
    ("metrics.port", 9999, "containerPort: 9999"),
    ("drain.settleSeconds", 7, '- --settle-s\n            - "7"'),
    ("drain.seconds", 90, '- --drain-time-s\n            - "90"'),
    ("drain.publishSeconds", 31, "terminationGracePeriodSeconds: 144"),  # 90 + ⌈12.345⌉ + 4 + 31 + 6
    ("podDisruptionBudget.enabled", True, "kind: PodDisruptionBudget"),
    ("podDisruptionBudget.maxUnavailable", "25%", "maxUnavailable: 25%"),
    ("image.repository", "registry.example/headgate", "image: registry.example/headgate@"),
    ("image.digest", DIGEST, f"headgate@{DIGEST}"),
    ("image.pullPolicy", "Never", f"headgate@{DIGEST}\n          imagePullPolicy: Never"),
    ("imagePullSecrets", [{"name": "puller"}], "- name: puller"),
    ("envoy.image.repository", "registry.example/envoy", "image: registry.example/envoy:"),
    ("envoy.image.tag", "v1.40.9", ":v1.40.9"),
    ("envoy.image.pullPolicy", "Always", "envoy:v1.40.9\n          imagePullPolicy: Always"),
    ("envoy.concurrency", 3, '- --concurrency\n            - "3"'),
    ("envoy.logLevel", "critical", "- critical"),
    ("envoy.resources", {"requests": {"cpu": "501m"}}, "cpu: 501m"),
    ("opa.image.repository", "registry.example/opa", "image: registry.example/opa@"),
    ("opa.image.digest", DIGEST, f"registry.example/opa@{DIGEST}"),
    ("opa.image.pullPolicy", "Always", f"opa@{DIGEST}\n          imagePullPolicy: Always"),
    ("opa.diagnosticPort", 8383, "--diagnostic-addr=0.0.0.0:8383"),
    ("opa.resources", {"requests": {"cpu": "502m"}}, "cpu: 502m"),
    ("extproc.startSeconds", 33, '- "33"'),
    ("extproc.gateReadiness", True, "failureThreshold: 2\n          securityContext"),
    ("extproc.resources", {"requests": {"cpu": "503m"}}, "cpu: 503m"),
    ("capture.resources", {"requests": {"cpu": "504m"}}, "cpu: 504m"),
    ("keeper.resources", {"requests": {"cpu": "505m"}}, "cpu: 505m"),
    ("init.resources", {"requests": {"cpu": "506m"}}, "cpu: 506m"),
    ("runAsUser", 12_345_678, "runAsUser: 12345678"),
    ("serviceAccount.create", True, "kind: ServiceAccount"),
    ("serviceAccount.name", "gatekeeper", "serviceAccountName: gatekeeper"),
    ("serviceAccount.annotations", {"d.example/e": "f-account"}, "d.example/e: f-account"),
    ("podAnnotations", {"g.example/h": "i-pod"}, "g.example/h: i-pod"),
    ("podLabels", {"j.example/k": "l-pod"}, "j.example/k: l-pod"),
    ("priorityClassName", "high", "priorityClassName: high"),
    ("nodeSelector", {"disk": "nvme"}, "disk: nvme"),
    ("tolerations", [{"key": "gpu", "operator": "Exists"}], "operator: Exists"),
    ("affinity", {"nodeAffinity": {}}, "nodeAffinity: {}"),
]
"""Values that can all be set at once, and what each becomes."""
ALONE: list[tuple[dict[str, Any], str]] = [
    (
        {"policy.existingConfigMap": "rules", "policy.items": [{"key": "m", "path": "rules/mine.rego"}]},
        "name: rules\n            items:\n              - key: m\n                path: bundle/rules/mine.rego",
    ),
    (
        {
            "settings.policy": {"bundle_url": "https://policies.example/bundle.tar.gz"},
            "policy.verificationKey.existingConfigMap": "signer",
            "policy.verificationKey.key": "signer.pem",
        },
        "verification_key_file: /etc/headgate/verification-key/signer.pem",
    ),
    (
        {
            "settings.policy": {"bundle_url": "https://policies.example/bundle.tar.gz"},
            "policy.verificationKey.existingConfigMap": "signer",
            "policy.bundleToken.existingSecret": "bundle-reader",
            "policy.bundleToken.key": "bearer",
        },
        "file: /etc/headgate/bundle-token/bearer",
    ),
    ({"archive.existingClaim": "lake"}, "claimName: lake"),
    ({"image.tag": "0.9.9"}, "image: headgate:0.9.9"),
    ({"envoy.image.digest": DIGEST}, f"image: envoyproxy/envoy@{DIGEST}"),
    ({"opa.image.tag": "1.23.0-static"}, "image: openpolicyagent/opa:1.23.0-static"),
]
OFF = {"metrics.enabled": "metrics_address: 0", "podDisruptionBudget.enabled": "kind: PodDisruptionBudget"} | {
    "serviceAccount.create": "kind: ServiceAccount"
}
"""Values that are on by default → what is gone without them."""


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(FIRST_STEPS.read_text())
    for path, value in flat.items():
        *above, last = path.split(".")
        node = values
        for key in above:
            node = node.setdefault(key, {})
        node[last] = value
    return values


@pytest.fixture(scope="module")
def plain() -> str:
    return template(FIRST_STEPS)


@pytest.fixture(scope="module")
def all_changed() -> str:
    return template(nested({path: value for path, value, _ in CHANGES}))


def test_the_tables_below_leave_no_value_out() -> None:
    tried = {path for path, _, _ in CHANGES} | {path for flat, _ in ALONE for path in flat} | BY_DEFAULT_ELSEWHERE
    assert sorted(tried) == sorted(LEAVES)


@pytest.mark.parametrize(("path", "value", "becomes"), CHANGES, ids=[path for path, _, _ in CHANGES])
def test_a_value_does_what_it_says(path: str, value: Any, becomes: str, plain: str, all_changed: str) -> None:
    assert becomes in all_changed
    if path not in OFF and path != "archive.perReplica":
        assert becomes not in plain


@pytest.mark.parametrize(("flat", "becomes"), ALONE, ids=[",".join(flat) for flat, _ in ALONE])
def test_a_value_that_excludes_others_does_what_it_says(flat: dict[str, Any], becomes: str, plain: str) -> None:
    assert becomes in template(nested(flat))
    assert becomes not in plain


@pytest.mark.parametrize(("path", "gone"), OFF.items())
def test_what_can_be_switched_off_is_gone(path: str, gone: str, plain: str) -> None:
    assert gone in plain
    assert gone not in template(nested({path: False}))


@pytest.mark.parametrize("path", LEAVES)
def test_a_value_has_a_comment_where_it_stands(path: str) -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    at = -1
    for depth, key in enumerate(path.split(".")):
        pattern = re.compile(rf"^{'  ' * depth}{key}:")
        at = next(i for i in range(at + 1, len(lines)) if pattern.match(lines[i]))
    above = lines[at - 1].strip()
    assert above.startswith("#"), f"{path}: no comment above line {at + 1}"
    while not above.startswith("# --"):
        at -= 1
        above = lines[at - 1].strip()
        assert above.startswith("#"), f"{path}: its comment does not begin with '# --'"


def test_the_schema_and_the_values_know_the_same_names() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    known = set()

    def walk(node: dict[str, Any], above: str) -> None:
        for key, below in node.get("properties", {}).items():
            path = f"{above}.{key}".lstrip(".")
            if below.get("properties") and path not in FREE:
                walk(below, path)
            elif path != "settings":
                known.add(path)

    walk(schema, "")
    known.discard("global")  # helm's own
    assert known == {path for path in LEAVES if not path.startswith("settings.")}


def test_the_table_on_the_page_is_made_from_the_values() -> None:
    command = [sys.executable, CHART.parent / "tools" / "chart_values.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", LEAVES)
def test_the_page_for_platform_teams_names_every_value(path: str) -> None:
    page = (CHART.parent / "docs" / "deploy-kubernetes.md").read_text()
    assert f"\n| `{path}` | " in page
