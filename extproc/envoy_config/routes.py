"""Virtual hosts and routes. A route of `headgate.yaml` keeps its name: `xds.route_name` is how the sidecar knows it."""

from __future__ import annotations

from urllib.parse import urlsplit

from extproc import overrides
from extproc.config import Configuration, RouteSettings
from extproc.envoy_config.clusters import cluster_name
from extproc.envoy_config.filters import key_headers_to_remove, per_route
from extproc.envoy_config.names import (
    ANY_HOST,
    CLIENT_HEADER,
    EXCHANGE_HEADER,
    HEALTH_PATH,
    HEALTH_ROUTE,
    ROUTE_METADATA,
    UNMATCHED_ROUTE,
    Node,
    seconds,
)
from extproc.model import Mode

RETRY_ON = "connect-failure,refused-stream,reset-before-request,retriable-status-codes"
"""Only where the provider cannot have begun to answer: it never saw the request, or said 503."""


def route_configuration(configuration: Configuration) -> Node:
    """All virtual hosts: one per host name that routes mention, and one for any other."""
    hosts = sorted({host for route in configuration.routes for host in _hosts(route)} - {ANY_HOST})
    return {
        "name": "headgate",
        "ignore_port_in_host_matching": True,
        "request_headers_to_remove": [
            CLIENT_HEADER,
            EXCHANGE_HEADER,
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-envoy-external-address",
            "x-envoy-expected-rq-timeout-ms",
            "x-envoy-original-path",
        ],
        "response_headers_to_remove": [EXCHANGE_HEADER],
        "virtual_hosts": [_virtual_host(configuration, host) for host in [*hosts, ANY_HOST]],
    }


def _virtual_host(configuration: Configuration, host: str) -> Node:
    """Routes for a host: those that name it, then those for any, each in the order in which they were written."""
    naming = [route for route in configuration.routes if host != ANY_HOST and host in _hosts(route)]
    for_any = [route for route in configuration.routes if route not in naming and _for_any_host(route)]
    for_any.sort(key=lambda route: not route.match.prefix)  # what has no prefix would hide what has one
    matching = naming + for_any
    return {
        "name": "any" if host == ANY_HOST else host,
        "domains": [host],
        "include_attempt_count_in_response": True,
        "routes": [
            _healthy(configuration),
            *(_route(configuration, route) for route in matching),
            _unmatched(configuration),
        ],
    }


def _hosts(route: RouteSettings) -> set[str]:
    return {name.lower() for name in route.match.hosts}


def _for_any_host(route: RouteSettings) -> bool:
    return not route.match.hosts or ANY_HOST in route.match.hosts


def _healthy(configuration: Configuration) -> Node:
    return {
        "name": HEALTH_ROUTE,
        "match": {"path": HEALTH_PATH},
        "direct_response": {"status": 200, "body": {"inline_string": "ok\n"}},
        "typed_per_filter_config": per_route(configuration, None),
    }


def _unmatched(configuration: Configuration) -> Node:
    """What no route wants: 404, whose body `local_reply` writes."""
    return {
        "name": UNMATCHED_ROUTE,
        "match": {"prefix": "/"},
        "direct_response": {"status": 404},
        "typed_per_filter_config": per_route(configuration, None),
    }


def _route(configuration: Configuration, route: RouteSettings) -> Node:
    provider = configuration.providers[route.provider]
    action: Node = {
        "cluster": cluster_name(route),
        "timeout": seconds(route.timeout_s * 1000),
        "idle_timeout": seconds(route.timeout_s * 1000),
    }
    if route.match.prefix:
        action["prefix_rewrite"] = "/"
    if ANY_HOST not in route.match.hosts:
        action["host_rewrite_literal"] = urlsplit(provider.endpoint).netloc
    if route.retries:
        action["retry_policy"] = {
            "retry_on": RETRY_ON,
            "retriable_status_codes": [503],
            "num_retries": route.retries,
            "retry_back_off": {"base_interval": "0.025s", "max_interval": "1s"},
        }
    node: Node = {
        "name": route.name,
        "match": {"prefix": route.match.prefix + "/"},
        "route": action,
        "metadata": {"filter_metadata": {ROUTE_METADATA: {"mode": route.mode.value}}},
        "request_headers_to_remove": key_headers_to_remove(route),
        "typed_per_filter_config": per_route(configuration, route),
    }
    if route.mode is Mode.ENFORCE:
        node["request_headers_to_remove"] = [*key_headers_to_remove(route), *overrides.HEADERS]
        node["request_headers_to_add"] = [
            {
                "header": {"key": "accept-encoding", "value": "identity"},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }
        ]
    return {key: value for key, value in node.items() if value}
