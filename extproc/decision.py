"""What policy is asked and what its answer means: pure functions between the model and two JSON documents.

    build_input(…)        facts of one exchange → the input document (`policies/schemas/input.json`), canonical JSON
    parse_decision(body)  OPA's response body    → `Decision`, or `DependencyError` when it is no decision
    failed(code)          no policy answered     → the fail-closed `Decision` (what a shadow route records)
    would(decision, mode) → `would_decision` of the row

The input holds no text of the prompt, nothing volatile, and never null: what is not known is absent. Equal facts give
equal bytes. Source of both shapes: `docs/decisions/001-contracts-of-the-spine.md`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

import msgspec
import orjson

from extproc.errors import DependencyError
from extproc.model import (
    Action,
    Call,
    CaptureLevel,
    Decision,
    Finding,
    Inspection,
    Mode,
    Obligations,
    Principal,
    Reason,
    RequestFacts,
    Route,
    UninspectedPart,
)

SCHEMA_VERSION: Final = 1
NAME_BYTES_MAX: Final = 256
"""A longer model or tool name is no name: a model is left out (and so not allowed), a tool is called `(overlong)`."""
PATH_BYTES_MAX: Final = 2048
"""A longer path is left out, and so matches no allowed call."""
INTEGER_MAX: Final = 2**63 - 1
"""Larger numbers are given as this one: JSON readers differ beyond it, no limit that a rule states lies there."""
REASONS_MAX: Final = 64
"""More reasons than this in one answer are cut (denials first), so that a row stays a row."""
MESSAGE_CHARS_MAX: Final = 500
"""A longer reason is cut."""

FAILURE_STATUS: Final = 503
"""What the client of an enforced route gets when no policy answered: SDKs treat it as temporary."""
FAILURES: Final = ("opa_unreachable", "opa_timeout", "opa_undefined", "opa_nonsense", "opa_input_too_large")
"""Every `Decision.failure`."""

_DAY_NS: Final = 86_400 * 10**9
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_SEVERITY: Final = {Action.ALLOW: 0, Action.REDACT: 1, Action.DENY: 2}


# ── the input ────────────────────────────────────────────────────────────────────────────────────────────────────────


def build_input(
    *,
    route: Route,
    principal: Principal,
    call: Call,
    api: str,
    operation: str | None,
    inspection: Inspection,
    body_bytes: int,
    api_source: str = "path",
    opaque: bool | None = None,
    at_ns: int | None = None,
) -> bytes:
    """The policy input of one request, as canonical JSON (sorted keys, no white space, UTF-8).

    `body_bytes` are the bytes as they came. `api_source` is what told the api: `path`, or `body` where no path is known
    and the body only looks like it. `opaque` says that no codec read the body, so that nothing in
    `inspection.facts` is known; by default that is so for the api `opaque` and for a body with a problem. `at_ns` is
    the time of the request (Unix, UTC), of which policy learns the day; without it nothing that ends on a day holds.
    """
    if opaque is None:
        opaque = api == "opaque" or inspection.problem is not None
    document = {
        "schema_version": SCHEMA_VERSION,
        "phase": "request",
        "mode": str(route.mode),
        "route": {
            "name": route.name,
            "provider": route.provider,
            "destination": route.host,
            "credentials": str(route.credentials),
            "authentication": str(route.authentication),
        },
        "principal": _principal(principal),
        "request": _request(call, api, api_source, operation, inspection, body_bytes, opaque=opaque),
        "findings": _findings(inspection.findings, inspection.places),
        "findings_truncated": inspection.findings_truncated,
        "uninspected_parts": _uninspected(inspection.facts.uninspected_parts),
    }
    if at_ns is not None:
        document["date"] = date.fromordinal(_EPOCH_ORDINAL + at_ns // _DAY_NS).isoformat()
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def _known(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _principal(principal: Principal) -> dict[str, Any]:
    return _known(
        team=principal.team,
        project=principal.project,
        cost_center=principal.cost_center,
        environment=principal.environment,
        user=principal.user_id,
        workload=principal.workload,
        caller=principal.caller,
        source=str(principal.source),
        attributed=principal.attributed,
    )


def _request(
    call: Call,
    api: str,
    api_source: str,
    operation: str | None,
    inspection: Inspection,
    body_bytes: int,
    *,
    opaque: bool,
) -> dict[str, Any]:
    problem = inspection.problem
    return _known(
        method=call.method,
        path=call.path if _bytes(call.path) <= PATH_BYTES_MAX else None,
        api=api,
        api_source=api_source,
        operation=operation,
        body_bytes=body_bytes,
        problem=problem.code if problem is not None else None,
        **({} if opaque else _facts(inspection.facts)),
    )


def _facts(facts: RequestFacts) -> dict[str, Any]:
    return _known(
        model=facts.model if facts.model and _bytes(facts.model) <= NAME_BYTES_MAX else None,
        fallback_models=[_name(name) for name in facts.fallback_models] or None,
        stream=facts.stream,
        max_output_tokens=_integer(facts.max_output_tokens),
        choices=_integer(facts.choices),
        temperature=facts.temperature if facts.temperature is None or math.isfinite(facts.temperature) else None,
        tools=[_name(name) for name in facts.tools],
        called_tools=[_name(name) for name in facts.called_tools] or None,
        rpc_methods=[_name(name) for name in facts.rpc_methods] or None,
        image_count=_integer(facts.image_count),
        message_count=facts.message_count,
        has_system_text=facts.has_system_text,
    )


def _name(name: str) -> str:
    return name if _bytes(name) <= NAME_BYTES_MAX else "(overlong)"


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _integer(value: int | None) -> int | None:
    return value if value is None else max(-INTEGER_MAX, min(value, INTEGER_MAX))


def _findings(findings: Iterable[Finding], places: Mapping[str, str]) -> list[dict[str, Any]]:
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for finding in findings:
        found[finding.entity, finding.data_class].append(places.get(finding.field, "other"))
    return [
        {"entity": entity, "data_class": data_class, "count": len(where), "places": sorted(set(where))}
        for (entity, data_class), where in sorted(found.items())
    ]


def _uninspected(parts: Iterable[UninspectedPart]) -> list[dict[str, Any]]:
    kinds = {(part.kind, part.media_type or "") for part in parts}
    return [_known(kind=kind, media_type=media_type or None) for kind, media_type in sorted(kinds)]


# ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────────


class _Reason(msgspec.Struct, frozen=True):
    rule: str
    message: str
    action: Action
    enforced: bool


class _Obligations(msgspec.Struct, frozen=True):
    capture: CaptureLevel
    retention_class: str


class _Result(msgspec.Struct, frozen=True):
    """`data.headgate.main.decision`: every field must be there; more fields (of a newer bundle) do no harm."""

    action: Action
    status: int
    reasons: list[_Reason]
    redact: list[str]
    mask: list[str]
    obligations: _Obligations


class _Bundle(msgspec.Struct, frozen=True):
    revision: str = ""


class _Provenance(msgspec.Struct, frozen=True):
    revision: str = ""
    bundles: dict[str, _Bundle] = {}


class _Response(msgspec.Struct, frozen=True):
    result: _Result | msgspec.UnsetType = msgspec.UNSET
    provenance: _Provenance = _Provenance()


_decoder: Final = msgspec.json.Decoder(_Response, strict=True)


def parse_decision(response_body: bytes) -> Decision:
    """The decision in OPA's response to `POST /v1/data/headgate/main/decision?provenance=true`.

    Raises `DependencyError`: `opa_undefined` when there is no result (an undefined rule answers HTTP 200 without one),
    `opa_nonsense` when the result is not a whole, consistent decision.
    """
    try:
        response = _decoder.decode(response_body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DependencyError("opa_nonsense", f"OPA's answer is not a decision: {_where(error)}") from None
    result = response.result
    if isinstance(result, msgspec.UnsetType):
        raise DependencyError(
            "opa_undefined", "OPA has no headgate.main.decision: does the bundle hold policies/main.rego?"
        )
    _check_consistent(result)
    redact = frozenset(result.redact)
    return Decision(
        action=result.action,
        reasons=_reasons(result.reasons),
        redact_entities=redact,
        mask_entities=redact | frozenset(result.mask),
        status=result.status,
        obligations=Obligations(result.obligations.capture, result.obligations.retention_class),
        policy_revision=_revision(response.provenance),
    )


def _where(error: Exception) -> str:
    """The place only (`$.result.action`): msgspec's message may quote the value, and a rule could put text there."""
    if not isinstance(error, msgspec.ValidationError):
        return "not JSON"
    _, found, path = str(error).rpartition(" - at `")
    return f"look at {path.rstrip('`')}" if found else "a field is missing or has the wrong type"


def _check_consistent(result: _Result) -> None:
    """What the types cannot say. A decision that contradicts itself must not be read in the lenient way."""
    if not 400 <= result.status <= 599:
        raise DependencyError("opa_nonsense", "OPA's decision has a status outside 400 to 599")
    if (result.action is Action.REDACT) != bool(result.redact) and result.action is not Action.DENY:
        raise DependencyError(
            "opa_nonsense", "OPA's decision is inconsistent: `redact` must list entities exactly when action is redact"
        )
    worst = max((_SEVERITY[reason.action] for reason in result.reasons if reason.enforced), default=0)
    if worst > _SEVERITY[result.action]:
        raise DependencyError(
            "opa_nonsense", "OPA's decision is inconsistent: an enforced reason is stricter than the action"
        )


def _reasons(reasons: list[_Reason]) -> tuple[Reason, ...]:
    ordered = sorted(reasons, key=lambda r: (not r.enforced, -_SEVERITY[r.action], r.rule, r.message))
    return tuple(
        Reason(reason.rule, reason.message[:MESSAGE_CHARS_MAX], reason.action, reason.enforced)
        for reason in ordered[:REASONS_MAX]
    )


def _revision(provenance: _Provenance) -> str | None:
    """One bundle: its revision. Several: `name=revision`, sorted. Plain files have none."""
    bundles = provenance.bundles
    if len(bundles) == 1:
        return next(iter(bundles.values())).revision or None
    named = ",".join(f"{name}={bundle.revision}" for name, bundle in sorted(bundles.items()))
    return named or provenance.revision or None


# ── what follows from it ─────────────────────────────────────────────────────────────────────────────────────────────


def failed(code: str) -> Decision:
    """No policy answered: a denial where it binds, and no text is kept in either mode. `code` is one of `FAILURES`."""
    return Decision(
        action=Action.DENY,
        status=FAILURE_STATUS,
        obligations=Obligations(capture=CaptureLevel.METADATA),
        failure=code,
    )


def would(decision: Decision, mode: Mode) -> str | None:
    """`would_decision` of the row.

    Shadow route: the action that would have bound. Enforced route: the action if the rules in shadow bound as well,
    and None where that is what was done anyway.
    """
    if mode is Mode.SHADOW:
        return str(decision.action)
    strictest = max((decision.action, *(reason.action for reason in decision.reasons)), key=_SEVERITY.__getitem__)
    return str(strictest) if strictest is not decision.action else None
