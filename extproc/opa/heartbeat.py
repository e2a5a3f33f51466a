"""Which policy is live? Asked every 250 ms, on a connection of its own, never by a request that waits.

    ask ── same answer, same OPA ──► confirmed for `AGE_S_MAX` from the moment the question was sent
     │ ── another answer ──► a new generation: the policy is examined, what was remembered is forgotten
     │ ── no answer ──► nothing is confirmed; asked again after a moment, on a new connection: a new generation
     └── the connection breaks, at any time ──► nothing is confirmed from that moment on

The answer is OPA's own list of the bundles it serves, from the store that decisions are made from. A generation ends
with its connection, so it never outlives the OPA process that it was read from; nor does it when another process takes
the socket's place, which its inode shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from extproc.errors import DependencyError
from extproc.framing.http1 import Response
from extproc.opa import bundle_facts
from extproc.opa.bundle_facts import BUNDLES_PATH, CONFIG_PATH, POLICIES_PATH, BundleFacts
from extproc.opa.connection import Connection, Stale, connect

INTERVAL_S: Final = 0.25
AGE_S_MAX: Final = 1.0
"""How old the last confirmation may be. This is how long a decision can outlive the policy that it was made by."""
ANSWER_S_MAX: Final = 0.75
"""A slower answer is none. Below `AGE_S_MAX`, so that one slow answer alone does not interrupt."""
EXAMINE_S_MAX: Final = 10.0
POLICIES_BYTES_MAX: Final = 64 * 1024 * 1024
"""A policy whose compiled form is larger is not examined, and its decisions are not remembered."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """One policy, as one OPA process served it without a break. Equal only to itself."""

    facts: BundleFacts


class Heartbeat:
    """Use it from one event loop: `start` it, ask `confirmed`, `stop` it.

    `renewed` is called with the facts of every new generation, before it is ever returned by `confirmed`.
    """

    def __init__(
        self, socket_path: Path, *, renewed: Callable[[BundleFacts], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._socket_path = socket_path
        self._renewed = renewed
        self._clock = clock
        self._connection: Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._served = b""
        self._generation: Generation | None = None
        self._confirmed_s = -math.inf
        self._task: asyncio.Task[None] | None = None

    def confirmed(self) -> Generation | None:
        """The generation that was live less than `AGE_S_MAX` ago and has not been seen to end; else None."""
        return self._generation if self.age_s() <= AGE_S_MAX else None

    def age_s(self) -> float:
        """Seconds since the question was sent whose answer last confirmed the policy; infinite when nothing does."""
        return self._clock() - self._confirmed_s

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._beat_for_ever())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._end()

    async def _beat_for_ever(self) -> None:
        while True:
            try:
                await self.beat()
            except (DependencyError, Stale, TimeoutError, OSError):
                self._end()
            except Exception as error:  # noqa: BLE001 (a bug of ours: nothing is confirmed, OPA is asked each time)
                _log.error("heartbeat_failed", error=type(error).__name__)
                self._end()
            await asyncio.sleep(INTERVAL_S)

    async def beat(self) -> None:
        """Ask once. Raises what `_beat_for_ever` takes for no answer."""
        inode = self._inode_now()
        if self._connection is None or not self._connection.usable or inode != self._inode:
            self._end()
            self._connection, self._inode = await self._open(), inode
        sent_s = self._clock()
        bundles = await self._get(BUNDLES_PATH, ANSWER_S_MAX)
        served = bundle_facts.identity(bundles)
        if self._generation is None or served != self._served:
            self._generation = None  # from here on the old one is over, whatever comes of the new one
            facts = await self._examine(bundles)
            sent_s = self._clock()
            if bundle_facts.identity(await self._get(BUNDLES_PATH, ANSWER_S_MAX)) != served:
                return  # it changed meanwhile: look again with the next beat
            self._renewed(facts)
            self._served, self._generation = served, Generation(facts)
            _log.info("policy_live", revision=facts.revision, memo=facts.bypass or "on", detail=facts.detail)
        self._confirmed_s = sent_s

    async def _examine(self, bundles: bytes) -> BundleFacts:
        """Away from the event loop: a large policy takes tens of milliseconds to walk."""
        policies = await self._get(POLICIES_PATH, EXAMINE_S_MAX)
        config = await self._get(CONFIG_PATH, EXAMINE_S_MAX)
        return await asyncio.to_thread(bundle_facts.examine, bundles, policies, config)

    async def _get(self, path: str, within_s: float) -> bytes:
        connection = self._connection
        if connection is None:
            raise Stale
        async with asyncio.timeout(within_s):
            response: Response = await connection.ask(f"GET {path} HTTP/1.1\r\nhost: opa\r\n\r\n".encode())
        if response.status != 200:
            raise DependencyError("opa_nonsense", f"OPA answered {path} with HTTP status {response.status}")
        return response.body

    async def _open(self) -> Connection:
        async with asyncio.timeout(ANSWER_S_MAX):
            return await connect(self._socket_path, response_bytes_max=POLICIES_BYTES_MAX, lost=self._lost)

    def _lost(self, connection: Connection) -> None:
        if connection is self._connection:
            self._end()

    def _end(self) -> None:
        """Nothing is confirmed any more, and what comes next is another generation."""
        connection, self._connection = self._connection, None
        self._generation, self._confirmed_s = None, -math.inf
        if connection is not None:
            connection.drop()

    def _inode_now(self) -> tuple[int, int] | None:
        with contextlib.suppress(OSError):
            status = self._socket_path.stat()
            return status.st_dev, status.st_ino
        return None
