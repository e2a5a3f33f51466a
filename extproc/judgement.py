"""Judging one request body: inspect, ask, rewrite, record. A sans-IO machine inside `Exchange`.

    NEW ──begin──► INSPECTING ─► ASKING ─► REWRITING ─► RECORDING ─► JUDGED
                   (no body: straight to ASKING; nothing to rewrite: straight to RECORDING)

Whatever answer comes, the machine ends in JUDGED with a `Verdict`: no answer, a late one and a nonsensical one are
decisions too (fail-closed on an enforced route, recorded on a shadow route). Nothing is forwarded before JUDGED.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from extproc import decision as policy
from extproc import frames
from extproc.codec import Codec, ResponseDecoder
from extproc.codecs import CODECS
from extproc.events import (
    Append,
    Appended,
    AppendFailed,
    AskPolicy,
    Decided,
    Effect,
    Event,
    Inspect,
    Inspected,
    PolicyFailed,
    Rewrite,
    RewriteFailed,
    Rewritten,
)
from extproc.model import (
    Action,
    ArchivableBody,
    Call,
    CaptureLevel,
    Decision,
    Durability,
    ErrorReply,
    Inspection,
    Mode,
    OnDiskFull,
    Principal,
    Problem,
    RequestFacts,
    Route,
    StreamUsage,
)
from extproc.overrides import says_otherwise
from extproc.placeholders import PLAIN, PlaceholderKeys


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from the judgement for Envoy and for the rest of the exchange."""

    deny: ErrorReply | None = field(default=None, repr=False)
    deny_code: str | None = None
    body: bytes | None = field(default=None, repr=False)
    """Forward this instead of the body that came."""
    set_headers: tuple[tuple[str, str], ...] = ()
    remove_headers: tuple[str, ...] = ()
    keep_response: bool = False
    """The obligations allow the response's text into the archive."""
    asks_usage: bool = False
    """`body` asks for usage in the stream, which the client did not."""
    dropped_response_state: str = "policy"
    """Why the response's text is not kept, when it is not."""
    recorded: bool = True
    """The spool took the request's frame."""


class _State(Enum):
    NEW = auto()
    INSPECTING = auto()
    ASKING = auto()
    REWRITING = auto()
    RECORDING = auto()
    JUDGED = auto()


_EXPECTED: Mapping[_State, tuple[type, ...]] = {
    _State.INSPECTING: (Inspected,),
    _State.ASKING: (Decided, PolicyFailed),
    _State.REWRITING: (Rewritten, RewriteFailed),
    _State.RECORDING: (Appended, AppendFailed),
}


class Judgement:
    """One request's judgement. `begin` once, then `receive` each answer until `verdict` is set."""

    def __init__(
        self,
        *,
        exchange_id: str,
        route: Route,
        principal: Principal,
        call: Call,
        codec: Codec,
        placeholder_keys: PlaceholderKeys = PLAIN,
    ) -> None:
        self.exchange_id = exchange_id
        self.route = route
        self.principal = principal
        self.call = call
        self.codec = codec
        """By the path; once the body was inspected, by the body, where the path knew none."""
        self._keys = placeholder_keys
        self.inspection = Inspection()
        self.verdict: Verdict | None = None
        self._state = _State.NEW
        self._body: bytes | None = None
        self._body_bytes = 0
        self._send_body = False
        self._body_sha256: bytes | None = None
        self._document = b""
        """What policy is asked."""
        self._decision: Decision | None = None
        self._denial: tuple[str, str, int] | None = None
        self._entity_sets: tuple[frozenset[str], ...] = ()
        self._rewritten: Mapping[frozenset[str], bytes] = {}
        self._rewrite_failed = False
        self._asking: bytes | None = None
        """The body that asks for usage."""

    @property
    def may_edit_response(self) -> bool:
        """What the response holds only because we ask for it can be taken out again: known at the request's headers,
        for then the response has to come in full duplex."""
        asks = self.enforced and self.route.stream_usage is StreamUsage.ASK
        return asks and self.inspection.api is None and self.codec.usage_remover() is not None

    @property
    def _caller(self) -> str:
        return self.principal.caller or self.principal.fingerprint or f"route {self.route.name}"

    @property
    def begun(self) -> bool:
        return self._state is not _State.NEW

    @property
    def enforced(self) -> bool:
        return self.route.mode is Mode.ENFORCE

    @property
    def inspected(self) -> bool:
        return self._state not in (_State.NEW, _State.INSPECTING)

    def response_decoder(self, status: int, content_type: str | None) -> ResponseDecoder:
        """A decoder for the response, with what is known of the request by now."""
        facts = self.inspection.facts if self.inspected else RequestFacts()
        return self.codec.response(call=self.call, status=status, content_type=content_type, request=facts)

    def begin(
        self,
        body: bytes,
        *,
        body_bytes: int,
        problem: Problem | None = None,
        send_body: bool = False,
        at_ns: int | None = None,
    ) -> tuple[Effect, ...]:
        """The whole body is there; or it was dropped over a limit: `problem` says which, `body_bytes` how much came.

        `send_body`: Envoy no longer has the body, so the verdict carries it even when it is unchanged. `at_ns`:
        the time (Unix), as in `receive`.
        """
        assert self._state is _State.NEW
        self._send_body = send_body
        self._body_bytes = body_bytes
        if problem is not None:
            self.inspection = Inspection(problem=problem)
            return self._ask(at_ns)
        if not body:
            return self._ask(at_ns)
        self._body = body
        self._state = _State.INSPECTING
        return (Inspect(self.codec, self.call, body, self._caller),)

    def expects(self, event: Event) -> bool:
        return isinstance(event, _EXPECTED.get(self._state, ()))

    def receive(self, event: Event, at_ns: int) -> tuple[Effect, ...]:
        """The next answer. Only those that `expects` allows."""
        match event:
            case Inspected():
                self.inspection = event.inspection
                if event.inspection.api is not None:
                    self.codec = CODECS[event.inspection.api]
                self._body_sha256 = event.body_sha256
                return self._ask(at_ns)
            case Decided():
                return self._decided(event.decision, at_ns)
            case PolicyFailed():
                return self._decided(policy.failed(event.code), at_ns)
            case Rewritten():
                self._rewritten = dict(zip(self._entity_sets, event.bodies, strict=True))
                self._asking = event.asking
                return self._record(at_ns)
            case RewriteFailed():
                self._rewrite_failed = bool(self._entity_sets)
                if self.enforced and self._denial is None and self._must_redact():
                    self._denial = ("redaction_failed", "the request could not be redacted as policy demands", 422)
                return self._record(at_ns)
            case Appended() | AppendFailed():
                return self._recorded(failed=isinstance(event, AppendFailed))
        raise AssertionError(f"unexpected {type(event).__name__} in {self._state.name}")

    # --- steps ------------------------------------------------------------------------------------------------------

    def _ask(self, at_ns: int | None) -> tuple[Effect, ...]:
        self._state = _State.ASKING
        if self.inspection.problem is None and says_otherwise(self.call.overrides, self.codec.api):
            self.inspection = replace(self.inspection, problem=_OVERRIDDEN)
        document = policy.build_input(
            route=self.route,
            principal=self.principal,
            call=self.call,
            api=self.codec.api,
            api_source="path" if self.inspection.api is None else "body",
            operation=self.codec.operation,
            inspection=self.inspection,
            body_bytes=self._body_bytes,
            at_ns=at_ns,
        )
        self._document = document
        return (AskPolicy(document),)

    def _decided(self, decision: Decision, at_ns: int) -> tuple[Effect, ...]:
        self._decision = decision
        if self.enforced:
            self._denial = self._refusal(decision)
        wanted: list[frozenset[str]] = []
        if self._body is not None and self.inspection.findings and not self.inspection.hides_findings:
            if self._must_redact() and self._denial is None:
                wanted.append(decision.redact_entities)
            if decision.obligations.capture is CaptureLevel.REDACTED and decision.failure is None:
                wanted.append(decision.mask_entities)
        found = {finding.entity for finding in self.inspection.findings}
        self._entity_sets = tuple(dict.fromkeys(s for s in wanted if s & found))
        asks = self._must_ask_usage()
        if not self._entity_sets and not asks:
            return self._record(at_ns)
        self._state = _State.REWRITING
        body = self._plain_body()
        assert body is not None
        return (
            Rewrite(
                body,
                self.inspection.findings,
                self._entity_sets,
                self._caller,
                asking=self.codec.api if asks else None,
                forwarded=decision.redact_entities if self._must_redact() else frozenset(),
                key=self._keys.of(self.principal.team, at_ns),
            ),
        )

    def _must_ask_usage(self) -> bool:
        """The stream would tell no usage, and the route says to ask for it."""
        facts = self.inspection.facts
        if not self.enforced or self._denial is not None or not facts.stream or facts.asks_stream_usage:
            return False
        return self.may_edit_response or self.route.stream_usage is StreamUsage.ASK_AND_KEEP_CHUNK

    def _refusal(self, decision: Decision) -> tuple[str, str, int] | None:
        """(code, message, status) when an enforced route must not forward this, else None."""
        problem = self.inspection.problem
        if problem is not None:
            return problem.code, problem.message, problem.status
        if decision.failure is not None:
            return decision.failure, "policy could not be asked; nothing passes unjudged", 503
        if decision.action is Action.DENY:
            told = [r for r in decision.reasons if r.enforced and r.action is Action.DENY]
            message = "; ".join(r.message for r in told) or "denied by policy"
            return (told[0].rule if told else "policy"), message, decision.status
        if self._must_redact() and self.inspection.hides_findings:
            return "redaction_failed", "the request holds sensitive values where they cannot be replaced", 422
        if self._must_redact() and self.inspection.findings_truncated:
            return "too_many_findings", "the request holds more sensitive values than can be redacted", 413
        return None

    def _must_redact(self) -> bool:
        assert self._decision is not None
        return self.enforced and self._decision.action is Action.REDACT

    def _plain_body(self) -> bytes | None:
        return self.inspection.decoded_body if self.inspection.decoded_body is not None else self._body

    def _record(self, at_ns: int) -> tuple[Effect, ...]:
        assert self._decision is not None
        decision = self._decision
        body, content_state = self._archivable(decision)
        passed = Action.REDACT if self._must_redact() else Action.ALLOW
        done = passed if self._denial is None else Action.DENY
        self._state = _State.RECORDING
        frame = frames.request(
            exchange_id=self.exchange_id,
            at_ns=at_ns,
            mode=self.route.mode,
            inspection=self.inspection,
            decision=decision,
            done=done.value,
            would=self._would(decision),
            policy_input=self._document,
            call=self.call,
            body=body,
            body_bytes=self._body_bytes,
            body_sha256=self._body_sha256,
            content_state=content_state,
        )
        return (Append(frame, durable=self.route.durability is Durability.STRICT),)

    def _would(self, decision: Decision) -> str | None:
        """`would_decision`. What an enforced route refuses whatever policy says, a shadow route would have denied."""
        unfit = self.inspection.problem is not None or (
            decision.action is Action.REDACT and (self.inspection.findings_truncated or self.inspection.hides_findings)
        )
        return Action.DENY.value if unfit and not self.enforced else policy.would(decision, self.route.mode)

    def _archivable(self, decision: Decision) -> tuple[ArchivableBody | None, str]:
        """What of the body the obligations let into the archive, and the word for it."""
        problem = self.inspection.problem
        if self._body_bytes == 0:
            return None, "none"
        if problem is not None and problem.code in ("body_too_large", "inflight_full"):
            return None, "over_limit"
        if decision.failure is not None:
            return None, "unjudged"
        if decision.obligations.capture is CaptureLevel.METADATA:
            return None, "policy"
        body = self._plain_body()
        assert body is not None
        undecoded = self.call.content_encoding is not None and self.inspection.decoded_body is None
        if decision.obligations.capture is CaptureLevel.FULL:
            return ArchivableBody(body), "encoded" if undecoded else "exact"
        if undecoded or self.inspection.hides_findings or (problem is not None and problem.code in _NOT_SCANNED):
            return None, "undecodable"  # nobody could look for what has to be masked
        if self.inspection.findings_truncated or self._rewrite_failed:
            return None, "policy"
        masked = self._rewritten.get(decision.mask_entities)
        if masked is not None:
            return ArchivableBody(masked), "redacted"
        return ArchivableBody(body), "exact"

    def _recorded(self, *, failed: bool) -> tuple[Effect, ...]:
        assert self._decision is not None
        if failed and self.enforced and self.route.on_disk_full is OnDiskFull.DENY and self._denial is None:
            self._denial = ("capture_unavailable", "the request could not be recorded; nothing passes unrecorded", 503)
        self._state = _State.JUDGED
        unjudged = self._decision.failure is not None
        keep = self._decision.obligations.capture is not CaptureLevel.METADATA and not unjudged
        dropped = "unjudged" if unjudged else "policy"
        if self._denial is not None:
            code, message, status = self._denial
            reply = self.codec.error(status=status, code=code, message=message, exchange_id=self.exchange_id)
            self.verdict = Verdict(deny=reply, deny_code=code, keep_response=keep, dropped_response_state=dropped)
        else:
            self.verdict = self._pass(keep, dropped)
        self.verdict = replace(self.verdict, recorded=not failed)
        self._body = None
        self._rewritten = {}
        self._asking = None
        return ()

    def _pass(self, keep: bool, dropped: str) -> Verdict:
        assert self._decision is not None
        set_headers: list[tuple[str, str]] = []
        remove_headers: list[str] = []
        body = self._rewritten.get(self._decision.redact_entities) if self._must_redact() else None
        body = self._asking if self._asking is not None else body
        if body is not None and self.inspection.decoded_body is not None:
            remove_headers.append("content-encoding")  # what goes on is the decoded body, edited
        if body is None and self._send_body:
            body = self._body
        if body is not None and self.call.has_length and not self._send_body:
            set_headers.append(("content-length", str(len(body))))  # Envoy refuses a body that its header contradicts
        if self.enforced and self._body and not (self.call.content_type or "").strip() and self.codec.api != "opaque":
            # It was read as JSON, so it is sent as JSON: no provider may read it as anything else.
            set_headers.append(("content-type", "application/json"))
        return Verdict(
            body=body,
            set_headers=tuple(set_headers),
            remove_headers=tuple(remove_headers),
            keep_response=keep,
            dropped_response_state=dropped,
            asks_usage=self._asking is not None,
        )


_OVERRIDDEN = Problem("ambiguous_query", "the query says what method or body say: some servers would obey it instead")
_NOT_SCANNED = frozenset(
    {"undecodable_content", "unsupported_content_encoding", "decoded_too_large", "inspect_budget", "invalid_utf8"}
)
"""Problems after which no detector saw the whole text."""
