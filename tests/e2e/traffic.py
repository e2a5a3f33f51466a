"""One request through a running stack, and everything that is known of it afterwards.

    deliver(stack, lane, body) ─► Delivery: the client's answer, what the provider received, the archive's row

The provider's record is the witness of what passed, the archive of what was told about it.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import duckdb

from extproc.stack import Stack
from tests.e2e.gate import CHAT, MESSAGES, Reply, send, until
from tests.e2e.support import rows

EXCHANGE_HEADER: Final = "x-headgate-exchange-id"
Row = dict[str, Any]
ROW_S_MAX: Final = 40.0
LEGACY_KEY: Final = "sk-example-search-legacy-app"
"""A provider key of the client's own, known to the example teams file by its fingerprint."""


@dataclass(frozen=True)
class Lane:
    """A way through the gate: where to send, as whom, and what a good request looks like there."""

    name: str
    path: str
    headers: Mapping[str, str]
    document: Mapping[str, Any]
    enforced: bool
    prefix: str = ""
    """What Envoy takes off the path."""

    @property
    def speaks_anthropic(self) -> bool:
        return self.path.endswith("/messages")


OPENAI: Final = Lane(
    "openai", "/openai/v1/chat/completions", {"authorization": "Bearer example-key-search"}, CHAT, True, "/openai"
)
ANTHROPIC: Final = Lane(
    "anthropic",
    "/anthropic/v1/messages",
    {"x-api-key": "example-key-search", "anthropic-version": "2023-06-01"},
    MESSAGES,
    True,
    "/anthropic",
)
OPENAI_SHADOW: Final = Lane(
    "openai-shadow",
    "/v1/chat/completions",
    {"host": "api.openai.com", "authorization": f"Bearer {LEGACY_KEY}"},
    CHAT,
    False,
)
ANTHROPIC_SHADOW: Final = Lane(
    "anthropic-shadow",
    "/v1/messages",
    {"host": "api.anthropic.com", "x-api-key": LEGACY_KEY, "anthropic-version": "2023-06-01"},
    MESSAGES,
    False,
)
ENFORCED: Final = (OPENAI, ANTHROPIC)
SHADOWS: Final = (OPENAI_SHADOW, ANTHROPIC_SHADOW)


@dataclass
class Delivery:
    """What became of one request."""

    stack: Stack
    lane: Lane
    key: str
    reply: Reply
    received: list[dict[str, Any]] = field(repr=False)
    """The provider's record of it: one entry an attempt, none when nothing came through."""
    _row: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def facts(self) -> dict[str, Any]:
        """Its one row, content columns included, waited for."""
        if self._row is None:
            settle([self])
        assert self._row is not None
        return self._row

    @property
    def name(self) -> tuple[str, str]:
        """Column and value by which its row is found."""
        exchange_id = self.reply.headers.get(EXCHANGE_HEADER)
        if exchange_id is not None:
            return "exchange_id", str(uuid.UUID(exchange_id))
        (only,) = self.received  # a shadow route names nothing, but the provider got Envoy's own request id
        return "envoy_request_id", str(uuid.UUID(only["headers"]["x-request-id"]))

    def tell(self, row: dict[str, Any]) -> None:
        self._row = row


def settle(deliveries: Sequence[Delivery]) -> None:
    """Wait for the rows of all of them at once: one request, one row."""
    stack = deliveries[0].stack
    for column, names in _names(deliveries).items():
        by_name = {row[column]: row for row in _named(stack, column, frozenset(names))}
        for delivery in deliveries:
            if delivery.name[0] == column:
                delivery.tell(by_name[delivery.name[1]])


def _named(stack: Stack, column: str, names: frozenset[str]) -> list[Row]:
    return wait_for_rows(stack, lambda row: row[column] in names, count=len(names))


def _names(deliveries: Sequence[Delivery]) -> dict[str, list[str]]:
    names: defaultdict[str, list[str]] = defaultdict(list)
    for delivery in deliveries:
        column, name = delivery.name
        names[column].append(name)
    return names


def wait_for_rows(stack: Stack, wanted: Callable[[Row], bool] = lambda _: True, *, count: int = 1) -> list[Row]:
    """Exactly `count` rows, facts and content together. More than that fails, fewer are waited for."""
    found: list[Row] = []

    def all_there() -> bool:
        found[:] = [row for row in _facts(stack) if wanted(row)]
        return len(found) >= count

    until(all_there, ROW_S_MAX)
    assert len(found) == count
    listed = ", ".join(f"'{row['exchange_id']}'" for row in found)
    contents = {row["exchange_id"]: row for row in rows(stack, "content", f"exchange_id IN ({listed})")}
    return [contents[row["exchange_id"]] | row for row in found]


def _facts(stack: Stack) -> list[Row]:
    folder = stack.plan.configuration.capture.archive_dir / "facts"
    return [row for path in sorted(folder.rglob("*.parquet")) for row in _facts_of(path)]


@lru_cache(maxsize=4096)
def _facts_of(path: Path) -> list[Row]:
    """A file of the archive never changes: with hundreds of small ones, reading each once keeps the tests quick."""
    with duckdb.connect() as connection:
        cursor = connection.execute(f"SELECT * FROM read_parquet('{path}')")
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def received_body(entry: Mapping[str, Any]) -> bytes:
    """The body of one request as the provider received it."""
    return base64.b64decode(entry["body_base64"])


def deliver(
    stack: Stack,
    lane: Lane,
    body: Any = None,
    *,
    method: str = "POST",
    path: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Delivery:
    """Send one request on a lane. A body that is no bytes goes as JSON, with its content type."""
    key = uuid.uuid4().hex
    sent = {**lane.headers, "x-sim-key": key, **(headers or {})}
    address = stack.plan.configuration.listener.address
    reply = send(address, method, path or lane.path, sent, body, timeout_s=60)
    return Delivery(stack, lane, key, reply, stack.upstream_requests(key))


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(os.fspath(self._path))


def direct(stack: Stack, path: str, headers: Mapping[str, str], body: Any, method: str = "POST") -> Reply:
    """The same request without the gate: straight to the simulated provider."""
    sent = {name: value for name, value in headers.items() if name != "host"}
    if body is not None and not isinstance(body, bytes):
        body, sent = json.dumps(body).encode(), {"content-type": "application/json", **sent}
    connection = _UnixConnection(stack.plan.upstream_socket)
    try:
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def denial(delivery: Delivery) -> dict[str, Any]:
    """What the client was told, in its own API's error format: `message` and `type`, and the code where there is one.

    Formats: OpenAI API reference, "Error codes"; Anthropic API reference, "Errors".
    """
    assert delivery.reply.headers["content-type"] == "application/json"
    document = delivery.reply.json
    error = document["error"]
    if delivery.lane.speaks_anthropic:
        assert document["type"] == "error"
        assert set(error) == {"type", "message"}
    else:
        assert set(error) == {"message", "type", "param", "code"}
    told: dict[str, Any] = error
    return told


def refused(done: Delivery, code: str, status: int = 403) -> dict[str, Any]:
    """Assert a denial of ours: told to the client, unknown to the provider, in the row. The row."""
    assert done.reply.status == status
    assert code in denial(done)["message"]
    assert done.received == []
    row = done.facts
    assert (row["capture_status"], row["decision"], row["http_status"]) == ("denied", "deny", status)
    assert (row["answered_by"], row["error_type"]) == ("headgate", code)
    return row
