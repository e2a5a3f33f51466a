"""Envoy's own refusals (401, 404, 413, 503, …) in the error format of the API that the client speaks.

The first mapper leaves the sidecar's denials alone: their bodies are in their API's format already.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from extproc.config import Configuration
from extproc.envoy_config.error_formats import OPENAI, ErrorFormat, LocalError, format_of
from extproc.envoy_config.names import DENIAL_DETAILS, EXCHANGE_HEADER, METADATA_NAMESPACE, Node, cel_filter


def local_errors(body_bytes_max: int) -> Sequence[LocalError]:
    """The table. Messages say what to do."""
    return (
        LocalError(400, "bad_request", "The gateway cannot read this HTTP request.", True),
        LocalError(
            401,
            "unauthenticated",
            "The client key or token is missing, expired or not known to the gateway. Send it as "
            "'authorization: Bearer', 'x-api-key', 'api-key' or 'x-goog-api-key'.",
            True,
        ),
        LocalError(403, "forbidden", "The gateway refuses this caller here.", True),
        LocalError(404, "unknown_route", "The gateway has no route for this path.", True),
        LocalError(408, "request_timeout", "The request did not arrive in time."),
        LocalError(
            413,
            "request_too_large",
            f"The request body is larger than the gateway accepts ({body_bytes_max} bytes).",
            True,
        ),
        LocalError(431, "headers_too_large", "The request headers are too large.", True),
        LocalError(500, "gateway_error", "The gateway could not handle this exchange."),
        LocalError(502, "bad_gateway", "The provider's answer was not valid HTTP."),
        LocalError(503, "unavailable", "The provider, or the gateway's policy check, is not reachable. Try again."),
        LocalError(504, "timeout", "The provider or the gateway did not answer in time."),
    )


def local_reply(configuration: Configuration) -> Node:
    """`local_reply_config` of the connection manager."""
    routes: dict[ErrorFormat, list[str]] = {}
    for route in configuration.routes:
        routes.setdefault(format_of(configuration.providers[route.provider].name), []).append(route.name)
    routes.pop(OPENAI, None)
    errors = local_errors(configuration.limits.body_bytes_max)
    untouched: Node = {
        "filter": cel_filter(
            f"has(response.code_details) && response.code_details == '{DENIAL_DETAILS}' || response.code < 400"
        )
    }
    mappers = [untouched]
    for error_format, names in routes.items():
        listed = ", ".join(f"'{name}'" for name in names)
        mappers += [_mapper(error, error_format, f"xds.route_name in [{listed}]") for error in errors]
    mappers += [_mapper(error, OPENAI, None) for error in errors]
    return {"mappers": mappers}


def _mapper(error: LocalError, error_format: ErrorFormat, routes: str | None) -> Node:
    """One status on the routes that a CEL expression picks; None: on all that are left."""
    status: Node = {
        "status_code_filter": {
            "comparison": {
                "op": "EQ",
                "value": {"default_value": error.status, "runtime_key": f"headgate.local_reply.{error.status}"},
            }
        }
    }
    # Envoy's own request id, which the access log knows, unless the sidecar lived to tell the exchange's id. Both
    # overwrite, in this order: Envoy checks ADD_IF_ABSENT of all before it adds any, which gave both (measured).
    headers = [
        _header(EXCHANGE_HEADER, "%REQ(X-REQUEST-ID)%"),
        _header(EXCHANGE_HEADER, f"%DYNAMIC_METADATA({METADATA_NAMESPACE}:exchange_id)%"),
    ]
    headers += [_header(name, value) for name, value in error_format.headers(error).items()]
    if error.retry_is_useless:
        headers.append(_header("x-should-retry", "false"))
    return {
        "filter": status if routes is None else {"and_filter": {"filters": [status, cel_filter(routes)]}},
        "body_format_override": {
            "text_format_source": {"inline_string": json.dumps(error_format.body(error))},
            "content_type": "application/json",
        },
        "headers_to_add": headers,
    }


def _header(name: str, value: str) -> Node:
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
