"""The listener: TLS, the connection manager at the edge, limits, access logs."""

from __future__ import annotations

from typing import Final

from extproc.config import Configuration, ListenerTls
from extproc.envoy_config.filters import early_strip, filter_chain
from extproc.envoy_config.local_reply import local_reply
from extproc.envoy_config.names import (
    ACCESS_LOG_NAME,
    AWS_PROVIDER,
    HEALTH_PATH,
    OBSERVE_CLUSTER,
    ROUTE_METADATA,
    Node,
    any_of,
    seconds,
)
from extproc.envoy_config.routes import route_configuration
from extproc.teams import Teams

BUFFER_MARGIN_BYTES: Final = 1024 * 1024
"""A body of exactly `limits.body_bytes_max` still fits; the sidecar, not Envoy, says what is too large by little."""
REQUEST_HEADERS_KB_MAX: Final = 96
HEADERS_COUNT_MAX: Final = 200
STREAMS_PER_CONNECTION_MAX: Final = 256

NOBODY: Final = {"address_prefix": "255.255.255.255", "prefix_len": 32}
"""The only "internal" address: no client can have it. Without a range Envoy trusts loopback and private addresses, and
then keeps their x-request-id and obeys their x-envoy-* headers (measured)."""

ABNORMAL_ENDS: Final = (
    "DC",
    "UC",
    "UF",
    "UH",
    "UT",
    "UR",
    "URX",
    "UPE",
    "UO",
    "LR",
    "SI",
    "DT",
    "UMSDR",
    "DPE",
    "DR",
    "NC",
    "OM",
)
"""Response flags with which a stream ends before its response did: by the client, the provider, a time-out, Envoy."""


def listener(configuration: Configuration, teams: Teams) -> Node:
    host, _, port = configuration.listener.address.rpartition(":")
    chain: Node = {
        "filters": [
            {
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": _connection_manager(configuration, teams),
            }
        ]
    }
    if configuration.listener.tls is not None:
        every_route_needs_one = all(route.authentication == "certificate" for route in configuration.routes)
        chain["transport_socket"] = _tls(configuration.listener.tls, required=every_route_needs_one)
    return {
        "name": "gate",
        "address": {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}},
        "enable_reuse_port": False,  # else a second Envoy on this port would silently take half of the clients
        "per_connection_buffer_limit_bytes": configuration.limits.body_bytes_max + BUFFER_MARGIN_BYTES,
        "filter_chains": [chain],
    }


def _tls(tls: ListenerTls, *, required: bool) -> Node:
    common: Node = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificates": [
            {
                "certificate_chain": {"filename": str(tls.certificate)},
                "private_key": {"filename": str(tls.private_key)},
            }
        ],
    }
    if tls.client_ca is not None:
        common["validation_context"] = {"trusted_ca": {"filename": str(tls.client_ca)}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": any_of(
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            common_tls_context=common,
            require_client_certificate=required,
        ),
    }


def _connection_manager(configuration: Configuration, teams: Teams) -> Node:
    longest_ms = max((route.timeout_s for route in configuration.routes), default=300) * 1000
    return any_of(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="gate",
        codec_type="AUTO",
        # The edge: nothing that a client says about itself is believed, and each request gets an id of Envoy's own.
        use_remote_address=True,
        internal_address_config={"unix_sockets": False, "cidr_ranges": [NOBODY]},
        skip_xff_append=True,
        generate_request_id=True,
        preserve_external_request_id=False,
        early_header_mutation_extensions=early_strip(),
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action=_escaped_slashes(configuration),
        server_header_transformation="PASS_THROUGH",
        max_request_headers_kb=REQUEST_HEADERS_KB_MAX,
        common_http_protocol_options={"max_headers_count": HEADERS_COUNT_MAX, "idle_timeout": "3600s"},
        http_protocol_options={"enable_trailers": True},
        http2_protocol_options={
            "max_concurrent_streams": STREAMS_PER_CONNECTION_MAX,
            "initial_stream_window_size": 1024 * 1024,
            "initial_connection_window_size": 4 * 1024 * 1024,
        },
        request_headers_timeout="10s",
        stream_idle_timeout=seconds(longest_ms),
        drain_timeout="5s",
        access_log=[_json_log(configuration), _abnormal_ends_log()],
        local_reply_config=local_reply(configuration),
        http_filters=filter_chain(configuration, teams),
        route_config=route_configuration(configuration),
    )


def _escaped_slashes(configuration: Configuration) -> str:
    """AWS SDKs send a model's ARN as one segment, `arn%3Aaws…%2Fname`: with Bedrock among the providers Envoy has to
    let `%2F` through as it is. No other api has such a path: elsewhere it is a call that nobody reads (`opaque`)."""
    aws = any(provider.name == AWS_PROVIDER for provider in configuration.providers.values())
    return "KEEP_UNCHANGED" if aws else "REJECT_REQUEST"


def _json_log(configuration: Configuration) -> Node:
    """The independent witness of `headgate verify`: every request but health probes; no query, no header with a key."""
    fields = {
        "start_time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "exchange_id": "%RESP(X-HEADGATE-EXCHANGE-ID)%",
        "route": "%ROUTE_NAME%",
        "mode": f"%METADATA(ROUTE:{ROUTE_METADATA}:mode)%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:ORIG_OR_PATH)%",
        "protocol": "%PROTOCOL%",
        "response_code": "%RESPONSE_CODE%",
        "response_code_details": "%RESPONSE_CODE_DETAILS%",
        "response_flags": "%RESPONSE_FLAGS%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "duration_ms": "%DURATION%",
        "upstream_attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    }
    return {
        "name": "envoy.access_loggers.file",
        "filter": {
            "header_filter": {"header": {"name": ":path", "string_match": {"exact": HEALTH_PATH}, "invert_match": True}}
        },
        "typed_config": any_of(
            "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            path=str(configuration.access_log),
            log_format={"json_format": fields},
        ),
    }


def _abnormal_ends_log() -> Node:
    """Tells the sidecar who ended a stream that has no response end: ext_proc alone cannot."""
    return {
        "name": "envoy.access_loggers.http_grpc",
        "filter": {"response_flag_filter": {"flags": list(ABNORMAL_ENDS)}},
        "typed_config": any_of(
            "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
            common_config={
                "log_name": ACCESS_LOG_NAME,
                "transport_api_version": "V3",
                "grpc_service": {"envoy_grpc": {"cluster_name": OBSERVE_CLUSTER}},
                "buffer_size_bytes": 1,
                "buffer_flush_interval": "0.1s",
            },
        ),
    }
