"""The floor of an ext_proc sidecar on the same transport: answers every message with "go on", reads nothing.

python -m bench.noop SOCKET
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from extproc import wire
from extproc._pb import ext_proc_pb2
from extproc.events import Message, Reply
from extproc.transport import Stream
from extproc.transport.grpc_aio import GrpcAioTransport

_GO_ON = {message.value: wire.render(Reply(message)) for message in Message}


class _GoOn:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def on_message(self, message: bytes) -> None:
        request = ext_proc_pb2.ProcessingRequest.FromString(message)
        self._stream.send(_GO_ON[request.WhichOneof("request")])

    def on_closed(self) -> None:
        pass


async def _serve(socket: Path) -> None:
    transport = GrpcAioTransport()
    await transport.start(socket, {wire.PROCESS_METHOD: _GoOn}, message_bytes_max=128 << 20)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await transport.stop(0)


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1])))
