"""A stand-in for providers on a loopback port of its own, for tests that talk to it directly."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from extproc.upstream.http import Application, listen
from tests.e2e.gate import Reply, send

KEY = {"authorization": "Bearer any"}
CHAT: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}


class Server:
    """An application on a loopback port, in a thread with a loop of its own."""

    def __init__(self, application: Application) -> None:
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._application = application
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(listen(self._application, host="127.0.0.1", port=0, socket=None))
        self.address = "127.0.0.1:" + str(server.sockets[0].getsockname()[1])
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def send(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: Any = None) -> Reply:
        return send(self.address, method, path, headers, body)

    def chat(self, headers: Mapping[str, str] | None = None, **changes: Any) -> Reply:
        return self.send("POST", "/v1/chat/completions", {**KEY, **(headers or {})}, CHAT | changes)
