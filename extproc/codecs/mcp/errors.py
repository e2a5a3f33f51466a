"""Errors of JSON-RPC: the ones that servers send, and our refusals in the same words.

    {"jsonrpc": "2.0", "id": null, "error": {"code": -32010, "message": "…", "data": {"code": "…", "exchange_id": "…"}}}

The transport lets an HTTP error carry such a body without the request's id ("Streamable HTTP: Sending messages"), and
clients take it for the answer to the request they made: the Python package raises its `MCPError` with our message, the
TypeScript one shows the body in its `StreamableHTTPError`.

Source: JSON-RPC 2.0, §5.1; MCP specification, "Transports".
"""

from __future__ import annotations

from typing import Any

import orjson

from extproc.codecs.mcp.content import content_text
from extproc.model import ErrorFacts, ErrorReply
from extproc.shape import as_name, as_object, as_text

MESSAGE_CHARS_MAX = 4_096
TOOL_ERROR = "tool_error"
"""A tool that was run and failed: no error of the protocol, so it has no code."""

_INVALID_REQUEST = -32600
_INTERNAL_ERROR = -32603
_REFUSED = -32010
"""In the range that implementations may use for themselves; -32000 to -32002 mean something to the SDKs."""
_UNFIT = frozenset({400, 411, 413, 415, 422})


def error_body(*, status: int, code: str, message: str, exchange_id: str) -> bytes:
    number = _INTERNAL_ERROR if status >= 500 else _INVALID_REQUEST if status in _UNFIT else _REFUSED
    error = {
        "code": number,
        "message": f"{message} ({code}, exchange {exchange_id})",
        "data": {"code": code, "exchange_id": exchange_id},
    }
    return orjson.dumps({"jsonrpc": "2.0", "id": None, "error": error})


def error_reply(*, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
    """A refusal that clients take for the answer to their request."""
    body = error_body(status=status, code=code, message=message, exchange_id=exchange_id)
    return ErrorReply(status, body, headers={"x-should-retry": "false"} if status < 500 else {})


def read_error(message: dict[str, Any]) -> ErrorFacts | None:
    """The error that a response tells of: the protocol's own, or a tool's. None for none."""
    if error := message.get("error"):
        if type(error) is str:  # an OAuth server in front (RFC 6749 §5.2)
            return ErrorFacts(as_name(error), as_text(message.get("error_description"))[:MESSAGE_CHARS_MAX])
        told = as_object(error)
        code = told.get("code")
        kind = str(code)[:32] if type(code) is int else as_name(code) or "error"
        return ErrorFacts(kind, as_text(told.get("message"))[:MESSAGE_CHARS_MAX])
    result = as_object(message.get("result"))
    if result.get("isError") is True:
        return ErrorFacts(TOOL_ERROR, content_text(result.get("content"))[:MESSAGE_CHARS_MAX])
    return None


def error_of_status(message: dict[str, Any]) -> ErrorFacts:
    """The error in a body that the HTTP status calls one, whoever wrote it."""
    text = as_text(message.get("message")) or as_text(message.get("detail"))
    return read_error(message) or ErrorFacts("error", text[:MESSAGE_CHARS_MAX])
