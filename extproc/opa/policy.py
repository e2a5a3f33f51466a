"""What the servicer asks: a decision from memory while that is certain to be OPA's own, else from OPA.

    recall(input) ── confirmed within the last second? ── policy pure? ── in memory ──► Decision
         └ no ──► decide(input) ──► OPA ──► kept, if the policy was the same one before the question and after it

Kept are decisions alone: a failure, an undefined rule or nonsense is asked about again. Without a confirmation OPA is
asked as if there were no memory, so an OPA that is gone closes enforced routes within `heartbeat.AGE_S_MAX`.

What no rule can read is not sent (`UNREAD`), for it would only make equal questions look different.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson

from extproc.model import Decision
from extproc.opa.bundle_facts import BundleFacts
from extproc.opa.client import OpaClient
from extproc.opa.heartbeat import Heartbeat
from extproc.opa.memo import Memo
from extproc.telemetry import Metrics

UNREAD: Final = (("request", "body_bytes"), ("request", "message_count"))
"""Facts that differ from request to request, and that rules seldom read."""
REDUCED_BYTES_MAX: Final = 64 * 1024
"""A larger input is sent as it is: taking it apart would hold the loop."""


class Policy:
    """One OPA, asked as seldom as is safe. Use it from one event loop; `start` before, `close` after.

    `memo_bytes_max` 0 turns the memory off, and the heartbeat with it.
    """

    def __init__(
        self, socket_path: Path, metrics: Metrics, *, deadline_ms: int, memo_bytes_max: int, memo_entries_max: int
    ) -> None:
        self._opa = OpaClient(socket_path, deadline_ms=deadline_ms)
        self._metrics = metrics
        self._memo = Memo(bytes_max=memo_bytes_max, entries_max=memo_entries_max)
        self._on = memo_bytes_max > 0
        self._unread: tuple[tuple[str, str], ...] = ()
        self._last = b"", b""
        self.heartbeat = Heartbeat(socket_path, renewed=self._renew)

    def start(self) -> None:
        if self._on:
            self.heartbeat.start()
            self._metrics.heartbeat_age.set_function(self.heartbeat.age_s)

    def close(self) -> None:
        """Stop asking. Questions under way still get their answer."""
        self.heartbeat.stop()
        self._opa.close()

    def recall(self, document: bytes) -> Decision | None:
        """The decision for an input document, when it is certain without asking; else None. Never waits."""
        if not self._on:
            return None
        generation = self.heartbeat.confirmed()
        if generation is None or generation.facts.bypass is not None:
            reason = "unconfirmed" if generation is None else generation.facts.bypass
            self._metrics.memo_bypasses.labels(reason).inc()
            return None
        found = self._memo.get(self.reduced(document))
        (self._metrics.memo_misses if found is None else self._metrics.memo_hits).inc()
        return found

    async def decide(self, document: bytes) -> Decision:
        """The decision for an input document, by OPA. Raises as `OpaClient.decide` does."""
        before = self.heartbeat.confirmed() if self._on else None
        if before is None or before.facts.bypass is not None:
            return await self._opa.decide(document)
        asked = self.reduced(document)
        decision = await self._opa.decide(asked)
        if decision.policy_revision != before.facts.revision:
            # Another policy than we knew of: it may read what was left out.
            return decision if asked is document else await self._opa.decide(document)
        if self.heartbeat.confirmed() is before:
            self._memo.put(asked, decision)
            self._metrics.memo_bytes.set(self._memo.used_bytes)
        return decision

    def reduced(self, document: bytes) -> bytes:
        """The input without what no rule of the confirmed policy can read: what OPA is asked, and the memo's key."""
        if self._last[0] is not document:  # looked up in vain, then asked: the same object both times
            self._last = document, _without(document, self._unread)
        return self._last[1]

    def _renew(self, facts: BundleFacts) -> None:
        """Another policy, or another OPA: nothing that was decided before counts, nor any connection of before."""
        self._memo.clear()
        self._metrics.memo_bytes.set(0)
        self._opa.renew()
        self._unread = tuple(path for path in UNREAD if not facts.may_read(path))
        self._last = b"", b""


def _without(document: bytes, unread: tuple[tuple[str, str], ...]) -> bytes:
    """The document without these places, as canonical JSON like itself."""
    if not unread or len(document) > REDUCED_BYTES_MAX:
        return document
    try:
        facts = orjson.loads(document)
        for section, name in unread:
            facts[section].pop(name, None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return document  # not of our making: OPA shall see it as it is
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
