"""Which exchanges resend each other's history. Pure.

A conversation is a chain of hashes, one per message, over what every client resends unchanged: role, text, tool calls
and tool results. Left out is what changes from turn to turn without meaning anything: system text (often with a date in
it), reasoning (clients drop it), ids of tool calls, white space at the ends, cache marks, the layout of JSON arguments.

An exchange continues an earlier one of the same caller when its request begins with the earlier request's messages and
the earlier response's message. An exchange without a response message (denied, failed, cut) is only continued by a
retry within `RETRY_S_MAX`: later, the same words are more likely somebody else's.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from extproc.model import Conversation, Message, Part

RETRY_S_MAX = 120
_HASH_BYTES = 16
_IGNORED_ROLES = frozenset({"system", "developer"})
_IGNORED_PARTS = frozenset({"thinking"})


@dataclass(frozen=True, slots=True)
class Chain:
    """The hashes of one conversation."""

    request: tuple[bytes, ...]
    """One per request message: the hash of the history up to and with it."""
    whole: bytes | None
    """With the response message; None when there was none."""

    @property
    def last(self) -> bytes:
        return self.whole or self.request[-1]


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the index keeps of an archived exchange."""

    exchange_id: str
    session_id: str
    turn: int
    at_ns: int
    answered: bool
    parent_exchange_id: str | None
    inherited_messages: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where an exchange stands in its session."""

    session_id: str
    turn: int
    """1 for the first exchange of the session."""
    parent_exchange_id: str | None
    inherited_messages: int
    """How many messages at the conversation's beginning were there before this turn."""


def chain(conversation: Conversation, scope: Iterable[str | None]) -> Chain | None:
    """The hashes of a conversation. `scope` says who may share a session; None when there is no message to hash."""
    count = conversation.request_message_count
    nothing = digest = _digest(b"", list(scope))
    hashes: list[bytes] = []
    for message in conversation.messages[:count]:
        digest = _extend(digest, message)
        hashes.append(digest)
    if digest == nothing:
        return None
    answers = conversation.messages[count:]
    whole = None
    if any(_normal(message) for message in answers):
        for message in answers:
            digest = _extend(digest, message)
        whole = digest
    return Chain(tuple(hashes), whole)


class SessionIndex:
    """The last `entries_max` conversations, by hash; the least recently used go first, and their sessions end there."""

    def __init__(self, entries_max: int = 50_000) -> None:
        self._entries_max = entries_max
        self._entries: OrderedDict[bytes, Remembered] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def place(self, exchange_id: str, at_ns: int, hashes: Chain) -> Place:
        """Find the exchange that this one continues: the one with the longest history."""
        own = self._entries.get(hashes.last)
        if own is not None and own.exchange_id == exchange_id:  # published again after a crash: the same answer
            return Place(own.session_id, own.turn, own.parent_exchange_id, own.inherited_messages)
        for count in range(len(hashes.request), 0, -1):
            digest = hashes.request[count - 1]
            parent = self._entries.get(digest)
            if parent is None or parent.at_ns >= at_ns or parent.exchange_id == exchange_id:
                continue
            if not parent.answered and at_ns - parent.at_ns > RETRY_S_MAX * 1_000_000_000:
                continue
            self._entries.move_to_end(digest)
            return Place(parent.session_id, parent.turn + 1, parent.exchange_id, count)
        return Place(exchange_id, 1, None, 0)

    def remember(self, digest: bytes, entry: Remembered) -> None:
        self._entries[digest] = entry
        self._entries.move_to_end(digest)
        while len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)

    def entries(self) -> Iterable[tuple[bytes, Remembered]]:
        """Oldest first."""
        return self._entries.items()


def entry_of(exchange_id: str, at_ns: int, hashes: Chain, place: Place) -> tuple[bytes, Remembered]:
    """What to remember of an exchange, and under which hash."""
    answered = hashes.whole is not None
    return hashes.last, Remembered(
        exchange_id,
        place.session_id,
        place.turn,
        at_ns,
        answered,
        place.parent_exchange_id,
        place.inherited_messages,
    )


def _extend(digest: bytes, message: Message) -> bytes:
    """Messages that say nothing (system text, an empty one) leave the history as it was."""
    parts = _normal(message)
    return _digest(digest, itertools.chain([message.role], *parts)) if parts else digest


def _normal(message: Message) -> list[list[str | None]]:
    if message.role in _IGNORED_ROLES:
        return []
    parts: list[list[str | None]] = []
    for part in message.parts:
        if part.type in _IGNORED_PARTS:
            continue
        text = (part.text or "").strip()
        if part.type == "text":
            if not text:
                continue
            if parts and parts[-1][0] == "text":
                parts[-1][1] = f"{parts[-1][1]}\n{text}"
                continue
        parts.append([part.type, text, part.tool_name, _canonical(part)])
    return parts


def _canonical(part: Part) -> str | None:
    """Tool arguments whatever their layout: a stream's fragments and a resent object mean the same."""
    if part.arguments is None:
        return None
    try:
        return json.dumps(json.loads(part.arguments or "{}"), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return part.arguments


def _digest(previous: bytes, fields: Iterable[str | None]) -> bytes:
    """Each field with its length, so that no two lists of fields run together; None is not the empty text."""
    state = hashlib.blake2b(previous, digest_size=_HASH_BYTES)
    for value in fields:
        data = b"" if value is None else value.encode("utf-8", "surrogatepass")
        state.update((-1 if value is None else len(data)).to_bytes(8, "little", signed=True))
        state.update(data)
    return state.digest()
