"""An archive with something of each kind in it, for the queries that the documentation shows."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from capture.archive import Archiver, ArchiveSettings
from capture.record import Closed, FindingRecord, Opened, ReasonRecord, Request, ResponsePart, encode
from capture.spool.writer import SpoolWriter

INCARNATION = "01a1fe34-2032-7cc6-9e59-4025e1c042b4"
EXCHANGES = 5
MODEL = "gpt-4o-mini-2024-07-18"
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'},
                    }
                ],
            },
        }
    ],
    "usage": {"prompt_tokens": 20, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 8}},
}


def reason(rule: str, action: str, *, enforced: bool = True) -> ReasonRecord:
    return ReasonRecord(rule=rule, message=f"{rule} says {action}", action=action, enforced=enforced)


class Frames:
    """Frames by hand, all of them of this moment."""

    def __init__(self) -> None:
        self.at_ns = time.time_ns()
        self.written: list[bytes] = []
        self._seq = 0

    def exchange(
        self, *, opened: dict[str, Any], request: dict[str, Any], closed: dict[str, Any], answer: bytes = b""
    ) -> None:
        self._seq += 1
        name = f"01a1fe34-0000-7000-8000-{self._seq:012d}"
        common: dict[str, Any] = {"exchange_id": name, "at_ns": self.at_ns + self._seq}
        body = json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": f"question {self._seq}"}]})
        frames = (
            Opened(
                **common,
                **{
                    "seq": self._seq, "replica_id": "local", "incarnation": INCARNATION, "api": "openai.chat",
                    "mode": "enforce", "provider": "openai", "principal_source": "api_key", "route": "openai",
                }
                | opened,
            ),
            Request(
                **common,
                **{
                    "model": "gpt-4o-mini", "decision": "allow", "capture_level": "redacted", "content_state": "exact",
                    "body": body.encode(), "message_count": 1,
                }
                | request,
            ),
            ResponsePart(**common, index=0, http_status=200, content_type="application/json", data=answer),
            Closed(**common, **{"answered_by": "upstream", "http_status": 200} | closed),
        )  # fmt: skip
        self.written += map(encode, frames)


def fill(frames: Frames) -> None:
    """What each documented query asks for is there at least once."""
    search = {"team": "search", "cost_center": "CC-1001", "project": "ranking", "caller": "search-ranking"}
    whole = {
        "capture_status": "completed", "response_model": MODEL, "input_tokens": 20, "output_tokens": 5,
        "cache_read_input_tokens": 8, "usage_source": "provider", "billed_cost": Decimal("0.0000054"),
        "billing_currency": "USD", "price_version": "genai-prices 0", "duration_ns": 2_000_000_000,
        "time_to_first_token_ns": 400_000_000, "gateway_overhead_ns": 2_000_000, "response_content_state": "exact",
        "provider_usage": json.dumps(ANSWER["usage"]), "service_tier": "default",
    }  # fmt: skip
    steered = {"parameters": '{"reasoning_effort":"high","top_p":0.9}'}
    frames.exchange(opened=search, request=steered, closed=whole, answer=json.dumps(ANSWER).encode())
    finding = FindingRecord(
        type="EMAIL_ADDRESS", data_class="pii", field="/messages/0/content", start=0, end=9, score=0.9, action="redact"
    )
    watched = reason("access.tool_allowlist", "deny", enforced=False)
    frames.exchange(
        opened=search,
        request={
            "decision": "redact", "would_decision": "deny", "findings": (finding,), "reasons": (watched,),
            "content_state": "redacted", "body": b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": '
            b'"<EMAIL_ADDRESS_hkbdalmcpo>"}]}',
        },
        closed=whole,
    )  # fmt: skip
    denied = {
        "capture_status": "denied",
        "http_status": 403,
        "answered_by": "headgate",
        "cost_unknown_reason": "no_usage",
    }
    frames.exchange(
        opened=search,
        request={"decision": "deny", "reasons": (reason("access.model_allowlist", "deny"),)},
        closed=denied | {"error_type": "access.model_allowlist"},
    )
    frames.exchange(
        opened={"mode": "shadow", "principal_source": "provider_key", "key_fingerprint": "ab" * 16},
        request={"would_decision": "deny", "reasons": (reason("access.attributed_caller", "deny"),), "stream": True},
        closed=whole | {"usage_source": "estimated"},
    )  # fmt: skip
    frames.exchange(
        opened=search | {"api": "mcp", "provider": "mcp", "route": "mcp"},
        request={
            "model": None,
            "rpc_methods": ("tools/call",),
            "called_tools": ("ask_question",),
            "conversation_id": "ab" * 16,
        },
        closed={"capture_status": "completed", "cost_unknown_reason": "no_usage", "duration_ns": 1_000_000_000},
    )


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the real spool and the real archiver. Its folder is called `archive`, as in the pages."""
    folder = tmp_path_factory.mktemp("documented")
    frames = Frames()
    fill(frames)
    spool = SpoolWriter(folder / "spool", replica_id="local", incarnation=INCARNATION)
    for payload in frames.written:
        spool.append(payload)
    spool.close()
    archiver = Archiver(ArchiveSettings(spool_dir=folder / "spool", archive_dir=folder / "archive", name="local"))
    assert archiver.drain() == EXCHANGES
    archiver.close()
    return folder / "archive"
