"""What `headgate up` will run: the effective configuration and where everything lies. Starts nothing.

The user's `headgate.yaml` is not what the processes read: state folder, port and upstream may be overridden, so an
effective configuration is written to the run folder, and all of them read that one.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from extproc.config import SOCKET_PATH_BYTES_MAX, Configuration, Provider, ProviderCredential, Secret, load
from extproc.envoy_config import UpstreamAddress
from extproc.errors import DependencyError, OperatorError
from extproc.model import Credentials
from extproc.policy_check import require_data
from extproc.stack.replayed import replay_additions
from extproc.stack.tools import find_envoy, pinned_opa
from extproc.teams import load_teams

LONGEST_SOCKET_NAME: Final = "envoy-admin.sock"
SIMULATED_KEY: Final = "simulated-provider-key"


@dataclass(frozen=True, slots=True)
class Plan:
    configuration: Configuration
    upstream: str
    """`simulated`, `live` or `replay:DIR`."""
    envoy: Path
    opa: Path
    log_dir: Path
    run_dir_is_temporary: bool = False
    concurrency: int = 2
    """Envoy's worker threads."""
    left_out: tuple[str, ...] = ()
    """What the configuration has and this plan has not, with the reason, a line each."""

    @property
    def run_dir(self) -> Path:
        return self.configuration.run_dir

    @property
    def config_path(self) -> Path:
        """The effective configuration."""
        return self.run_dir / "headgate.yaml"

    @property
    def opa_path(self) -> Path:
        """OPA's rendered configuration."""
        return self.run_dir / "opa.yaml"

    @property
    def envoy_path(self) -> Path:
        return self.run_dir / "envoy.yaml"

    @property
    def upstream_socket(self) -> Path:
        return self.run_dir / "upstream.sock"

    @property
    def upstream_address(self) -> UpstreamAddress | None:
        return None if self.upstream == "live" else UpstreamAddress(socket=self.upstream_socket)

    @property
    def base_url(self) -> str:
        scheme = "http" if self.configuration.listener.tls is None else "https"
        return f"{scheme}://{self.configuration.listener.address}"


def plan(
    config_path: Path,
    *,
    upstream: str = "simulated",
    state: Path | None = None,
    port: int | None = None,
    concurrency: int = 2,
    settings: Mapping[str, Any] | None = None,
) -> Plan:
    """Check everything that can be checked before a process is started.

    `state` puts run, spool and archive folders elsewhere; `port` 0 takes a free one, and then the metrics port too.
    `settings` are merged into the configuration file's (tests use it). Raises `OperatorError` and `DependencyError`.
    """
    kind, _, directory = upstream.partition(":")
    if kind not in ("simulated", "live", "replay") or (kind == "replay") != bool(directory):
        raise OperatorError("upstream_unknown", f"--upstream {upstream}: use simulated, live or replay:DIR")
    if kind == "replay" and not Path(directory).is_dir():
        raise OperatorError("recordings_missing", f"--upstream {upstream}: {directory} is not a folder")
    configuration = load(config_path)
    load_teams(configuration.teams)
    if configuration.policy.bundle_url is None and not configuration.policy.bundle.exists():
        bundle = configuration.policy.bundle
        raise OperatorError("policy_missing", f"{config_path}: policy.bundle: there is no {bundle}")
    if configuration.policy.bundle_url is None and configuration.policy.bundle.is_dir():
        require_data(configuration.policy.bundle)
    overrides, temporary = _state_overrides(state) if state is not None else ({}, False)
    if port is not None:
        overrides = _merged(overrides, _port_overrides(configuration, port))
    configuration = _changed(configuration, _merged(overrides, settings or {}))
    left_out: tuple[str, ...] = ()
    if kind == "live":
        configuration, left_out = _with_keys_only(configuration)
    else:
        configuration = _with_simulated_keys(configuration)
    if kind == "replay":
        configuration = replay_additions(configuration, Path(directory))
        upstream = f"replay:{Path(directory).resolve()}"
    return Plan(
        configuration=configuration,
        upstream=upstream,
        envoy=find_envoy(),
        opa=pinned_opa(),
        log_dir=(state.resolve() / "run") if state is not None else configuration.run_dir,
        run_dir_is_temporary=temporary,
        concurrency=concurrency,
        left_out=left_out,
    )


def as_yaml(configuration: Configuration) -> str:
    """The whole configuration, paths absolute, as `headgate.yaml` would have it."""
    return yaml.safe_dump(json.loads(configuration.model_dump_json(exclude_none=True)), sort_keys=False)


def free_port() -> int:
    """A TCP port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def _state_overrides(state: Path) -> tuple[dict[str, Any], bool]:
    """Run, spool and archive below `state`. Sockets move to a short temporary folder where its path is too long."""
    state = state.resolve()
    run_dir, temporary = state / "run", False
    if len(os.fsencode(run_dir / LONGEST_SOCKET_NAME)) > SOCKET_PATH_BYTES_MAX:
        run_dir, temporary = Path(tempfile.mkdtemp(prefix="headgate-")), True
    overrides = {
        "run_dir": str(run_dir),
        "capture": {"spool_dir": str(state / "spool"), "archive_dir": str(state / "archive")},
        "policy": {"state_dir": str(state / "policy-state")},
        "telemetry": {"access_log": str(state / "run" / "access.log")},
    }
    return overrides, temporary


def _port_overrides(configuration: Configuration, port: int) -> dict[str, Any]:
    host = configuration.listener.address.rpartition(":")[0]
    overrides: dict[str, Any] = {"listener": {"address": f"{host}:{port or free_port()}"}}
    if port == 0:
        overrides["telemetry"] = {"metrics_address": f"127.0.0.1:{free_port()}"}
    return overrides


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`, mappings merged at every depth."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = _merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _changed(configuration: Configuration, overrides: Mapping[str, Any]) -> Configuration:
    """Validated again, so that an override is checked like anything else."""
    if not overrides:
        return configuration
    current = json.loads(configuration.model_dump_json(exclude_none=True))
    try:
        return Configuration.model_validate(_merged(current, overrides))
    except ValueError as error:
        raise OperatorError("config_invalid", f"with the given overrides: {error}") from None


def _with_keys_only(configuration: Configuration) -> tuple[Configuration, tuple[str, ...]]:
    """`live` sends to real providers: a route whose provider's key is not there is left out, because Envoy would not
    start with it. Raises `DependencyError` when no key is there at all."""
    missing: dict[str, str] = {}
    injecting = {route.provider for route in configuration.routes if route.credentials is Credentials.INJECT}
    for name in sorted(injecting):
        credential = configuration.providers[name].credential
        assert credential is not None, "checked by Configuration"
        try:
            credential.secret.read()
        except OperatorError as error:
            missing[name] = f"providers.{name}.credential: {error.message}"
    if injecting and len(missing) == len(injecting):
        raise DependencyError(
            "provider_key_missing", "--upstream live needs the providers' keys:\n" + "\n".join(missing.values())
        )
    without = [
        route for route in configuration.routes if route.credentials is Credentials.INJECT and route.provider in missing
    ]
    kept = tuple(route for route in configuration.routes if route not in without)
    left_out = tuple(f"route {route.name}: {missing[route.provider]}" for route in without)
    return configuration.model_copy(update={"routes": kept}), left_out


def _with_simulated_keys(configuration: Configuration) -> Configuration:
    """A real key never goes to a stand-in."""

    def without_key(provider: Provider) -> Provider:
        if provider.credential is None:
            return provider
        credential = ProviderCredential(
            header=provider.credential.header, prefix=provider.credential.prefix, secret=Secret(value=SIMULATED_KEY)
        )
        return provider.model_copy(update={"credential": credential})

    providers = {name: without_key(provider) for name, provider in configuration.providers.items()}
    return configuration.model_copy(update={"providers": providers})
