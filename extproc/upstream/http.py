"""A small HTTP/1.1 server side (RFC 9112) on asyncio streams, whose every write a test can steer.

Own code rather than a framework's because tests need what frameworks hide: one write per chunk, aborts in mid-body,
trailers, wrong lengths.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Protocol

HEAD_BYTES_MAX: Final = 256 * 1024
"""Request line and headers; beyond: the connection is closed."""
BODY_BYTES_MAX: Final = 1 << 30
WRITE_BUFFER_BYTES_MAX: Final = 1024 * 1024
"""Bytes waiting for a slow reader before a write waits too."""


class BadRequest(Exception):
    """What came is not HTTP/1.1 that we read: the connection is closed."""


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    """Lower-case names; repeated ones joined by `, `."""
    body: bytes = field(repr=False, default=b"")

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def host(self) -> str:
        return self.headers.get("host", "")

    def number(self, header: str, default: int = 0) -> int:
        """A header as a non-negative integer; `default` when it is absent or no number."""
        value = self.headers.get(header, "")
        return int(value) if value.isascii() and value.isdigit() else default


class Aborted(Exception):
    """The answer was cut on purpose."""


class Responder:
    """Writes one response. `head` first, then `write` as often as wanted, then `end`."""

    def __init__(self, writer: asyncio.StreamWriter, *, head_only: bool = False) -> None:
        self._writer = writer
        self._chunked = False
        self._head_only = head_only
        self.started = False

    async def head(self, status: int, headers: Sequence[tuple[str, str]], *, length: int | None = None) -> None:
        """Status line and headers. `length` None means chunked."""
        self.started = True
        self._chunked = length is None
        framing = ("transfer-encoding", "chunked") if length is None else ("content-length", str(length))
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = ""
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in (*headers, framing))]
        await self._send("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))

    async def write(self, data: bytes) -> None:
        """One piece of the body, in one write to the socket."""
        if data and not self._head_only:
            await self._send(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    async def end(self, trailers: Sequence[tuple[str, str]] = ()) -> None:
        if self._chunked and not self._head_only:
            lines = "".join(f"{name}: {value}\r\n" for name, value in trailers)
            await self._send(f"0\r\n{lines}\r\n".encode("latin-1", "replace"))

    async def whole(self, status: int, body: bytes, headers: Sequence[tuple[str, str]]) -> None:
        await self.head(status, headers, length=len(body))
        await self.write(body)
        await self.end()

    def abort(self) -> None:
        """Reset the connection, as a provider that dies does."""
        self._writer.transport.abort()
        raise Aborted

    async def _send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


class Application(Protocol):
    async def answer(self, request: Request, respond: Responder) -> None:
        """Answer one request."""


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request of a connection; None at its end. Raises `BadRequest`."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise BadRequest("the request head was cut") from None
        return None
    except asyncio.LimitOverrunError:
        raise BadRequest("the request head is too large") from None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    try:
        method, target, version = first.split(" ")
    except ValueError:
        raise BadRequest("the request line is malformed") from None
    if not version.startswith("HTTP/1."):
        raise BadRequest("not HTTP/1")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequest("a header line has no colon")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return Request(method, target, headers, await _read_body(reader, headers))


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunked(reader)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length) > BODY_BYTES_MAX:
        raise BadRequest("content-length is not one that we take")
    try:
        return await reader.readexactly(int(length))
    except asyncio.IncompleteReadError:
        raise BadRequest("the body was cut") from None


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    pieces: list[bytes] = []
    total = 0
    try:
        while True:
            size = int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16)
            total += size
            if size < 0 or total > BODY_BYTES_MAX:
                raise BadRequest("the body is too large")
            if size == 0:
                break
            pieces.append(await reader.readexactly(size))
            await reader.readexactly(2)
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass  # trailers
    except (ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise BadRequest("the chunked body is malformed or was cut") from None
    return b"".join(pieces)


async def _connection(application: Application, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX)
    try:
        while (request := await read_request(reader, writer)) is not None:
            await application.answer(request, Responder(writer, head_only=request.method == "HEAD"))
            if request.headers.get("connection", "").lower() == "close":
                break
    except (BadRequest, Aborted, ConnectionError):
        pass  # nobody is left to tell
    finally:
        writer.close()


async def listen(application: Application, *, host: str, port: int, socket: str | None) -> asyncio.Server:
    """Serve on a TCP address, or on a Unix socket when one is named."""

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _connection(application, reader, writer)

    if socket is not None:
        return await asyncio.start_unix_server(on_connection, socket, limit=HEAD_BYTES_MAX)
    return await asyncio.start_server(on_connection, host, port, limit=HEAD_BYTES_MAX)
