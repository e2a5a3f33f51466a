"""Envoy's own refusals (401, 404, 413, 503, …) in the error format of the API that the client speaks.

The first mapper leaves the sidecar's denials alone: their bodies are in their API's format already.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from extproc.config import Configuration
from extproc.envoy_config.names import DENIAL_DETAILS, EXCHANGE_HEADER, METADATA_NAMESPACE, Node, cel_filter


@dataclass(frozen=True, slots=True)
class LocalError:
    """One status that Envoy answers itself: what the client is told, and each API's name for it."""

    status: int
    code: str
    message: str
    openai_type: str
    anthropic_type: str
    retry_is_useless: bool = False


def local_errors(body_bytes_max: int) -> Sequence[LocalError]:
    """The table. Types are those of the providers' own error pages; messages say what to do."""
    invalid = "invalid_request_error"
    return (
        LocalError(400, "bad_request", "The gateway cannot read this HTTP request.", invalid, invalid, True),
        LocalError(
            401,
            "unauthenticated",
            "The client key or token is missing, expired or not known to the gateway. Send it as "
            "'authorization: Bearer' or 'x-api-key'.",
            invalid,
            "authentication_error",
            True,
        ),
        LocalError(
            403, "forbidden", "The gateway refuses this caller here.", "permission_error", "permission_error", True
        ),
        LocalError(404, "unknown_route", "The gateway has no route for this path.", invalid, "not_found_error", True),
        LocalError(408, "request_timeout", "The request did not arrive in time.", "server_error", "timeout_error"),
        LocalError(
            413,
            "request_too_large",
            f"The request body is larger than the gateway accepts ({body_bytes_max} bytes).",
            invalid,
            "request_too_large",
            True,
        ),
        LocalError(431, "headers_too_large", "The request headers are too large.", invalid, invalid, True),
        LocalError(500, "gateway_error", "The gateway could not handle this exchange.", "server_error", "api_error"),
        LocalError(502, "bad_gateway", "The provider's answer was not valid HTTP.", "server_error", "api_error"),
        LocalError(
            503,
            "unavailable",
            "The provider, or the gateway's policy check, is not reachable. Try again.",
            "server_error",
            "api_error",
        ),
        LocalError(504, "timeout", "The provider or the gateway did not answer in time.", "server_error", "api_error"),
    )


def local_reply(configuration: Configuration) -> Node:
    """`local_reply_config` of the connection manager."""
    anthropic = [
        route.name for route in configuration.routes if configuration.providers[route.provider].name == "anthropic"
    ]
    errors = local_errors(configuration.limits.body_bytes_max)
    untouched: Node = {
        "filter": cel_filter(
            f"has(response.code_details) && response.code_details == '{DENIAL_DETAILS}' || response.code < 400"
        )
    }
    mappers = [untouched]
    if anthropic:
        names = ", ".join(f"'{name}'" for name in anthropic)
        mappers += [_mapper(error, f"xds.route_name in [{names}]") for error in errors]
    mappers += [_mapper(error, None) for error in errors]
    return {"mappers": mappers}


def _mapper(error: LocalError, anthropic_routes: str | None) -> Node:
    status: Node = {
        "status_code_filter": {
            "comparison": {
                "op": "EQ",
                "value": {"default_value": error.status, "runtime_key": f"headgate.local_reply.{error.status}"},
            }
        }
    }
    body = _anthropic(error) if anthropic_routes is not None else _openai(error)
    # Envoy's own request id, which the access log knows, unless the sidecar lived to tell the exchange's id. Both
    # overwrite, in this order: Envoy checks ADD_IF_ABSENT of all before it adds any, which gave both (measured).
    headers = [
        _header(EXCHANGE_HEADER, "%REQ(X-REQUEST-ID)%", "OVERWRITE_IF_EXISTS_OR_ADD"),
        _header(EXCHANGE_HEADER, f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:exchange_id)%", "OVERWRITE_IF_EXISTS_OR_ADD"),
    ]
    if error.retry_is_useless:
        headers.append(_header("x-should-retry", "false", "OVERWRITE_IF_EXISTS_OR_ADD"))
    return {
        "filter": status
        if anthropic_routes is None
        else {"and_filter": {"filters": [status, cel_filter(anthropic_routes)]}},
        "body_format_override": {
            "text_format_source": {"inline_string": json.dumps(body)},
            "content_type": "application/json",
        },
        "headers_to_add": headers,
    }


def _header(name: str, value: str, append_action: str) -> Node:
    return {"header": {"key": name, "value": value}, "append_action": append_action}


def _openai(error: LocalError) -> Node:
    return {"error": {"message": error.message, "type": error.openai_type, "param": None, "code": error.code}}


def _anthropic(error: LocalError) -> Node:
    return {
        "type": "error",
        "error": {"type": error.anthropic_type, "message": error.message},
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
