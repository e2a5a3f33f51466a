"""Exchanges as the request path would tell them: frames by hand, for the tests of everything behind the spool."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from capture.record import AnyFrame, Closed, FindingRecord, Opened, ReasonRecord, Request, ResponsePart

START_NS = 1_795_000_000_000_000_000
"""2026-11-18T11:06:40Z."""
INCARNATION = "0192f0c0-7a1b-7c3d-8e4f-a1b2c3d4e5f6"
SECOND_NS = 1_000_000_000


def exchange_id(number: int) -> str:
    return f"019a0000-0000-7000-8000-{number:012d}"


def chat(*messages: tuple[str, str], model: str = "gpt-4o-mini") -> bytes:
    document = {"model": model, "messages": [{"role": role, "content": text} for role, text in messages]}
    return json.dumps(document).encode()


def completion(text: str, model: str = "gpt-4o-mini-2024-07-18") -> bytes:
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": model,
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"},
            ],
            "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
        }
    ).encode()


def streamed(*texts: str, model: str = "gpt-4o-mini-2024-07-18") -> bytes:
    """The chunks of a stream, without its end."""
    chunks = [
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "model": model,
            "choices": [{"index": 0, "delta": delta}],
        }
        for delta in ({"role": "assistant", "content": ""}, *({"content": text} for text in texts))
    ]
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


@dataclass
class Story:
    """One exchange. `frames()` is what the request path appends for it."""

    number: int
    request_body: bytes | None = field(default_factory=lambda: chat(("user", "hello")))
    response: tuple[bytes, ...] = field(default_factory=lambda: (completion("hi there"),))
    api: str = "openai.chat"
    at_ns: int = START_NS
    incarnation: str = INCARNATION
    opened: dict[str, Any] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    closed: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return exchange_id(self.number)

    def frames(self) -> list[AnyFrame]:
        at = self.at_ns + self.number * SECOND_NS
        common = {"exchange_id": self.id}
        opened = {
            "at_ns": at,
            "seq": self.number,
            "replica_id": "replica-1",
            "incarnation": self.incarnation,
            "envoy_request_id": f"envoy-{self.number}",
            "route": "openai",
            "mode": "enforce",
            "credentials": "inject",
            "method": "POST",
            "path": "/v1/chat/completions",
            "host": "api.openai.com",
            "provider": "openai",
            "api": self.api,
            "operation": "chat",
            "principal_source": "api_key",
            "caller": "alice",
            "team": "search",
            "project": "ranking",
        } | self.opened
        request = {
            "at_ns": at + 1_000,
            "model": "gpt-4o-mini",
            "message_count": 1,
            "decision": "allow",
            "policy_revision": "r1",
            "capture_level": "full",
            "content_type": "application/json",
            "body": self.request_body,
            "body_bytes": len(self.request_body or b""),
            "content_state": "exact" if self.request_body else "none",
        } | self.request
        head = {"http_status": 200, "content_type": "application/json"} | self.head
        parts = [
            ResponsePart(at_ns=at + 2_000 + index, index=index, data=data, **common, **(head if index == 0 else {}))
            for index, data in enumerate(self.response)
        ]
        closed = {
            "at_ns": at + 900_000_000,
            "capture_status": "completed",
            "answered_by": "upstream",
            "http_status": 200,
            "response_model": "gpt-4o-mini-2024-07-18",
            "finish_reasons": ("stop",),
            "input_tokens": 9,
            "output_tokens": 3,
            "usage_source": "provider",
            "billed_cost": Decimal("0.00000315"),
            "billing_currency": "USD",
            "price_version": "p1",
            "response_bytes": sum(map(len, self.response)),
            "response_content_state": "exact",
            "duration_ns": 900_000_000,
        } | self.closed
        return [Opened(**common, **opened), Request(**common, **request), *parts, Closed(**common, **closed)]


REASON = ReasonRecord(rule="pii.email", message="holds an e-mail address", action="redact", enforced=True)
FINDING = FindingRecord(
    type="email", data_class="pii", field="/messages/0/content", start=3, end=9, score=1.0, action="redact"
)
