"""Simulated providers whose chunking, delay and failure a test steers by request headers.

    x-sim-chunks N             pieces of text (default 8)            x-sim-chunk-bytes N       bytes of each piece
    x-sim-chunk-delay-ms N     before each event                     x-sim-delay-ms N          before the headers
    x-sim-status N             answer with this error                x-sim-body-bytes N        text of about N bytes
    x-sim-abort-after-chunks N reset the connection after N events   x-sim-trailers NAME: VALUE
    x-sim-fail-times N         answer 503 that often first, counted by x-sim-key
    x-sim-echo 1               answer with the last message's text   x-sim-encoding gzip       encode the answer
    x-sim-header NAME: VALUE   one more response header

`GET /_sim/requests?key=K` lists what was received (all of it without a key), newest last; `DELETE` forgets it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import zlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

from extproc.upstream import answers
from extproc.upstream.answers import Answer, Json
from extproc.upstream.http import Request, Responder

REQUESTS_KEPT_MAX: Final = 2_000
BODIES_KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Older bodies are dropped first; their hashes stay."""
COUNTED_KEYS_MAX: Final = 10_000
TEXT_BYTES_MAX: Final = 1 << 30
_WORDS: Final = "This is a simulated answer that no model has ever given. "


@dataclass(slots=True)
class Received:
    """One request as it arrived."""

    key: str
    record: Json
    body: bytes | None


class Journal:
    """The last requests, within a bound."""

    def __init__(self) -> None:
        self._entries: deque[Received] = deque(maxlen=REQUESTS_KEPT_MAX)
        self._bytes = 0

    def add(self, request: Request) -> None:
        record: Json = {
            "method": request.method,
            "path": request.target,
            "headers": dict(request.headers),
            "body_bytes": len(request.body),
            "body_sha256": hashlib.sha256(request.body).hexdigest(),
        }
        if len(self._entries) == REQUESTS_KEPT_MAX:
            self._bytes -= len(self._entries[0].body or b"")
        self._entries.append(Received(request.headers.get("x-sim-key", ""), record, request.body))
        self._bytes += len(request.body)
        for entry in self._entries:
            if self._bytes <= BODIES_KEPT_BYTES_MAX:
                break
            self._bytes -= len(entry.body or b"")
            entry.body = None

    def clear(self) -> None:
        self._entries.clear()
        self._bytes = 0

    def listed(self, key: str | None) -> list[Json]:
        return [
            entry.record
            | {"key": entry.key}
            | {"body_base64": None if entry.body is None else base64.b64encode(entry.body).decode()}
            for entry in self._entries
            if key is None or entry.key == key
        ]


class SimulatedProviders:
    """OpenAI and Anthropic in one; the path tells which is meant."""

    def __init__(self) -> None:
        self._journal = Journal()
        self._failed: Counter[str] = Counter()

    async def answer(self, request: Request, respond: Responder) -> None:
        if request.path == "/_sim/requests":
            await self._answer_journal(request, respond)
            return
        self._journal.add(request)
        await asyncio.sleep(request.number("x-sim-delay-ms") / 1000)
        status = self._failure(request)
        if status is not None:
            await _json(respond, status, _error(request, status, "simulated failure"))
        elif not _credentials(request):
            await _json(respond, 401, _error(request, 401, "no API key was given"))
        elif request.path == "/v1/models" and request.method == "GET":
            listed = [{"id": name, "object": "model", "created": answers.CREATED_S} for name in answers.RESOLVED_MODELS]
            await _json(respond, 200, {"object": "list", "data": listed})
        elif request.method == "POST" and request.path.endswith("/embeddings"):
            vector = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}
            await _json(respond, 200, {"object": "list", "data": [vector], "model": "simulated-embedding"})
        elif request.method == "POST" and request.path.endswith(("/chat/completions", "/messages")):
            await self._answer_chat(request, respond)
        else:
            await _json(respond, 404, _error(request, 404, f"no such resource: {request.method} {request.path}"))

    async def _answer_journal(self, request: Request, respond: Responder) -> None:
        if request.method == "DELETE":
            self._journal.clear()
        keys = parse_qs(urlsplit(request.target).query).get("key", [])
        await _json(respond, 200, {"requests": self._journal.listed(keys[0] if keys else None)})

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

    async def _answer_chat(self, request: Request, respond: Responder) -> None:
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
            await _json(respond, 400, _error(request, 400, "the body is no JSON object with messages"))
            return
        if str(body.get("model", "")).startswith("missing-"):
            await _json(respond, 404, _error(request, 404, "the model does not exist"))
            return
        answer = _answer(request, body)
        speaks_anthropic = _speaks_anthropic(request)
        if body.get("stream") is True:
            events = answers.anthropic_events(answer) if speaks_anthropic else answers.openai_events(answer)
            await _send(request, respond, "text/event-stream", events)
        else:
            whole = answers.anthropic_whole(answer) if speaks_anthropic else answers.openai_whole(answer)
            await _send(request, respond, "application/json", _slices(json.dumps(whole).encode()))


def _answer(request: Request, body: Json) -> Answer:
    speaks_anthropic = _speaks_anthropic(request)
    options = body.get("stream_options")
    choices = body.get("n", 1)
    return Answer(
        id=answers.answer_id("msg_" if speaks_anthropic else "chatcmpl-", request.body),
        model=answers.resolved(body.get("model")),
        pieces=_pieces(request, body),
        tool=answers.anthropic_tool(body) if speaks_anthropic else answers.openai_tool(body),
        input_tokens=max(1, -(-len(request.body) // 4)),
        choices=choices if isinstance(choices, int) and 1 <= choices <= 16 and not speaks_anthropic else 1,
        usage_in_stream=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _pieces(request: Request, body: Json) -> list[str]:
    size = request.number("x-sim-chunk-bytes")
    total = min(request.number("x-sim-body-bytes"), TEXT_BYTES_MAX)
    if request.headers.get("x-sim-echo"):
        text = answers.last_text(body.get("messages"))
        size = size or 16
        return [text[start : start + size] for start in range(0, len(text), size)]
    if total:
        size = size or 16_384
        piece = (_WORDS * (size // len(_WORDS) + 1))[:size]
        return [piece] * (total // size) + ([piece[: total % size]] if total % size else [])
    count = request.number("x-sim-chunks", 8)
    if size:
        return [(_WORDS * (size // len(_WORDS) + 1))[:size]] * count
    words = _WORDS.split()
    return [words[index % len(words)] + " " for index in range(count)]


def _slices(data: bytes, size: int = 65_536) -> Iterable[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


async def _send(request: Request, respond: Responder, content_type: str, parts: Iterable[bytes]) -> None:
    """Head, parts with their delay, the abort that was asked for, trailers."""
    headers = [("content-type", content_type), ("x-request-id", "req_simulated"), ("server", "simulated")]
    added, _, value = request.headers.get("x-sim-header", "").partition(":")
    if added.strip():
        headers.append((added.strip(), value.strip()))
    if request.headers.get("x-sim-encoding") == "gzip":
        headers.append(("content-encoding", "gzip"))
        parts = _gzipped(parts)
    if content_type == "application/json" and "x-sim-trailers" not in request.headers:
        pieces = list(parts)
        await respond.head(200, headers, length=sum(map(len, pieces)))
        parts = pieces
    else:
        await respond.head(200, headers)
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


def _credentials(request: Request) -> bool:
    return any(request.headers.get(name) for name in ("authorization", "x-api-key", "api-key"))


def _speaks_anthropic(request: Request) -> bool:
    return request.path.endswith("/messages") or "anthropic-version" in request.headers


def _error(request: Request, status: int, message: str) -> Json:
    if _speaks_anthropic(request):
        return answers.anthropic_error(status, message)
    return answers.openai_error(status, message)


async def _json(respond: Responder, status: int, body: Json) -> None:
    await respond.whole(status, json.dumps(body).encode(), [("content-type", "application/json")])
