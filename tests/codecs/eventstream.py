"""AWS event stream messages, put together by hand from the specification: shares nothing with our parser."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any


def message(payload: bytes, **headers: str) -> bytes:
    """One message; `message_type="event"` becomes the header `:message-type`. Every value is a string (type 7)."""
    encoded = b""
    for name, value in headers.items():
        key = b":" + name.replace("_", "-").encode()
        text = value.encode()
        encoded += bytes([len(key)]) + key + b"\x07" + len(text).to_bytes(2, "big") + text
    total = 4 + 4 + 4 + len(encoded) + len(payload) + 4
    prelude = total.to_bytes(4, "big") + len(encoded).to_bytes(4, "big")
    body = prelude + zlib.crc32(prelude).to_bytes(4, "big") + encoded + payload
    return body + zlib.crc32(body).to_bytes(4, "big")


def event(kind: str, body: Any) -> bytes:
    """As Converse sends it."""
    payload = json.dumps(body, ensure_ascii=False).encode()
    return message(payload, event_type=kind, content_type="application/json", message_type="event")


def chunk(body: Any) -> bytes:
    """As InvokeModelWithResponseStream wraps a vendor's event."""
    inner = json.dumps(body, ensure_ascii=False).encode()
    return event("chunk", {"bytes": base64.b64encode(inner).decode(), "p": "abcdefghij"})


def exception(kind: str, body: Any) -> bytes:
    payload = json.dumps(body).encode()
    return message(payload, exception_type=kind, content_type="application/json", message_type="exception")
