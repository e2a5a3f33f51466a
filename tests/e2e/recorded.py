"""Reads recorded exchanges and what they say about model and usage, independently of our codecs.

Written from the providers' API references only, and deliberately naive: a whole body at a time, no tolerance for what
a recording does not need. Usage is (input, output, cache read, cache creation, reasoning), as OTel GenAI counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Usage = tuple[int | None, int | None, int | None, int | None, int | None]


@dataclass(frozen=True)
class Recorded:
    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    def _json(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / name).read_bytes())
        return document

    def _bytes(self, name: str) -> bytes:
        path = self.folder / name
        return path.read_bytes() if path.exists() else b""

    @property
    def method(self) -> str:
        return str(self._json("request.json")["method"])

    @property
    def authority(self) -> str:
        return str(self._json("request.json")["authority"])

    @property
    def path(self) -> str:
        return str(self._json("request.json")["path"])

    @property
    def content_type(self) -> str | None:
        headers = self._json("request.json")["headers"]
        return next((value for name, value in headers if name.lower() == "content-type"), None)

    @property
    def request_body(self) -> bytes:
        return self._bytes("request.body")

    @property
    def status(self) -> int:
        return int(self._json("response.json")["status"])

    @property
    def response_body(self) -> bytes:
        """Content coding removed."""
        return self._bytes("response.body")

    @property
    def served(self) -> bytes:
        """As the wire had it, where that was kept."""
        return self._bytes("response.wire") or self.response_body

    @property
    def api(self) -> str:
        """By method and path: OpenAI's and Anthropic's references name one path each, providers put prefixes before."""
        path = self.path.partition("?")[0]
        if self.method == "POST" and path.endswith("/chat/completions"):
            return "openai.chat"
        if self.method == "POST" and path.endswith("/messages"):
            return "anthropic.messages"
        return "opaque"

    @cached_property
    def documents(self) -> list[Any]:
        """The response's JSON documents: one, or one for each event."""
        return list(_documents(self.response_body))

    @property
    def requested_model(self) -> str | None:
        try:
            document = json.loads(self.request_body)
        except ValueError:
            return None
        return document.get("model") if isinstance(document, dict) else None


def recordings(directory: Path) -> list[Recorded]:
    return [Recorded(folder) for folder in sorted(directory.iterdir()) if (folder / "request.json").is_file()]


def _documents(body: bytes) -> Iterator[Any]:
    if body.lstrip()[:1] in (b"{", b"["):
        yield json.loads(body)
        return
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        lines = [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")]
        data = b"\n".join(lines).strip()
        if data and data != b"[DONE]":
            yield json.loads(data)


def model_and_usage(recorded: Recorded) -> tuple[str | None, Usage | None]:
    """The response's model, and its usage; None where it says none."""
    objects = [document for document in recorded.documents if isinstance(document, dict)]
    if recorded.api == "openai.chat":
        return _openai(objects)
    return _anthropic(objects)


def _openai(chunks: list[Mapping[str, Any]]) -> tuple[str | None, Usage | None]:
    models = [chunk["model"] for chunk in chunks if chunk.get("model")]
    told = [chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") for chunk in chunks]
    usage = next((usage for usage in reversed(told) if usage), None)
    if usage is None:
        return (models[-1] if models else None), None
    prompt, completion = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    asked, answered = usage["prompt_tokens"], usage["completion_tokens"]
    reasoning = completion.get("reasoning_tokens")
    # Gemini's compatible endpoint leaves its thinking out of the completion and counts it in the total only.
    unnamed = usage.get("total_tokens", 0) - asked - answered
    if unnamed > 0 and reasoning is None:
        answered, reasoning = answered + unnamed, unnamed
    return models[-1] if models else None, (
        asked,
        answered,
        # OpenAI; Mistral; what stands behind Hugging Face's router.
        _first(prompt.get("cached_tokens"), usage.get("num_cached_tokens"), usage.get("cached_tokens")),
        prompt.get("cache_write_tokens"),  # OpenRouter
        reasoning,
    )


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def _anthropic(events: list[Mapping[str, Any]]) -> tuple[str | None, Usage | None]:
    """`message_delta` carries cumulative figures, laid over those of `message_start`."""
    model, usage = None, {}
    for event in events:
        message = event.get("message", event)
        model = model or message.get("model")
        for told in (message.get("usage"), event.get("usage")):
            usage |= {key: value for key, value in (told or {}).items() if value is not None}
    if "output_tokens" not in usage:
        return model, None
    read, created = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    whole = usage.get("input_tokens", 0) + (read or 0) + (created or 0)
    thinking = (usage.get("output_tokens_details") or {}).get("thinking_tokens")
    return model, (whole, usage["output_tokens"], read, created, thinking)
