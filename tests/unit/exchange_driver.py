"""Drives an `Exchange` as Envoy and the shell would, and keeps the books that the invariants speak of."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from capture.record import AnyFrame, Closed, Opened, Request, ResponsePart
from extproc.events import (
    Abort,
    Append,
    Appended,
    AppendFailed,
    AskPolicy,
    AwaitAccessLog,
    Conclude,
    Concluded,
    Decided,
    Deny,
    Effect,
    EndStream,
    EnvoyLogged,
    Event,
    Finished,
    Inspect,
    Inspected,
    Lost,
    Message,
    PolicyFailed,
    Reply,
    RequestBody,
    RequestHeaders,
    RequestTrailers,
    ResponseBody,
    ResponseHeaders,
    ResponseTrailers,
    Rewrite,
    Rewritten,
    StreamContext,
)
from extproc.exchange import Exchange
from extproc.json_codec import JsonCodec
from extproc.memory import MemoryBudget
from extproc.model import (
    Action,
    Call,
    CaptureLevel,
    Conversation,
    Cost,
    Credentials,
    Decision,
    ErrorReply,
    Inspection,
    Limits,
    Mode,
    Obligations,
    PrincipalSource,
    RequestFacts,
    ResponseFacts,
    Route,
    Usage,
    UsageSource,
)
from extproc.opening import Surroundings
from extproc.principal import Directory

ENFORCE = Route(
    name="enforced",
    provider="openai",
    host="api.openai.com",
    mode=Mode.ENFORCE,
    credentials=Credentials.INJECT,
    authentication=PrincipalSource.API_KEY,
    prefix="/openai",
)
SHADOW = replace(ENFORCE, name="shadowed", mode=Mode.SHADOW, credentials=Credentials.PASSTHROUGH)

ALLOW = Decision(Action.ALLOW, obligations=Obligations(capture=CaptureLevel.FULL), policy_revision="r1")
DENY = replace(ALLOW, action=Action.DENY)

_MESSAGE_OF: Mapping[type, Message] = {
    RequestHeaders: Message.REQUEST_HEADERS,
    RequestBody: Message.REQUEST_BODY,
    RequestTrailers: Message.REQUEST_TRAILERS,
    ResponseHeaders: Message.RESPONSE_HEADERS,
    ResponseBody: Message.RESPONSE_BODY,
    ResponseTrailers: Message.RESPONSE_TRAILERS,
}


class FakeDecoder:
    """`END` in the bytes is the terminal event; every byte is a token."""

    def __init__(self) -> None:
        self.seen = b""

    @property
    def terminal(self) -> bool:
        return b"END" in self.seen

    @property
    def held_bytes(self) -> int:
        return 0

    def take_head(self, headers: Mapping[str, str]) -> None:
        pass

    def feed(self, data: bytes) -> None:
        self.seen += data

    def finish(self, *, complete: bool) -> ResponseFacts:
        source = UsageSource.PROVIDER if complete else UsageSource.ESTIMATED
        return ResponseFacts(terminal=self.terminal, usage=Usage(1, len(self.seen), source=source))


class FakeCodec(JsonCodec):
    api = "fake.chat"
    operation: str | None = "chat"

    def matches(self, call: Call) -> bool:
        return True

    def request(self, document: Any, call: Call) -> RequestFacts:
        return RequestFacts()

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> FakeDecoder:
        return FakeDecoder()

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        return ErrorReply(status, f"{code}: {message}".encode())

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        return Conversation()


def surroundings(*routes: Route, limits: Limits | None = None, memory_bytes: int = 1 << 20) -> Surroundings:
    return Surroundings(
        replica_id="r",
        incarnation="i",
        routes={route.name: route for route in routes or (ENFORCE, SHADOW)},
        directory=Directory({}),
        limits=limits or Limits(),
        memory=MemoryBudget(memory_bytes),
        codec_for=lambda call: FakeCodec(),
        price=lambda provider, model, usage, at_ns, tier=None, *, asked_model=None: Cost(
            unknown_reason="unknown_model"
        ),
    )


def context(route: Route, *, observed: bool = False, buffered: bool = True) -> StreamContext:
    return StreamContext(
        observed=observed, attributes={"xds.route_name": route.name}, request_body_buffered=buffered and not observed
    )


def request_headers(
    route: Route, *, end: bool = False, observed: bool = False, buffered: bool = True
) -> RequestHeaders:
    headers = {
        ":method": "POST",
        ":path": "/openai/v1/chat/completions?key=secret",
        ":authority": "gate",
        "x-request-id": "envoy-1",
        "content-type": "application/json",
    }
    return RequestHeaders(headers, end, context(route, observed=observed, buffered=buffered))


def response_headers(route: Route, *, status: int = 200, end: bool = False, observed: bool = False) -> ResponseHeaders:
    return ResponseHeaders({":status": str(status)}, end, context(route, observed=observed))


@dataclass
class Driver:
    """Performs effects by script; questions pile up in `questions` until `answer` or `answer_all`."""

    exchange: Exchange
    decision: Decision | str = ALLOW
    inspection: Inspection = field(default_factory=Inspection)
    spool_full: Callable[[AnyFrame], bool] = lambda frame: False
    logged: EnvoyLogged = field(default_factory=lambda: EnvoyLogged("client_aborted"))
    now_ns: int = 1_000
    sent: list[Reply | Deny] = field(default_factory=list)
    received: Counter[Message] = field(default_factory=Counter)
    frames: list[AnyFrame] = field(default_factory=list)
    questions: list[Effect] = field(default_factory=list)
    asked_body: bytes | None = b"<asking>"
    """What asking for usage makes of any body; None: it cannot be asked."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """What policy was asked."""
    aborted: str | None = None
    ended: bool = False
    lost: int = 0
    finished: int = 0

    def event(self, event: Event) -> None:
        """One event from Envoy; questions stay open."""
        kind = _MESSAGE_OF.get(type(event))
        if kind is not None:
            self.received[kind] += 1
        self._deliver(event)

    def play(self, *events: Event) -> Driver:
        """Events with every question answered at once."""
        for event in events:
            self.event(event)
            self.answer_all()
        return self

    def answer_all(self) -> None:
        while self.questions:
            self.answer()

    def answer(self) -> None:
        """Answer the oldest open question."""
        self._deliver(self._answer_to(self.questions.pop(0)))

    def replies(self, message: Message) -> list[Reply]:
        return [r for r in self.sent if isinstance(r, Reply) and r.message is message]

    @property
    def denial(self) -> Deny | None:
        return next((r for r in self.sent if isinstance(r, Deny)), None)

    def frame(self, kind: type[Any]) -> Any:
        found = [f for f in self.frames if isinstance(f, kind)]
        assert len(found) == 1, f"{len(found)} {kind.__name__} frames"
        return found[0]

    @property
    def opened(self) -> Opened:
        return self.frame(Opened)  # type: ignore[no-any-return]

    @property
    def request(self) -> Request:
        return self.frame(Request)  # type: ignore[no-any-return]

    @property
    def closed(self) -> Closed:
        return self.frame(Closed)  # type: ignore[no-any-return]

    @property
    def response_data(self) -> bytes:
        return b"".join(f.data for f in self.frames if isinstance(f, ResponsePart))

    def _deliver(self, event: Event) -> None:
        self.now_ns += 1_000
        for effect in self.exchange.receive(event, self.now_ns):
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        assert not self.finished, "an effect after Finished"
        match effect:
            case Reply() | Deny():
                assert self.denial is None, "a reply after an immediate response"
                assert self.aborted is None, "a reply after an abort"
                self.sent.append(effect)
            case EndStream():
                self.ended = True
            case Abort(code):
                self.aborted = code
            case Lost():
                self.lost += 1
            case Finished():
                self.finished += 1
            case _:
                self.questions.append(effect)

    def _answer_to(self, effect: Effect) -> Event:
        match effect:
            case Append(frame):
                if self.spool_full(frame):
                    return AppendFailed(type(frame))
                self.frames.append(frame)
                return Appended(type(frame))
            case Inspect():
                return Inspected(self.inspection, b"digest")
            case AskPolicy():
                self.asked.append(json.loads(effect.document))
                return PolicyFailed(self.decision) if isinstance(self.decision, str) else Decided(self.decision)
            case Rewrite():
                rewritten = tuple(b"<rewritten>" for _ in effect.entity_sets)
                return Rewritten(rewritten, self.asked_body if effect.asking is not None else None)
            case Conclude():
                return Concluded(effect.decoder.finish(complete=effect.complete))
            case AwaitAccessLog():
                return self.logged
        raise AssertionError(f"no answer to {effect}")


def drive(world: Surroundings | None = None, **script: Any) -> Driver:
    return Driver(Exchange("0190-x", world or surroundings(), wall_ns=10**18, mono_ns=0), **script)
