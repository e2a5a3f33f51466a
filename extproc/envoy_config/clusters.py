"""Clusters: one per (provider, credentials) pair in use, and two to the sidecar.

The provider's key is added by an *upstream* filter of the injecting cluster, behind the whole downstream chain: no
ext_proc message, retry or access log ever holds it. The rendered file names the environment variable or file that it
lies in.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from extproc.config import Configuration, Provider, RouteSettings, Secret
from extproc.envoy_config.filters import message_timeout_ms
from extproc.envoy_config.names import DECIDE_CLUSTER, OBSERVE_CLUSTER, Node, any_of, seconds
from extproc.errors import OperatorError
from extproc.model import Credentials

SYSTEM_CA_FILES: Final = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/cert.pem"),
)
SIDE_STREAMS_MAX: Final = 1_000_000
"""Circuit breaker towards the sidecar. Envoy's default of 1,024 fails clients in shadow; the sidecar has limits of its
own (`limits.open_exchanges_max`) and answers for them."""
PING_EVERY_MS: Final = 1_000
PING_MARGIN_MS: Final = 1_000
"""On top of the message timeout, so that what waits for an answer is told of a time-out, not of a connection."""


@dataclass(frozen=True, slots=True)
class UpstreamAddress:
    """Where a simulated or replaying upstream stands in for all providers: a loopback port or a Unix socket."""

    host: str = "127.0.0.1"
    port: int = 0
    socket: Path | None = None


def cluster_name(route: RouteSettings) -> str:
    return f"{route.provider}.{route.credentials.value}"


def clusters(configuration: Configuration, *, upstream: UpstreamAddress | None, ca_file: Path | None) -> list[Node]:
    wanted = {cluster_name(route): route for route in configuration.routes}
    return [
        *(
            _provider_cluster(
                name,
                configuration.providers[route.provider],
                key_name=_key_name(route) if route.credentials is Credentials.INJECT else None,
                upstream=upstream,
                ca_file=ca_file,
                connections_max=configuration.listener.connections_max,
            )
            for name, route in sorted(wanted.items())
        ),
        _sidecar_cluster(DECIDE_CLUSTER, configuration.extproc_socket, _pings(configuration)),
        _sidecar_cluster(OBSERVE_CLUSTER, configuration.extproc_socket),
    ]


def secrets(configuration: Configuration) -> list[Node]:
    """Generic secrets that point at the providers' keys."""
    injecting = {route.provider: route for route in configuration.routes if route.credentials is Credentials.INJECT}
    nodes = []
    for provider_name, route in sorted(injecting.items()):
        credential = configuration.providers[provider_name].credential
        assert credential is not None, "checked by Configuration"
        nodes.append({"name": _key_name(route), "generic_secret": {"secret": _data_source(credential.secret)}})
    return nodes


def _key_name(route: RouteSettings) -> str:
    return f"provider-key.{route.provider}"


def _data_source(secret: Secret) -> Node:
    if secret.env is not None:
        return {"environment_variable": secret.env}
    if secret.file is not None:
        return {"filename": str(secret.file)}
    return {"inline_string": secret.read()}


def _provider_cluster(
    name: str,
    provider: Provider,
    *,
    key_name: str | None,
    upstream: UpstreamAddress | None,
    ca_file: Path | None,
    connections_max: int,
) -> Node:
    secure = upstream is None and urlsplit(provider.endpoint).scheme == "https"
    thresholds = {
        "max_connections": connections_max,
        "max_pending_requests": connections_max,
        "max_requests": connections_max,
        "max_retries": connections_max,
    }
    node: Node = {
        "name": name,
        "connect_timeout": "5s",
        **_endpoints(name, provider, upstream),
        "circuit_breakers": {"thresholds": [thresholds]},
        "upstream_connection_options": {"tcp_keepalive": {}},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _http_options(
                provider, key_name=key_name, negotiated=secure
            )
        },
    }
    if upstream is not None and upstream.socket is not None:
        del node["upstream_connection_options"]
    if secure:
        node["transport_socket"] = _tls(provider, provider.ca_file or ca_file or system_ca_file())
    return node


def _endpoints(name: str, provider: Provider, upstream: UpstreamAddress | None) -> Node:
    parts = urlsplit(provider.endpoint)
    host, port = provider.host, parts.port or (443 if parts.scheme == "https" else 80)
    if upstream is not None:
        host, port = upstream.host, upstream.port
    address: Node = {"socket_address": {"address": host, "port_value": port}}
    if upstream is not None and upstream.socket is not None:
        address = {"pipe": {"path": str(upstream.socket)}}
    static = upstream is not None or _is_ip(host)
    node: Node = {
        "type": "STATIC" if static else "LOGICAL_DNS",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
    }
    if not static:
        node["dns_lookup_family"] = "V4_PREFERRED"
    return node


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _http_options(provider: Provider, *, key_name: str | None, negotiated: bool) -> Node:
    """HTTP/2 where TLS negotiates it, else HTTP/1.1; and the provider's key, on the clusters that inject it."""
    http1: Node = {"enable_trailers": True}
    options: Node = (
        {"auto_config": {"http_protocol_options": http1, "http2_protocol_options": {}}}
        if negotiated
        else {"explicit_http_config": {"http_protocol_options": http1}}
    )
    if key_name is not None:
        assert provider.credential is not None, "checked by Configuration"
        options["http_filters"] = [
            {
                "name": "envoy.filters.http.credential_injector",
                "typed_config": any_of(
                    "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
                    overwrite=True,
                    credential={
                        "name": "envoy.http.injected_credentials.generic",
                        "typed_config": any_of(
                            "envoy.extensions.http.injected_credentials.generic.v3.Generic",
                            credential={"name": key_name},
                            header=provider.credential.header,
                            header_value_prefix=provider.credential.prefix,
                        ),
                    },
                ),
            },
            {
                "name": "envoy.filters.http.upstream_codec",
                "typed_config": any_of("envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"),
            },
        ]
    return any_of("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", **options)


def _tls(provider: Provider, ca_file: Path) -> Node:
    name_type = "IP_ADDRESS" if _is_ip(provider.host) else "DNS"
    context: Node = {
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "validation_context": {
                "trusted_ca": {"filename": str(ca_file)},
                "match_typed_subject_alt_names": [{"san_type": name_type, "matcher": {"exact": provider.host}}],
            },
        }
    }
    if name_type == "DNS":
        context["sni"] = provider.host
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": any_of("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", **context),
    }


def system_ca_file() -> Path:
    """The system's CA bundle. Raises `OperatorError` when none is where one is expected."""
    for path in SYSTEM_CA_FILES:
        if path.is_file():
            return path
    raise OperatorError(
        "ca_file_missing",
        "no CA bundle found in "
        + ", ".join(str(path) for path in SYSTEM_CA_FILES)
        + ": install ca-certificates, or name one with providers.<name>.ca_file",
    )


def _pings(configuration: Configuration) -> Node:
    """In full duplex Envoy waits for a stopped sidecar as long as the route may take, because no body message has a
    time-out. A connection that answers no HTTP/2 PING is closed, which ends its streams. gRPC answers off the event
    loop, so a busy sidecar still does. Not where it only observes: nothing waits there."""
    timeout_ms = message_timeout_ms(configuration) + PING_MARGIN_MS
    return {"connection_keepalive": {"interval": seconds(PING_EVERY_MS), "timeout": seconds(timeout_ms)}}


def _sidecar_cluster(name: str, socket: Path, http2: Node | None = None) -> Node:
    thresholds = {
        "max_connections": SIDE_STREAMS_MAX,
        "max_pending_requests": SIDE_STREAMS_MAX,
        "max_requests": SIDE_STREAMS_MAX,
    }
    return {
        "name": name,
        "connect_timeout": "0.25s",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": str(socket)}}}}]}],
        },
        "circuit_breakers": {"thresholds": [thresholds]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": any_of(
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                explicit_http_config={"http2_protocol_options": http2 or {}},
            )
        },
    }
