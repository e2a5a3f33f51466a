"""How each API's clients want to be told of an error that Envoy answers itself, by the provider of the route.

The message is the same everywhere; what is around it makes an SDK raise its proper exception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from extproc.envoy_config.names import Node

_REQUEST_ID: Final = "%REQ(X-REQUEST-ID)%"
"""Envoy's own id of the request, filled in when it answers."""


@dataclass(frozen=True, slots=True)
class LocalError:
    """One status that Envoy answers itself: what the client is told, and whether it may try again."""

    status: int
    code: str
    message: str
    retry_is_useless: bool = False


@dataclass(frozen=True, slots=True)
class ErrorFormat:
    body: Callable[[LocalError], Node]
    headers: Callable[[LocalError], Mapping[str, str]] = lambda _: {}


_OPENAI_TYPES: Final = {
    403: "permission_error",
    **dict.fromkeys((408, 500, 502, 503, 504), "server_error"),
}
_ANTHROPIC_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    431: "invalid_request_error",
}
_GOOGLE_STATUSES: Final = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_AWS_EXCEPTIONS: Final = {
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    500: "InternalServerException",
    502: "ServiceUnavailableException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}


def _openai(error: LocalError) -> Node:
    """OpenAI API reference, "Error codes"."""
    kind = _OPENAI_TYPES.get(error.status, "invalid_request_error")
    return {"error": {"message": error.message, "type": kind, "param": None, "code": error.code}}


def _anthropic(error: LocalError) -> Node:
    """Anthropic API reference, "Errors"."""
    kind = _ANTHROPIC_TYPES.get(error.status, "api_error")
    return {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": _REQUEST_ID}


def _google(error: LocalError) -> Node:
    """`google.rpc.Status` in JSON (Google's API design guide, "Errors")."""
    status = _GOOGLE_STATUSES.get(error.status, "INVALID_ARGUMENT")
    return {"error": {"code": error.status, "message": error.message, "status": status}}


def _aws_exception(error: LocalError) -> Mapping[str, str]:
    """Smithy's restJson1 names the exception in a header."""
    return {"x-amzn-errortype": _AWS_EXCEPTIONS.get(error.status, "ValidationException")}


def _json_rpc(error: LocalError) -> Node:
    """JSON-RPC 2.0 §5: no id, because the call was not read."""
    code = -32600 if error.status in (400, 413, 431) else -32603 if error.status >= 500 else -32001
    return {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": error.message}}


OPENAI: Final = ErrorFormat(_openai)
"""What most providers speak, and what is said where nobody's is known."""
_GOOGLE: Final = ErrorFormat(_google)

FORMATS: Final[Mapping[str, ErrorFormat]] = {
    "anthropic": ErrorFormat(_anthropic),
    "gcp.gemini": _GOOGLE,
    "gcp.vertex_ai": _GOOGLE,
    "aws.bedrock": ErrorFormat(lambda error: {"message": error.message}, _aws_exception),
    "cohere": ErrorFormat(lambda error: {"message": error.message}),
    "ollama": ErrorFormat(lambda error: {"error": error.message}),
    "mcp": ErrorFormat(_json_rpc),
}
"""By `provider.name`; `mcp.wiki` is an MCP server too."""


def format_of(provider_name: str) -> ErrorFormat:
    return FORMATS.get(provider_name) or FORMATS.get(provider_name.partition(".")[0]) or OPENAI
