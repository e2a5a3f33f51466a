"""JSON-RPC 2.0 as MCP uses it (JSON-RPC 2.0 specification; MCP specification, "Base protocol").

request       {"jsonrpc": "2.0", "id": 1 | "a", "method": "tools/call", "params": {…}}
notification  the same without `id`
response      {"jsonrpc": "2.0", "id": 1 | "a", "result": {…}}   or   "error": {"code": -32602, "message": "…"}
batch         [message, …]                                       (2025-03-26 only)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.shape import as_list, as_name, as_object

VERSION = "2.0"
MESSAGES_MAX = 1_024
"""Messages of one batch, or of one stream that are kept; more in a request are refused."""

_METHODS = frozenset(
    """completion/complete elicitation/create initialize logging/setLevel ping prompts/get prompts/list resources/list
    resources/read resources/subscribe resources/templates/list resources/unsubscribe roots/list
    sampling/createMessage server/discover subscriptions/listen tools/call tools/list""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_NOTIFICATIONS = "notifications/"


def messages(document: Any) -> Iterator[dict[str, Any]]:
    """The messages of a body or event that was not judged: what is no object is left out."""
    for message in as_list(document)[:MESSAGES_MAX] if type(document) is list else (document,):
        if type(message) is dict:
            yield message


def id_text(message: dict[str, Any]) -> str:
    """A message's id as text; empty for none."""
    value = message.get("id")
    return str(value)[:256] if type(value) is int else as_name(value)


def is_response(message: dict[str, Any]) -> bool:
    return "method" not in message and ("result" in message or "error" in message)


def expects_response(method: str) -> bool:
    return not method.startswith(_NOTIFICATIONS)


def is_mcp(document: Any) -> bool:
    """JSON-RPC 2.0 through and through, its methods MCP's? (Other protocols are JSON-RPC too: A2A, Ethereum's.)"""
    found = document if type(document) is list else [document]
    if not found or len(found) > MESSAGES_MAX:
        return False
    return all(type(message) is dict and message.get("jsonrpc") == VERSION and _is_ours(message) for message in found)


def _is_ours(message: dict[str, Any]) -> bool:
    method = message.get("method")
    if type(method) is str:
        return method in _METHODS or method.startswith(_NOTIFICATIONS)
    return is_response(message) and bool(as_object(message.get("result")) or as_object(message.get("error")))
