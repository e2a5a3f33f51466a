"""From a joined exchange and its bodies to one row of facts and one of content. Pure.

Whatever is missing stays NULL: a row never says more than its frames do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from capture.derive import (
    Decoded,
    DeriveLimits,
    api_of,
    call_of,
    content_columns,
    decode_response,
    read_conversation,
    read_cut_response,
)
from capture.join import CUT, Joined
from capture.pointers import public_pointer
from capture.record import Closed, Request, UninspectedRecord
from capture.sessions import Chain, Place, chain
from extproc import storable
from extproc.codec import Codec
from extproc.model import Conversation, ResponseFacts, UsageSource

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_NS = 253_402_300_799 * 1_000_000_000
"""The last second of the year 9999: later times are damaged ones."""
_MONEY_UNIT = Decimal("1e-10")
_MONEY_MAX = Decimal(10) ** 10 - 1
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}\Z")

_AS_OPENED = (
    "exchange_id",
    "envoy_request_id",
    "replica_id",
    "incarnation",
    "seq",
    "schema_version",
    "trace_id",
    "span_id",
    "team",
    "project",
    "cost_center",
    "environment",
    "caller",
    "user_id",
    "workload",
    "principal_source",
    "key_fingerprint",
    "route",
    "mode",
    "credentials",
    "method",
    "path",
    "host",
)
"""Columns that are fields of the `Opened` frame."""


@dataclass(frozen=True, slots=True)
class Bodies:
    """What was stored of an exchange's bodies."""

    request: bytes | None = None
    response: bytes | None = None
    """All stored parts, content coding as it came."""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """An exchange with its bodies read, before its place in a session is known."""

    joined: Joined
    api: str
    operation: str | None
    request_body: bytes | None
    response: Decoded
    response_stored_bytes: int
    """Of the response as it came, coding included."""
    conversation: Conversation | None
    chain: Chain | None
    facts: ResponseFacts | None
    """For `cut` exchanges: what the stored part of the response tells."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    dt: str
    """The partition: UTC date of the exchange's start."""
    facts: dict[str, Any]
    content: dict[str, Any]


def read(joined: Joined, bodies: Bodies, codecs: Mapping[str, Codec], limits: DeriveLimits) -> Read:
    """Decode and derive. Never raises."""
    api = api_of(joined.opened, joined.request)
    codec = codecs.get(api)
    call = call_of(joined.opened, joined.request)
    closed = joined.closed
    head = joined.head
    encoding = head.content_encoding if head else None
    complete = closed is not None and closed.response_content_state == "exact"
    response = decode_response(bodies.response, encoding, limits, complete=complete)
    readable = response.body if response.encoding is None else None
    facts, cut_warnings = None, tuple[str, ...]()
    if closed is None:
        facts, cut_warnings = read_cut_response(
            codec,
            call,
            joined.request,
            status=head.http_status if head else None,
            content_type=head.content_type if head else None,
            body=readable,
        )
    conversation, warnings = read_conversation(codec, call, bodies.request, readable)
    hashes = None
    if conversation is not None:
        opened = joined.opened
        try:
            hashes = chain(conversation, (opened.team, opened.caller, opened.user_id, opened.key_fingerprint))
        except Exception:  # noqa: BLE001 (a conversation that cannot be hashed has no session; its row stays)
            warnings = (*warnings, "session_unknown")
    all_warnings = (*joined.warnings, *bodies.warnings, *response.warnings, *cut_warnings, *warnings)
    stored = len(bodies.response or b"")
    operation = joined.opened.operation if api == joined.opened.api or codec is None else codec.operation
    return Read(joined, api, operation, bodies.request, response, stored, conversation, hashes, facts, all_warnings)


def rows(read: Read, place: Place | None, limits: DeriveLimits) -> Rows:
    """Both rows. Never raises: a row that cannot be built is replaced by one that says so (`row_failed`)."""
    try:
        return Rows(partition(read.joined), _facts(read, place), _content(read, place, limits))
    except Exception:  # noqa: BLE001 (invariant 2 of the architecture: the row is never lost)
        return bare_rows(read.joined)


def bare_rows(joined: Joined) -> Rows:
    """The least that is true of any exchange."""
    identity = {"exchange_id": joined.exchange_id}
    facts = identity | {
        "ts": _time(joined.opened.at_ns),
        "hour": _time(joined.opened.at_ns).hour,
        "incarnation": joined.opened.incarnation,
        "seq": joined.opened.seq,
        "team": joined.opened.team,
        "api": api_of(joined.opened, joined.request),
        "capture_status": joined.closed.capture_status if joined.closed else CUT,
        "warnings": ["row_failed"],
    }
    return Rows(partition(joined), facts, dict(identity))


def partition(joined: Joined) -> str:
    return _time(joined.opened.at_ns).strftime("%Y-%m-%d")


def _facts(read: Read, place: Place | None) -> dict[str, Any]:
    joined = read.joined
    opened, request = joined.opened, joined.request
    row: dict[str, Any] = {name: getattr(opened, name) for name in _AS_OPENED}
    started = _time(opened.at_ns)
    row |= {
        "ts": started,
        "hour": started.hour,
        "api": read.api,
        "gen_ai_operation_name": read.operation,
        "gen_ai_provider_name": opened.provider,
        "session_id": place.session_id if place else None,
        "turn": place.turn if place else None,
        "parent_exchange_id": place.parent_exchange_id if place else None,
    }
    if request is not None:
        row |= _request_facts(request)
    ending, warnings = _closed_facts(joined.closed, read) if joined.closed else _cut_facts(read)
    return row | ending | {"warnings": list(dict.fromkeys((*read.warnings, *warnings)))}


def _request_facts(request: Request) -> dict[str, Any]:
    return {
        "gen_ai_request_model": request.model,
        "gen_ai_request_max_tokens": request.max_output_tokens,
        "gen_ai_request_temperature": request.temperature,
        "request_parameters": request.parameters,
        "called_tools": list(request.called_tools),
        "rpc_methods": list(request.rpc_methods),
        "gen_ai_conversation_id": request.conversation_id,
        "previous_response_id": request.previous_response_id,
        "choices": request.choices,
        "stream": request.stream,
        "message_count": request.message_count,
        "tools": list(request.tools),
        "request_bytes": request.body_bytes,
        "decision": request.decision,
        "would_decision": request.would_decision,
        "reasons": [
            {"rule": r.rule, "message": r.message, "action": r.action, "enforced": r.enforced} for r in request.reasons
        ],
        "rules": list(dict.fromkeys(reason.rule for reason in request.reasons)),
        "policy_revision": request.policy_revision,
        "policy_failure": request.policy_failure,
        "problem": request.problem,
        "findings": [
            {
                "type": f.type,
                "data_class": f.data_class,
                "field": public_pointer(f.field),
                "start": f.start,
                "end": f.end,
                "score": f.score,
                "action": f.action,
            }
            for f in request.findings
        ],
        "findings_truncated": request.findings_truncated,
        "findings_irreplaceable": request.findings_irreplaceable,
        "policy_input": request.policy_input.decode() if request.policy_input is not None else None,
        "uninspected_parts": [_uninspected(part) for part in request.uninspected_parts],
        "capture_level": request.capture_level,
        "retention_class": request.retention_class,
        "request_content_state": request.content_state,
    }


def _uninspected(part: UninspectedRecord) -> dict[str, Any]:
    """The media type is the client's own word: only what looks like one goes to facts."""
    known = part.media_type is not None and _MEDIA_TYPE.match(part.media_type) is not None
    return {
        "kind": part.kind,
        "field": public_pointer(part.field),
        "media_type": part.media_type if known else None,
        "size_bytes": part.size_bytes,
    }


def _closed_facts(closed: Closed, read: Read) -> tuple[dict[str, Any], tuple[str, ...]]:
    state = closed.response_content_state
    if state == "exact" and "response_part_missing" in read.warnings:
        state = "partial"
    cost, cost_reason = _money(closed.billed_cost), closed.cost_unknown_reason
    if cost is None and closed.billed_cost is not None:
        cost_reason = cost_reason or "unrepresentable"
    facts = {
        "gen_ai_response_model": closed.response_model,
        "gen_ai_response_id": closed.response_id,
        "gen_ai_response_finish_reasons": list(closed.finish_reasons),
        "tool_call_names": list(closed.tool_calls),
        "http_status": closed.http_status or (read.joined.head.http_status if read.joined.head else None),
        "answered_by": closed.answered_by,
        "error_type": closed.error_type,
        "attempts": closed.attempts,
        "capture_status": closed.capture_status,
        "gen_ai_usage_input_tokens": closed.input_tokens,
        "gen_ai_usage_output_tokens": closed.output_tokens,
        "gen_ai_usage_cache_read_input_tokens": closed.cache_read_input_tokens,
        "gen_ai_usage_cache_creation_input_tokens": closed.cache_creation_input_tokens,
        "gen_ai_usage_reasoning_output_tokens": closed.reasoning_output_tokens,
        "usage_source": closed.usage_source,
        "provider_usage": closed.provider_usage,
        "service_tier": closed.service_tier,
        "billed_cost": cost,
        "billing_currency": closed.billing_currency if cost is not None else None,
        "price_version": closed.price_version,
        "cost_unknown_reason": cost_reason,
        "duration": _seconds(closed.duration_ns),
        "time_to_first_token": _seconds(closed.time_to_first_token_ns),
        "gateway_overhead": _seconds(closed.gateway_overhead_ns),
        "response_bytes": closed.response_bytes,
        "dropped_bytes": closed.dropped_bytes,
        "response_content_state": state,
    }
    return facts, closed.warnings


def _cut_facts(read: Read) -> tuple[dict[str, Any], tuple[str, ...]]:
    facts, head = read.facts or ResponseFacts(), read.joined.head
    usage = facts.usage
    stored = read.response_stored_bytes
    row = {
        "gen_ai_response_model": facts.model,
        "gen_ai_response_id": facts.response_id,
        "gen_ai_response_finish_reasons": list(facts.finish_reasons),
        "tool_call_names": list(facts.tool_calls),
        "http_status": head.http_status if head else None,
        "error_type": facts.error.type if facts.error else None,
        "capture_status": CUT,
        "gen_ai_usage_input_tokens": usage.input_tokens,
        "gen_ai_usage_output_tokens": usage.output_tokens,
        "gen_ai_usage_cache_read_input_tokens": usage.cache_read_input_tokens,
        "gen_ai_usage_cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "gen_ai_usage_reasoning_output_tokens": usage.reasoning_output_tokens,
        "usage_source": usage.source.value if stored else UsageSource.NONE.value,
        "provider_usage": storable.provider_usage(facts.provider_usage),
        "service_tier": storable.word(facts.service_tier),
        "cost_unknown_reason": CUT,
        "response_bytes": stored or None,
        "response_content_state": "partial" if stored else None,
    }
    return row, facts.warnings


def _content(read: Read, place: Place | None, limits: DeriveLimits) -> dict[str, Any]:
    request, closed, head = read.joined.request, read.joined.closed, read.joined.head
    row: dict[str, Any] = {
        "exchange_id": read.joined.exchange_id,
        "request_body": read.request_body,
        "response_body": read.response.body,
        "response_content_type": head.content_type if head else None,
        "response_content_encoding": read.response.encoding,
    }
    if request is not None:
        row |= {
            "request_content_type": request.content_type,
            "request_content_encoding": request.content_encoding,
            "request_hints": json.dumps(request.hints, sort_keys=True) if request.hints else None,
            "request_sha256": request.body_sha256,
            "finding_fields": [finding.field for finding in request.findings],
        }
    if closed is not None:
        row |= {"response_sha256": closed.response_sha256, "error_message": closed.error_message}
    elif read.facts is not None and read.facts.error is not None:
        row["error_message"] = read.facts.error.message
    return row | content_columns(read.conversation, place.inherited_messages if place else 0, limits)


def _time(at_ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=min(max(at_ns, 0), _LATEST_NS) // 1_000)


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / 1_000_000_000


def _money(amount: Decimal | None) -> Decimal | None:
    """As decimal(20,10): ten digits before the point, ten behind it, rounded half to even."""
    if amount is None or not amount.is_finite() or abs(amount) >= _MONEY_MAX:
        return None
    return amount.quantize(_MONEY_UNIT)
