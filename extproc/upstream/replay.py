"""Answers from a folder of recorded exchanges, byte for byte where the recording has the wire's bytes."""

from __future__ import annotations

import json
from typing import Final

from extproc.upstream.http import Request, Responder
from extproc.upstream.recordings import Library, Recording

CHUNK_BYTES: Final = 4096


class ReplayedProviders:
    """`x-replay-id: <folder>` names a recording; without it the call itself does (see `Library.find`)."""

    def __init__(self, library: Library) -> None:
        self._library = library

    async def answer(self, request: Request, respond: Responder) -> None:
        found = self._library.find(
            id=request.headers.get("x-replay-id"),
            method=request.method,
            path=request.target,
            authority=request.host.lower(),
            body=request.body,
        )
        if isinstance(found, str):
            body = {"error": {"message": f"no recording answers this: {found}", "type": "not_found", "code": "replay"}}
            await respond.whole(404, json.dumps(body).encode(), [("content-type", "application/json")])
            return
        await _send(found, respond)


async def _send(recording: Recording, respond: Responder) -> None:
    headers = [*recording.headers, ("x-replay-id", recording.id)]
    if recording.status in (204, 304):
        await respond.whole(recording.status, b"", headers)
        return
    if "event-stream" not in recording.content_type:
        await respond.whole(recording.status, recording.body, headers)
        return
    await respond.head(recording.status, headers)
    for start in range(0, len(recording.body), CHUNK_BYTES):
        await respond.write(recording.body[start : start + CHUNK_BYTES])
    await respond.end()
