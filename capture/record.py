"""The frames of the spool: what the request path promises to keep, as versioned structs.

An exchange is told in this order, each frame carrying the exchange's id:

    Opened          at request headers, text-free: a crash still yields a row
    Request         after the decision, holding only what its capture obligations allow; absent when it ended before
    ResponsePart*   at least once a second while a response runs; the first may carry only the head
    Closed          exactly once, unless the process died: then capture closes the exchange as `cut`

Frames are msgpack maps (msgspec), tagged by `frame`. Fields are only ever added, with defaults: an old reader skips
what it does not know, a new reader fills what is missing. `SCHEMA_VERSION` says which code wrote a frame.

Bodies are `bytes` that went through the obligations (`extproc.model.ArchivableBody`); nothing else in here is text of a
prompt or response, except `Closed.error_message` and `Finding.field`, which belong to the content tree.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

SCHEMA_VERSION = 2


class Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="frame", omit_defaults=True):
    exchange_id: str
    """UUIDv7, canonical text."""
    at_ns: int
    """Unix time of the event, nanoseconds."""


class Opened(Frame, frozen=True, kw_only=True, tag="opened"):
    schema_version: int = SCHEMA_VERSION
    seq: int
    """1, 2, 3, … per incarnation, gapless."""
    replica_id: str
    incarnation: str
    envoy_request_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    route: str | None = None
    mode: str
    """`shadow` or `enforce`."""
    credentials: str | None = None
    method: str | None = None
    path: str | None = None
    """Provider path without query, at most 512 characters."""
    host: str | None = None
    provider: str | None = None
    api: str
    operation: str | None = None
    principal_source: str
    caller: str | None = None
    team: str | None = None
    project: str | None = None
    cost_center: str | None = None
    environment: str | None = None
    user_id: str | None = None
    workload: str | None = None
    key_fingerprint: str | None = None


class FindingRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    type: str
    data_class: str
    field: str
    start: int
    end: int
    score: float
    action: str
    """`redact` or `would_redact` (in what is forwarded), `mask` (in the archive only, also when the exchange was
    denied for it) or `allow`."""


class ReasonRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    rule: str
    message: str
    action: str
    enforced: bool


class UninspectedRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    kind: str
    field: str
    media_type: str | None = None
    size_bytes: int | None = None


class Request(Frame, frozen=True, kw_only=True, tag="request"):
    api: str | None = None
    """The api that the body turned out to be in, where the path had told none (`Opened.api` is then `opaque`)."""
    model: str | None = None
    stream: bool = False
    max_output_tokens: int | None = None
    choices: int | None = None
    temperature: float | None = None
    tools: tuple[str, ...] = ()
    message_count: int = 0
    uninspected_parts: tuple[UninspectedRecord, ...] = ()
    text_bytes: int = 0
    parameters: str | None = None
    """What else steered the model, a JSON object of numbers, flags and enumerated words."""
    called_tools: tuple[str, ...] = ()
    """Tools that the request itself had executed (MCP `tools/call`)."""
    rpc_methods: tuple[str, ...] = ()
    previous_response_id: str | None = None
    conversation_id: str | None = None

    decision: str
    """`allow`, `redact` or `deny`: what was done. Always `allow` in shadow."""
    would_decision: str | None = None
    """What would have been done: shadow route, had it been enforced (`allow` too); enforced route, had its rules in
    shadow bound as well, and absent where that makes no difference."""
    reasons: tuple[ReasonRecord, ...] = ()
    policy_revision: str | None = None
    policy_failure: str | None = None
    problem: str | None = None
    """Code of why the body could not be judged as it came, e.g. `duplicate_key`."""
    findings: tuple[FindingRecord, ...] = ()
    findings_truncated: bool = False
    findings_irreplaceable: bool = False
    """Something was found where it cannot be replaced, or nobody could look: a decision to redact is a denial then."""
    policy_input: bytes | None = None
    """What policy was asked, canonical JSON; None when it was over `frames.POLICY_INPUT_BYTES_MAX`."""
    retention_class: str = "default"
    capture_level: str

    content_type: str | None = None
    content_encoding: str | None = None
    """As the client sent it. `body` is always without content coding when it could be decoded."""
    hints: dict[str, str] = {}
    """Headers that tell apis apart, where the body is kept: with them it can be read again as it was."""
    body: bytes | None = None
    body_bytes: int = 0
    """Bytes as they came, whatever is kept of them."""
    body_sha256: bytes | None = None
    """Of the bytes as they came; None when not all of them were seen."""
    content_state: str
    """`exact`, `redacted`, `encoded` (kept in a coding we do not read), `none` (there was no body), `policy` (not kept:
    obligations), `unjudged` (not kept: no policy answered), `over_limit`, `undecodable`, `partial` (client stopped)."""


class ResponsePart(Frame, frozen=True, kw_only=True, tag="response"):
    index: int
    """0, 1, 2, …"""
    http_status: int | None = None
    """Set in part 0, together with the next two."""
    content_type: str | None = None
    content_encoding: str | None = None
    data: bytes = b""
    """Response bytes in order, as they came (content coding included: `content_encoding` names it)."""


class Closed(Frame, frozen=True, kw_only=True, tag="closed"):
    capture_status: str
    """`completed`, `denied`, `client_aborted`, `upstream_aborted`, `timed_out`, `aborted` (Envoy did not say by whom),
    `shutdown` (drain ran out); `cut` is capture's word for a row without this frame."""
    answered_by: str | None = None
    """`upstream`, `envoy` (a local reply) or `headgate` (a denial)."""
    http_status: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    attempts: int | None = None
    """Upstream attempts, retries included; None when Envoy did not say."""
    response_model: str | None = None
    response_id: str | None = None
    finish_reasons: tuple[str, ...] = ()
    tool_calls: tuple[str, ...] = ()
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    usage_source: str = "none"
    provider_usage: str | None = None
    """The provider's last usage object, verbatim JSON but for strings that are no words."""
    service_tier: str | None = None
    billed_cost: Decimal | None = None
    billing_currency: str | None = None
    price_version: str | None = None
    cost_unknown_reason: str | None = None
    response_bytes: int = 0
    response_sha256: bytes | None = None
    """Of the bytes as they came; None when not all of them were seen."""
    response_content_state: str = "none"
    """`exact`, `none`, `policy`, `unjudged`, `over_limit`, `partial`."""
    duration_ns: int | None = None
    time_to_first_token_ns: int | None = None
    """Request fully received to the first response body byte."""
    gateway_overhead_ns: int | None = None
    """Time that Envoy waited for our replies."""
    warnings: tuple[str, ...] = ()
    dropped_bytes: int = 0
    """Content dropped at a limit, in bytes."""


AnyFrame = Opened | Request | ResponsePart | Closed

_encoder = msgspec.msgpack.Encoder(decimal_format="string")
_decoder = msgspec.msgpack.Decoder(AnyFrame)


def encode(frame: AnyFrame) -> bytes:
    """One frame as msgpack bytes: the payload of a spool frame."""
    return _encoder.encode(frame)


def decode(payload: bytes | memoryview) -> AnyFrame:
    """The inverse of `encode`. Raises `msgspec.DecodeError` (or `ValidationError`) for anything else."""
    frame: AnyFrame = _decoder.decode(payload)
    return frame
