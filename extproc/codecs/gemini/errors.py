"""Errors of Google's APIs: the ones they send, and our refusals in the same words.

    {"error": {"code": 403, "message": "…", "status": "PERMISSION_DENIED", "details": [{"@type": …}]}}

Source: Google API design guide, "Errors" (`google.rpc.Status`, `google.rpc.Code`, `google.rpc.ErrorInfo`); the SDKs
choose their exception by the HTTP status, or in mid-stream by `code`.
"""

from __future__ import annotations

from typing import Any

import orjson

from extproc.model import ErrorFacts, ErrorReply
from extproc.shape import as_name, as_object, as_text

MESSAGE_CHARS_MAX = 4_096

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error_reply(*, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
    """A refusal that the SDKs raise as `ClientError` (4xx) or `ServerError` (5xx)."""
    told = {
        "code": status,
        "message": f"{message} ({code}, exchange {exchange_id})",
        "status": _STATUSES.get(status, "INVALID_ARGUMENT" if status < 500 else "INTERNAL"),
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": code,
                "domain": "headgate",
                "metadata": {"exchange_id": exchange_id},
            }
        ],
    }
    headers = {"x-should-retry": "false"} if status < 500 else {}
    return ErrorReply(status, orjson.dumps({"error": told}), headers=headers)


def error_event(*, status: int, code: str, message: str, exchange_id: str) -> bytes:
    """The same in mid-stream: an event without a name, because the SDKs take an `event:` line for JSON. Who reads a
    JSON array cannot parse it, which is an error to them as well."""
    body = error_reply(status=status, code=code, message=message, exchange_id=exchange_id).body
    return b"data: " + body + b"\r\n\r\n"


def read_error(document: Any) -> ErrorFacts:
    """The error in a body, an event, or the list that a body may be."""
    if type(document) is list and document:
        document = document[0]
    body = as_object(document)
    error = body.get("error")
    told = as_object(error) or body
    message = error if type(error) is str else as_text(told.get("message"))
    code = told.get("code")
    kind = as_name(told.get("status")) or as_name(str(code) if type(code) is int else code)
    return ErrorFacts(kind or "error", message[:MESSAGE_CHARS_MAX])
