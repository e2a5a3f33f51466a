"""The books of invariant 1: which of Envoy's messages wait for a reply, and for how long Envoy has waited. Pure."""

from __future__ import annotations

from collections import Counter

from extproc.events import Message, Reply


class Replies:
    """Each message of an inline stream is owed exactly one reply, in order; none after an immediate response.

    In full duplex no response body message is owed one: bytes go out as they are ready (`stream`), after the reply to
    the response's headers, and their end is said exactly once, with the last of them or by the reply to the trailers.

    In observability mode Envoy waits for nothing: `owe` then records nothing.
    """

    def __init__(self) -> None:
        self.inline = True
        self.silent = False
        """After an immediate response, an abort or the stream's end: nothing more may be sent."""
        self.overhead_ns = 0
        """Time that Envoy spent waiting for us, so far."""
        self.duplex = False
        """The response comes in FULL_DUPLEX_STREAMED."""
        self._streamed_to_end = False
        self._owed: Counter[Message] = Counter()
        self._waiting_since_ns = 0

    def owe(self, message: Message, now_ns: int) -> None:
        if not self.inline or self.silent or (self.duplex and message is Message.RESPONSE_BODY):
            return
        if not self._owed.total():
            self._waiting_since_ns = now_ns
        self._owed[message] += 1

    def owes(self, message: Message) -> bool:
        return self._owed[message] > 0

    def reply(
        self,
        message: Message,
        now_ns: int,
        *,
        set_headers: tuple[tuple[str, str], ...] = (),
        remove_headers: tuple[str, ...] = (),
        body: bytes | None = None,
        exchange_id: str | None = None,
        duplex_response: bool = False,
    ) -> Reply:
        """The one reply to `message`."""
        assert self._owed[message] > 0, "a reply that nobody waits for"
        assert not self.silent, "a reply after the last word"
        if message is Message.RESPONSE_TRAILERS:
            self._streamed_to_end = True
        self._owed[message] -= 1
        if not self._owed.total():
            self.overhead_ns += now_ns - self._waiting_since_ns
        return Reply(message, set_headers, remove_headers, body, exchange_id, duplex_response)

    def stream(self, body: bytes, *, end_of_stream: bool) -> Reply:
        """Full duplex: the next bytes of the response."""
        assert self.duplex, "bytes that nobody takes"
        assert not self.silent, "bytes after the last word"
        assert not self._owed[Message.RESPONSE_HEADERS], "bytes before the headers"
        assert not self._streamed_to_end, "bytes after the end"
        self._streamed_to_end = end_of_stream
        return Reply(Message.RESPONSE_BODY, body=body, streamed_end=end_of_stream)

    def silence(self, now_ns: int) -> None:
        """Nothing more will be sent."""
        if self._owed.total():
            self.overhead_ns += now_ns - self._waiting_since_ns
        self._owed.clear()
        self.silent = True
