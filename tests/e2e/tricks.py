"""What a trick is: a request that tries to have one thing judged and another one sent, and what has to become of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tests.e2e.gate import CHAT
from tests.e2e.traffic import OPENAI

GOOD: Final = json.dumps(CHAT).encode()
"""A body that the team `search` may send."""
BAIT_MODEL: Final = "gpt-5"
"""A model that it may not use."""
BAIT: Final = json.dumps(CHAT | {"model": BAIT_MODEL}).encode()
SECRET: Final = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
"""What nobody may send. The form of a GitHub token, as their documentation shows it."""
EMAIL: Final = "ann.smith@corp-mail.net"
"""What goes on as a placeholder."""
JSON_TYPE: Final = ("content-type", "application/json")

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Passed:
    """The provider gets this, so often; None: what the client sent."""

    body: bytes | None = None
    path: str | None = None
    """As the provider is sent it, query included. None: what is behind the route's prefix."""
    times: int = 1
    without: tuple[str, ...] = ()
    """Headers that the provider must not get."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider gets nothing. `status` 0: any refusal, or an end without an answer."""

    status: int = 0


@dataclass(frozen=True, slots=True)
class Trick:
    name: str
    expected: Passed | Refused
    body: bytes = GOOD
    headers: Fields = (JSON_TYPE,)
    method: str = "POST"
    path: str = OPENAI.path
    key: str = "example-key-search"
    """The client's key: its team."""
    cut: int = 0
    """The body comes in pieces of so many bytes, chunked in HTTP/1.1; 0: in one."""
    trailers: Fields = ()

    def with_expected(self, expected: Passed | Refused) -> Trick:
        return replace(self, expected=expected)

    @property
    def pieces(self) -> Sequence[bytes]:
        size = self.cut or 16_000
        return [self.body[start : start + size] for start in range(0, len(self.body), size)]


@dataclass(frozen=True, slots=True)
class RawTrick:
    """Bytes of HTTP/1.1, in which `KEY` stands for the key by which the provider's record is found."""

    name: str
    expected: Passed | Refused
    data: bytes
    byte_by_byte: bool = False


@dataclass(frozen=True, slots=True)
class FrameTrick:
    """Header fields as only HTTP/2 can carry them."""

    name: str
    expected: Passed | Refused
    pseudo: Fields = ()
    """In place of, or beside, the ordinary ones of the same name."""
    headers: Fields = (JSON_TYPE,)
    body: bytes = GOOD
    trailers: Fields = ()
    again: Fields = ()
    """Pseudo-header fields that come once more."""
