"""How ext_proc streams reach us: one file per transport, all behind the two Protocols below.

A transport knows gRPC and nothing else: it hands over raw message bytes and takes raw message bytes. The handler is
synchronous, so that a transport may call it straight from its read callback and needs no task per stream.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol


class Stream(Protocol):
    """One bidirectional gRPC stream, as the handler sees it. All calls return at once."""

    def send(self, message: bytes) -> None:
        """Queue one message. Messages leave in this order; after the stream's end they are dropped."""

    def end(self) -> None:
        """Everything queued leaves, then the stream ends with status OK."""

    def fail(self, code: str) -> None:
        """The stream ends with status INTERNAL: Envoy fails the request closed. `code` goes into the status message."""


class StreamHandler(Protocol):
    """What the servicer does with one stream."""

    def on_message(self, message: bytes) -> Awaitable[None] | None:
        """One message. An awaitable means: read no further from this stream until it is done."""

    def on_closed(self) -> None:
        """The stream is gone, whoever ended it. Called exactly once, last."""


Opener = Callable[[Stream], StreamHandler]


class Transport(Protocol):
    async def start(self, socket: Path, methods: Mapping[str, Opener], *, message_bytes_max: int) -> None:
        """Serve these gRPC methods (full path → opener) on a Unix socket."""

    async def stop(self, grace_s: float) -> None:
        """Take no new streams; wait up to `grace_s` for the open ones; then cut them."""
