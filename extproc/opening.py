"""What the first message of an exchange tells: the call, its route, its content coding. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from extproc.codec import Codec
from extproc.events import StreamContext
from extproc.memory import MemoryBudget
from extproc.model import (
    CALL_HINTS,
    HINT_CHARS_MAX,
    Call,
    Cost,
    Credentials,
    Limits,
    Mode,
    PrincipalSource,
    Route,
    Usage,
)
from extproc.overrides import overriding_parameters
from extproc.placeholders import PLAIN, PlaceholderKeys
from extproc.principal import Directory

UNKNOWN_ROUTE = "unknown"


class Price(Protocol):
    """As `extproc.pricing.price`."""

    def __call__(
        self,
        provider: str,
        model: str | None,
        usage: Usage,
        at_ns: int,
        service_tier: str | None = None,
        *,
        asked_model: str | None = None,
    ) -> Cost: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that an exchange knows of the world, passed in."""

    replica_id: str
    incarnation: str
    routes: Mapping[str, Route]
    directory: Directory
    limits: Limits
    memory: MemoryBudget
    codec_for: Callable[[Call], Codec]
    price: Price
    placeholder_keys: PlaceholderKeys = PLAIN


def route_of(routes: Mapping[str, Route], context: StreamContext) -> Route:
    """The route that Envoy took (`xds.route_name`). One that we have no settings for is refused where Envoy waits."""
    route = routes.get(context.attributes.get("xds.route_name", ""))
    if route is None:
        return Route(
            name=UNKNOWN_ROUTE,
            provider="unknown",
            host="",
            mode=Mode.SHADOW if context.observed else Mode.ENFORCE,
            credentials=Credentials.PASSTHROUGH,
            authentication=PrincipalSource.NONE,
        )
    if context.observed and route.mode is Mode.ENFORCE:
        return replace(route, mode=Mode.SHADOW)  # Envoy does not wait for us: the row must not claim enforcement
    return route


def call_of(route: Route, headers: Mapping[str, str], attributes: Mapping[str, str]) -> Call:
    """The call as the provider sees it. Without request headers (a filter before us answered) attributes tell."""
    target = headers.get(":path") or attributes.get("request.path") or ""
    path = target.partition("?")[0]
    if route.prefix and (path == route.prefix or path.startswith(route.prefix + "/")):
        path = path[len(route.prefix) :] or "/"
    authority = headers.get(":authority") or attributes.get("request.host") or ""
    return Call(
        method=headers.get(":method") or attributes.get("request.method") or "",
        path=path,
        host=route.host or authority.rpartition("@")[2].partition(":")[0].lower(),
        content_type=headers.get("content-type"),
        content_encoding=content_coding(headers.get("content-encoding")),
        has_length="content-length" in headers,
        hints={name: headers[name][:HINT_CHARS_MAX] for name in CALL_HINTS if name in headers},
        overrides=overriding_parameters(target),
    )


def content_coding(value: str | None) -> str | None:
    """A content coding that means something: `identity` and empty are none (RFC 9110 §8.4)."""
    text = (value or "").strip().lower()
    return None if text in ("", "identity") else text
