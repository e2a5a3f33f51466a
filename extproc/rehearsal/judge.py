"""Decisions for many inputs: some hundred a POST, and each question once while equal inputs have equal answers.

    document ── without what no rule reads ──► key ── in memory? ──► decision
                                                 └ no ──► POST /v1/query {"input": {"batch": [key, …]}} ──► remembered

The query asks for each input what the request path asks for one, with the input's number beside the answer, because an
undefined decision drops out of the list; it is a denial (`opa_undefined`), as in the request path. When OPA refuses a
batch, one input in it made the policy err: the batch is halved until it is found (`opa_nonsense`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

from extproc.decision import failed, parse_decision
from extproc.errors import DependencyError
from extproc.framing.http1 import Response
from extproc.model import Decision
from extproc.opa import bundle_facts
from extproc.opa.bundle_facts import BundleFacts
from extproc.opa.connection import Connection, Stale, connect
from extproc.opa.memo import Memo

BATCH_ROWS: Final = 500
"""Inputs a POST: more gain nothing, fewer cost (500: 8,260 a second, one: 3,585; two shared cores)."""
CONNECTIONS: Final = 2
BATCH_BYTES_MAX: Final = 4 * 1024 * 1024
"""A batch whose inputs are larger is asked before it is full."""
RESPONSE_BYTES_MAX: Final = 64 * 1024 * 1024
BATCH_S_MAX: Final = 120.0
"""A policy that needs longer for a batch is one that the request path would have timed out on."""
MEMO_BYTES_MAX: Final = 128 * 1024 * 1024
MEMO_ENTRIES_MAX: Final = 100_000

_QUERY: Final = "decisions = [[i, d] | x = input.batch[i]; d = data.headgate.main.decision with input as x]"
_HEAD: Final = b"POST /v1/query HTTP/1.1\r\nhost: opa\r\ncontent-type: application/json\r\ncontent-length: "
_FOREVER: Final = frozenset({bundle_facts.NO_REVISION, bundle_facts.DECISION_LOG, bundle_facts.NO_ETAG})
"""Reasons not to remember that do not hold here: the bundle stays what it is for as long as our OPA lives."""


class _Binding(msgspec.Struct, frozen=True):
    decisions: list[tuple[int, msgspec.Raw]]


class _Answer(msgspec.Struct, frozen=True):
    result: tuple[_Binding]


_decoder: Final = msgspec.json.Decoder(_Answer)


class Judge:
    """Asks one OPA. `close` it at the end. `remembers` False: every question is asked, as often as it comes."""

    def __init__(self, socket: Path, facts: BundleFacts) -> None:
        self._socket = socket
        self._idle: list[Connection] = []
        self.remembers = facts.bypass is None or facts.bypass in _FOREVER
        self._memo = Memo(bytes_max=MEMO_BYTES_MAX, entries_max=MEMO_ENTRIES_MAX)
        self._reduce = reducer(facts) if self.remembers else None
        self.asked = 0
        """Inputs that OPA was asked about."""

    def key(self, document: bytes, parsed: dict[str, Any]) -> bytes:
        """What is asked for a document, of which `parsed` is the reading."""
        return document if self._reduce is None else self._reduce(parsed)

    def recall(self, key: bytes) -> Decision | None:
        return self._memo.get(key) if self.remembers else None

    async def decide(self, keys: Sequence[bytes]) -> list[Decision]:
        """The decision for each key. Raises `DependencyError` when OPA is gone or too slow."""
        self.asked += len(keys)
        decisions = await self._decide(keys)
        if self.remembers:
            for key, decision in zip(keys, decisions, strict=True):
                self._memo.put(key, decision)
        return decisions

    def close(self) -> None:
        while self._idle:
            self._idle.pop().drop()

    async def _decide(self, keys: Sequence[bytes]) -> list[Decision]:
        response = await self._post(b'{"query":"%b","input":{"batch":[%b]}}' % (_QUERY.encode(), b",".join(keys)))
        if response.status == 200:
            return _read(response.body, len(keys))
        if len(keys) == 1:
            return [failed("opa_nonsense")]
        half = len(keys) // 2
        return [*await self._decide(keys[:half]), *await self._decide(keys[half:])]

    async def _post(self, body: bytes) -> Response:
        request = b"%b%d\r\n\r\n%b" % (_HEAD, len(body), body)
        usable = [connection for connection in self._idle if connection.usable]
        try:
            async with asyncio.timeout(BATCH_S_MAX):
                connection = usable[0] if usable else await connect(self._socket, response_bytes_max=RESPONSE_BYTES_MAX)
                self._idle = [idle for idle in usable if idle is not connection]
                response = await connection.ask(request)
        except TimeoutError:
            raise DependencyError("opa_timeout", f"the policy needed more than {BATCH_S_MAX:g} s for a batch") from None
        except Stale:
            raise DependencyError("opa_unreachable", "OPA ended within a batch: is there enough memory?") from None
        if connection.usable:
            self._idle.append(connection)
        return response


def _read(body: bytes, count: int) -> list[Decision]:
    """The answers by number; those that are not there are undefined."""
    try:
        answers = dict(_decoder.decode(body).result[0].decisions)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise DependencyError("opa_nonsense", "OPA's answer to a batch cannot be read") from None
    return [_decision(answers.get(number)) for number in range(count)]


def _decision(result: msgspec.Raw | None) -> Decision:
    if result is None:
        return failed("opa_undefined")
    try:
        return parse_decision(b'{"result":%b}' % bytes(result))
    except DependencyError as error:
        return failed(error.code)


def reducer(facts: BundleFacts) -> Callable[[dict[str, Any]], bytes]:
    """A function from an input to canonical JSON without the members, of itself and of its objects, that no rule reads.

    Two inputs that differ in nothing else have one answer.
    """
    read: dict[str, bool] = {}
    read_below: dict[tuple[str, str], bool] = {}

    def reads(name: str) -> bool:
        known = read.get(name)
        if known is None:
            known = read[name] = facts.may_read((name,))
        return known

    def reads_below(section: str, name: str) -> bool:
        known = read_below.get((section, name))
        if known is None:
            known = read_below[section, name] = facts.may_read((section, name))
        return known

    def reduce(document: dict[str, Any]) -> bytes:
        kept = {
            section: {name: inner for name, inner in value.items() if reads_below(section, name)}
            if type(value) is dict
            else value
            for section, value in document.items()
            if reads(section)
        }
        return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)

    return reduce
