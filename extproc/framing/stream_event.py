"""What every stream parser of this package gives: one event, whatever the framing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of a stream: an SSE event, an AWS eventstream message, a line of NDJSON, an element of a JSON array."""

    type: bytes
    """SSE `event`, eventstream `:event-type` or `:exception-type`; empty where the stream names none."""
    data: bytes
    """SSE: all `data` lines, joined by LF. Elsewhere the payload, the line, the element."""
    id: bytes = b""
    """The last event id that the stream has given so far (SSE only)."""
    oversized: bool = False
    """The event was larger than its parser's limit: its data is gone."""
    is_error: bool = False
    """The framing itself calls this an error: an eventstream `exception` or `error` message."""
