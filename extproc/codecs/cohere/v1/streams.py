"""How version 1 frames a stream: a JSON object a line, or server-sent events for clients that ask for them."""

from __future__ import annotations

from typing import Any

import orjson

from extproc.model import Call


def framed(call: Call, event: dict[str, Any]) -> bytes:
    """One event for the stream that answers `call`."""
    data = orjson.dumps(event)
    if "text/event-stream" in call.hints.get("accept", ""):
        return b"event: " + str(event["event_type"]).encode() + b"\ndata: " + data + b"\n\n"
    return data + b"\n"
