"""Simulated providers whose chunking, delay and failure a test steers by request headers.

    x-sim-chunks N             pieces of text (default 8)            x-sim-chunk-bytes N       bytes of each piece
    x-sim-chunk-delay-ms N     before each event                     x-sim-delay-ms N          before the headers
    x-sim-status N             answer with this error                x-sim-body-bytes N        text of about N bytes
    x-sim-abort-after-chunks N reset the connection after N events   x-sim-trailers NAME: VALUE
    x-sim-fail-times N         answer 503 that often first, counted by x-sim-key
    x-sim-echo 1               answer with the last message's text   x-sim-encoding gzip       encode the answer
    x-sim-header NAME: VALUE   one more response header

`GET /_sim/requests?key=K` lists what was received (all of it without a key), newest last; `DELETE` forgets it.
What is answered is in `providers`; a model whose name begins with `missing-` is not there.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Final
from urllib.parse import parse_qs, urlsplit

from extproc.upstream.endpoint import Endpoint, Question, Reply, whole
from extproc.upstream.http import Request, Responder
from extproc.upstream.journal import Journal
from extproc.upstream.providers import found, refusal

COUNTED_KEYS_MAX: Final = 10_000
KEY_HEADERS: Final = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


class SimulatedProviders:
    """All providers in one; method and path tell which is meant."""

    def __init__(self) -> None:
        self._journal = Journal()
        self._failed: Counter[str] = Counter()

    async def answer(self, request: Request, respond: Responder) -> None:
        if request.path == "/_sim/requests":
            await self._answer_journal(request, respond)
            return
        self._journal.add(request)
        await asyncio.sleep(request.number("x-sim-delay-ms") / 1000)
        asked = found(request)
        refuse = refusal(request) if asked is None else asked[0].refuse
        status = self._failure(request)
        if status is not None:
            await _at_once(respond, refuse(status, "simulated failure"))
        elif (asked is None or asked[0].needs_key) and not any(request.headers.get(name) for name in KEY_HEADERS):
            await _at_once(respond, refuse(401, "no API key was given"))
        elif asked is None:
            await _at_once(respond, refuse(404, f"no such resource: {request.method} {request.path}"))
        else:
            await _answer(*asked, respond)

    async def _answer_journal(self, request: Request, respond: Responder) -> None:
        if request.method == "DELETE":
            self._journal.clear()
        keys = parse_qs(urlsplit(request.target).query).get("key", [])
        await _at_once(respond, whole({"requests": self._journal.listed(keys[0] if keys else None)}))

    def _failure(self, request: Request) -> int | None:
        times = request.number("x-sim-fail-times")
        key = request.headers.get("x-sim-key", "")
        if times:
            if self._failed[key] < times:
                if len(self._failed) >= COUNTED_KEYS_MAX:
                    self._failed.clear()
                self._failed[key] += 1
                return 503
            return None
        return request.number("x-sim-status") or None


async def _answer(endpoint: Endpoint, question: Question, respond: Responder) -> None:
    wanted = endpoint.wants
    if wanted is not None and not isinstance(question.body.get(wanted), list | str | dict):
        await _at_once(respond, endpoint.refuse(400, f"the body is no JSON object with {wanted}"))
    elif question.model.startswith("missing-"):
        await _at_once(respond, endpoint.refuse(404, "the model does not exist"))
    else:
        await _send(question.request, respond, endpoint.answer(question))


async def _at_once(respond: Responder, reply: Reply) -> None:
    body = b"".join(reply.parts)
    await respond.whole(reply.status, body, [("content-type", reply.content_type), *reply.headers])


async def _send(request: Request, respond: Responder, reply: Reply) -> None:
    """Head, parts with their delay, the abort that was asked for, trailers."""
    headers = [("x-request-id", "req_simulated"), ("server", "simulated"), *reply.headers]
    if reply.content_type:
        headers.insert(0, ("content-type", reply.content_type))
    added, _, value = request.headers.get("x-sim-header", "").partition(":")
    if added.strip():
        headers.append((added.strip(), value.strip()))
    parts = reply.parts
    if request.headers.get("x-sim-encoding") == "gzip":
        headers.append(("content-encoding", "gzip"))
        parts = _gzipped(parts)
    if reply.streamed or "x-sim-trailers" in request.headers:
        await respond.head(reply.status, headers)
    else:
        parts = list(parts)
        await respond.head(reply.status, headers, length=sum(map(len, parts)))
    await _send_parts(request, respond, parts)
    name, _, value = request.headers.get("x-sim-trailers", "").partition(":")
    await respond.end([(name.strip(), value.strip())] if name.strip() else ())


async def _send_parts(request: Request, respond: Responder, parts: Iterable[bytes]) -> None:
    delay_s = request.number("x-sim-chunk-delay-ms") / 1000
    abort_after = request.number("x-sim-abort-after-chunks", -1)
    sent = 0
    async for part in _paced(parts, delay_s):
        if sent == abort_after:
            respond.abort()
        await respond.write(part)
        sent += 1
    if abort_after >= sent:
        respond.abort()


async def _paced(parts: Iterable[bytes], delay_s: float) -> AsyncIterator[bytes]:
    for part in parts:
        if delay_s:
            await asyncio.sleep(delay_s)
        yield part


def _gzipped(parts: Iterable[bytes]) -> Iterable[bytes]:
    encoder = zlib.compressobj(wbits=31)
    for part in parts:
        yield encoder.compress(part) + encoder.flush(zlib.Z_SYNC_FLUSH)
    yield encoder.flush()
