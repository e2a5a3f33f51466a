"""The shell around the exchanges: feeds them events, performs their effects. All I/O of the request path meets here.

Everything runs on one event loop. `_Session` is one ext_proc stream and its exchange; effects are performed in order,
answers are fed back at once where they are there at once, else when their task is done.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import structlog

from extproc import wire
from extproc.errors import DependencyError, HeadgateError
from extproc.events import (
    Abort,
    Append,
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
    Lost,
    PolicyFailed,
    Reply,
    Rewrite,
    RewriteFailed,
    Shutdown,
    StreamClosed,
    Tick,
)
from extproc.exchange import Exchange
from extproc.model import Decision, ResponseFacts
from extproc.opening import Surroundings
from extproc.recorder import Recorder
from extproc.telemetry import Metrics
from extproc.transport import Stream
from extproc.workers import Workers, uninspected

_log = structlog.get_logger()
_ACCESS_LOG_WAIT_S = 2.0
_ACCESS_LOG_KEPT_MAX = 1_024


class PolicyClient(Protocol):
    def recall(self, input_document: bytes) -> Decision | None: ...

    async def decide(self, input_document: bytes) -> Decision: ...


class Servicer:
    """Opens a session for each stream, keeps the books of the open ones."""

    def __init__(
        self,
        *,
        surroundings: Surroundings,
        policy: PolicyClient,
        recorder: Recorder,
        workers: Workers,
        metrics: Metrics,
        new_id: Callable[[], str],
        open_exchanges_max: int,
    ) -> None:
        self.surroundings = surroundings
        self.policy = policy
        self.recorder = recorder
        self.workers = workers
        self.metrics = metrics
        self.access_log = AccessLog()
        self.tasks: set[asyncio.Task[None]] = set()
        self.sessions: set[_Session] = set()
        self._new_id = new_id
        self._open_exchanges_max = open_exchanges_max
        self._settled = asyncio.Event()

    def open_process(self, stream: Stream) -> _Session:
        session = _Session(self, stream, self._new_id())
        if len(self.sessions) >= self._open_exchanges_max:
            session.refuse()
        else:
            self.sessions.add(session)
            self.metrics.open.set(len(self.sessions))
        return session

    def open_access_log(self, _stream: Stream) -> _AccessLogSession:
        return _AccessLogSession(self)

    def forget(self, session: _Session) -> None:
        self.sessions.discard(session)
        self.metrics.open.set(len(self.sessions))
        self.metrics.held_bytes.set(self.surroundings.memory.used_bytes)
        if not self.sessions:
            self._settled.set()

    def start_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # A bug of ours. Envoy gets no reply, times out and fails the request closed.
            _log.error("effect_failed", error=type(error).__name__)

    async def tick(self, every_s: float) -> None:
        """Push on what time should push on, for ever."""
        while True:
            await asyncio.sleep(every_s)
            for session in [s for s in self.sessions if s.exchange.wants_tick]:
                session.deliver(Tick())

    async def settle(self, within_s: float) -> bool:
        """Wait until every exchange has been told to its end."""
        if not self.sessions:
            return True
        self._settled.clear()
        try:
            await asyncio.wait_for(self._settled.wait(), within_s)
        except TimeoutError:
            return False
        return True

    def shut_down(self) -> None:
        """The drain ran out: close what is still open, with what is there."""
        for session in list(self.sessions):
            session.deliver(Shutdown())


class _Session:
    """One ext_proc stream and its exchange."""

    def __init__(self, servicer: Servicer, stream: Stream, exchange_id: str) -> None:
        self.exchange = Exchange(
            exchange_id, servicer.surroundings, wall_ns=time.time_ns(), mono_ns=time.monotonic_ns()
        )
        self._servicer = servicer
        self._stream = stream
        self._refused = False
        self._effects: deque[Effect] = deque()
        self._performing = False

    def refuse(self) -> None:
        """Too many exchanges are open: an enforced request fails closed, an observed one is counted as lost."""
        self._refused = True
        self._servicer.recorder.lost()
        self._servicer.metrics.aborts.labels("overloaded").inc()
        self._stream.fail("overloaded")

    def on_message(self, message: bytes) -> Awaitable[None] | None:
        if self._refused:
            return None
        started = time.monotonic()
        self._servicer.metrics.messages.labels("process").inc()
        try:
            events = wire.parse(message)
            first = next(events)
        except HeadgateError as error:
            self._perform([Abort(error.code)])
            return None
        self.deliver(first)
        self._servicer.metrics.loop_seconds.observe(time.monotonic() - started)
        return self._rest(list(events)) if len(message) > wire.SLICE_BYTES_MAX else None

    async def _rest(self, events: list[Any]) -> None:
        for event in events:
            await asyncio.sleep(0)  # the loop serves others between the slices of a long chunk
            self.deliver(event)

    def on_closed(self) -> None:
        if not self._refused:
            self.deliver(StreamClosed())

    def deliver(self, event: Event) -> None:
        self._perform(self.exchange.receive(event, time.monotonic_ns()))

    # --- effects ----------------------------------------------------------------------------------------------------

    def _perform(self, effects: tuple[Effect, ...] | list[Effect]) -> None:
        """In order; answers that come at once are fed in before later effects are performed."""
        self._effects.extend(effects)
        if self._performing:
            return
        self._performing = True
        try:
            while self._effects:
                answer = self._attempt(self._effects.popleft())
                if answer is not None:
                    self._effects.extend(self.exchange.receive(answer, time.monotonic_ns()))
        finally:
            self._performing = False

    def _attempt(self, effect: Effect) -> Event | None:
        """A bug of ours in answering a question is an answer too: the exchange must end, and its row is owed."""
        try:
            return self._do(effect)
        except Exception as error:
            _log.error("effect_failed", effect=type(effect).__name__, error=type(error).__name__)
            answer = _no_answer(effect)
            if answer is None:
                raise
            return answer

    def _do(self, effect: Effect) -> Event | None:
        """Perform one effect; its answer, when that is there at once."""
        servicer = self._servicer
        match effect:
            case Reply() | Deny():
                self._stream.send(wire.render(effect))
                servicer.metrics.replies.labels("deny" if isinstance(effect, Deny) else "continue").inc()
            case Append():
                return servicer.recorder.append(effect, self.deliver)
            case Inspect():
                if servicer.workers.small(len(effect.body)):
                    return servicer.workers.inspect_now(effect)
                servicer.start_task(self._answer(effect, servicer.workers.inspect(effect)))
            case AskPolicy():
                remembered = servicer.policy.recall(effect.document)
                if remembered is not None:
                    return Decided(remembered)
                servicer.start_task(self._answer(effect, self._ask(effect.document)))
            case Rewrite():
                if servicer.workers.small(len(effect.body) * (len(effect.entity_sets) + (effect.asking is not None))):
                    return servicer.workers.rewrite_now(effect)
                servicer.start_task(self._answer(effect, servicer.workers.rewrite(effect)))
            case Conclude():
                if servicer.workers.small(effect.held_bytes):
                    return Concluded(effect.decoder.finish(complete=effect.complete))
                servicer.start_task(self._answer(effect, self._conclude(effect)))
            case AwaitAccessLog():
                return servicer.access_log.wait(effect.envoy_request_id, self.deliver)
            case EndStream():
                self._stream.end()
            case Abort():
                servicer.metrics.aborts.labels(effect.code).inc()
                self._stream.fail(effect.code)
            case Lost():
                servicer.recorder.lost()
            case Finished():
                servicer.metrics.exchanges.labels(self.exchange.route_name, self.exchange.ending or "none").inc()
                servicer.forget(self)
        return None

    async def _answer(self, effect: Effect, work: Coroutine[Any, Any, Event]) -> None:
        try:
            answer = await work
        except Exception as error:  # noqa: BLE001 (see `_attempt`)
            _log.error("effect_failed", effect=type(effect).__name__, error=type(error).__name__)
            known = _no_answer(effect)
            assert known is not None, "only questions are answered by tasks"
            answer = known
        self.deliver(answer)

    async def _ask(self, document: bytes) -> Event:
        started = time.monotonic()
        try:
            decision = await self._servicer.policy.decide(document)
        except DependencyError as error:
            self._servicer.metrics.policy_failures.labels(error.code).inc()
            return PolicyFailed(error.code)
        self._servicer.metrics.policy_seconds.observe(time.monotonic() - started)
        return Decided(decision)

    async def _conclude(self, effect: Conclude) -> Event:
        return Concluded(await self._servicer.workers.conclude(effect.decoder, complete=effect.complete))


def _no_answer(effect: Effect) -> Event | None:
    """What a question gets when answering it failed: closed where it binds, and no text is kept."""
    match effect:
        case Inspect():
            return uninspected("inspection_failed")
        case AskPolicy():
            return PolicyFailed("opa_nonsense")
        case Rewrite():
            return RewriteFailed("inspection_failed")
        case Conclude():
            return Concluded(ResponseFacts(warnings=("inspection_failed",)))
        case _:
            return None


class AccessLog:
    """Pairs Envoy's entries about abnormal ends with the exchanges that wait for them. Bounded; both may come first."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, EnvoyLogged] = OrderedDict()
        self._waiting: dict[str, tuple[Callable[[Event], None], asyncio.TimerHandle]] = {}

    def wait(self, request_id: str, deliver: Callable[[Event], None]) -> EnvoyLogged | None:
        """The entry, when it is here already; else it is delivered later, or `EnvoyLogged(None)` after the wait."""
        known = self._entries.pop(request_id, None)
        if known is not None:
            return known
        timer = asyncio.get_running_loop().call_later(_ACCESS_LOG_WAIT_S, self._give_up, request_id)
        self._waiting[request_id] = (deliver, timer)
        return None

    def entry(self, request_id: str, logged: EnvoyLogged) -> None:
        waiting = self._waiting.pop(request_id, None)
        if waiting is not None:
            deliver, timer = waiting
            timer.cancel()
            deliver(logged)
            return
        self._entries[request_id] = logged
        if len(self._entries) > _ACCESS_LOG_KEPT_MAX:
            self._entries.popitem(last=False)

    def _give_up(self, request_id: str) -> None:
        waiting = self._waiting.pop(request_id, None)
        if waiting is not None:
            waiting[0](EnvoyLogged(None))


class _AccessLogSession:
    """One stream of Envoy's access log."""

    def __init__(self, servicer: Servicer) -> None:
        self._servicer = servicer

    def on_message(self, message: bytes) -> None:
        self._servicer.metrics.messages.labels("access_log").inc()
        try:
            for request_id, logged in wire.parse_access_log(message):
                self._servicer.access_log.entry(request_id, logged)
        except HeadgateError as error:
            _log.warning("access_log_unreadable", code=error.code)

    def on_closed(self) -> None:
        pass
