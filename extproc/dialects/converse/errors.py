"""Errors of the Bedrock runtime: the ones it sends, and our refusals in the same words.

    HTTP/1.1 400              x-amzn-errortype: ValidationException:http://…      {"message": "…"}
    eventstream exception     :exception-type: throttlingException                {"message": "…"}

Source: Amazon Bedrock API reference, "Common errors"; the service model of the AWS SDKs, which choose their exception
by the header `x-amzn-errortype` and show `message`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from extproc.model import ErrorFacts, ErrorReply
from extproc.shape import as_name, as_object, as_text

MESSAGE_CHARS_MAX = 4_096

_TYPES: Mapping[int, str] = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_STREAM_TYPES: Mapping[int, str] = {
    424: "modelStreamErrorException",
    429: "throttlingException",
    503: "serviceUnavailableException",
}
"""What a stream's exceptions may be called; the service model knows few of them."""


def error_type(status: int) -> str:
    """The exception's name for a status: the header that says it does not reach a codec."""
    return _TYPES.get(status, "ValidationException" if status < 500 else "InternalServerException")


def stream_error_type(status: int) -> str:
    """The name of the exception in mid-stream for a status."""
    return _STREAM_TYPES.get(status, "validationException" if status < 500 else "internalServerException")


def error_message(*, code: str, message: str, exchange_id: str) -> bytes:
    """The body of a refusal."""
    return orjson.dumps({"message": f"{message} ({code}, exchange {exchange_id})"})


def error_reply(*, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
    """A refusal that the AWS SDKs raise as the exception of `status`."""
    headers = {"x-amzn-errortype": error_type(status)}
    if status < 500:
        headers["x-should-retry"] = "false"
    body = error_message(code=code, message=message, exchange_id=exchange_id)
    return ErrorReply(status, body, headers=headers)


def read_error(document: Any, *, kind: str = "", status: int = 200) -> ErrorFacts:
    """The error in a body or event. `kind`: what the framing calls it."""
    body = as_object(document)
    inner = as_object(body.get("Output")) or as_object(body.get("error")) or body
    named = as_text(body.get("__type")) or as_text(inner.get("__type")) or as_text(body.get("code"))
    named = named.rpartition("#")[2].partition(":")[0]
    message = next(
        (text for key in ("message", "Message", "originalMessage", "error") if (text := as_text(inner.get(key)))), ""
    )
    told = named or kind or as_name(inner.get("type")) or (error_type(status) if status >= 400 else "error")
    return ErrorFacts(as_name(told), message[:MESSAGE_CHARS_MAX])
