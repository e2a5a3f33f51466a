"""What the simulated providers have to say, before it takes an API's shape.

Nothing here is random or dated: equal requests have equal answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Json = dict[str, Any]

CREATED_S: Final = 1_760_000_000
CREATED: Final = "2025-10-09T08:53:20Z"
"""The same moment in words (RFC 3339)."""
RESOLVED_MODELS: Final[Mapping[str, str]] = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
}
"""Providers answer with a dated name where an alias was asked for."""
FRAGMENT_CHARS: Final = 8
"""Tool arguments are streamed in pieces of this size."""


@dataclass(frozen=True, slots=True)
class ToolUse:
    name: str
    arguments: str
    """JSON text."""

    @property
    def fragments(self) -> Iterator[str]:
        """The arguments, cut as they will be streamed."""
        for start in range(0, len(self.arguments), FRAGMENT_CHARS):
            yield self.arguments[start : start + FRAGMENT_CHARS]

    @property
    def input(self) -> Any:
        """The arguments as a value, for APIs that send no text."""
        return json.loads(self.arguments)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, before it takes an API's shape."""

    id: str
    model: str
    pieces: Sequence[str]
    """The text, cut as it will be streamed."""
    tool: ToolUse | None
    input_tokens: int
    choices: int = 1
    usage_in_stream: bool = True

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def call_id(self) -> str:
        """What an API's own prefix makes the id of the tool call."""
        return self.id[-12:]

    @property
    def output_tokens(self) -> int:
        """One token a streamed piece, or one per four bytes of tool arguments."""
        tokens = -(-len(self.tool.arguments) // 4) if self.tool is not None else len(self.pieces)
        return max(1, tokens) * self.choices

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


def answer_id(prefix: str, body: bytes) -> str:
    return prefix + hashlib.sha256(body).hexdigest()[:24]


def resolved(model: str) -> str:
    return RESOLVED_MODELS.get(model, model)


def example_arguments(schema: object) -> str:
    """Arguments that a tool's JSON Schema could accept: an example value for each property."""
    properties = schema.get("properties") if isinstance(schema, dict) else None
    values: Json = {}
    for name, rule in (properties or {}).items() if isinstance(properties, dict) else ():
        kind = rule.get("type") if isinstance(rule, dict) else None
        # Gemini writes its types in capitals.
        known = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
        values[name] = known.get(kind.lower() if isinstance(kind, str) else "", "example")
    return json.dumps(values)


def last_text(messages: object) -> str:
    """The text of the last message, for answers that echo it: `content` or Gemini's `parts`, as text or in parts."""
    last = last_of(messages)
    content = last.get("content", last.get("parts"))
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def last_of(items: object) -> Json:
    """The last object of a list; an empty one when there is none."""
    last = items[-1] if isinstance(items, list) and items else None
    return last if isinstance(last, dict) else {}


def first_of(items: object) -> Json:
    """The first object of a list; an empty one when there is none."""
    first = items[0] if isinstance(items, list) and items else None
    return first if isinstance(first, dict) else {}


def vector(text: str, size: int = 3) -> list[float]:
    """An embedding: `size` numbers that a float32 holds exactly."""
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    return [(digest[index % len(digest)] - 128) / 128 for index in range(size)]


def sse(data: Json, event: str | None = None) -> bytes:
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
