"""From the model to the frames of the spool: pure mapping, the one place that decides which field goes where.

Bodies come in as `ArchivableBody` only: the type that the judgement makes when it has applied the obligations.
"""

from __future__ import annotations

from capture.record import Closed, FindingRecord, Opened, ReasonRecord, Request, UninspectedRecord
from extproc import storable
from extproc.codec import Codec
from extproc.model import (
    ArchivableBody,
    Call,
    Cost,
    Decision,
    Finding,
    Inspection,
    Mode,
    Principal,
    ResponseFacts,
    Route,
)
from extproc.redaction import storable_fields

_METHOD_CHARS_MAX = 32
_PATH_CHARS_MAX = 512
_HEADER_CHARS_MAX = 256
"""A content type, a coding, an error's type is shorter; beyond, it is somebody's own text in the place of one."""
_FINDINGS_LISTED_MAX = 1_000
POLICY_INPUT_BYTES_MAX = 64 * 1024
"""A larger policy input (thousands of tools) is not kept: what another policy says of its row cannot be told."""
_UNKEPT_HINTS = frozenset({"mcp-session-id"})
"""Whoever has it may speak in the session."""


def opened(
    *,
    exchange_id: str,
    at_ns: int,
    seq: int,
    replica_id: str,
    incarnation: str,
    route: Route,
    principal: Principal,
    call: Call,
    codec: Codec,
    envoy_request_id: str | None,
    traceparent: str | None,
) -> Opened:
    """The text-free frame that makes sure of a row."""
    trace_id, span_id = _trace(traceparent)
    return Opened(
        exchange_id=exchange_id,
        at_ns=at_ns,
        seq=seq,
        replica_id=replica_id,
        incarnation=incarnation,
        envoy_request_id=envoy_request_id,
        trace_id=trace_id,
        span_id=span_id,
        route=route.name,
        mode=route.mode.value,
        credentials=route.credentials.value,
        method=call.method[:_METHOD_CHARS_MAX] or None,
        path=call.path[:_PATH_CHARS_MAX] or None,
        host=call.host or None,
        provider=route.provider,
        api=codec.api,
        operation=codec.operation,
        principal_source=principal.source.value,
        caller=principal.caller,
        team=principal.team,
        project=principal.project,
        cost_center=principal.cost_center,
        environment=principal.environment,
        user_id=principal.user_id,
        workload=principal.workload,
        key_fingerprint=principal.fingerprint,
    )


def request(
    *,
    exchange_id: str,
    at_ns: int,
    mode: Mode,
    inspection: Inspection,
    decision: Decision,
    done: str,
    would: str | None,
    call: Call,
    body: ArchivableBody | None,
    body_bytes: int,
    body_sha256: bytes | None,
    content_state: str,
    policy_input: bytes | None = None,
) -> Request:
    """The frame that follows the decision. `done` is what was done (`allow`, `redact`, `deny`), `policy_input` what
    was asked: it goes where no text may, so it must hold none."""
    facts = inspection.facts
    listed = inspection.findings[:_FINDINGS_LISTED_MAX]
    fields = storable_fields(inspection.findings)
    return Request(
        exchange_id=exchange_id,
        at_ns=at_ns,
        api=inspection.api,
        model=facts.model,
        stream=facts.stream,
        max_output_tokens=facts.max_output_tokens,
        choices=facts.choices,
        temperature=facts.temperature,
        tools=facts.tools[:_FINDINGS_LISTED_MAX],
        message_count=facts.message_count,
        text_bytes=facts.text_bytes,
        parameters=storable.parameters(facts.parameters),
        called_tools=facts.called_tools[:_FINDINGS_LISTED_MAX],
        rpc_methods=facts.rpc_methods[:_FINDINGS_LISTED_MAX],
        previous_response_id=storable.identifier(facts.previous_response_id),
        conversation_id=storable.identifier(facts.conversation_id),
        uninspected_parts=tuple(
            UninspectedRecord(kind=p.kind, field=p.field, media_type=p.media_type, size_bytes=p.size_bytes)
            for p in facts.uninspected_parts[:_FINDINGS_LISTED_MAX]
        ),
        decision=done,
        would_decision=would,
        reasons=tuple(
            ReasonRecord(rule=r.rule, message=r.message, action=r.action.value, enforced=r.enforced)
            for r in decision.reasons
        ),
        policy_revision=decision.policy_revision,
        policy_failure=decision.failure,
        problem=inspection.problem.code if inspection.problem else None,
        findings=tuple(_finding(f, fields[f.field], decision, mode) for f in listed),
        findings_truncated=inspection.findings_truncated or len(inspection.findings) > _FINDINGS_LISTED_MAX,
        findings_irreplaceable=inspection.hides_findings,
        policy_input=policy_input if policy_input and len(policy_input) <= POLICY_INPUT_BYTES_MAX else None,
        retention_class=decision.obligations.retention_class,
        capture_level=decision.obligations.capture.value,
        content_type=_short(call.content_type),
        content_encoding=_short(call.content_encoding),
        hints={name: value for name, value in call.hints.items() if name not in _UNKEPT_HINTS} if body else {},
        body=body,
        body_bytes=body_bytes,
        body_sha256=body_sha256,
        content_state=content_state,
    )


def _finding(finding: Finding, field: str, decision: Decision, mode: Mode) -> FindingRecord:
    """`field` is the finding's place as it may be stored: an object key can itself be what was found."""
    if finding.entity in decision.redact_entities:
        action = "redact" if mode is Mode.ENFORCE else "would_redact"
    elif finding.entity in decision.mask_entities:
        action = "mask"
    else:
        action = "allow"
    return FindingRecord(
        type=finding.entity,
        data_class=finding.data_class,
        field=field,
        start=finding.start,
        end=finding.end,
        score=finding.score,
        action=action,
    )


def closed(
    *,
    exchange_id: str,
    at_ns: int,
    capture_status: str,
    answered_by: str | None,
    http_status: int | None,
    error_type: str | None,
    attempts: int | None,
    facts: ResponseFacts,
    cost: Cost,
    keep_text: bool,
    response_bytes: int,
    response_sha256: bytes | None,
    response_content_state: str,
    duration_ns: int,
    time_to_first_token_ns: int | None,
    gateway_overhead_ns: int,
    warnings: tuple[str, ...],
    dropped_bytes: int,
) -> Closed:
    """The frame that ends the exchange. Provider error text is kept only where content is (`keep_text`)."""
    usage = facts.usage
    return Closed(
        exchange_id=exchange_id,
        at_ns=at_ns,
        capture_status=capture_status,
        answered_by=answered_by,
        http_status=http_status,
        error_type=error_type or (_error_type(facts.error.type) if facts.error else None),
        error_message=_utf8(facts.error.message) if facts.error and keep_text else None,
        attempts=attempts,
        response_model=storable.said_name(facts.model),
        response_id=storable.said_name(facts.response_id),
        finish_reasons=storable.said_names(facts.finish_reasons),
        tool_calls=storable.said_names(facts.tool_calls),
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_input_tokens=usage.cache_read_input_tokens,
        cache_creation_input_tokens=usage.cache_creation_input_tokens,
        reasoning_output_tokens=usage.reasoning_output_tokens,
        usage_source=usage.source.value,
        provider_usage=storable.provider_usage(facts.provider_usage),
        service_tier=storable.word(facts.service_tier),
        billed_cost=cost.amount,
        billing_currency=cost.currency,
        price_version=cost.price_version,
        cost_unknown_reason=cost.unknown_reason,
        response_bytes=response_bytes,
        response_sha256=response_sha256,
        response_content_state=response_content_state,
        duration_ns=duration_ns,
        time_to_first_token_ns=time_to_first_token_ns,
        gateway_overhead_ns=gateway_overhead_ns,
        warnings=warnings,
        dropped_bytes=dropped_bytes,
    )


def _error_type(kind: str) -> str:
    """The provider's word for it; some put a sentence there, and it may quote the prompt."""
    return storable.said_name(_short(kind)) or "error"


def _short(word: str | None) -> str | None:
    return word and word[:_HEADER_CHARS_MAX]


def _utf8(text: str) -> str:
    """A provider's JSON string may hold half of a surrogate pair, which no frame can: a row must not be lost for it."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _trace(traceparent: str | None) -> tuple[str | None, str | None]:
    """W3C Trace Context §3.2: `00-<32 hex>-<16 hex>-<2 hex>`; anything else is no trace."""
    parts = (traceparent or "").split("-")
    if len(parts) != 4 or len(parts[1]) != 32 or len(parts[2]) != 16:
        return None, None
    if not all(c in "0123456789abcdef" for c in parts[1] + parts[2]):
        return None, None
    return parts[1], parts[2]
