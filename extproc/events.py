"""What an exchange is told (events) and what it asks for (effects). Frozen data; nobody subclasses them.

The shell feeds events to `Exchange.receive` and performs the effects it returns, in order. Some effects are questions:
each is answered by exactly one event.

    effect                       answered by
    Append(frame)                Appended | AppendFailed
    Inspect(body)                Inspected
    AskPolicy(document)          Decided | PolicyFailed
    Rewrite(body, …)             Rewritten | RewriteFailed
    Conclude(decoder)            Concluded
    AwaitAccessLog(request id)   EnvoyLogged
    Reply, Deny, EndStream, Abort, Lost, Finished    (nothing)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from capture.record import AnyFrame
from extproc.codec import Codec, ResponseDecoder
from extproc.model import Call, Decision, ErrorReply, Finding, Inspection, ResponseFacts


class Message(Enum):
    """The six messages of ext_proc, in the order in which one HTTP exchange can produce them."""

    REQUEST_HEADERS = "request_headers"
    REQUEST_BODY = "request_body"
    REQUEST_TRAILERS = "request_trailers"
    RESPONSE_HEADERS = "response_headers"
    RESPONSE_BODY = "response_body"
    RESPONSE_TRAILERS = "response_trailers"


# --- events: from Envoy ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StreamContext:
    """What comes beside an ext_proc message. Attributes as text; absent ones are absent."""

    observed: bool = False
    """`observability_mode`: Envoy waits for nothing and ignores replies."""
    attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    jwt_subject: str | None = field(default=None, repr=False)
    request_body_buffered: bool = False
    """The one request body message holds the whole body, trailers or not (`protocol_config`)."""


@dataclass(frozen=True, slots=True)
class RequestHeaders:
    headers: Mapping[str, str] = field(repr=False)
    """Lower-case names; repeated headers joined by `, ` (RFC 9110 §5.3)."""
    end_of_stream: bool
    context: StreamContext


@dataclass(frozen=True, slots=True)
class RequestBody:
    data: bytes = field(repr=False)
    end_of_stream: bool


@dataclass(frozen=True, slots=True)
class RequestTrailers:
    pass


@dataclass(frozen=True, slots=True)
class ResponseHeaders:
    headers: Mapping[str, str] = field(repr=False)
    end_of_stream: bool
    context: StreamContext


@dataclass(frozen=True, slots=True)
class ResponseBody:
    data: bytes = field(repr=False)
    end_of_stream: bool
    last_slice: bool = True
    """False for all but the last slice of one message: only the last one is answered."""


@dataclass(frozen=True, slots=True)
class ResponseTrailers:
    pass


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The ext_proc stream is gone: Envoy has finished with it, or the client or the upstream went."""


# --- events: answers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Appended:
    frame: type[AnyFrame]


@dataclass(frozen=True, slots=True)
class AppendFailed:
    """The spool is full or its disk refuses: the frame is not in the spool."""

    frame: type[AnyFrame]


@dataclass(frozen=True, slots=True)
class Inspected:
    inspection: Inspection
    body_sha256: bytes | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    decision: Decision


@dataclass(frozen=True, slots=True)
class PolicyFailed:
    code: str
    """`opa_unreachable`, `opa_timeout`, `opa_undefined` or `opa_nonsense`."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    bodies: tuple[bytes, ...] = field(repr=False)
    """One for each set of entities that was asked for, in that order."""
    asking: bytes | None = field(default=None, repr=False)
    """The body to forward, asking for usage; None when it was not to ask, or its api cannot be asked."""


@dataclass(frozen=True, slots=True)
class RewriteFailed:
    code: str


@dataclass(frozen=True, slots=True)
class Concluded:
    facts: ResponseFacts


@dataclass(frozen=True, slots=True)
class EnvoyLogged:
    """How Envoy's access log says the exchange ended; None when it said nothing in time."""

    ended_by: str | None
    """`client_aborted`, `upstream_aborted`, `timed_out` or None."""
    attempts: int | None = None
    http_status: int | None = None
    """What the client got. None: nothing, or it is not said."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: write what is pending."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The drain ran out: close now with what is there."""


EnvoyEvent = (
    RequestHeaders | RequestBody | RequestTrailers | ResponseHeaders | ResponseBody | ResponseTrailers | StreamClosed
)
Answer = (
    Appended
    | AppendFailed
    | Inspected
    | Decided
    | PolicyFailed
    | Rewritten
    | RewriteFailed
    | Concluded
    | EnvoyLogged
    | Tick
    | Shutdown
)
Event = EnvoyEvent | Answer


# --- effects ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer one message: go on, with these changes."""

    message: Message
    set_headers: tuple[tuple[str, str], ...] = ()
    remove_headers: tuple[str, ...] = ()
    body: bytes | None = field(default=None, repr=False)
    exchange_id: str | None = None
    """Tell Envoy the exchange's id as dynamic metadata, so that an answer of its own later on can name it."""
    duplex_response: bool = False
    """At the request's headers: have the response in FULL_DUPLEX_STREAMED from the first byte on."""
    streamed_end: bool | None = None
    """Full duplex: `body` goes to the client now, in answer to no message of its own; True for the response's last."""


@dataclass(frozen=True, slots=True)
class Deny:
    """Answer with an immediate response; nothing may be sent after it."""

    reply: ErrorReply


@dataclass(frozen=True, slots=True)
class Append:
    frame: AnyFrame = field(repr=False)
    durable: bool = False
    """Answer only once the frame is on disk (fdatasync), not when it is merely written."""


@dataclass(frozen=True, slots=True)
class Inspect:
    codec: Codec
    call: Call
    body: bytes = field(repr=False)
    caller: str = ""
    """Whose turn it takes when there is not a worker for everybody."""


@dataclass(frozen=True, slots=True)
class AskPolicy:
    document: bytes = field(repr=False)
    """The policy input as JSON (docs/decisions/001)."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    body: bytes = field(repr=False)
    findings: tuple[Finding, ...]
    entity_sets: tuple[frozenset[str], ...]
    caller: str = ""
    """As in `Inspect`."""
    asking: str | None = None
    """The api whose body is also to ask for usage in its stream."""
    forwarded: frozenset[str] = frozenset()
    """The entities that are replaced in the body that asks: one of `entity_sets`, or none."""
    key: bytes | None = field(default=None, repr=False)
    """Of the placeholders of this team and period (`placeholders`)."""


@dataclass(frozen=True, slots=True)
class Conclude:
    decoder: ResponseDecoder
    complete: bool
    held_bytes: int
    """About how much the decoder still has to read: large ones are concluded off the loop."""


@dataclass(frozen=True, slots=True)
class AwaitAccessLog:
    envoy_request_id: str


@dataclass(frozen=True, slots=True)
class EndStream:
    """Nothing more will be said on this ext_proc stream: the server returns. Only where Envoy waits for nothing."""


@dataclass(frozen=True, slots=True)
class Abort:
    """End the ext_proc stream in error: Envoy fails the request closed."""

    code: str


@dataclass(frozen=True, slots=True)
class Lost:
    """No row will exist for this exchange: count it, for good."""


@dataclass(frozen=True, slots=True)
class Finished:
    """All is told; forget the exchange."""


Effect = (
    Reply
    | Deny
    | Append
    | Inspect
    | AskPolicy
    | Rewrite
    | Conclude
    | AwaitAccessLog
    | EndStream
    | Abort
    | Lost
    | Finished
)
