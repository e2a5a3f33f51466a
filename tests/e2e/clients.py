"""Clients that do what ordinary libraries hide: exact bytes over HTTP/1.1, trailers, HTTP/2 with prior knowledge."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from extproc.stack import Stack
from tests.e2e.gate import Reply

CLIENT_S_MAX: Final = 30
READ_BYTES: Final = 65_536


@dataclass(frozen=True)
class FullReply(Reply):
    """With what came before and behind the response."""

    trailers: Mapping[str, str] = field(default_factory=dict)
    chunks: Sequence[bytes] = ()
    """The body as it was cut into HTTP/1.1 chunks or HTTP/2 data frames."""


def connect(stack: Stack) -> socket.socket:
    host, _, port = stack.plan.configuration.listener.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=CLIENT_S_MAX)


# ── HTTP/1.1 (RFC 9112) ──────────────────────────────────────────────────────────────────────────────────────────────


def head(method: str, path: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A request head, as given; `host` only where `headers` has one. The connection is for one request."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "connection: close"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunked(pieces: Iterable[bytes], trailers: Iterable[tuple[str, str]] = ()) -> bytes:
    """A body in chunks, with trailers (RFC 9112 §7.1)."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return body + b"0\r\n" + b"".join(f"{name}: {value}\r\n".encode() for name, value in trailers) + b"\r\n"


def exchange(stack: Stack, request: bytes, body: bytes = b"", *, wait_for_continue: bool = False) -> FullReply:
    """Send exactly these bytes and read the answer until the server closes."""
    with connect(stack) as client:
        client.sendall(request)
        read = b""
        if wait_for_continue:
            while b"\r\n\r\n" not in read:
                read += client.recv(READ_BYTES)
            interim, _, read = read.partition(b"\r\n\r\n")
            assert interim.startswith(b"HTTP/1.1 100"), interim
        try:
            client.sendall(body)
            while data := client.recv(READ_BYTES):
                read += data
        except (ConnectionResetError, BrokenPipeError):
            if not read:
                raise  # else: answered and closed before the body was read (RFC 9112 §9.6)
    return _parsed(read)


def _parsed(read: bytes) -> FullReply:
    start, _, rest = read.partition(b"\r\n\r\n")
    first, *lines = start.decode("latin-1").split("\r\n")
    headers = _fields(lines)
    if headers.get("transfer-encoding") != "chunked":
        return FullReply(int(first.split()[1]), headers, rest, chunks=(rest,))
    chunks = []
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if not length:
            break
        chunks.append(rest[:length])
        rest = rest[length + 2 :]
    trailers = _fields(rest.decode("latin-1").split("\r\n"))
    return FullReply(int(first.split()[1]), headers, b"".join(chunks), trailers, chunks)


def _fields(lines: Iterable[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


# ── HTTP/2 (RFC 9113), cleartext with prior knowledge ────────────────────────────────────────────────────────────────


def exchange_h2(
    stack: Stack,
    method: str,
    path: str,
    headers: Mapping[str, str],
    pieces: Sequence[bytes] = (),
    trailers: Sequence[tuple[str, str]] = (),
) -> FullReply:
    """One request on one connection; each piece is a data frame of its own (at most 16 KiB)."""
    authority = headers.get("host", "gate.example")
    fields = [(":method", method), (":path", path), (":scheme", "http"), (":authority", authority)]
    fields += [(name, value) for name, value in headers.items() if name != "host"]
    connection = h2.connection.H2Connection()
    connection.initiate_connection()
    connection.send_headers(1, fields, end_stream=not pieces and not trailers)
    for index, piece in enumerate(pieces):
        connection.send_data(1, piece, end_stream=index == len(pieces) - 1 and not trailers)
    if trailers:
        connection.send_headers(1, trailers, end_stream=True)
    with connect(stack) as client:
        client.sendall(connection.data_to_send())
        return _read_h2(connection, client)


def exchange_fields(
    stack: Stack,
    fields: Sequence[tuple[str, str]],
    pieces: Sequence[bytes] = (),
    trailers: Sequence[tuple[str, str]] = (),
) -> FullReply:
    """As `exchange_h2`, with header fields that no library would send. Status 0: the stream or the connection ended
    without an answer."""
    lax = h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    connection = h2.connection.H2Connection(lax)
    connection.initiate_connection()
    connection.send_headers(1, fields, end_stream=not pieces and not trailers)
    early: list[h2.events.Event] = []
    with connect(stack) as client:
        try:
            for index, piece in enumerate(pieces):
                client.sendall(connection.data_to_send())
                while connection.local_flow_control_window(1) < len(piece):
                    early += connection.receive_data(client.recv(READ_BYTES))
                connection.send_data(1, piece, end_stream=index == len(pieces) - 1 and not trailers)
            if trailers:
                connection.send_headers(1, trailers, end_stream=True)
            client.sendall(connection.data_to_send())
            return _read_h2(connection, client, early)
        except (ConnectionResetError, BrokenPipeError, h2.exceptions.ProtocolError):
            return FullReply(0, {}, b"")


def _read_h2(
    connection: h2.connection.H2Connection, client: socket.socket, early: Iterable[h2.events.Event] = ()
) -> FullReply:
    """`early`: what was received while the request was still being sent."""
    got: dict[str, str] = {}
    trailers: dict[str, str] = {}
    chunks: list[bytes] = []
    events = list(early)
    while True:
        for event in events:
            if isinstance(event, h2.events.ResponseReceived):
                got = _decoded(event.headers)
            elif isinstance(event, h2.events.DataReceived):
                chunks.append(event.data)
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                trailers = _decoded(event.headers)
            elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                return FullReply(int(got.pop(":status", "0")), got, b"".join(chunks), trailers, chunks)
        client.sendall(connection.data_to_send())
        data = client.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError("the connection was closed before the response's end")
        events = connection.receive_data(data)


def _decoded(fields: Iterable[tuple[bytes | str, bytes | str]]) -> dict[str, str]:
    def text(value: bytes | str) -> str:
        return value if isinstance(value, str) else value.decode("latin-1")

    return {text(name): text(value) for name, value in fields}
