"""What an api's codec has to offer, and nothing more: everything above speaks to this Protocol.

A codec is pure: bytes in, model objects out. It never awaits, logs or keeps state between exchanges. Adding an api is
one class in its family's folder in `codecs/`, one line in `codecs.CODECS`, one folder of recordings in `tests/codecs/`.
Most inherit `json_codec.JsonCodec`, which answers what is the same for nearly all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from extproc.model import Call, Conversation, ErrorReply, RequestFacts, ResponseFacts


class ResponseDecoder(Protocol):
    """Reads one response incrementally. O(n) in the body, whatever the chunking; bounded memory. Can be pickled."""

    @property
    def terminal(self) -> bool:
        """True once the API's own terminal event has been fed (`[DONE]`, `message_stop`, the end of a JSON body)."""

    @property
    def held_bytes(self) -> int:
        """Bytes kept for `finish` to read: large ones are finished off the event loop, in another process."""

    def take_head(self, headers: Mapping[str, str]) -> None:
        """Before the first bytes: those of `RESPONSE_HINTS` that the response has, by lower-case name. Never raises."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes, content coding already removed. Never raises: oddities become warnings."""

    def finish(self, *, complete: bool) -> ResponseFacts:
        """End of input. `complete=False` when it was cut: what was there counts, usage is filled by estimate."""


class ResponseEditor(Protocol):
    """Edits one streamed response on its way to the client. Output depends on the events, never on the chunks."""

    def feed(self, data: bytes) -> bytes:
        """What of the bytes so far may go to the client now. Never raises: what it cannot read passes unchanged."""

    def flush(self) -> bytes:
        """End of input: the rest."""


class Codec(Protocol):
    api: str
    """`openai.chat`, `anthropic.messages`, …, `opaque`."""
    operation: str | None
    """OTel `gen_ai.operation.name`: `chat`, `embeddings`, … or None."""
    takes_forms: bool
    """Its request may be `multipart/form-data` (RFC 7578): `request` is then given what `framing.multipart` makes of
    it, an object of fields."""

    def matches(self, call: Call) -> bool:
        """Is this call spoken in this api? By method, path, host and hints; the body is not there yet."""

    def recognises(self, document: Any, call: Call) -> bool:
        """Is this body in this api, although the call's path says nothing? Only asked when no codec `matches`."""

    def request(self, document: Any, call: Call) -> RequestFacts:
        """Facts of a parsed body. Raises `ClientError` when it is not this api's shape."""

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        """A fresh decoder. Content types lie: the decoder looks at the bytes too."""

    def error(self, *, status: int, code: str, message: str, exchange_id: str) -> ErrorReply:
        """A refusal that this API's SDKs turn into their proper exception."""

    def error_event(self, *, call: Call, status: int, code: str, message: str, exchange_id: str) -> bytes:
        """The same in mid-stream: the bytes of the API's own error event, framed as its streams are, and of whatever
        must follow it for the SDKs to stop reading. Never an invented regular end."""

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        """(path, body) asking for another model: in the path or the body, wherever the provider reads it. All other
        bytes as they were. `body` is one that `request` accepts; raises `LookupError` when it names no model."""

    def asking_for_usage(self, body: bytes) -> bytes | None:
        """`body` of a streamed request, changed to ask for usage in the stream; None where the API tells it anyway or
        cannot be asked."""

    def usage_remover(self) -> ResponseEditor | None:
        """Takes out again what only came because of `asking_for_usage`."""

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        """Derived content for the archive. Tolerant: what cannot be read is left out, never an exception."""
