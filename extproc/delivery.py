"""The response's way to the client: replies that wait for the disk, and in full duplex the bytes themselves. Pure.

In STREAMED each body message is let go by its reply. In FULL_DUPLEX_STREAMED the bytes go through us: an editor may
change them on the way, and what it holds back comes later, at the latest with the end.
"""

from __future__ import annotations

from extproc.codec import ResponseEditor
from extproc.events import Message, Reply
from extproc.replies import Replies


class Delivery:
    """One response. `take` each slice of a body message, then `let_go` the message; `end_with_trailers` may follow."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._editor: ResponseEditor | None = None
        self._ready = bytearray()
        """Full duplex: bytes of this message that may go."""
        self._held: list[tuple[Message, bytes, bool]] = []
        """What waits for the disk: (message, bytes, end of stream), in order."""
        self.waiting = False
        """Strict durability: the chunk with the API's last word, and all after it, waits for the disk."""

    def edit_with(self, editor: ResponseEditor) -> None:
        """From the first byte on."""
        self._editor = editor

    def take(self, data: bytes) -> None:
        """Bytes of the response, as they came."""
        if self._replies.duplex and not self._replies.silent:
            self._ready += data if self._editor is None else self._editor.feed(data)

    def let_go(self, *, end_of_stream: bool, now_ns: int) -> tuple[Reply, ...]:
        """A body message was taken whole: what Envoy is told now. `end_of_stream`: it was the response's last."""
        if not self._replies.duplex:
            return self._say(Message.RESPONSE_BODY, now_ns) if self._replies.owes(Message.RESPONSE_BODY) else ()
        return self._stream(end_of_stream=end_of_stream, ended=end_of_stream, now_ns=now_ns)

    def end_with_trailers(self, now_ns: int) -> tuple[Reply, ...]:
        """The response's end came with its trailers: the rest of the bytes goes before them."""
        if not self._replies.owes(Message.RESPONSE_TRAILERS):
            return ()
        rest = self._stream(end_of_stream=False, ended=True, now_ns=now_ns) if self._replies.duplex else ()
        return rest + self._say(Message.RESPONSE_TRAILERS, now_ns)

    def release(self, now_ns: int) -> tuple[Reply, ...]:
        """What was waited for is on the disk."""
        self.waiting = False
        held, self._held = self._held, []
        if self._replies.silent:
            return ()
        return tuple(self._reply(*one, now_ns) for one in held)

    def _stream(self, *, end_of_stream: bool, ended: bool, now_ns: int) -> tuple[Reply, ...]:
        if self._replies.silent:
            return ()
        if ended and self._editor is not None:
            self._ready += self._editor.flush()
        data, self._ready = bytes(self._ready), bytearray()
        return (
            self._say(Message.RESPONSE_BODY, now_ns, data, end_of_stream=end_of_stream) if data or end_of_stream else ()
        )

    def _say(
        self, message: Message, now_ns: int, data: bytes = b"", *, end_of_stream: bool = False
    ) -> tuple[Reply, ...]:
        if self.waiting:
            self._held.append((message, data, end_of_stream))
            return ()
        return (self._reply(message, data, end_of_stream, now_ns),)

    def _reply(self, message: Message, data: bytes, end_of_stream: bool, now_ns: int) -> Reply:
        if message is Message.RESPONSE_BODY and self._replies.duplex:
            return self._replies.stream(data, end_of_stream=end_of_stream)
        return self._replies.reply(message, now_ns)
