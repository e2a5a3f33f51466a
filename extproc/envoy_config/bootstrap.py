"""The whole bootstrap: node, admin, runtime flags, overload limits, and the static resources."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from extproc.config import Configuration
from extproc.envoy_config.clusters import UpstreamAddress, clusters, secrets
from extproc.envoy_config.listener import listener
from extproc.envoy_config.names import Node, any_of
from extproc.teams import Teams


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """What is decided when rendering rather than in `headgate.yaml`."""

    upstream: UpstreamAddress | None = None
    """Stands in for every provider: simulated and replayed traffic."""
    ca_file: Path | None = None
    """CA bundle for https providers without one of their own; None looks for the system's."""


def render(configuration: Configuration, teams: Teams, options: RenderOptions | None = None) -> Node:
    """Envoy's bootstrap. Reads the clients' keys (Envoy takes them only in its configuration), never a provider's.

    Raises `OperatorError` for a client key that cannot be read or a missing CA bundle.
    """
    options = options or RenderOptions()
    resources: Node = {
        "listeners": [listener(configuration, teams)],
        "clusters": clusters(configuration, upstream=options.upstream, ca_file=options.ca_file),
    }
    provider_keys = secrets(configuration)
    if provider_keys:
        resources["secrets"] = provider_keys
    return {
        "node": {"id": configuration.replica_id, "cluster": "headgate"},
        "admin": {"address": {"pipe": {"path": str(configuration.admin_socket), "mode": 0o600}}},
        "layered_runtime": {
            "layers": [
                {
                    "name": "headgate",
                    "static_layer": {
                        # With it, a stopped sidecar stalls large responses on shadow routes (measured).
                        "envoy.reloadable_features.grpc_side_stream_flow_control": False,
                    },
                }
            ]
        },
        "overload_manager": _overload(configuration),
        "static_resources": resources,
    }


def _overload(configuration: Configuration) -> Node:
    """Bounds Envoy: its heap (a stopped sidecar's backlog counts) and its connections."""
    heap = "envoy.resource_monitors.fixed_heap"

    def action(name: str, at: float) -> Node:
        return {"name": f"envoy.overload_actions.{name}", "triggers": [{"name": heap, "threshold": {"value": at}}]}

    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [
            {
                "name": heap,
                "typed_config": any_of(
                    "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                    max_heap_size_bytes=configuration.listener.heap_bytes_max,
                ),
            },
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": any_of(
                    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=configuration.listener.connections_max,
                ),
            },
        ],
        "actions": [
            action("shrink_heap", 0.85),
            action("disable_http_keepalive", 0.90),
            action("stop_accepting_requests", 0.95),
            action("stop_accepting_connections", 0.98),
        ],
    }


def to_yaml(bootstrap: Node) -> str:
    """As YAML that Envoy reads: written in the order given, no anchors."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (PyYAML's signature)
            return True

    return yaml.dump(bootstrap, Dumper=Plain, sort_keys=False, width=120, allow_unicode=True)
