"""Errors of the chat completions api: the ones providers send, and our refusals in the same words.

    {"error": {"message": "…", "type": "invalid_request_error", "param": null, "code": "…"}}

Source: OpenAI API reference, "Error codes"; the SDKs choose their exception by the HTTP status and show `message`.
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
    403: "permission_denied",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}


def error_reply(*, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
    """A refusal that the SDKs raise as the exception of `status`."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    told = {"message": f"{message} ({code}, exchange {exchange_id})", "type": kind, "param": None, "code": code}
    headers = {"x-should-retry": "false"} if status < 500 else {}
    return ErrorReply(status, orjson.dumps({"error": told, "exchange_id": exchange_id}), headers=headers)


def read_error(document: Any) -> ErrorFacts:
    """The error in a body or event, in any of the shapes seen: an object, a string, or the members at the top."""
    body = as_object(document)
    error = body.get("error")
    told = as_object(error) or body
    message = error if type(error) is str else as_text(told.get("message")) or as_text(told.get("detail"))
    kind = as_name(told.get("type")) or as_name(told.get("status"))
    if not kind or kind == "error":
        code = told.get("code")
        kind = as_name(str(code) if type(code) is int else code) or "error"
    return ErrorFacts(kind, message[:MESSAGE_CHARS_MAX])
