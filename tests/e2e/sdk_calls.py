"""What a provider's own SDK did through the gate, and the one row that tells of it.

Each call carries a trace id of its own (W3C Trace Context §3.2), which is how its row is found: no SDK shows all
response headers. Expectations come from what the simulated provider is documented to say, and from its own record of
what reached it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from extproc.stack import Stack
from tests.e2e.traffic import Row, wait_for_rows

KEY: Final = "example-key-research"
"""A caller whose team may use any model."""
DENIED_KEY: Final = "example-key-search"
"""A caller whose team may use gpt-4o* and claude-* alone."""
TEXT: Final = "This is a simulated answer that no model "
"""Eight pieces, and so eight tokens."""
SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
CALLED: Final = ("weather", {"city": "example"})
CALL_TOKENS: Final = 5
"""A token for every four bytes of `{"city": "example"}`."""


@dataclass(frozen=True)
class Trace:
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def headers(self) -> dict[str, str]:
        return {"traceparent": f"00-{self.id}-{1:016x}-01", "x-sim-key": self.id}

    def row(self, stack: Stack) -> Row:
        """Its row, waited for: exactly one, so that nothing was retried."""
        (only,) = wait_for_rows(stack, lambda row: row["trace_id"] == self.id)
        return only

    def received(self, stack: Stack) -> list[dict[str, Any]]:
        return stack.upstream_requests(self.id)


@dataclass(frozen=True)
class Told:
    """What the archive must say of one call that passed."""

    api: str
    provider: str
    operation: str | None
    request_model: str | None
    response_model: str | None
    finish_reasons: tuple[str, ...] | None
    stream: bool = False
    text: str | None = TEXT
    tool_calls: tuple[tuple[str, Any], ...] = ()
    """Names and arguments."""
    output_tokens: int | None = 8
    uncounted_input_tokens: int = 0
    """What the provider counts beside what was sent."""


def assert_told(stack: Stack, trace: Trace, told: Told) -> Row:
    """The row of a call that passed, compared; returns it for what else there is to see."""
    row = trace.row(stack)
    (received,) = trace.received(stack)
    input_tokens = -(-received["body_bytes"] // 4) + told.uncounted_input_tokens
    assert (row["capture_status"], row["decision"], row["http_status"]) == ("completed", "allow", 200)
    names = ("api", "gen_ai_provider_name", "gen_ai_operation_name", "stream")
    assert tuple(row[name] for name in names) == (told.api, told.provider, told.operation, told.stream)
    assert (row["gen_ai_request_model"], row["gen_ai_response_model"]) == (told.request_model, told.response_model)
    reasons = row["gen_ai_response_finish_reasons"]
    assert (tuple(reasons) if reasons else None) == told.finish_reasons
    counted = (row["usage_source"], row["gen_ai_usage_input_tokens"], row["gen_ai_usage_output_tokens"])
    assert counted == ("provider", input_tokens, told.output_tokens), counted
    assert row["response_text"] == told.text
    calls = tuple((call["name"], json.loads(call["arguments"])) for call in row["tool_calls"] or ())
    assert calls == told.tool_calls
    assert not row["warnings"]
    return row


def assert_denied(stack: Stack, trace: Trace, *, code: str, message: str, says: str) -> Row:
    """The row of a denied call, of which the provider knows nothing; `message` is what the SDK's exception says."""
    row = trace.row(stack)
    assert trace.received(stack) == []
    assert (row["capture_status"], row["decision"], row["error_type"]) == ("denied", "deny", code)
    for words in (says, code, row["exchange_id"]):
        assert words in message
    return row
