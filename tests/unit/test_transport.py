"""Every transport keeps the same promises. Run against a real gRPC client on a Unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from extproc.transport import Stream, StreamHandler, Transport
from extproc.transport.grpc_aio import GrpcAioTransport

METHOD = "/test.Service/Call"
TRANSPORTS: list[Callable[[], Transport]] = [GrpcAioTransport]


class Handler:
    """Does what the message says."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.closed = 0
        self.gone = asyncio.Event()
        self.seen: list[bytes] = []

    def on_message(self, message: bytes) -> Awaitable[None] | None:
        self.seen.append(message)
        word, _, rest = message.partition(b" ")
        match word:
            case b"echo":
                self.stream.send(rest)
            case b"twice":
                self.stream.send(rest + b"1")
                self.stream.send(rest + b"2")
            case b"later":
                asyncio.get_running_loop().call_soon(self.stream.send, rest)
            case b"pause":
                return self._pause(rest)
            case b"end":
                self.stream.send(b"last")
                self.stream.end()
            case b"fail":
                self.stream.fail("some_code")
            case b"bug":
                raise ValueError("text of a prompt")
        return None

    async def _pause(self, rest: bytes) -> None:
        await asyncio.sleep(0)
        self.stream.send(b"after the pause " + rest)

    def on_closed(self) -> None:
        self.closed += 1
        self.gone.set()


class Server:
    def __init__(self, transport: Transport, socket: Path) -> None:
        self.transport = transport
        self.socket = socket
        self.handlers: list[Handler] = []

    def open(self, stream: Stream) -> StreamHandler:
        self.handlers.append(Handler(stream))
        return self.handlers[-1]

    @asynccontextmanager
    async def call(self) -> AsyncIterator[Any]:
        async with grpc.aio.insecure_channel(f"unix:{self.socket}") as channel:
            yield channel.stream_stream(METHOD)()

    async def closed(self) -> None:
        async with asyncio.timeout(10):
            for handler in self.handlers:
                await handler.gone.wait()


def run(make: Callable[[], Transport], tmp_path: Path, scenario: Callable[[Server], Awaitable[None]]) -> Server:
    async def whole() -> Server:
        server = Server(make(), tmp_path / "s.sock")
        await server.transport.start(server.socket, {METHOD: server.open}, message_bytes_max=1 << 20)
        try:
            await scenario(server)
            await server.closed()
        finally:
            await server.transport.stop(0)
        return server

    server = asyncio.run(whole())
    assert [handler.closed for handler in server.handlers] == [1] * len(server.handlers)
    return server


@pytest.fixture(params=TRANSPORTS, ids=lambda t: t.__name__)
def make(request: pytest.FixtureRequest) -> Callable[[], Transport]:
    return request.param  # type: ignore[no-any-return]


def test_messages_are_answered_in_order(make: Callable[[], Transport], tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        async with server.call() as call:
            for message in (b"echo a", b"twice b", b"later c", b"pause d"):
                await call.write(message)
            answers = [await call.read() for _ in range(5)]
            assert answers == [b"a", b"b1", b"b2", b"c", b"after the pause d"]
            await call.done_writing()
            assert await call.code() is grpc.StatusCode.OK

    run(make, tmp_path, scenario)


def test_a_handlers_end_sends_what_is_queued_and_closes_with_ok(make: Callable[[], Transport], tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        async with server.call() as call:
            await call.write(b"end")
            assert await call.read() == b"last"
            assert await call.read() is grpc.aio.EOF
            assert await call.code() is grpc.StatusCode.OK

    run(make, tmp_path, scenario)


@pytest.mark.parametrize(("message", "code"), [(b"fail", "some_code"), (b"bug", "internal_error")])
def test_failure_and_bugs_end_the_stream_in_error_never_with_ok(
    make: Callable[[], Transport], tmp_path: Path, message: bytes, code: str
) -> None:
    async def scenario(server: Server) -> None:
        async with server.call() as call:
            await call.write(message)
            assert await call.code() is grpc.StatusCode.INTERNAL
            assert await call.details() == code

    run(make, tmp_path, scenario)


def test_a_client_that_goes_is_told_to_the_handler_once(make: Callable[[], Transport], tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        async with server.call() as call:
            await call.write(b"echo x")
            await call.read()
            call.cancel()

    server = run(make, tmp_path, scenario)
    assert server.handlers[0].seen == [b"echo x"]


def test_an_unknown_method_is_unimplemented(make: Callable[[], Transport], tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        async with grpc.aio.insecure_channel(f"unix:{server.socket}") as channel:
            call = channel.stream_stream("/other.Service/Call")()
            assert await call.code() is grpc.StatusCode.UNIMPLEMENTED

    run(make, tmp_path, scenario)
