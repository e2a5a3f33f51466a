"""Tricks with the call around a body: paths and headers (over HTTP/1.1 and HTTP/2), and what each protocol alone can
say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from tests.e2e.gate import CHAT
from tests.e2e.tricks import (
    BAIT,
    BAIT_MODEL,
    EMAIL,
    GOOD,
    JSON_TYPE,
    SECRET,
    Fields,
    FrameTrick,
    Passed,
    RawTrick,
    Refused,
    Trick,
)

CHAT_PATH: Final = "/v1/chat/completions"
DISGUISES: Final = (
    "/openai//v1/chat/completions",
    "/openai/v1///chat/completions",
    "//openai/v1/chat/completions",
    "/openai/v1/./chat/completions",
    "/openai/v1/models/../chat/completions",
    "/openai/v1/models/%2e%2E/chat/completions",
    "/anthropic/../openai/v1/chat/completions",
    "/openai/v1/%63hat/completions",
    "/%6fpenai/v1/chat/completions",
    "/openai/v1\\chat\\completions",
    "/openai/v1/models/..;/chat/completions",
)
"""Paths that Envoy makes into the one of a chat, before anybody judges them."""
UNREAD: Final = (
    "/openai/v1/chat/completions/",
    "/openai/v1/chat/completions/.",
    "/openai/v1/Chat/Completions",
    "/openai/v1/chat/completions;x=1",
    "/openai/v1/chat;/completions",
    "/openai/v1/chat/completions%3Fx",
    "/openai/v1/chat/completions%23x",
    "/openai/v1/chat/completions%20",
    "/openai/v1/chat%2Fcompletions",
    "/openai/v1/chat%252Fcompletions",
    "/openai/%2fv1/chat/completions",
    "/openai/%252e%252e/v1/chat/completions",
    "/openai/v1/chat/completions%0d%0ax",
)
"""Paths at which another server might find a chat, and we find none."""


UNROUTED: Final = (
    "/OPENAI/v1/chat/completions",
    "/openai%2Fv1/chat/completions",
    "/openai;/v1/chat/completions",
    "/openai",
    "/openai/../v1/chat/completions",
    "/openai/v1/chat/completions%00",
)
"""Paths that Envoy refuses by itself, maybe before it has read the body."""


def paths() -> Iterator[Trick]:
    for path in DISGUISES:
        yield Trick(f"a chat at {path}", Passed(path=CHAT_PATH), path=path)
        yield Trick(f"another model at {path}", Refused(403), BAIT, path=path)
    for path in UNREAD:
        yield Trick(f"a chat at {path}", Refused(403), path=path)
    for path in UNROUTED:
        yield Trick(f"a chat at {path}", Refused(), path=path)
    ordinary = "/openai" + CHAT_PATH + "?api-version=%2F..%2F"
    yield Trick("a query of no meaning", Passed(path=ordinary.removeprefix("/openai")), path=ordinary)
    for query in ("model=gpt-5", "MODEL=gpt-5", "%6dodel=gpt-5", "a=1&model=gpt-5", "a=1;model=gpt-5", "model[]=gpt-5",
                  "model", "messages=x", "mod%65l=gpt-4o-mini", "x=1?model=gpt-5", "+model=gpt-5"):  # fmt: skip
        yield Trick(f"a query that says {query}", Refused(400), path=f"/openai{CHAT_PATH}?{query}")
    yield Trick("a deployment in the path", Refused(403), path="/openai/openai/deployments/gpt-5/chat/completions")
    deployed = "/openai/deployments/gpt-4o-prod/chat/completions"
    yield Trick("another model in the body than in the path", Passed(path=deployed), BAIT, path="/openai" + deployed)


SPOOFS: Final = (
    "x-headgate-client",
    "x-headgate-exchange-id",
    "X-Headgate-Anything",
    "x-envoy-original-path",
    "x-envoy-original-host",
    "x-envoy-original-method",
    "x-envoy-decorator-operation",
    "x-envoy-internal",
    "x-envoy-external-address",
    "x-envoy-downstream-service-cluster",
    "x-envoy-retry-on",
    "x-envoy-max-retries",
    "x-envoy-upstream-rq-timeout-ms",
    "x-envoy-upstream-alt-stat-name",
    "x-envoy-expected-rq-timeout-ms",
    "x-original-url",
    "x-original-uri",
    "x-original-path",
    "x-original-host",
    "x-original-method",
    "x-rewrite-url",
    "x-host",
    "x-http-host-override",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-forwarded-uri",
    "forwarded",
    "x-real-ip",
    "azureml-model-deployment",
    "trailer",
)
"""By which some server takes another method, path, host, client or model than those that were judged."""


def headers() -> Iterator[Trick]:
    for name in SPOOFS:
        yield Trick(f"spoofed {name}", Passed(without=(name.lower(),)), headers=(JSON_TYPE, (name, "gpt-5")))
    for name in ("x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms"):
        slow = ((name, "1"), ("x-sim-delay-ms", "150"))
        yield Trick(f"a time-out by {name}", Passed(without=(name,)), headers=(JSON_TYPE, *slow))
    often = (("x-envoy-max-retries", "5"), ("x-envoy-retry-on", "5xx"), ("x-sim-status", "500"))
    yield Trick("retries that the client asks for", Passed(times=1), headers=(JSON_TYPE, *often))
    body = json.dumps(CHAT | {"messages": [{"role": "user", "content": f"write to {EMAIL}"}]}).encode()
    redacted = body.replace(EMAIL.encode(), b"<EMAIL_ADDRESS>")
    failing = (JSON_TYPE, ("x-sim-fail-times", "1"))
    yield Trick("a retry", Passed(times=2), headers=failing)
    yield Trick("a retry of a redacted body", Passed(redacted, times=2), body, headers=failing)
    yield Trick("a retry of a body in pieces", Passed(redacted, times=2), body, headers=failing, cut=9)
    checksum = (("x-checksum", "gpt-5"),)
    yield Trick("trailers", Passed(without=("x-checksum",)), trailers=checksum, cut=20)
    yield Trick("trailers behind a redacted body", Passed(redacted), body, trailers=checksum, cut=20)
    yield Trick("another model before trailers", Refused(403), BAIT, trailers=checksum, cut=20)
    spoofed = tuple((name, "gpt-5") for name in ("x-original-url", "x-headgate-client", "content-encoding"))
    yield Trick("spoofed trailers", Passed(without=tuple(name for name, _ in spoofed)), trailers=spoofed, cut=20)
    for method in ("PUT", "PATCH", "DELETE", "GET", "SEARCH"):
        yield Trick(f"a chat by {method}", Refused(403), BAIT, method=method)
    overriding = (JSON_TYPE, ("x-http-method-override", "POST"))
    yield Trick("a method that is overridden", Refused(403), method="GET", headers=overriding)
    for key in ("", "made-up", "example-key-search, example-key-research", "example-key-search\tx"):
        yield Trick(f"the client key {key!r}", Refused(), key=key)


# ── bytes of HTTP/1.1 ────────────────────────────────────────────────────────────────────────────────────────────────

LINE: Final = b"POST /openai/v1/chat/completions HTTP/1.1\r\n"
HOST: Final = b"host: gate.example\r\n"
ASKS: Final = b"authorization: Bearer example-key-search\r\ncontent-type: application/json\r\nx-sim-key: KEY\r\n"
FIELDS: Final = HOST + ASKS
LENGTH: Final = b"content-length: %d\r\n" % len(GOOD)
CHUNKED: Final = b"transfer-encoding: chunked\r\n"
CLOSE: Final = b"connection: close\r\n\r\n"
HIDDEN: Final = LINE + FIELDS + b"content-length: %d\r\n" % len(BAIT) + CLOSE + BAIT
"""What somebody tries to smuggle in behind an allowed request."""
BAIT_LENGTH: Final = b"content-length: %d\r\n" % len(BAIT)
ONE_CHUNK: Final = b"%x\r\n%b\r\n" % (len(GOOD), GOOD)
SIZE: Final = b"%x" % len(GOOD)


def _chunks(first: bytes, last: bytes = b"0\r\n\r\n") -> bytes:
    return LINE + FIELDS + CHUNKED + CLOSE + first + last


def _upgrade(line: bytes, to: bytes, more: bytes = b"") -> bytes:
    return line + FIELDS + b"connection: upgrade, close\r\nupgrade: " + to + b"\r\n" + more


_WEBSOCKET: Final = b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
_H2C: Final = b"http2-settings: AAMAAABkAAQAAP__\r\n" + BAIT_LENGTH + b"\r\n" + BAIT
_REFUSED: Final = {
    "length and chunked": LINE + FIELDS + LENGTH + CHUNKED + CLOSE + b"0\r\n\r\n" + HIDDEN,
    "chunked and length": LINE + FIELDS + CHUNKED + b"content-length: 5\r\n" + CLOSE + b"0\r\n\r\n" + HIDDEN,
    "two lengths": LINE + FIELDS + LENGTH + b"content-length: 0\r\n" + CLOSE + GOOD + HIDDEN,
    "a list of lengths": LINE + FIELDS + b"content-length: 0, %d\r\n" % len(GOOD) + CLOSE + GOOD,
    "two codings": LINE + FIELDS + b"transfer-encoding: identity, chunked\r\n" + CLOSE + b"0\r\n\r\n" + HIDDEN,
    "chunked twice": LINE + FIELDS + CHUNKED + CHUNKED + CLOSE + b"0\r\n\r\n" + HIDDEN,
    "gzip as a transfer coding": LINE + FIELDS + b"transfer-encoding: gzip, chunked\r\n" + CLOSE + ONE_CHUNK,
    "a blank before the colon": LINE + FIELDS + b"transfer-encoding : chunked\r\n" + CLOSE + b"0\r\n\r\n" + HIDDEN,
    "an unknown coding": LINE + FIELDS + b"transfer-encoding: xchunked\r\n" + CLOSE + b"0\r\n\r\n" + HIDDEN,
    "a coding behind a tab": LINE + FIELDS + b"transfer-encoding:\x0bchunked\r\n" + CLOSE + b"0\r\n\r\n" + HIDDEN,
    "a folded coding": LINE + FIELDS + b"transfer-encoding:\r\n chunked, x\r\n" + CLOSE + b"0\r\n\r\n" + HIDDEN,
    "a negative length": LINE + FIELDS + b"content-length: -1\r\n" + CLOSE + GOOD,
    "a hexadecimal length": LINE + FIELDS + b"content-length: 0x10\r\n" + CLOSE + GOOD,
    "a length with a sign": LINE + FIELDS + b"content-length: +%d\r\n" % len(GOOD) + CLOSE + GOOD,
    "a length too short": LINE + FIELDS + b"content-length: %d\r\n" % (len(GOOD) - 1) + CLOSE + GOOD,
    "an endless chunk": _chunks(b"fffffffffffffffff\r\n" + GOOD),
    "a chunk with a prefix": _chunks(b"0x" + SIZE + b"\r\n" + GOOD + b"\r\n"),
    "a chunk with a sign": _chunks(b"+" + SIZE + b"\r\n" + GOOD + b"\r\n"),
    "a zero in a value": LINE + FIELDS + b"x-a: b\0c\r\n" + LENGTH + CLOSE + GOOD,
    "a name with a blank": LINE + FIELDS + b"x a: b\r\n" + LENGTH + CLOSE + GOOD,
    "a header without a name": LINE + FIELDS + b": b\r\n" + LENGTH + CLOSE + GOOD,
    "a header line without a colon": LINE + FIELDS + b"x-a\r\n" + LENGTH + CLOSE + GOOD,
    "a method in small letters": LINE.replace(b"POST", b"post") + FIELDS + LENGTH + CLOSE + GOOD,
    "no host": LINE + ASKS + LENGTH + CLOSE + GOOD,
    "a host with a name before it": LINE + b"host: a@gate.example/x\r\n" + ASKS + LENGTH + CLOSE + GOOD,
    "another model and a fragment": LINE.replace(b" HTTP", b"#/v1/models HTTP") + FIELDS + BAIT_LENGTH + CLOSE + BAIT,
    "a fragment": LINE.replace(b" HTTP", b"#/v1/models HTTP") + FIELDS + LENGTH + CLOSE + GOOD,
    "a path with a blank": LINE.replace(b"/chat", b"/ chat") + FIELDS + LENGTH + CLOSE + GOOD,
    "no path at all": b"POST  HTTP/1.1\r\n" + FIELDS + LENGTH + CLOSE + GOOD,
    "an absolute form of another model": LINE.replace(b"/openai", b"http://gate.example/openai") + FIELDS
    + BAIT_LENGTH + CLOSE + BAIT,
    "http 0.9": b"GET /openai/v1/models\r\n\r\n",
    "http 1.0": LINE.replace(b"1.1", b"1.0") + FIELDS + LENGTH + CLOSE + GOOD,
    "http 1.2": LINE.replace(b"1.1", b"1.2") + FIELDS + BAIT_LENGTH + CLOSE + BAIT,
    "http 2 in words": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
    "connect": b"CONNECT api.openai.com:443 HTTP/1.1\r\n" + FIELDS + b"\r\n",
    "trace": b"TRACE /openai/v1/models HTTP/1.1\r\n" + FIELDS + CLOSE,
    "options of all": b"OPTIONS * HTTP/1.1\r\n" + FIELDS + CLOSE,
    "a websocket": _upgrade(LINE.replace(b"POST", b"GET"), b"websocket", _WEBSOCKET) + HIDDEN,
    "a websocket by post": _upgrade(LINE, b"websocket", LENGTH + _WEBSOCKET) + GOOD,
    "an upgrade that nobody knows": _upgrade(LINE, b"tls/1.0", LENGTH + b"\r\n") + GOOD,
    "another model upgraded to http 2": _upgrade(LINE, b"h2c", _H2C),
    "an expectation that nobody knows": LINE + FIELDS + b"expect: 200-ok\r\n" + BAIT_LENGTH + CLOSE + BAIT,
    "another model that was expected": LINE + FIELDS + b"expect: 100-continue\r\n" + BAIT_LENGTH + CLOSE + BAIT,
    "another model as early data": LINE + FIELDS + b"early-data: 1\r\n" + BAIT_LENGTH + CLOSE + BAIT,
    "a body before the head": GOOD + b"\r\n\r\n" + LINE + FIELDS + LENGTH + CLOSE,
    "a key behind the connection": LINE + FIELDS + b"connection: authorization\r\n" + LENGTH + CLOSE + GOOD,
    "another model in a chunk's extension": _chunks(b"%x;a=1\r\n%b\r\n" % (len(BAIT), BAIT)),
    "a secret in two chunks": _chunks(b"".join(
        b"%x\r\n%b\r\n" % (len(piece), piece)
        for piece in (GOOD[:-3] + SECRET[:9].encode(), SECRET[9:].encode() + GOOD[-3:])
    )),
}  # fmt: skip
_HEAD: Final = LINE + FIELDS + LENGTH + CLOSE
_PASSED: Final = {
    "nothing odd": _HEAD + GOOD,
    "a chunk's extension": _chunks(SIZE + b';model="gpt-5"\r\n' + GOOD + b"\r\n"),
    "a chunk's size with zeros": _chunks(b"000" + SIZE + b"\r\n" + GOOD + b"\r\n"),
    # What Envoy reads leniently it writes anew: the provider is sent another frame around the same body.
    "a chunk that is longer than it says": _chunks(SIZE + b"\r\n" + GOOD + b"x\r\n"),
    "a chunk's end in one byte": _chunks(SIZE + b"\r\n" + GOOD + b"\n"),
    "a bare line end in a header": LINE + FIELDS + b"x-a: b\rx-original-url: /\r\n" + LENGTH + CLOSE + GOOD,
    "two hosts": LINE + FIELDS + b"host: api.openai.com\r\n" + LENGTH + CLOSE + GOOD,
    "an absolute form": _HEAD.replace(b"/openai", b"http://gate.example/openai", 1) + GOOD,
    "an absolute form of another host": _HEAD.replace(b"/openai", b"http://other.example/openai", 1) + GOOD,
    "an upgrade to http 2": _upgrade(LINE, b"h2c", b"http2-settings: AAMAAABkAAQAAP__\r\n" + LENGTH + b"\r\n") + GOOD,
    "a body that did not wait": LINE + FIELDS + b"expect: 100-continue\r\n" + LENGTH + CLOSE + GOOD,
    "a spoof behind the connection": LINE + FIELDS + b"connection: x-original-url, close\r\nx-original-url: /\r\n"
    + LENGTH + b"\r\n" + GOOD,
    "a coding behind the connection": LINE + FIELDS + b"content-encoding: gzip\r\n"
    + b"connection: content-encoding, close\r\n" + LENGTH + b"\r\n" + GOOD,
    "hop-by-hop headers": LINE + FIELDS + LENGTH + b"te: gzip\r\nproxy-connection: close\r\nkeep-alive: 5\r\n"
    + CLOSE + GOOD,
}  # fmt: skip
_HOP_BY_HOP: Final = (
    "upgrade",
    "http2-settings",
    "x-original-url",
    "content-encoding",
    "proxy-connection",
    "keep-alive",
)


def raw() -> Iterator[RawTrick]:
    for name, data in _REFUSED.items():
        yield RawTrick(name, Refused(), data)
    for name, data in _PASSED.items():
        yield RawTrick(name, Passed(GOOD, CHAT_PATH, without=_HOP_BY_HOP), data)
    yield RawTrick("in single bytes", Passed(GOOD, CHAT_PATH), _HEAD + GOOD, byte_by_byte=True)
    yield RawTrick("another model in single bytes", Refused(403), HIDDEN, byte_by_byte=True)


# ── header fields of HTTP/2 ──────────────────────────────────────────────────────────────────────────────────────────


def _field(name: str, value: str) -> Fields:
    return (JSON_TYPE, (name, value))


def frames() -> Iterator[FrameTrick]:
    refused = Refused()
    yield FrameTrick("two paths", refused, again=((":path", "/openai/v1/models"),))
    yield FrameTrick("two authorities", refused, again=((":authority", "api.openai.com"),))
    yield FrameTrick("two methods", refused, again=((":method", "GET"),))
    yield FrameTrick("an unknown pseudo-header", refused, again=((":model", BAIT_MODEL),))
    yield FrameTrick("a path without a slash", refused, ((":path", "openai/v1/chat/completions"),))
    yield FrameTrick("an empty path", refused, ((":path", ""),))
    yield FrameTrick("a path with a line end", refused, ((":path", "/openai/v1/chat/completions HTTP/1.1\r\nx: y"),))
    yield FrameTrick("another model at a fragment", refused, ((":path", "/openai/v1/chat/completions#x"),), body=BAIT)
    yield FrameTrick("a method with a line end", refused, ((":method", "POST /openai/v1/models HTTP/1.1\r\nx: y"),))
    yield FrameTrick("an authority with a line end", refused, ((":authority", "gate.example\r\nx: y"),))
    yield FrameTrick("an authority with a path", refused, ((":authority", "gate.example/v1"),))
    yield FrameTrick("connect", refused, ((":method", "CONNECT"),))
    websocket = (("sec-websocket-version", "13"),)
    extended = ((":method", "CONNECT"),)
    yield FrameTrick("a websocket", refused, extended, websocket, again=((":protocol", "websocket"),))
    yield FrameTrick("trace", refused, ((":method", "TRACE"),), body=b"")
    yield FrameTrick("chunked", refused, headers=_field("transfer-encoding", "chunked"))
    yield FrameTrick("a connection header", refused, headers=_field("connection", "x-original-url"))
    yield FrameTrick("an upgrade", refused, headers=_field("upgrade", "websocket"))
    yield FrameTrick("a name in capitals", refused, headers=_field("X-Original-Url", "/v1/models"))
    yield FrameTrick("a name with a colon", refused, headers=_field("x-a: b\r\nx-original-url", "/v1/models"))
    yield FrameTrick("a value with a line end", refused, headers=_field("x-a", "b\r\nx-original-url: /v1/models"))
    yield FrameTrick("a value with a zero", refused, headers=_field("x-a", "b\0c"))
    yield FrameTrick("a length too short", refused, headers=_field("content-length", str(len(GOOD) - 1)))
    yield FrameTrick("a length too long", refused, headers=_field("content-length", str(len(GOOD) + 1)))
    yield FrameTrick(
        "two lengths", refused, headers=(*_field("content-length", "5"), ("content-length", str(len(GOOD))))
    )
    yield FrameTrick("a pseudo-header in the trailers", refused, trailers=((":path", "/v1/models"),))
    yield FrameTrick("a host beside the authority", Passed(GOOD, CHAT_PATH), headers=_field("host", "api.openai.com"))
    yield FrameTrick("a length", Passed(GOOD, CHAT_PATH), headers=_field("content-length", str(len(GOOD))))
    yield FrameTrick("a scheme that is not ours", Passed(GOOD, CHAT_PATH), ((":scheme", "https"),))
    yield FrameTrick(
        "cookies in crumbs", Passed(GOOD, CHAT_PATH), headers=(JSON_TYPE, ("cookie", "a=1"), ("cookie", "b=2"))
    )


CALLS: Final = (*paths(), *headers())
RAW: Final = tuple(raw())
FRAMES: Final = tuple(frames())
