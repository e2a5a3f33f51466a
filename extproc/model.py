"""The words of `docs/architecture.md` as types: plain frozen data, no behaviour beyond what the data itself implies.

Text is `str`, bodies are `bytes`, times are integer nanoseconds, money is `decimal.Decimal` in a named currency.

Longer than other modules, because the words are to be seen in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import NewType

ExchangeId = NewType("ExchangeId", str)
"""A UUIDv7 in its canonical 36 character form (RFC 9562 §5.7), made by Headgate."""

ArchivableBody = NewType("ArchivableBody", bytes)
"""Proof that a decision's capture obligations were applied: frames take no other bytes."""


class Mode(StrEnum):
    SHADOW = "shadow"
    ENFORCE = "enforce"


class Credentials(StrEnum):
    INJECT = "inject"
    PASSTHROUGH = "passthrough"


class OnDiskFull(StrEnum):
    DENY = "deny"
    PASS_AND_COUNT = "pass_and_count"  # noqa: S105 (a policy name, not a password)


class Durability(StrEnum):
    STANDARD = "standard"
    STRICT = "strict"


class StreamUsage(StrEnum):
    """What an enforced route does about streams that tell their usage only when they are asked to."""

    ASK = "ask"
    """Ask, and take out again what the answer holds only because of that."""
    ASK_AND_KEEP_CHUNK = "ask_and_keep_chunk"
    ESTIMATE = "estimate"


class PrincipalSource(StrEnum):
    """How the caller was proved."""

    API_KEY = "api_key"
    JWT = "jwt"
    CERTIFICATE = "certificate"
    PROVIDER_KEY = "provider_key"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, and how that was proved. `team` is None for a caller nobody has claimed (unattributed)."""

    source: PrincipalSource = PrincipalSource.NONE
    caller: str | None = None
    """The caller's id in the teams file, or None."""
    team: str | None = None
    project: str | None = None
    cost_center: str | None = None
    environment: str | None = None
    user_id: str | None = None
    workload: str | None = None
    fingerprint: str | None = None
    """Keyed hash of the provider key the client sent (passthrough only): lets an operator claim an unknown caller."""

    @property
    def attributed(self) -> bool:
        return self.team is not None


@dataclass(frozen=True, slots=True)
class Call:
    """What the request headers say, as the provider would see it: the route's prefix is already gone."""

    method: str
    path: str
    """Provider path without query."""
    host: str
    """The provider's host name."""
    content_type: str | None = None
    content_encoding: str | None = None
    has_length: bool = False
    """The body's length was declared (`content-length`), so a changed body needs a changed header."""
    hints: Mapping[str, str] = field(default_factory=dict)
    """The headers that tell apis apart (`CALL_HINTS`), by lower-case name, each value cut at `HINT_CHARS_MAX`. A client
    writes them as it likes: they may pick between codecs, never open what a path would not."""
    overrides: frozenset[str] = frozenset()
    """Query parameters that could say another request than method and body (`overrides`)."""


CALL_HINTS = ("accept", "anthropic-version", "mcp-protocol-version", "mcp-session-id", "x-amz-target")
HINT_CHARS_MAX = 256

RESPONSE_HINTS = (
    "x-amzn-bedrock-input-token-count",
    "x-amzn-bedrock-output-token-count",
    "x-amzn-bedrock-cache-read-input-token-count",
    "x-amzn-bedrock-cache-write-input-token-count",
)
"""Response headers in which a provider counts tokens: what Bedrock says of vendors whose own answers say none."""


@dataclass(frozen=True, slots=True)
class UninspectedPart:
    """A part of a request that the detectors cannot read: an image, audio, a file, a reference to something stored."""

    kind: str
    """`image`, `audio`, `video`, `file`, `reference` or `unknown`."""
    field: str
    """JSON Pointer (RFC 6901) of the part in the request body."""
    media_type: str | None = None
    size_bytes: int | None = None
    """Bytes of the part as it stands in the body (base64 as it is); None where it lies elsewhere (a URL, an id)."""


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What a codec reads from a request for the decision, the usage estimate and the row. No text in here."""

    model: str | None = None
    fallback_models: tuple[str, ...] = ()
    """What the provider may answer with in its stead, by the request's own word."""
    stream: bool = False
    max_output_tokens: int | None = None
    choices: int = 1
    """How many answers were asked for (`n`)."""
    temperature: float | None = None
    tools: tuple[str, ...] = ()
    """Names of the tools offered; a provider's server-side tool by its type."""
    message_count: int = 0
    has_system_text: bool = False
    text_bytes: int = 0
    """UTF-8 bytes of all text the model will read: the base of a token estimate."""
    uninspected_parts: tuple[UninspectedPart, ...] = ()
    asks_stream_usage: bool = False
    """The client asked for usage in the stream, or the API always sends it."""
    parameters: Mapping[str, float | int | bool | str] = field(default_factory=dict)
    """What else steers the model, by the API's own name: numbers, flags, and words of an enumeration (`shape.as_word`),
    never free text. `temperature` and the output limit have fields of their own."""
    called_tools: tuple[str, ...] = ()
    """Names of the tools that this request itself has executed (MCP `tools/call`), one entry per call."""
    rpc_methods: tuple[str, ...] = ()
    """JSON-RPC methods in the request (MCP), in order, one entry per message."""
    previous_response_id: str | None = None
    """The response that this request goes on from, by the provider's id (Responses API)."""
    conversation_id: str | None = None
    """The conversation that the provider keeps, by its id."""
    image_count: int | None = None
    """Images asked for (image APIs)."""


class UsageSource(StrEnum):
    PROVIDER = "provider"
    """The provider's own final figures."""
    PARTIAL = "partial"
    """Some figures are the provider's, the missing ones are estimated (a stream that was cut)."""
    ESTIMATED = "estimated"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as OTel GenAI counts them: input includes what was cached, output includes reasoning. None = not said."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    source: UsageSource = UsageSource.NONE
    cache_creation_1h_input_tokens: int | None = None
    """Those of `cache_creation_input_tokens` that live an hour (Anthropic): they cost more."""
    input_audio_tokens: int | None = None
    """Those of `input_tokens` that are audio."""
    output_audio_tokens: int | None = None
    """Those of `output_tokens` that are audio."""
    input_image_tokens: int | None = None
    """Those of `input_tokens` that are images, where the provider prices them apart (image APIs)."""
    output_image_tokens: int | None = None
    """Those of `output_tokens` that are images, where the provider prices them apart (image APIs)."""
    web_searches: int | None = None
    """Searches that the provider ran and bills per piece (Anthropic `server_tool_use.web_search_requests`)."""
    billed_input_tokens: int | None = None
    """What the provider bills, where it says that this is not what it counted (Cohere `billed_units`)."""
    billed_output_tokens: int | None = None
    billed_search_units: int | None = None
    """Reranking and search (Cohere `billed_units.search_units`)."""


NO_USAGE = Usage()
"""Nothing said. One for all, because each exchange needs some."""


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """An error that the provider reported, by status or inside an HTTP 200."""

    type: str
    message: str
    """Provider text: goes to the content tree only, never to logs or facts."""


@dataclass(frozen=True, slots=True)
class ResponseFacts:
    """What a codec reads from a response for usage, money and the row."""

    model: str | None = None
    response_id: str | None = None
    finish_reasons: tuple[str, ...] = ()
    """One per choice, in the API's own words."""
    said: Usage = NO_USAGE
    """What the provider said, nothing estimated; `source` is not set here."""
    usage: Usage = NO_USAGE
    """`said` with its gaps filled by estimates; its `source` says which."""
    provider_usage: str | None = None
    """The provider's last usage object, verbatim JSON (`usage.verbatim`)."""
    service_tier: str | None = None
    """The tier that served it, where the provider says (`default`, `batch`, `priority`, …): prices differ."""
    tool_calls: tuple[str, ...] = ()
    """Names of the tools the model called, in order of first appearance, one entry per call."""
    text_bytes: int = 0
    """UTF-8 bytes of text, reasoning and tool arguments seen: the base of an output estimate."""
    error: ErrorFacts | None = None
    terminal: bool = False
    """The API's own terminal event (or a whole JSON body) was seen."""
    warnings: tuple[str, ...] = ()
    """Stable codes of what was odd, e.g. `undecodable_event`. Never text."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request body cannot be judged as it came. The client sees `message`, in its API's error format."""

    code: str
    message: str
    status: int = 400


@dataclass(frozen=True, slots=True)
class Finding:
    """One detector hit. Offsets are UTF-8 bytes of the *decoded* string at `field`, never of raw JSON."""

    entity: str
    data_class: str
    """`pii`, `secret`, …: what rules speak of."""
    field: str
    """JSON Pointer (RFC 6901) of the string in the body; for an object key, the pointer of its value plus `#key`."""
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that reading one request body gave: input to the decision, and to redaction."""

    facts: RequestFacts = field(default_factory=RequestFacts)
    findings: tuple[Finding, ...] = ()
    findings_truncated: bool = False
    problem: Problem | None = None
    decoded_body: bytes | None = None
    """The body with its content coding removed, when there was one; None means the body as it came."""
    api: str | None = None
    """The api that the body is spoken in, where the path knew none (`codecs.recognised`)."""
    hides_findings: bool = False
    """Hits stand where they cannot be replaced (not UTF-8; UTF-16), or nobody could look for any."""
    places: Mapping[str, str] = field(default_factory=dict)
    """Who says what stands at a finding's field (`places.PLACES`); a field that is not in here is `other`."""


class Action(StrEnum):
    ALLOW = "allow"
    REDACT = "redact"
    DENY = "deny"


class CaptureLevel(StrEnum):
    """How much of the text the archive may hold."""

    FULL = "full"
    REDACTED = "redacted"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that fired."""

    rule: str
    """The rule's id, `<category>.<rule>`."""
    message: str
    """For people; the client sees it. Holds no prompt text."""
    action: Action
    enforced: bool
    """False: the rule is in shadow and only says what it would have done."""


@dataclass(frozen=True, slots=True)
class Obligations:
    capture: CaptureLevel = CaptureLevel.REDACTED
    retention_class: str = "default"


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy said. On a shadow route `action` is what *would* have been done; the mode says which."""

    action: Action
    reasons: tuple[Reason, ...] = ()
    redact_entities: frozenset[str] = frozenset()
    """Entities to replace in what is forwarded."""
    mask_entities: frozenset[str] = frozenset()
    """Entities to replace in what is archived when `obligations.capture` is `redacted`; includes `redact_entities`."""
    status: int = 403
    """HTTP status of a denial."""
    obligations: Obligations = field(default_factory=Obligations)
    policy_revision: str | None = None
    failure: str | None = None
    """Why no policy answered: `opa_unreachable`, `opa_timeout`, `opa_undefined`, `opa_nonsense`,
    `opa_input_too_large`; else None."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one exchange cost. An unknown price is `amount=None` with a reason, never 0."""

    amount: Decimal | None = None
    currency: str | None = None
    price_version: str | None = None
    unknown_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the configuration, as the request path needs it."""

    name: str
    provider: str
    """OTel `gen_ai.provider.name`."""
    host: str
    """The destination's host name, as policy and the archive see it."""
    mode: Mode
    credentials: Credentials
    authentication: PrincipalSource
    prefix: str = ""
    """What Envoy takes off the path's front."""
    on_disk_full: OnDiskFull = OnDiskFull.DENY
    durability: Durability = Durability.STANDARD
    stream_usage: StreamUsage = StreamUsage.ESTIMATE


@dataclass(frozen=True, slots=True)
class Limits:
    """Every limit of one exchange. What happens at each is in docs/configuration.md."""

    body_bytes_max: int = 64 * 1024 * 1024
    """Request or response content held or inspected; beyond: refused (enforce), dropped and counted (shadow)."""
    decoded_ratio_max: int = 100
    """Decoded bytes per encoded byte of a content coding; beyond: undecodable."""
    json_depth_max: int = 128
    findings_max: int = 10_000
    """Kept per request, and the first of every further entity; beyond: refused where policy redacts (enforce), content
    not kept (shadow)."""
    inspect_ms_max: int = 1_500
    """CPU for decoding and scanning one body; beyond: refused (enforce), counted (shadow)."""
    part_bytes_max: int = 256 * 1024
    """A response part frame is written when this much is pending, or after `part_ms_max`."""
    part_ms_max: int = 1_000


UNKNOWN_PART_CHARS_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Part:
    """One typed part of a message. `text` for text and thinking; tool parts carry name, id and JSON arguments."""

    type: str
    """`text`, `thinking`, `refusal`, `image`, `audio`, `video`, `file`, `tool_call`, `tool_result` or `unknown` (its
    `text` is then the part's JSON, cut at `UNKNOWN_PART_CHARS_MAX`: what a later API brings is kept, not dropped)."""
    text: str | None = None
    tool_call_id: str | None = None
    tool_name: str | None = None
    arguments: str | None = None
    """A tool call's arguments, as JSON text exactly as the model gave it."""
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Conversation:
    """What capture derives from stored bodies: for people and SQL, never for decisions."""

    system_text: str | None = None
    messages: tuple[Message, ...] = ()
    """The request's messages in order, then the response's."""
    request_message_count: int = 0
    response_text: str | None = None
    reasoning_text: str | None = None
    tool_calls: tuple[Part, ...] = ()
    """Calls in the response, with assembled arguments."""
    tools: tuple[str, ...] = ()
    """Names of the tools offered."""
    warnings: tuple[str, ...] = ()
    """Stable codes of what was odd: `unknown_part`, `unknown_event`, `truncated`. Never text."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """A refusal in an API's own error format, for an immediate response."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
