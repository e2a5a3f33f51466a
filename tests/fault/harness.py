"""Kills processes under load, then counts: what clients were told, what the provider got, what the archive holds.

with Gateway(…) as gateway:
    accounts = torture(gateway, victims=("capture", "extproc", …))      # one kill -9 a round
    assert accounts.faults() == []
"""

from __future__ import annotations

import http.client
import itertools
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fault.gateway import ENFORCED, SHADOW, Gateway, Lane, Reply, chat, streamed, until

CLIENTS: Final = 4
PAUSE_S: Final = 0.02
"""Of a client whose connection was refused, so that it does not spin."""
ANSWERS_BETWEEN: Final = 12
"""Requests that end before each kill, and again while the victim is dead."""
ARCHIVED_WITHIN_S: Final = 60.0

_REQUESTS: Final[tuple[tuple[Lane, Mapping[str, Any], Mapping[str, str]], ...]] = (
    (ENFORCED, chat("count me"), {}),
    (ENFORCED, streamed("count me"), {"x-sim-chunks": "10", "x-sim-chunk-delay-ms": "5"}),
    (SHADOW, streamed("count me"), {"x-sim-chunks": "10", "x-sim-chunk-delay-ms": "5"}),
    (ENFORCED, chat("my card is 4111 1111 1111 1111"), {}),
    (ENFORCED, chat("count me", stream=True), {"x-sim-chunks": "10", "x-sim-chunk-delay-ms": "5"}),
)


class Load:
    """Clients that send one request after another until `stop`."""

    def __init__(self, gateway: Gateway) -> None:
        self.told: list[str] = []
        """Exchange ids of extproc's own making that clients were told, in order of their end."""
        self.statuses: Counter[int | None] = Counter()
        """HTTP statuses; None where the connection failed."""
        self.shadow_failures = 0
        """Observed requests that did not get a whole 200 although Envoy was there to give it."""
        self.unnamed = 0
        """Enforced replies without an exchange id."""
        self.spoiled = 0
        """Streams that seemed whole, and had no end, or a chunk that their client had not asked for."""
        self._gateway = gateway
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._send_all, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    @property
    def ended(self) -> int:
        return sum(self.statuses.values())

    def wait_for_more(self, count: int) -> None:
        goal = self.ended + count
        until(lambda: self.ended >= goal, f"{count} more requests end")

    def _send_all(self, number: int) -> None:
        for lane, body, headers in itertools.islice(itertools.cycle(_REQUESTS), number, None):
            if self._stopped.is_set():
                return
            try:
                reply = self._gateway.send(lane, body, headers)
            except (OSError, http.client.HTTPException):
                self._stopped.wait(PAUSE_S)
                with self._lock:
                    self.statuses[None] += 1
                continue
            with self._lock:
                self.statuses[reply.status] += 1
                if reply.exchange_id and uuid.UUID(reply.exchange_id).version == 7:
                    self.told.append(reply.exchange_id)
                if lane.enforced and not reply.exchange_id:
                    self.unnamed += 1
                if lane is SHADOW and not (reply.status == 200 and reply.whole):
                    self.shadow_failures += 1
                self.spoiled += _is_spoiled(body, reply)


def _is_spoiled(body: Mapping[str, Any], reply: Reply) -> bool:
    """Told by the bytes alone. The simulated provider sends the chunk only to who asks for it."""
    if not body.get("stream") or reply.status != 200 or not reply.whole:
        return False
    asked = "stream_options" in body
    return not reply.body.endswith(b"data: [DONE]\n\n") or (b'"total_tokens"' in reply.body) is not asked


@dataclass(slots=True)
class Accounts:
    """What was counted."""

    rounds: int = 0
    requests: int = 0
    told: int = 0
    rows: int = 0
    opened: int = 0
    lost: list[str] = field(default_factory=list)
    """Told to a client, without a row."""
    duplicates: list[str] = field(default_factory=list)
    """With more than one row."""
    unjudged: list[str] = field(default_factory=list)
    """Envoy's ids of enforced requests that the provider got and no row says that policy let them."""
    unbalanced: list[dict[str, Any]] = field(default_factory=list)
    """Reports of the archive process in which opened was not archived + open + pending."""
    shadow_failures: int = 0
    unnamed: int = 0
    spoiled: int = 0
    statuses: dict[str, int] = field(default_factory=dict)

    def faults(self) -> list[str]:
        """One line for each promise that was broken."""
        said = [
            (self.lost, "exchanges that a client was told of have no row"),
            (self.duplicates, "exchanges have more than one row"),
            (self.unjudged, "enforced requests reached the provider unjudged"),
            (self.unbalanced, "reports of the archive process do not add up"),
            (range(self.opened - self.rows), "opened exchanges have no row"),
            (range(self.rows - self.opened), "rows were never opened"),
            (range(self.shadow_failures), "observed requests were disturbed"),
            (range(self.unnamed), "enforced replies carry no exchange id"),
            (range(self.spoiled), "streams had no end, or a chunk too many"),
        ]
        return [f"{len(found)} {what}: {list(found)[:3]}" for found, what in said if len(found)]


class Balance(threading.Thread):
    """Reads the archive process's reports while everything else goes on."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(daemon=True)
        self.wrong: list[dict[str, Any]] = []
        self.read = 0
        self._gateway = gateway
        self._stopped = threading.Event()

    def run(self) -> None:
        last = None
        while not self._stopped.wait(0.02):
            status = self._gateway.status()
            if not status or status["at"] == last:
                continue
            last = status["at"]
            self.read += 1
            if status["opened"] != status["archived"] + status["open"] + status["pending"] or status["missing"]:
                self.wrong.append(status)

    def stop(self) -> None:
        self._stopped.set()
        self.join()


def torture(gateway: Gateway, victims: Iterable[str], report: Callable[[str], None] = lambda _: None) -> Accounts:
    """One round for each victim: let traffic flow, kill -9, let traffic flow, start it again. Then count.

    Nothing else may have used the gateway. Envoy's death ends requests under way: they do not count as disturbed.
    """
    accounts = Accounts()
    balance = Balance(gateway)
    balance.start()
    with Load(gateway) as load:
        load.wait_for_more(ANSWERS_BETWEEN)
        for victim in victims:
            disturbed = load.shadow_failures
            gateway.hold(victim)
            load.wait_for_more(ANSWERS_BETWEEN)
            gateway.release(victim)
            load.wait_for_more(ANSWERS_BETWEEN)
            accounts.rounds += 1
            accounts.shadow_failures += load.shadow_failures - disturbed if victim != "envoy" else 0
            report(f"round {accounts.rounds}: killed {victim}, {load.ended} requests so far")
    status = gateway.wait_archived(ARCHIVED_WITHIN_S)
    balance.stop()
    accounts.unbalanced = balance.wrong
    accounts.opened = status["opened"]
    accounts.requests, accounts.told, accounts.unnamed = load.ended, len(load.told), load.unnamed
    accounts.spoiled = load.spoiled
    accounts.statuses = {str(status): count for status, count in sorted(load.statuses.items(), key=str)}
    _count_rows(gateway, load, accounts)
    return accounts


def _count_rows(gateway: Gateway, load: Load, accounts: Accounts) -> None:
    rows = gateway.rows()
    counts = Counter(row["exchange_id"] for row in rows)
    accounts.rows = len(rows)
    accounts.duplicates = [exchange_id for exchange_id, count in counts.items() if count > 1]
    accounts.lost = [exchange_id for exchange_id in load.told if exchange_id not in counts]
    judged = {row["envoy_request_id"] for row in rows if row["decision"] in ("allow", "redact")}
    for got in gateway.stack.upstream_requests():  # the last 2,000
        request_id = got["headers"]["x-request-id"]
        if got["headers"]["authorization"] != SHADOW.headers["authorization"] and request_id not in judged:
            accounts.unjudged.append(request_id)
