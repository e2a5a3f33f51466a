"""One keep-alive HTTP/1.1 connection over a Unix socket, one question at a time, on `asyncio.Protocol`.

A connection whose answer is late, odd or followed by more bytes is dropped, never reused: the next question must not
get the last one's answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import cast

from extproc.errors import DependencyError
from extproc.framing.http1 import Http1Error, Response, ResponseReader


class Stale(Exception):
    """The connection ended before a byte of the answer came: OPA has not judged, so asking again is safe."""


class Connection(asyncio.Protocol):
    """Made by `connect`. `lost` is called with it once, when the peer goes away or the connection is dropped."""

    def __init__(self, response_bytes_max: int, lost: Callable[[Connection], None] | None = None) -> None:
        self._response_bytes_max = response_bytes_max
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._reader: ResponseReader | None = None
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is a class of its own
        self.usable = True

    def data_received(self, data: bytes) -> None:
        if self._reader is None or self._answer is None or self._answer.done():
            self.drop()  # nobody asked
            return
        try:
            response = self._reader.feed(data)
        except Http1Error as error:
            self._fail(DependencyError("opa_nonsense", f"OPA's answer is no HTTP response: {error}"))
            return
        if response is not None:
            self.usable = response.reusable
            self._answer.set_result(response)
            if not self.usable:
                self.drop()

    def eof_received(self) -> bool:
        return False  # closes; connection_lost follows

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        started = self._reader is not None and self._reader.started
        self._fail(
            DependencyError("opa_unreachable", "OPA closed the connection within its answer") if started else Stale()
        )
        if self._lost is not None:
            self._lost(self)

    async def ask(self, request: bytes) -> Response:
        """Send one request and wait for its whole response. Raises `DependencyError` or `Stale`."""
        if not self.usable or self._transport is None:
            raise Stale
        self.usable = False  # until the whole answer is here
        self._reader = ResponseReader(self._response_bytes_max)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._answer
        finally:
            self._reader = self._answer = None

    def drop(self) -> None:
        """Close at once, whatever is under way."""
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.drop()


async def connect(
    socket_path: Path, *, response_bytes_max: int, lost: Callable[[Connection], None] | None = None
) -> Connection:
    """A new connection. Raises `DependencyError` `opa_unreachable`."""
    try:
        _, connection = await asyncio.get_running_loop().create_unix_connection(
            lambda: Connection(response_bytes_max, lost), str(socket_path)
        )
    except OSError as error:
        raise DependencyError(
            "opa_unreachable", f"cannot connect to OPA at {socket_path}: {error.strerror or type(error).__name__}"
        ) from None
    return connection
