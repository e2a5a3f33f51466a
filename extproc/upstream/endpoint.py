"""What a simulated provider's endpoint is: which calls it takes, what it answers, how it refuses.

simulated ── Question ─► Endpoint.answer ─► Reply ── paced, cut, encoded by simulated ─► client
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from extproc.upstream.answers import Answer, Json, ToolUse, answer_id, resolved
from extproc.upstream.http import Request

TEXT_BYTES_MAX: Final = 1 << 30
_WORDS: Final = "This is a simulated answer that no model has ever given. "
_SLICE_BYTES: Final = 65_536

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Question:
    """One request to an endpoint, its body parsed."""

    request: Request
    body: Json
    """Empty where the body is no JSON object."""
    named: Mapping[str, str] = field(default_factory=dict)
    """What the path names (`model`, …), unescaped."""

    @property
    def model(self) -> str:
        """By the path where it names one, else by the body."""
        name = self.named.get("model") or self.body.get("model")
        return name if isinstance(name, str) else "unknown"

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.request.target).query))

    @property
    def streams(self) -> bool:
        return self.body.get("stream") is True

    @property
    def input_tokens(self) -> int:
        return max(1, -(-len(self.request.body) // 4))

    def answer(self, prefix: str, *, tool: ToolUse | None, echo: str, **more: Any) -> Answer:
        """The answer: `echo` is said where `x-sim-echo` asks for it."""
        return Answer(
            id=answer_id(prefix, self.request.body),
            model=resolved(self.model),
            pieces=self._pieces(echo),
            tool=tool,
            input_tokens=self.input_tokens,
            **more,
        )

    def _pieces(self, echo: str) -> list[str]:
        request = self.request
        size = request.number("x-sim-chunk-bytes")
        total = min(request.number("x-sim-body-bytes"), TEXT_BYTES_MAX)
        if request.headers.get("x-sim-echo"):
            size = size or 16
            return [echo[start : start + size] for start in range(0, len(echo), size)]
        if total:
            size = size or 16_384
            piece = (_WORDS * (size // len(_WORDS) + 1))[:size]
            return [piece] * (total // size) + ([piece[: total % size]] if total % size else [])
        count = request.number("x-sim-chunks", 8)
        if size:
            return [(_WORDS * (size // len(_WORDS) + 1))[:size]] * count
        words = _WORDS.split()
        return [words[index % len(words)] + " " for index in range(count)]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as bytes, in the pieces in which it is to be sent."""

    parts: Iterable[bytes]
    content_type: str = "application/json"
    status: int = 200
    headers: Headers = ()
    streamed: bool = False
    """Sent in chunks, each part in one; else with its length."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    method: str
    path: re.Pattern[str]
    """Searched for in the path, which is still escaped; its named groups are in `Question.named`."""
    answer: Callable[[Question], Reply]
    refuse: Callable[[int, str], Reply]
    """An error of this status with this message, in the API's own format."""
    wants: str | None = None
    """The list, text or object that a JSON body must have; without it the body may be anything."""
    needs_key: bool = True
    header: str | None = None
    """The request must have this header, where a path is not one provider's alone."""

    def question(self, request: Request) -> Question | None:
        """The request, read; None when it is for another endpoint."""
        found = self.path.search(request.path)
        if request.method != self.method or found is None or (self.header and self.header not in request.headers):
            return None
        named = {name: unquote(value) for name, value in found.groupdict().items()}
        return Question(request, _object(request.body), named)


def whole(document: Any, *, status: int = 200, headers: Headers = ()) -> Reply:
    """A JSON answer in one piece."""
    return Reply(list(_slices(json.dumps(document).encode())), status=status, headers=headers)


def events(parts: Iterable[bytes], headers: Headers = ()) -> Reply:
    """A stream of server-sent events."""
    return Reply(parts, "text/event-stream", headers=headers, streamed=True)


def _slices(data: bytes) -> Iterator[bytes]:
    return (data[start : start + _SLICE_BYTES] for start in range(0, len(data), _SLICE_BYTES))


def _object(body: bytes) -> Json:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
