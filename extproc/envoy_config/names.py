"""Names that the rendered configuration, the sidecar and the tests have to agree on."""

from __future__ import annotations

from typing import Any, Final

Node = dict[str, Any]
"""One message of Envoy's configuration, as YAML shows it."""

DECIDE_CLUSTER: Final = "extproc-decide"
OBSERVE_CLUSTER: Final = "extproc-observe"
DECIDE_FILTER: Final = "headgate.decide"
OBSERVE_FILTER: Final = "headgate.observe"
STRIP_FILTER: Final = "headgate.strip"
API_KEY_FILTER: Final = "envoy.filters.http.api_key_auth"
JWT_FILTER: Final = "envoy.filters.http.jwt_authn"
RBAC_FILTER: Final = "envoy.filters.http.rbac"

HEADER_PREFIX: Final = "x-headgate-"
"""Ours alone: no client may send such a header, no provider sees one."""
CLIENT_HEADER: Final = "x-headgate-client"
EXCHANGE_HEADER: Final = "x-headgate-exchange-id"
METADATA_NAMESPACE: Final = "headgate"
ATTEMPT_HEADER: Final = "x-envoy-attempt-count"
KEY_HEADERS: Final = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
"""Where clients carry keys. Routes that inject the provider's key take all of them off."""
AWS_PROVIDER: Final = "aws.bedrock"
"""`provider.name` of the one provider whose clients escape slashes, and may sign what they send."""

JWT_METADATA_KEY: Final = "headgate"
"""The verified payload lies in dynamic metadata `envoy.filters.http.jwt_authn`, under this key."""
JWT_REQUIREMENT: Final = "headgate"
ROUTE_METADATA: Final = "headgate"
HEALTH_PATH: Final = "/-/healthy"
HEALTH_ROUTE: Final = "healthy"
UNMATCHED_ROUTE: Final = "unmatched"
ACCESS_LOG_NAME: Final = "headgate"
DENIAL_DETAILS: Final = "headgate_denied"
"""`response.code_details` of the sidecar's own immediate responses, which are in their API's format already."""

ANY_HOST: Final = "*"


def any_of(type_name: str, **fields: Any) -> Node:
    """A `google.protobuf.Any` as Envoy reads it in YAML: the type's full name beside its fields."""
    return {"@type": f"type.googleapis.com/{type_name}", **fields}


def seconds(milliseconds: float) -> str:
    """A `google.protobuf.Duration`."""
    return f"{milliseconds / 1000:.3f}".rstrip("0").rstrip(".") + "s"


def cel_filter(expression: str) -> Node:
    """An AccessLogFilter that holds where a CEL expression over Envoy's attributes does."""
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": any_of(
                "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter", expression=expression
            ),
        }
    }
