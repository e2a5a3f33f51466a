"""Errors of the Anthropic Messages API: the ones it sends, and our refusals in the same words.

    {"type": "error", "error": {"type": "permission_error", "message": "…"}, "request_id": "…"}

Source: Anthropic API documentation, "Errors"; the SDKs choose their exception by the HTTP status.
"""

from __future__ import annotations

from typing import Any

import orjson

from extproc.model import ErrorFacts, ErrorReply
from extproc.shape import as_name, as_object, as_text

MESSAGE_CHARS_MAX = 4_096

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_reply(*, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
    """A refusal that the SDKs raise as the exception of `status`."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    told = {"type": kind, "message": f"{message} ({code}, exchange {exchange_id})"}
    headers = {"x-should-retry": "false"} if status < 500 else {}
    return ErrorReply(
        status, orjson.dumps({"type": "error", "error": told, "request_id": exchange_id}), headers=headers
    )


def read_error(document: Any) -> ErrorFacts:
    """The error in a body or event."""
    body = as_object(document)
    error = body.get("error")
    told = as_object(error) or body
    message = error if type(error) is str else as_text(told.get("message")) or as_text(told.get("detail"))
    return ErrorFacts(as_name(told.get("type")) or "error", message[:MESSAGE_CHARS_MAX])
