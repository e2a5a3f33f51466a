"""What an answer of the audio api amounts to: speech, which is bytes or events, or what was heard, which is JSON, plain
text, subtitles or events.

    speech        ID3…, RIFF…, raw samples | data: {"type": "speech.audio.delta", "audio": "base64"} …
                                             data: {"type": "speech.audio.done", "usage": {"input_tokens": 14, …}}
    heard         {"text": "…", "usage": {"type": "tokens", …} | {"type": "duration", "seconds": 9}} | text | WEBVTT…
      streamed    data: {"type": "transcript.text.delta", "delta": "Hel"} … {"type": "transcript.text.done", …}
      by Mistral  data: {"type": "transcription.text.delta", "text": "Hel"} … {"type": "transcription.done", …}
      by vLLM     data: {"object": "transcription.chunk", "choices": [{"delta": {"content": "Hel"}}]} … [DONE]

Sound and plain text have no form to be told by, so the first bytes are only taken for JSON or events when they are
plainly that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.answer import AnswerAccount
from extproc.codecs.openai.results import read_usage
from extproc.dialects.openai_chat.errors import read_error
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import ResponseFacts, Usage
from extproc.shape import as_list, as_name, as_object, as_text

HEAD_BYTES = 32
"""So many bytes tell JSON and events from the rest."""
_STRUCTURED = re.compile(
    rb'[ \t\r\n]*(?:\{[ \t\r\n]*["}]|data:[ ]?(?:\{|\[DONE\])|event:[ ]?[a-z]|:[ A-Za-z-]{0,24}\r?\n)'
)
_ERROR = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"(?:error|detail|message)"|event:[ ]?error')

_DONE = b"[DONE]"
_DELTAS = {"transcript.text.delta": "delta", "transcription.text.delta": "text"}
_ENDS = frozenset({"speech.audio.done", "transcript.text.done", "transcription.done"})


def is_structured(head: bytes, *, is_plain_text: bool) -> bool:
    """Is this JSON or an event stream? `is_plain_text`: the request asked for text or subtitles, so that only an error
    is anything else."""
    return (_ERROR if is_plain_text else _STRUCTURED).match(head) is not None


def delta_text(document: dict[str, Any]) -> str:
    """What an event adds to the text that was heard."""
    key = _DELTAS.get(as_name(document.get("type")))
    if key is not None:
        return as_text(document.get(key))
    choices = (as_object(as_object(choice).get("delta")) for choice in as_list(document.get("choices")))
    return "".join(as_text(delta.get("content")) for delta in choices)


def whole_text(document: dict[str, Any]) -> str:
    """The whole text that was heard, in a document or the last event; "" elsewhere."""
    kind = as_name(document.get("type"))
    return "" if kind and kind not in _ENDS else as_text(document.get("text"))


class AudioAccount(AnswerAccount):
    """An `extproc.accounting.Account`, which can also be told of bytes that are neither JSON nor events."""

    def take_event(self, event: StreamEvent) -> None:
        data = event.data.strip()
        if data == _DONE:
            self.terminal = True
        elif data:
            document = as_object(tolerant_json.loads(data))
            kind = as_name(document.get("type"))
            self._text_bytes += utf8_size(delta_text(document))
            self._take(document)
            self.terminal = self.terminal or kind in _ENDS
            if self._error is None and (event.type == b"error" or kind == "error"):
                self._error = read_error(document)

    def take_document(self, document: Any) -> None:
        self._take(as_object(document))
        if self._error is None and not self._succeeded:
            self._error = read_error(document)

    def take_text(self, size_bytes: int) -> None:
        """So many bytes of plain text."""
        self._text_bytes += size_bytes

    def end_bytes(self, *, complete: bool) -> None:
        """The end of a body without any form."""
        self.terminal = complete
        if not complete:
            self._warn("truncated")

    def _said(self) -> Usage:
        return read_usage(self._usage)

    def _take(self, document: dict[str, Any]) -> None:
        self._model = as_name(document.get("model")) or self._model
        named = as_name(document.get("id")) or as_name(as_object(document.get("x_groq")).get("id"))
        self._id = self._id or named
        self._usage = as_object(document.get("usage")) or self._usage
        self._text_bytes = max(self._text_bytes, utf8_size(whole_text(document)))
        if document.get("error"):
            self._error = read_error(document)


class AudioDecoder:
    """An `extproc.codec.ResponseDecoder` for bodies that may have no form at all."""

    def __init__(
        self, account: AudioAccount, decoder: AccountingDecoder, *, is_text: bool, is_plain_text: bool
    ) -> None:
        """`decoder` is one over `account`. `is_text`: what has no form is text, not sound."""
        self._account = account
        self._decoder = decoder
        self._is_text = is_text
        self._is_plain_text = is_plain_text
        self._head = b""
        self._is_structured: bool | None = None

    @property
    def terminal(self) -> bool:
        return self._account.terminal

    @property
    def held_bytes(self) -> int:
        return self._decoder.held_bytes + len(self._head)

    def take_head(self, headers: Mapping[str, str]) -> None:
        self._decoder.take_head(headers)

    def feed(self, data: bytes) -> None:
        if self._is_structured is None:
            self._head += data
            if len(self._head) < HEAD_BYTES:
                return
            data = self._decided()
        self._pass_on(data)

    def finish(self, *, complete: bool) -> ResponseFacts:
        if self._is_structured is None and self._head:
            self._pass_on(self._decided())
        if self._is_structured is False:
            self._account.end_bytes(complete=complete)
        return self._decoder.finish(complete=complete)

    def _decided(self) -> bytes:
        """Decide by the first bytes, and give them back."""
        head, self._head = self._head, b""
        self._is_structured = is_structured(head[:HEAD_BYTES], is_plain_text=self._is_plain_text)
        return head

    def _pass_on(self, data: bytes) -> None:
        if self._is_structured:
            self._decoder.feed(data)
        elif self._is_text:
            self._account.take_text(len(data))
