"""Content columns from stored bodies, and what a cut exchange's stored response still tells. Pure.

Invariants
  1. Nothing here raises for any body: what cannot be derived is NULL, and a warning code says so.
  2. Derived columns hold nothing that the stored bodies do not hold.
  3. What is derived is bounded (`DeriveLimits`); the bodies themselves are never cut here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from capture.record import Opened, Request
from extproc.codec import Codec
from extproc.errors import HeadgateError
from extproc.framing import content_encoding
from extproc.model import Call, Conversation, Message, Part, RequestFacts, ResponseFacts

_PROMPT_ROLES_LEFT_OUT = frozenset({"assistant", "model", "system", "developer"})


@dataclass(frozen=True, slots=True)
class DeriveLimits:
    """What one exchange may yield."""

    body_bytes_max: int = 64 * 1024 * 1024
    """A response that decodes to more stays encoded."""
    decoded_ratio_max: int = 100
    text_bytes_max: int = 1024 * 1024
    """Per text column, UTF-8; longer text is cut there and `text_truncated` is true."""
    messages_bytes_max: int = 4 * 1024 * 1024
    """All text of `messages`, or of `tool_calls`, together."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A response body with its content coding removed where that was possible."""

    body: bytes | None
    encoding: str | None
    """The coding that the body is still in; None when it is in none."""
    warnings: tuple[str, ...] = ()


def call_of(opened: Opened, request: Request | None) -> Call:
    """The call as the codecs know it, from its frames."""
    return Call(
        method=opened.method or "",
        path=opened.path or "",
        host=opened.host or "",
        content_type=request.content_type if request is not None else None,
    )


def api_of(opened: Opened, request: Request | None) -> str:
    """The api spoken: by the body, where the path told none."""
    return (request.api if request is not None else None) or opened.api


def decode_response(body: bytes | None, encoding: str | None, limits: DeriveLimits, *, complete: bool) -> Decoded:
    """Remove the content coding; what cannot be decoded stays as it came. `complete=False`: the end is missing."""
    if not body or not encoding:
        return Decoded(body, None)
    try:
        decoder = content_encoding.decoder(
            encoding, bytes_max=limits.body_bytes_max, ratio_max=limits.decoded_ratio_max
        )
        decoded = decoder.decode(body)
        if complete:
            decoded += decoder.flush()
    except HeadgateError as error:
        return Decoded(body, encoding, (error.code,))
    except Exception:  # noqa: BLE001 (invariant 1: a decoder that breaks on hostile bytes must not cost the row)
        return Decoded(body, encoding, ("undecodable_content",))
    return Decoded(decoded, None)


def read_conversation(
    codec: Codec | None, call: Call, request_body: bytes | None, response_body: bytes | None
) -> tuple[Conversation | None, tuple[str, ...]]:
    """What was said, as the codec reads it, with warnings. None when there is nothing to read."""
    if codec is None or (request_body is None and response_body is None):
        return None, ()
    try:
        conversation = codec.conversation(call, request_body, response_body)
    except Exception:  # noqa: BLE001 (invariant 1)
        return None, ("derivation_failed",)
    return conversation, conversation.warnings


def read_cut_response(
    codec: Codec | None,
    call: Call,
    request: Request | None,
    *,
    status: int | None,
    content_type: str | None,
    body: bytes | None,
) -> tuple[ResponseFacts, tuple[str, ...]]:
    """Usage and facts of a response whose end was never recorded, from the part that was."""
    if codec is None or not body:
        return ResponseFacts(), ()
    try:
        decoder = codec.response(
            call=call, status=status or 200, content_type=content_type, request=_request_facts(request)
        )
        decoder.feed(body)
        return decoder.finish(complete=False), ()
    except Exception:  # noqa: BLE001 (invariant 1)
        return ResponseFacts(), ("derivation_failed",)


def content_columns(conversation: Conversation | None, inherited: int, limits: DeriveLimits) -> dict[str, Any]:
    """The derived columns of the content tree: what this turn added after the first `inherited` messages."""
    if conversation is None:
        return {"text_truncated": False}
    added = conversation.messages[inherited:]
    asked = conversation.messages[inherited : conversation.request_message_count]
    prompt = "\n".join(
        part.text
        for message in asked
        if message.role not in _PROMPT_ROLES_LEFT_OUT
        for part in message.parts
        if part.type in ("text", "tool_result") and part.text
    )
    cut = _Cutter()
    columns = {
        "system_text": cut.text(conversation.system_text, limits.text_bytes_max),
        "prompt_text": cut.text(prompt, limits.text_bytes_max),
        "response_text": cut.text(conversation.response_text, limits.text_bytes_max),
        "reasoning_text": cut.text(conversation.reasoning_text, limits.text_bytes_max),
        "messages": _messages(added, cut, limits.messages_bytes_max),
        "inherited_messages": inherited,
        "tool_calls": _tool_calls(conversation.tool_calls, cut, limits.messages_bytes_max),
    }
    return columns | {"text_truncated": cut.happened}


class _Cutter:
    """Cuts text at a bound and remembers that it did."""

    def __init__(self) -> None:
        self.happened = False

    def text(self, value: str | None, bytes_max: int) -> str | None:
        """NULL for no text; UTF-8 throughout (JSON can hold lone surrogates, Parquet cannot)."""
        if not value:
            return None
        # A character takes a byte or more: what lies behind cannot fit, and need not be encoded to see that.
        data = value[: bytes_max + 1].encode("utf-8", "replace")
        if len(data) > bytes_max:
            self.happened = True
            data = data[:bytes_max]
        return data.decode("utf-8", "ignore")


def _messages(messages: tuple[Message, ...], cut: _Cutter, bytes_max: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    left = bytes_max
    for message in messages:
        parts: list[dict[str, Any]] = []
        for part in message.parts:
            row = {
                "type": part.type,
                "text": cut.text(part.text, left),
                "tool_call_id": cut.text(part.tool_call_id, left),
                "tool_name": cut.text(part.tool_name, left),
                "arguments": cut.text(part.arguments, left),
                "media_type": cut.text(part.media_type, left),
            }
            left = max(0, left - _size(row))
            parts.append(row)
        rows.append({"role": cut.text(message.role, 64), "parts": parts})
        if left == 0:
            cut.happened = True
            break
    return rows


def _tool_calls(calls: tuple[Part, ...], cut: _Cutter, bytes_max: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    left = bytes_max
    for part in calls:
        row = {
            "id": cut.text(part.tool_call_id, left),
            "name": cut.text(part.tool_name, left),
            "arguments": cut.text(part.arguments, left),
        }
        left = max(0, left - _size(row))
        rows.append(row)
        if left == 0:
            cut.happened = True
            break
    return rows


_ROW_BYTES = 64
"""Counted per part beside its text, so that a million empty parts are bounded too."""


def _size(row: dict[str, Any]) -> int:
    return _ROW_BYTES + sum(len(value.encode()) for value in row.values() if value is not None)


def _request_facts(request: Request | None) -> RequestFacts:
    if request is None:
        return RequestFacts()
    return RequestFacts(
        model=request.model,
        stream=request.stream,
        max_output_tokens=request.max_output_tokens,
        choices=request.choices or 1,
        tools=request.tools,
        message_count=request.message_count,
        text_bytes=request.text_bytes,
        parameters=orjson.loads(request.parameters) if request.parameters else {},
    )
