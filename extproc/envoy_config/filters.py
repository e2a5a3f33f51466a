"""The HTTP filter chain: strip → who is calling → decide (enforce) → observe (shadow) → router.

A filter that does not belong to a route is disabled in that route (`per_route`). `headgate.decide` is the one filter
that is on unless a route says otherwise: a route that somebody adds by hand is judged, not forgotten.
"""

from __future__ import annotations

from extproc.config import Configuration, RouteSettings
from extproc.envoy_config.names import (
    API_KEY_FILTER,
    ATTEMPT_HEADER,
    AWS_PROVIDER,
    CLIENT_HEADER,
    DECIDE_CLUSTER,
    DECIDE_FILTER,
    JWT_FILTER,
    JWT_METADATA_KEY,
    JWT_REQUIREMENT,
    KEY_HEADERS,
    METADATA_NAMESPACE,
    OBSERVE_CLUSTER,
    OBSERVE_FILTER,
    RBAC_FILTER,
    STRIP_FILTER,
    Node,
    any_of,
    seconds,
)
from extproc.model import Credentials, Mode
from extproc.teams import Teams

MESSAGE_TIMEOUT_MARGIN_MS = 500
"""On top of what policy and inspection may take: spool writes and scheduling."""

REQUEST_ATTRIBUTES = (
    "xds.route_name",
    "request.id",
    "request.path",
    "request.method",
    "request.host",
    "connection.uri_san_peer_certificate",
    "connection.mtls",
)
_FORWARDING: Node = {"header": CLIENT_HEADER, "hide_credentials": True}
"""The client's id for the sidecar, its key for nobody."""
RESPONSE_ATTRIBUTES = (*REQUEST_ATTRIBUTES, "response.code_details", "response.flags")
"""The request's attributes once more: after an earlier filter's refusal the response is all that the sidecar sees."""


def filter_chain(configuration: Configuration, teams: Teams) -> list[Node]:
    """The filters in order. Those that no route uses are left out."""
    routes = configuration.routes
    used = {route.authentication for route in routes}
    chain = [_strip()]
    if "api_key" in used:
        chain.append(_api_key_auth(teams))
    if "jwt" in used:
        chain.append(_jwt_authn(configuration))
    if "certificate" in used:
        chain.append(_certificate())
    chain.append(_decide(configuration))
    if any(route.mode is Mode.SHADOW for route in routes):
        chain.append(_observe())
    chain.append(
        {
            "name": "envoy.filters.http.router",
            "typed_config": any_of("envoy.extensions.filters.http.router.v3.Router", suppress_envoy_headers=True),
        }
    )
    return chain


def early_strip() -> list[Node]:
    """Takes a client's own `x-headgate-*` off before anything else looks at the request."""
    return [
        {
            "name": "envoy.http.early_header_mutation.header_mutation",
            "typed_config": any_of(
                "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
                mutations=[{"remove_on_match": {"key_matcher": {"prefix": "x-headgate-", "ignore_case": True}}}],
            ),
        }
    ]


def per_route(configuration: Configuration, route: RouteSettings | None) -> Node:
    """`typed_per_filter_config` of one route: each filter that is not for it is off. None: a route that Envoy answers
    itself."""
    on = set[str]()
    if route is not None:
        on.add(DECIDE_FILTER if route.mode is Mode.ENFORCE else "")
        authentication = {"api_key": API_KEY_FILTER, "jwt": JWT_FILTER, "certificate": RBAC_FILTER}
        on.add(authentication.get(route.authentication, ""))
    present = {node["name"] for node in filter_chain(configuration, Teams(teams=()))}
    candidates = (API_KEY_FILTER, JWT_FILTER, RBAC_FILTER, DECIDE_FILTER)
    off = {
        name: any_of("envoy.config.route.v3.FilterConfig", disabled=True)
        for name in candidates
        if name in present and name not in on
    }
    if route is None:
        return off
    return off | _switched_on(route) | _per_route_settings(configuration, route)


def _switched_on(route: RouteSettings) -> Node:
    if route.mode is Mode.ENFORCE:
        return {}
    settings = any_of("envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute", overrides={})
    return {OBSERVE_FILTER: any_of("envoy.config.route.v3.FilterConfig", config=settings)}


def _per_route_settings(configuration: Configuration, route: RouteSettings) -> Node:
    if route.authentication == "jwt":
        return {
            JWT_FILTER: any_of(
                "envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig", requirement_name=JWT_REQUIREMENT
            )
        }
    if route.authentication == "api_key":
        names = _client_key_headers(configuration, route)
        if names != KEY_HEADERS:
            return {
                API_KEY_FILTER: any_of(
                    "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuthPerRoute",
                    key_sources=[{"header": name} for name in names],
                    forwarding=_FORWARDING,
                )
            }
    return {}


def _client_key_headers(configuration: Configuration, route: RouteSettings) -> tuple[str, ...]:
    """Where a client's own key may stand, in the order in which Envoy looks: the first that is there counts."""
    provider = configuration.providers[route.provider]
    if route.credentials is Credentials.PASSTHROUGH:
        # The provider's own header carries the provider's key here, so the client's key has to come in the other one.
        taken = provider.credential.header if provider.credential is not None else "authorization"
        return tuple(name for name in ("authorization", "x-api-key") if name != taken)
    if provider.name == AWS_PROVIDER:
        # AWS SDKs take a bearer token only over TLS; else they sign, and `authorization` holds a signature.
        return ("x-api-key", "authorization")
    return KEY_HEADERS


def key_headers_to_remove(route: RouteSettings) -> list[str]:
    """Where Envoy adds the provider's key, whatever key the client brought goes no further than the gate."""
    return list(KEY_HEADERS) if route.credentials is Credentials.INJECT else []


def _strip() -> Node:
    """First in the chain, so last to see a response: takes off what only the sidecar was to see."""
    return {
        "name": STRIP_FILTER,
        "typed_config": any_of(
            "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            mutations={"response_mutations": [{"remove": ATTEMPT_HEADER}]},
        ),
    }


def _api_key_auth(teams: Teams) -> Node:
    return {
        "name": API_KEY_FILTER,
        "typed_config": any_of(
            "envoy.extensions.filters.http.api_key_auth.v3.ApiKeyAuth",
            credentials=[{"key": key, "client": caller} for caller, key in teams.client_keys().items()],
            key_sources=[{"header": name} for name in KEY_HEADERS],
            forwarding=_FORWARDING,
        ),
    }


def _jwt_authn(configuration: Configuration) -> Node:
    assert configuration.jwt is not None, "checked by Configuration"
    return {
        "name": JWT_FILTER,
        "typed_config": any_of(
            "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            providers={
                "headgate": {
                    "issuer": configuration.jwt.issuer,
                    "audiences": list(configuration.jwt.audiences),
                    "local_jwks": {"filename": str(configuration.jwt.jwks_file)},
                    "forward": False,
                    "payload_in_metadata": JWT_METADATA_KEY,
                    "require_expiration": True,
                }
            },
            requirement_map={JWT_REQUIREMENT: {"provider_name": "headgate"}},
        ),
    }


def _certificate() -> Node:
    """Refuses a connection without a verified client certificate on the routes that are for those alone.

    `authenticated: {}` would not do: it holds for any TLS connection, with a certificate or without (measured).
    """
    verified = {
        "name": "envoy.rbac.principals.mtls_authenticated",
        "typed_config": any_of(
            "envoy.extensions.rbac.principals.mtls_authenticated.v3.Config", any_validated_client_certificate=True
        ),
    }
    policy = {"permissions": [{"any": True}], "principals": [{"custom": verified}]}
    return {
        "name": RBAC_FILTER,
        "typed_config": any_of(
            "envoy.extensions.filters.http.rbac.v3.RBAC",
            rules={"action": "ALLOW", "policies": {"verified-certificate": policy}},
        ),
    }


def message_timeout_ms(configuration: Configuration) -> int:
    """How long Envoy waits for the sidecar's answer to a message. In full duplex it waits for none: see `clusters`."""
    return configuration.policy.deadline_ms + 2 * configuration.limits.inspect_ms_max + MESSAGE_TIMEOUT_MARGIN_MS


def _decide(configuration: Configuration) -> Node:
    mode = {
        "request_header_mode": "SEND",
        "request_body_mode": "BUFFERED",
        "request_trailer_mode": "SEND",
        "response_header_mode": "SEND",
        "response_body_mode": "STREAMED",
        "response_trailer_mode": "SEND",
    }
    return {
        "name": DECIDE_FILTER,
        "typed_config": any_of(
            "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
            stat_prefix="decide",
            grpc_service={"envoy_grpc": {"cluster_name": DECIDE_CLUSTER}},
            failure_mode_allow=False,
            status_on_error={"code": "ServiceUnavailable"},
            message_timeout=seconds(message_timeout_ms(configuration)),
            processing_mode=mode,
            allow_mode_override=True,
            allowed_override_modes=[
                mode | {"response_body_mode": body} for body in ("NONE", "STREAMED", "BUFFERED", "FULL_DUPLEX_STREAMED")
            ],
            route_cache_action="RETAIN",
            request_attributes=list(REQUEST_ATTRIBUTES),
            response_attributes=list(RESPONSE_ATTRIBUTES),
            metadata_options={
                "forwarding_namespaces": {"untyped": [JWT_FILTER]},
                "receiving_namespaces": {"untyped": [METADATA_NAMESPACE]},
            },
        ),
    }


def _observe() -> Node:
    return {
        "name": OBSERVE_FILTER,
        "disabled": True,  # on in its routes only: what has no route at all must not be told twice
        "typed_config": any_of(
            "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
            stat_prefix="observe",
            grpc_service={"envoy_grpc": {"cluster_name": OBSERVE_CLUSTER}},
            observability_mode=True,
            failure_mode_allow=True,
            deferred_close_timeout="5s",  # Envoy's default: how far a busy sidecar may fall behind before rows are cut
            processing_mode={
                "request_header_mode": "SEND",
                "request_body_mode": "STREAMED",
                "request_trailer_mode": "SEND",
                "response_header_mode": "SEND",
                "response_body_mode": "STREAMED",
                "response_trailer_mode": "SEND",
            },
            request_attributes=list(REQUEST_ATTRIBUTES),
            response_attributes=list(RESPONSE_ATTRIBUTES),
            metadata_options={"forwarding_namespaces": {"untyped": [JWT_FILTER]}},
        ),
    }
