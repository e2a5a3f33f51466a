"""A small HTTP server on loopback that serves one policy bundle with an ETag, as a bundle service would."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class BundleServer:
    """Serves `content` at any path: 304 where the client has it already, 503 where there is none."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.sends_etag = True
        self.requests: list[dict[str, str]] = []
        """Headers of every request, names in lower case."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        shared = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                shared.requests.append({name.lower(): value for name, value in self.headers.items()})
                content = shared.content
                if content is None:
                    self._answer(503, b"")
                    return
                etag = f'"{hashlib.sha256(content).hexdigest()}"'
                if shared.sends_etag and self.headers.get("if-none-match") == etag:
                    self._answer(304, None)
                else:
                    self._answer(200, content, etag if shared.sends_etag else None)

            def _answer(self, status: int, body: bytes | None, etag: str | None = None) -> None:
                self.send_response(status)
                if etag is not None:
                    self.send_header("etag", etag)
                if body is not None:
                    self.send_header("content-type", "application/gzip")
                    self.send_header("content-length", str(len(body)))
                self.end_headers()
                if body:
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def bundle_server() -> Iterator[BundleServer]:
    server = BundleServer()
    try:
        yield server
    finally:
        server.stop()
