"""Errors of the chat completions api: the ones providers send, and our refusals in the same words.

    {"error": {"message": "…", "type": "invalid_request_error", "param": null, "code": "…"}}

Source: OpenAI API reference, "Error codes"; the SDKs choose their exception by the HTTP status and show `message`.
"""

from __future__ import annotations

from typing import Any

import orjson

from extproc.model import ErrorFacts, ErrorReply
from extproc.shape import as_name, as_object, as_text, json_text

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


def error_event(*, status: int, code: str, message: str, exchange_id: str) -> bytes:
    """The same in mid-stream: an object with `error`, which the SDKs raise whatever the event's name. No `[DONE]`: it
    would call the answer whole."""
    body = error_reply(status=status, code=code, message=message, exchange_id=exchange_id).body
    return b"data: " + body + b"\n\n"


def read_error(document: Any) -> ErrorFacts:
    """The error in a body, an event or a choice, in any of the shapes seen: an object, a string, a list (Gemini, and
    Writer and Cloudflare in `errors`), or the members at the top (Mistral, vLLM, Databricks)."""
    body = as_object(document[0] if type(document) is list and document else document)
    error = body.get("error")
    told = as_object(error) or _first_object(body.get("errors")) or body
    message = error if type(error) is str else _message(told)
    kind = next((name for key in _KIND_KEYS if (name := as_name(told.get(key))) and name != "error"), "")
    if not kind and type(code := told.get("code")) is int:
        kind = str(code)
    return ErrorFacts(kind or "error", (message or json_text(document))[:MESSAGE_CHARS_MAX])


_KIND_KEYS = ("type", "status", "code", "error_type", "error_code", "key", "title")


def _message(told: dict[str, Any]) -> str:
    for key in ("message", "detail", "description"):
        held = told.get(key)
        if type(held) is dict:  # the answer of its framework, wrapped: Mistral; DeepInfra
            held = next((held[inner] for inner in ("detail", "error", "message") if held.get(inner)), None)
        if type(held) is list:  # FastAPI: one object for each field that is wrong
            held = "; ".join(filter(None, (as_text(as_object(item).get("msg")) for item in held)))
        if text := as_text(held):
            return text
    return ""


def _first_object(held: Any) -> dict[str, Any]:
    return as_object(held[0]) if type(held) is list and held else {}
