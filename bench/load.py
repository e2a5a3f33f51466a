"""A small closed-loop HTTP/1.1 load generator: bounded requests on keep-alive connections, latencies in seconds.

Client libraries cost more than what is measured here, so this writes prepared bytes and counts the reply's bytes.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One way to the upstream: an address, and the request as bytes on the wire."""

    name: str
    host: str
    port: int
    request: bytes


def post(path: str, host: str, key: str, body: bytes, **headers: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: {host}",
        f"authorization: Bearer {key}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _read_response(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        while (size := int((await reader.readline()).split(b";")[0], 16)) > 0:
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        start = lowered.index(b"content-length:") + 15
        await reader.readexactly(int(lowered[start : lowered.index(b"\r\n", start)]))
    return status


async def _connection(target: Target, count: int, latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection(target.host, target.port, limit=1 << 24)
    try:
        for _ in range(count):
            started = time.perf_counter()
            writer.write(target.request)
            status = await _read_response(reader)
            latencies.append(time.perf_counter() - started)
            if status != 200:
                raise RuntimeError(f"{target.name}: HTTP {status}")
    finally:
        writer.close()


async def run(target: Target, *, requests: int, connections: int) -> list[float]:
    """All latencies of `requests` requests, in seconds. Ends by itself."""
    latencies: list[float] = []
    each = max(1, requests // connections)
    await asyncio.gather(*(_connection(target, each, latencies) for _ in range(connections)))
    return latencies
