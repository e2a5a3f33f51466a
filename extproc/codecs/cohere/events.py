"""Cohere's streams for readers of whole bodies: server-sent events (v2), or a JSON object a line (v1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody, StreamFormat
from extproc.shape import as_object


def chunks(body: bytes | None, stream_format: StreamFormat) -> Iterator[dict[str, Any]]:
    """The events of a stored stream in order, or the one document; what cannot be read is left out."""
    reader = ResponseBody(stream_format)
    for event in (*reader.feed(body or b""), *reader.flush()):
        yield as_object(tolerant_json.loads_or_none(event.data))
    if reader.is_json:
        try:
            yield as_object(reader.document())
        except ValueError:
            return
