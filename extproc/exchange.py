"""One exchange as a sans-IO state machine: events in, effects out. It never awaits, reads no clock, touches no socket.

Envoy's messages move two tracks, one a direction, because in observability mode they overlap freely:

    request   IDLE ─headers─► BODY ─last body, trailers─► DONE        (headers with end_of_stream: straight to DONE)
    response  IDLE ─headers─► BODY ─last body, trailers─► DONE

`LEGAL` is the whole truth about what may come when; anything else aborts the stream, and an aborted stream fails the
request closed. Between the tracks stands the judgement (`judgement.py`): an inline (not observed) request gets no reply
to its last message before the verdict is there, so nothing unjudged is forwarded (invariant 5). Each message gets
exactly the replies that its mode asks for, none after an immediate response (invariant 1; `replies.py` keeps those
books): one each, but for a response's body in full duplex, which goes out in pieces of its own and ends exactly once.

The exchange ends once: when the response's end was seen, when it was denied, or when the stream closed. Then the last
part and the Closed frame are written, in that order, and it is `Finished` when the spool has them.

Longer than other modules, because one state machine is easier to trust in one place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, auto

from capture.record import Closed, Opened, Request, ResponsePart
from extproc import frames
from extproc.closing import Outcome
from extproc.delivery import Delivery
from extproc.events import (
    Abort,
    Append,
    Appended,
    AppendFailed,
    AwaitAccessLog,
    Conclude,
    Concluded,
    Deny,
    Effect,
    EndStream,
    EnvoyEvent,
    EnvoyLogged,
    Event,
    Finished,
    Inspected,
    Lost,
    Message,
    RequestBody,
    RequestHeaders,
    RequestTrailers,
    ResponseBody,
    ResponseHeaders,
    ResponseTrailers,
    Shutdown,
    StreamClosed,
    StreamContext,
    Tick,
)
from extproc.judgement import Judgement
from extproc.model import (
    RESPONSE_HINTS,
    Durability,
    ErrorReply,
    Mode,
    OnDiskFull,
    ResponseFacts,
    Route,
)
from extproc.opening import UNKNOWN_ROUTE, Surroundings, call_of, content_coding, route_of
from extproc.replies import Replies
from extproc.request import RequestTrack
from extproc.response import ResponseTrack

EXCHANGE_HEADER = "x-headgate-exchange-id"


class Track(Enum):
    IDLE = auto()
    BODY = auto()
    DONE = auto()


LEGAL: Mapping[type[EnvoyEvent], tuple[str, Track]] = {
    RequestHeaders: ("request", Track.IDLE),
    RequestBody: ("request", Track.BODY),
    RequestTrailers: ("request", Track.BODY),
    ResponseHeaders: ("response", Track.IDLE),
    ResponseBody: ("response", Track.BODY),
    ResponseTrailers: ("response", Track.BODY),
}
"""Which track an event moves, and the state it must find that track in."""


class Exchange:
    """One HTTP request to a provider and its response. `receive` is the only way in."""

    def __init__(self, exchange_id: str, surroundings: Surroundings, *, wall_ns: int, mono_ns: int) -> None:
        self.exchange_id = exchange_id
        self.finished = False
        self.ending: str | None = None
        """`capture_status`, as soon as it is known."""
        self._world = surroundings
        self._outcome = Outcome(started_ns=mono_ns, wall_offset_ns=wall_ns - mono_ns)
        self._now_ns = mono_ns
        self._tracks = {"request": Track.IDLE, "response": Track.IDLE}
        self._replies = Replies()
        self._route: Route | None = None
        self._judgement: Judgement | None = None
        self._envoy_request_id: str | None = None
        self._rowless = False  # the opened frame could not be written: there will be no row
        self._request = RequestTrack(surroundings.limits.body_bytes_max, surroundings.memory)
        self._streamed_request = False  # inline, in chunks: held back until judged
        self._response = ResponseTrack(exchange_id, surroundings.limits, surroundings.memory)
        self._delivery = Delivery(self._replies)
        self._parts_out = deque[int]()
        """Bytes of each part that is on its way to the spool, oldest first."""
        self._concluding = False
        self._closed_frame: Closed | None = None
        self._close_failed = False

    @property
    def route_name(self) -> str:
        return self._route.name if self._route is not None else UNKNOWN_ROUTE

    @property
    def wants_tick(self) -> bool:
        """Something is pending that time should push on."""
        return self._close_failed or (self.ending is None and self._response.has_pending)

    def receive(self, event: Event, mono_ns: int) -> tuple[Effect, ...]:
        """One event at a monotonic time in ns; the effects to perform, in order."""
        self._now_ns = max(mono_ns, self._now_ns)
        if self.finished:
            return ()
        legal = LEGAL.get(type(event))  # type: ignore[arg-type]
        if legal is not None:
            if self._replies.silent or self.ending is not None:
                return ()
            side, state = legal
            if self._tracks[side] is not state:
                return self._abort("protocol_error")
        match event:
            case RequestHeaders():
                return self._on_request_headers(event)
            case RequestBody():
                return self._on_request_body(event)
            case RequestTrailers():
                return self._on_request_trailers()
            case ResponseHeaders():
                return self._on_response_headers(event)
            case ResponseBody():
                return self._on_response_body(event)
            case ResponseTrailers():
                return self._on_response_trailers()
            case StreamClosed():
                return self._on_stream_closed()
            case _:
                return self._on_answer(event)

    def _on_answer(self, event: Event) -> tuple[Effect, ...]:
        match event:
            case Tick():
                return self._on_tick()
            case Shutdown():
                return self._on_shutdown()
            case EnvoyLogged():
                return self._on_envoy_logged(event)
            case Concluded():
                return self._write_closed(event.facts)
            case Appended(frame) | AppendFailed(frame) if frame is not Request:
                failed = isinstance(event, AppendFailed)
                if frame is Opened:
                    return self._on_opened(failed=failed)
                return self._on_part(failed=failed) if frame is ResponsePart else self._on_closed(failed=failed)
        judgement = self._judgement
        if judgement is None or not judgement.expects(event):
            return ()  # an answer that came too late to matter
        effects = self._judging(judgement.receive(event, self._at_ns()))
        if isinstance(event, Inspected) and event.inspection.api is not None and self._response.decoder is not None:
            self._response.reread(judgement.response_decoder)  # it began while nobody knew what is spoken
        return effects

    # --- request ----------------------------------------------------------------------------------------------------

    def _on_request_headers(self, event: RequestHeaders) -> tuple[Effect, ...]:
        self._tracks["request"] = Track.DONE if event.end_of_stream else Track.BODY
        self._replies.inline = not event.context.observed
        self._replies.owe(Message.REQUEST_HEADERS, self._now_ns)
        self._streamed_request = not event.context.observed and not event.context.request_body_buffered
        return self._open(event.headers, event.context)

    def _open(self, headers: Mapping[str, str], context: StreamContext) -> tuple[Effect, ...]:
        self._replies.inline = not context.observed
        route = self._route = route_of(self._world.routes, context)
        call = call_of(route, headers, context.attributes)
        codec = self._world.codec_for(call)
        principal = self._world.directory.identify(route, headers, context.attributes, context.jwt_subject)
        self._envoy_request_id = headers.get("x-request-id") or context.attributes.get("request.id")
        self._judgement = Judgement(
            exchange_id=self.exchange_id,
            route=route,
            principal=principal,
            call=call,
            codec=codec,
            placeholder_keys=self._world.placeholder_keys,
        )
        frame = frames.opened(
            exchange_id=self.exchange_id,
            at_ns=self._at_ns(),
            seq=0,  # given by the recorder when the frame is written, so that it has no gaps
            replica_id=self._world.replica_id,
            incarnation=self._world.incarnation,
            route=route,
            principal=principal,
            call=call,
            codec=codec,
            envoy_request_id=self._envoy_request_id,
            traceparent=headers.get("traceparent"),
        )
        return (Append(frame),)

    def _on_opened(self, *, failed: bool) -> tuple[Effect, ...]:
        assert self._route is not None
        self._rowless = failed
        effects: tuple[Effect, ...] = (Lost(),) if failed else ()
        if not self._replies.owes(Message.REQUEST_HEADERS) and self._tracks["request"] is not Track.DONE:
            return effects  # observed: the body is on its way
        if self._enforced() and self._replies.owes(Message.REQUEST_HEADERS):
            if failed and self._route.on_disk_full is OnDiskFull.DENY:
                return effects + self._refuse("capture_unavailable", "the request could not be recorded", 503)
            if self._route.name == UNKNOWN_ROUTE:
                return effects + self._refuse("unknown_route", "the gateway has no settings for this route", 500)
        if self._tracks["request"] is Track.DONE:
            return effects + self._judge_bodyless()
        assert self._judgement is not None
        self._replies.duplex = self._judgement.may_edit_response
        reply = self._replies.reply(
            Message.REQUEST_HEADERS,
            self._now_ns,
            exchange_id=self.exchange_id,
            duplex_response=self._replies.duplex,
        )
        return (*effects, reply)

    def _judge_bodyless(self) -> tuple[Effect, ...]:
        assert self._judgement is not None
        answered_before_us = self._outcome.answered_by == "envoy"
        return () if answered_before_us or self._judgement.begun else self._judge()

    def _on_request_body(self, event: RequestBody) -> tuple[Effect, ...]:
        self._replies.owe(Message.REQUEST_BODY, self._now_ns)
        self._request.feed(event.data)
        if event.end_of_stream:
            self._tracks["request"] = Track.DONE
        buffered = self._replies.inline and not self._streamed_request
        if event.end_of_stream or buffered:
            return self._judge() + self._early_answer()
        if self._streamed_request:  # held back; all of it goes with the last chunk
            return (self._replies.reply(Message.REQUEST_BODY, self._now_ns, body=b""),)
        return ()

    def _on_request_trailers(self) -> tuple[Effect, ...]:
        assert self._judgement is not None
        self._tracks["request"] = Track.DONE
        self._replies.owe(Message.REQUEST_TRAILERS, self._now_ns)
        if self._judgement.begun:
            return (self._replies.reply(Message.REQUEST_TRAILERS, self._now_ns),)
        if self._streamed_request and self._request.total_bytes:
            # The held-back body has no chunk left to travel in.
            return self._refuse("trailers_unsupported", "request trailers cannot follow a streamed body here", 400)
        return self._judge() + self._early_answer()

    def _early_answer(self) -> tuple[Effect, ...]:
        """The request is whole now; end the exchange if its response has ended before."""
        return self._response_ended() if self._tracks["response"] is Track.DONE else ()

    def _judge(self) -> tuple[Effect, ...]:
        assert self._judgement is not None
        self._outcome.request_done_ns = self._now_ns
        return self._judging(
            self._judgement.begin(
                self._request.whole(),
                body_bytes=self._request.total_bytes,
                problem=self._request.problem,
                send_body=self._streamed_request,
                at_ns=self._at_ns(),
            )
        )

    def _judging(self, effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
        judgement = self._judgement
        assert judgement is not None
        if self._rowless and any(isinstance(effect, Append) for effect in effects):
            effects = judgement.receive(Appended(Request), self._at_ns())  # no row: its frames go nowhere
        return effects + (self._on_verdict() if judgement.verdict is not None else ())

    def _on_verdict(self) -> tuple[Effect, ...]:
        assert self._judgement is not None
        verdict = self._judgement.verdict
        assert verdict is not None
        self._request.release()
        self._response.allow(keep=verdict.keep_response, dropped_state=verdict.dropped_response_state)
        effects: tuple[Effect, ...] = ()
        if self._replies.inline and not self._replies.silent and self._tracks["response"] is Track.IDLE:
            if verdict.deny is not None:
                self._outcome.error_type = verdict.deny_code
                return self._deny(verdict.deny)
            owed = next(message for message in _LAST_REQUEST_MESSAGES if self._replies.owes(message))
            effects = (
                self._replies.reply(
                    owed,
                    self._now_ns,
                    set_headers=verdict.set_headers,
                    remove_headers=verdict.remove_headers,
                    body=verdict.body,
                    exchange_id=self.exchange_id if owed is Message.REQUEST_HEADERS else None,
                ),
            )
        return effects + self._advance_end()

    # --- response ---------------------------------------------------------------------------------------------------

    def _on_response_headers(self, event: ResponseHeaders) -> tuple[Effect, ...]:
        effects: tuple[Effect, ...] = ()
        if self._route is None:  # a filter before us answered: the request itself never came here
            self._tracks["request"] = Track.DONE
            self._outcome.answered_by = "envoy"
            effects = self._open({}, event.context)
        assert self._judgement is not None
        self._replies.owe(Message.RESPONSE_HEADERS, self._now_ns)
        self._tracks["response"] = Track.DONE if event.end_of_stream else Track.BODY
        headers = event.headers
        status = headers.get(":status", "")
        content_type = headers.get("content-type")
        self._outcome.note_answerer(headers, event.context)
        self._outcome.saw_request_facts = self._judgement.inspected
        http_status = int(status) if status.isascii() and status.isdigit() else 0
        self._response.start(
            status=http_status,
            content_type=content_type,
            content_encoding=content_coding(headers.get("content-encoding")),
            hints={name: headers[name] for name in RESPONSE_HINTS if name in headers},
            codec_decoder=self._judgement.response_decoder(http_status, content_type),
        )
        self._edit_response()
        if self._replies.owes(Message.RESPONSE_HEADERS):
            named = ((EXCHANGE_HEADER, self.exchange_id),)
            effects += (self._replies.reply(Message.RESPONSE_HEADERS, self._now_ns, set_headers=named),)
        return effects + (self._response_ended() if event.end_of_stream else ())

    def _edit_response(self) -> None:
        """Take out what the response holds only because we asked for it. One in a content coding passes as it is."""
        assert self._judgement is not None
        verdict = self._judgement.verdict
        if not self._replies.duplex or verdict is None or not verdict.asks_usage or not self._response.succeeded:
            return
        editor = self._judgement.codec.usage_remover()
        if editor is None or self._response.is_encoded:
            self._response.warn("usage_chunk_kept")
            return
        self._delivery.edit_with(editor)

    def _on_response_body(self, event: ResponseBody) -> tuple[Effect, ...]:
        if event.data and self._outcome.first_byte_ns is None:
            self._outcome.first_byte_ns = self._now_ns
        was_terminal = self._response.terminal
        self._response.feed(event.data)
        self._delivery.take(event.data)
        if not event.last_slice:
            return ()
        self._replies.owe(Message.RESPONSE_BODY, self._now_ns)
        if event.end_of_stream:
            self._tracks["response"] = Track.DONE
        last_word = event.end_of_stream or (self._response.terminal and not was_terminal)
        strict = self._durable() and self._replies.inline and last_word
        effects = self._part(at_least=0 if strict else self._world.limits.part_bytes_max, durable=strict)
        self._delivery.waiting = self._delivery.waiting or (strict and bool(effects))
        effects += self._delivery.let_go(end_of_stream=event.end_of_stream, now_ns=self._now_ns)
        return effects + (self._response_ended() if event.end_of_stream else ())

    def _on_response_trailers(self) -> tuple[Effect, ...]:
        self._tracks["response"] = Track.DONE
        self._replies.owe(Message.RESPONSE_TRAILERS, self._now_ns)
        return self._delivery.end_with_trailers(self._now_ns) + self._response_ended()

    def _response_ended(self) -> tuple[Effect, ...]:
        """Where we only observe, an early answer can end before the request does: the rest of that is waited for."""
        if not self._replies.inline and self._tracks["request"] is Track.BODY:
            return ()
        return self._end(self._outcome.completed_as)

    def _part(self, *, at_least: int, durable: bool = False) -> tuple[Effect, ...]:
        if self._rowless:
            self._response.release()
            return ()
        part = self._response.take_part(self._at_ns(), at_least=at_least)
        if part is None:
            return ()
        self._parts_out.append(len(part.data))
        return (Append(part, durable=durable),)

    def _on_part(self, *, failed: bool) -> tuple[Effect, ...]:
        size_bytes = self._parts_out.popleft()
        if failed:
            self._response.lost_part(size_bytes)
        done = self._delivery.waiting and not self._parts_out
        effects = self._delivery.release(self._now_ns) if done else ()
        return effects + self._advance_end()

    def _on_tick(self) -> tuple[Effect, ...]:
        if self._close_failed and self._closed_frame is not None:
            self._close_failed = False
            return (Append(self._closed_frame),)
        if self.ending is None and not self._delivery.waiting:
            return self._part(at_least=0)
        return ()

    # --- the end ----------------------------------------------------------------------------------------------------

    def _on_stream_closed(self) -> tuple[Effect, ...]:
        self._replies.silence(self._now_ns)
        if self.ending is not None:
            return ()
        if self._route is None:
            return self._finish()
        if self._tracks["response"] is Track.DONE:
            return self._end(self._outcome.completed_as)
        if self._response.terminal:
            return self._end("completed")
        if self._envoy_request_id is None:
            return self._end("aborted")
        return (AwaitAccessLog(self._envoy_request_id),)

    def _on_envoy_logged(self, event: EnvoyLogged) -> tuple[Effect, ...]:
        """The provider may have broken off before Envoy passed its head on: then Envoy answered the client itself, if
        that was still there."""
        self._outcome.attempts = event.attempts or self._outcome.attempts
        left = event.ended_by == "client_aborted"
        if not left and event.http_status is not None and event.http_status != self._response.http_status:
            self._outcome.answered_by = "envoy"
            self._response.http_status = event.http_status
        return self._end(event.ended_by or "aborted")

    def _on_shutdown(self) -> tuple[Effect, ...]:
        if self._close_failed or self._route is None:
            return self._finish()
        if self.ending is not None:
            return ()
        if self._replies.inline and not self._replies.silent:
            return self._abort("shutdown")
        return self._end("shutdown")

    def _abort(self, code: str) -> tuple[Effect, ...]:
        """Fail the request closed: the stream ends in error."""
        self._replies.silence(self._now_ns)
        self._outcome.error_type = code
        if self._route is None:
            return (Abort(code), *self._finish())
        return (Abort(code), *self._end("shutdown" if code == "shutdown" else "aborted"))

    def _refuse(self, code: str, message: str, status: int) -> tuple[Effect, ...]:
        """A denial without a judgement: the request was never read."""
        assert self._judgement is not None
        self._outcome.error_type = code
        codec = self._judgement.codec
        return self._deny(codec.error(status=status, code=code, message=message, exchange_id=self.exchange_id))

    def _deny(self, reply: ErrorReply) -> tuple[Effect, ...]:
        self._replies.silence(self._now_ns)
        self._outcome.answered_by = "headgate"
        self._response.http_status = reply.status
        named = replace(reply, headers={**reply.headers, EXCHANGE_HEADER: self.exchange_id})
        return (Deny(named), *self._end("denied"))

    def _end(self, status: str) -> tuple[Effect, ...]:
        if self.ending is not None:
            return ()
        self.ending = status
        self._outcome.ended_ns = self._now_ns
        observing = not self._replies.inline and not self._replies.silent
        return ((EndStream(),) if observing else ()) + self._advance_end()

    def _advance_end(self) -> tuple[Effect, ...]:
        """Write the end as soon as everything it tells is known."""
        if self.ending is None or self._concluding or self._delivery.waiting:
            return ()
        judgement = self._judgement
        if judgement is not None and judgement.begun and judgement.verdict is None:
            return ()
        self._concluding = True
        self._request.release()
        if not self._response.may_write:  # never judged: nothing may be kept
            self._response.allow(keep=False, dropped_state="unjudged")
        decoder = self._response.decoder
        if self.ending == "denied" or decoder is None:
            return self._write_closed(ResponseFacts())
        whole = self.ending in ("completed", "timed_out")
        return (*self._part(at_least=0), Conclude(decoder, whole, decoder.held_bytes))

    def _write_closed(self, facts: ResponseFacts) -> tuple[Effect, ...]:
        if self._rowless:
            return self._finish()
        assert self._judgement is not None
        self._closed_frame = self._outcome.closed_frame(
            self.ending or "aborted",
            facts,
            judgement=self._judgement,
            request=self._request,
            response=self._response,
            response_whole=self._tracks["response"] is Track.DONE,
            overhead_ns=self._replies.overhead_ns,
            price=self._world.price,
        )
        return (Append(self._closed_frame),)

    def _on_closed(self, *, failed: bool) -> tuple[Effect, ...]:
        self._close_failed = failed  # then it is tried again at each tick: the row is owed
        return () if failed else self._finish()

    def _finish(self) -> tuple[Effect, ...]:
        self.finished = True
        self._replies.silence(self._now_ns)
        self._request.release()
        self._response.release()
        self._response.release_decoder()
        return (Finished(),)

    def _enforced(self) -> bool:
        return self._replies.inline and self._route is not None and self._route.mode is Mode.ENFORCE

    def _durable(self) -> bool:
        return self._route is not None and self._route.durability is Durability.STRICT

    def _at_ns(self) -> int:
        return self._now_ns + self._outcome.wall_offset_ns


_LAST_REQUEST_MESSAGES = (Message.REQUEST_TRAILERS, Message.REQUEST_BODY, Message.REQUEST_HEADERS)
