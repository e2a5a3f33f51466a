"""A provider that answers with exactly the bytes that it was told, pauses and hang-ups included.

    with Scripted(stack) as provider:
        reply = provider.send(OPENAI, body, [b"HTTP/1.1 200 OK\\r\\n…", 0.05, b"…"])

Steps: bytes are sent in one write, a number is a pause in seconds (so that Envoy has passed on what came before), and
after the last one the connection is closed.
"""

from __future__ import annotations

import http.client
import json
import socketserver
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from extproc.stack import Stack
from tests.e2e.gate import Reply
from tests.e2e.traffic import Lane

Step = bytes | float
_NAME: Final = "x-scripted"


@dataclass(frozen=True)
class ScriptedReply(Reply):
    whole: bool
    """The response came to its proper end."""


class Scripted:
    """Stands in for the simulated provider of a running stack, on its socket."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._scripts: dict[str, Sequence[Step]] = {}
        scripts = self._scripts

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for step in scripts[_named(self.rfile)]:
                    if isinstance(step, bytes):
                        self.wfile.write(step)
                    else:
                        time.sleep(step)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Envoy hung up in the middle of a script."""

        stack.child("upstream").hold()
        stack.plan.upstream_socket.unlink(missing_ok=True)
        self._server = Server(str(stack.plan.upstream_socket), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Scripted:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def send(self, lane: Lane, document: Mapping[str, Any], script: Sequence[Step]) -> ScriptedReply:
        """One request over HTTP/1.1, and what the client gets of this answer to it."""
        name = uuid.uuid4().hex
        self._scripts[name] = script
        host, _, port = self._stack.plan.configuration.listener.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        headers = {"content-type": "application/json", **lane.headers, _NAME: name}
        try:
            connection.request("POST", lane.path, body=json.dumps(document).encode(), headers=headers)
            response = connection.getresponse()
            try:
                body, whole = response.read(), True
            except http.client.IncompleteRead as cut:
                body, whole = cut.partial, False
            return ScriptedReply(
                response.status, {key.lower(): value for key, value in response.getheaders()}, body, whole
            )
        finally:
            connection.close()


def _named(request: Any) -> str:
    """Reads one request (RFC 9112) to its end; the name of its script."""
    fields = dict(_fields(request))
    request.read(int(fields["content-length"]))
    return fields[_NAME]


def _fields(request: Any) -> Iterator[tuple[str, str]]:
    request.readline()
    while line := request.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        yield name.lower(), value.strip()
