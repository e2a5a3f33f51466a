"""Errors of Cohere's API: the ones it sends, and our refusals in the same words.

    {"id": "faa81d9a-…", "message": "model 'command-r-plus' was removed on September 15, 2025. …"}

The SDKs choose their exception by the HTTP status (`ForbiddenError`, …) and hold the body in it.

Source: Cohere documentation, "Errors"; the SDKs' `errors` package.
"""

from __future__ import annotations

from typing import Any

import orjson

from extproc.model import ErrorFacts, ErrorReply
from extproc.shape import as_name, as_object, as_text

MESSAGE_CHARS_MAX = 4_096
ERROR = "ERROR"
"""The finish reason of an answer that failed half-way."""


def told(*, code: str, message: str, exchange_id: str) -> str:
    """Our message as the client sees it."""
    return f"{message} ({code}, exchange {exchange_id})"


def error_reply(*, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
    """A refusal that the SDKs raise as the exception of `status`."""
    body = {"id": exchange_id, "message": told(code=code, message=message, exchange_id=exchange_id)}
    return ErrorReply(status, orjson.dumps(body), headers={"x-should-retry": "false"} if status < 500 else {})


def is_error(document: dict[str, Any]) -> bool:
    """Is this an error, whatever the status? No answer of this API has a `message` that is text."""
    return type(document.get("message")) is str or bool(document.get("error"))


def read_error(document: Any) -> ErrorFacts:
    """The error in a body. Azure wraps it in an `error` object, other servers say `detail`."""
    body = as_object(document)
    error = body.get("error")
    inner = as_object(error) or body
    message = error if type(error) is str else as_text(inner.get("message")) or as_text(inner.get("detail"))
    kind = as_name(inner.get("type")) or as_name(inner.get("code")) or "error"
    return ErrorFacts(kind, message[:MESSAGE_CHARS_MAX])


def stream_error(message: Any, finish_reason: str) -> ErrorFacts:
    """The error that a stream's last event tells of."""
    return ErrorFacts(finish_reason or ERROR, as_text(message)[:MESSAGE_CHARS_MAX])
