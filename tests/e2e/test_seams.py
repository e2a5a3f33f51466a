"""No seam between what is judged and what is sent: every trick ends in what was judged at the provider, or in nothing.

Three witnesses: the client's answer, the provider's own record, the archive's row. Expected bodies and paths are
written by hand in the tables (`tricks_bodies`, `tricks_calls`); here they are tried over HTTP/1.1 and HTTP/2.
"""

from __future__ import annotations

import base64
import gzip
import json
import uuid
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any, Final

import brotli
import pytest
from backports import zstd

from extproc.stack import Stack
from tests.e2e.clients import READ_BYTES, FullReply, chunked, connect, exchange_fields, head
from tests.e2e.clients import exchange as exchange_h1
from tests.e2e.traffic import EXCHANGE_HEADER, Row, received_body, wait_for_rows
from tests.e2e.tricks import BAIT_MODEL, EMAIL, GOOD, SECRET, FrameTrick, Passed, RawTrick, Refused, Trick
from tests.e2e.tricks_bodies import BODIES
from tests.e2e.tricks_calls import CALLS, FRAMES, RAW

pytestmark = pytest.mark.e2e

AT_ONCE: Final = 8
TAG: Final = "seam-"
"""How the keys of tricks begin."""
PREFIX: Final = "/openai"
AnyTrick = Trick | RawTrick | FrameTrick


@dataclass(frozen=True)
class Outcome:
    status: int
    exchange_id: str | None
    received: list[dict[str, Any]]


# ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _over_h1(stack: Stack, trick: Trick, key: str) -> FullReply:
    fields = [("host", "gate.example"), ("authorization", f"Bearer {trick.key}"), ("x-sim-key", key), *trick.headers]
    body = trick.body
    if trick.cut or trick.trailers:
        body = chunked(trick.pieces, trick.trailers)
        fields.append(("transfer-encoding", "chunked"))
    else:
        fields.append(("content-length", str(len(body))))
    try:
        return exchange_h1(stack, head(trick.method, trick.path, fields), body)
    except (ConnectionResetError, BrokenPipeError):
        return FullReply(0, {}, b"")  # refused so early that the answer went down with the connection


def _over_h2(stack: Stack, trick: Trick, key: str) -> FullReply:
    fields = [(":method", trick.method), (":path", trick.path), (":scheme", "http"), (":authority", "gate.example")]
    fields += [("authorization", f"Bearer {trick.key}"), ("x-sim-key", key)]
    fields += [(name.lower(), value) for name, value in trick.headers]
    return exchange_fields(stack, fields, trick.pieces, trick.trailers)


def _as_frames(stack: Stack, trick: FrameTrick, key: str) -> FullReply:
    pseudo = {":method": "POST", ":path": PREFIX + "/v1/chat/completions", ":scheme": "http"}
    fields = [*({**pseudo, ":authority": "gate.example", **dict(trick.pseudo)}).items(), *trick.again]
    fields += [("authorization", "Bearer example-key-search"), ("x-sim-key", key), *trick.headers]
    return exchange_fields(stack, fields, [trick.body] if trick.body else [], trick.trailers)


def _as_bytes(stack: Stack, trick: RawTrick, key: str) -> FullReply:
    """The least status of all answers on the connection: what hides behind a request is answered behind it."""
    read = b""
    with connect(stack) as client:
        try:
            data = trick.data.replace(b"KEY", key.encode())
            size = 1 if trick.byte_by_byte else len(data)
            for begin in range(0, len(data), size):
                client.sendall(data[begin : begin + size])
            while data := client.recv(READ_BYTES):
                read += data
        except (ConnectionResetError, BrokenPipeError):
            pass  # Envoy had enough of it
    answers = [answer for answer in read.split(b"HTTP/1.1 ")[1:] if not answer.startswith(b"100")]
    statuses = [int(answer[:3]) for answer in answers]
    names = [line.partition(b": ") for answer in answers for line in answer.split(b"\r\n")]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, _, value in names}
    return FullReply(min(statuses, default=0), headers, b"")


_SENDERS: Final[Mapping[str, Callable[[Stack, Any, str], FullReply]]] = {
    "http/1.1": _over_h1,
    "http/2": _over_h2,
    "bytes": _as_bytes,
    "frames": _as_frames,
}
TRICKS: Final[Mapping[str, tuple[str, AnyTrick]]] = {
    f"{way}: {trick.name}": (way, trick)
    for ways, tricks in ((("http/1.1", "http/2"), (*BODIES, *CALLS)), (("bytes",), RAW), (("frames",), FRAMES))
    for way in ways
    for trick in tricks
    if way != "http/2" or "\\" not in getattr(trick, "path", "")
}


def _tried(stack: Stack, way: str, trick: AnyTrick) -> Outcome:
    key = f"{TAG}{uuid.uuid4().hex}"
    reply = _SENDERS[way](stack, trick, key)
    named = reply.headers.get(EXCHANGE_HEADER)
    return Outcome(reply.status, named and str(uuid.UUID(named)), stack.upstream_requests(key))


@dataclass(frozen=True)
class Trial:
    outcomes: Mapping[str, Outcome]
    rows: Mapping[str, Row]
    """By exchange id."""
    others: list[dict[str, Any]]
    """What came to the provider in that time without the key of a trick."""


@pytest.fixture(scope="module")
def trial(stack: Stack) -> Trial:
    """All of them, a few at a time: Envoy takes a second to close a connection that it cannot read."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        done = threads.map(lambda item: _tried(stack, *item), TRICKS.values())
        outcomes = dict(zip(TRICKS, done, strict=True))
    since = dropwhile(lambda entry: not entry["key"].startswith(TAG), stack.upstream_requests())
    others = [entry for entry in since if not entry["key"].startswith(TAG)]
    # A request that no route wants (404) has an id, and no row.
    ids = {outcome.exchange_id for outcome in outcomes.values() if outcome.exchange_id and outcome.status != 404}
    rows = wait_for_rows(stack, lambda row: row["exchange_id"] in ids, count=len(ids))
    return Trial(outcomes, {row["exchange_id"]: row for row in rows}, others)


# ── what has to become of them ───────────────────────────────────────────────────────────────────────────────────────


def _plain(entry: Mapping[str, Any]) -> bytes:
    """The body that the provider received, without content coding, by other libraries than ours where there are."""
    body = received_body(entry)
    for coding in reversed(entry["headers"].get("content-encoding", "").lower().split(", ")):
        match coding:
            case "gzip":
                body = gzip.decompress(body)
            case "deflate":
                body = zlib.decompress(body, wbits=15 if body[:1] == b"\x78" else -15)
            case "br":
                body = brotli.decompress(body)
            case "zstd":
                body = zstd.decompress(body)
    return body


def _readings(body: bytes) -> Iterator[Any]:
    """As a parser reads it that keeps the last of two equal keys, and one that keeps the first."""
    yield json.loads(body)
    yield json.loads(body, object_pairs_hook=lambda pairs: dict(reversed(pairs)))


@pytest.mark.parametrize("name", TRICKS)
def test_what_is_sent_is_what_was_judged_or_nothing_is(trial: Trial, name: str) -> None:
    _, trick = TRICKS[name]
    outcome = trial.outcomes[name]
    expected = trick.expected
    row = trial.rows.get(outcome.exchange_id or "")
    if isinstance(expected, Refused):
        assert outcome.received == []
        assert outcome.status >= 400 or outcome.status == expected.status == 0
        assert not expected.status or outcome.status == expected.status
        assert row is None or (row["decision"] in ("deny", None) and row["answered_by"] != "upstream")
        return
    assert [
        (entry["method"], entry["path"], entry["headers"]["host"], received_body(entry)) for entry in outcome.received
    ] == [("POST", *_expected_call(trick, expected))] * expected.times
    assert row is not None
    for entry in outcome.received:
        assert not set(expected.without) & set(entry["headers"])
        assert BAIT_MODEL not in str(entry["headers"].values())
        assert (row["path"], row["request_body"]) == (entry["path"].partition("?")[0], _plain(entry))
        assert (row["team"], row["attempts"]) == ("search", expected.times)
        if entry["headers"].get("content-type", "").lower().startswith("application/json"):
            # Of a deployment, the path tells the model, to provider and policy alike.
            named = [row["gen_ai_request_model"]] if "deployments" not in entry["path"] else [BAIT_MODEL]
            assert [reading["model"] for reading in _readings(_plain(entry))] == named * 2


def _expected_call(trick: AnyTrick, expected: Passed) -> tuple[str, str, bytes]:
    path = expected.path
    if path is None:
        assert isinstance(trick, Trick)
        path = trick.path.removeprefix(PREFIX)
    body = expected.body
    if body is None:
        assert isinstance(trick, Trick)
        body = trick.body
    return path, "api.openai.com", body


def test_no_bait_is_in_anything_that_the_provider_received(trial: Trial) -> None:
    """Wherever it could stand: in a body without its codings and escapes, with the zeros of UTF-16, in a header."""
    for outcome in trial.outcomes.values():
        for entry in outcome.received:
            body = _plain(entry)
            unescaped = json.dumps(json.loads(body), ensure_ascii=False).encode() if body[:1] == b"{" else body
            told = b"\n".join((body, unescaped, body.replace(b"\0", b""), str(entry["headers"]).encode()))
            assert SECRET.encode() not in told
            assert EMAIL.encode() not in told


def test_nothing_comes_to_the_provider_beside_the_tricks(trial: Trial) -> None:
    assert trial.others == []
    assert sum(1 for outcome in trial.outcomes.values() if outcome.received) > 50  # the record is one


def test_nothing_is_sent_while_a_body_is_still_coming(stack: Stack) -> None:
    """Envoy has all but the last byte, and answers another request meanwhile: nothing of the first has gone on."""
    for cut in (0, len(GOOD) // 2, len(GOOD) - 1):
        key = uuid.uuid4().hex
        fields = [("host", "gate.example"), ("authorization", "Bearer example-key-search"), ("x-sim-key", key)]
        fields += [("content-type", "application/json"), ("content-length", str(len(GOOD)))]
        with connect(stack) as client:
            client.sendall(head("POST", PREFIX + "/v1/chat/completions", fields) + GOOD[:cut])
            other = Trick("another", Passed())
            assert _over_h1(stack, other, uuid.uuid4().hex).status == 200
            assert stack.upstream_requests(key) == []
            client.sendall(GOOD[cut:])
            assert client.recv(READ_BYTES).startswith(b"HTTP/1.1 200")
        (entry,) = stack.upstream_requests(key)
        assert base64.b64decode(entry["body_base64"]) == GOOD
