"""What an api's codec has to offer, and nothing more: everything above speaks to this Protocol.

A codec is pure: bytes in, model objects out. It never awaits, logs or keeps state between exchanges. Adding an api is
one file in `codecs/`, one line in `codecs.CODECS`, one folder of recordings in `tests/codecs/`.
"""

from __future__ import annotations

from typing import Any, Protocol

from extproc.model import Call, Conversation, ErrorReply, RequestFacts, ResponseFacts


class ResponseDecoder(Protocol):
    """Reads one response incrementally. O(n) in the body, whatever the chunking; bounded memory."""

    @property
    def terminal(self) -> bool:
        """True once the API's own terminal event has been fed (`[DONE]`, `message_stop`, the end of a JSON body)."""

    @property
    def held_bytes(self) -> int:
        """Bytes kept for `finish` to read: large ones are finished off the event loop, in another process."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes, content coding already removed. Never raises: oddities become warnings."""

    def finish(self, *, complete: bool) -> ResponseFacts:
        """End of input. `complete=False` when it was cut: what was there counts, usage is filled by estimate."""


class Codec(Protocol):
    api: str
    """`openai.chat`, `anthropic.messages`, …, `opaque`."""
    operation: str | None
    """OTel `gen_ai.operation.name`: `chat`, `embeddings`, … or None."""

    def matches(self, call: Call) -> bool:
        """Is this call spoken in this api? By method, path and host; the body is not there yet."""

    def request(self, document: Any) -> RequestFacts:
        """Facts of a parsed JSON body (`framing.strict_json`). Raises `ClientError` when it is not this api's shape."""

    def response(self, *, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        """A fresh decoder. Content types lie: the decoder looks at the bytes too."""

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        """A refusal that this API's SDKs turn into their proper exception."""

    def conversation(self, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        """Derived content for the archive. Tolerant: what cannot be read is left out, never an exception."""
