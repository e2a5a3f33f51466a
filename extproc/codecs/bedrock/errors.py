"""A refusal in mid-stream: an exception message of the AWS event stream, which the SDKs raise."""

from __future__ import annotations

from extproc.dialects.converse.errors import error_message, stream_error_type
from extproc.framing.aws_eventstream import encode_message


def error_event(*, status: int, code: str, message: str, exchange_id: str) -> bytes:
    """An eventstream message of type `exception` (Smithy, "Amazon Event Stream Specification")."""
    headers = {
        ":exception-type": stream_error_type(status),
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return encode_message(headers, error_message(code=code, message=message, exchange_id=exchange_id))
