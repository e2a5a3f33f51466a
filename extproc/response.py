"""The response side of an exchange: reads usage as bytes pass, keeps what may be archived, cuts it into parts. Pure.

Every byte is hashed, counted and shown to the codec's decoder. Content is held only until it goes into a part, only as
far as the obligations and limits allow, and while the judgement is still out it is held and not written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from capture.record import ResponsePart
from extproc.codec import ResponseDecoder
from extproc.codecs import opaque
from extproc.errors import HeadgateError
from extproc.framing.content_encoding import ContentDecoder, decoder
from extproc.memory import MemoryBudget
from extproc.model import Call, Limits, RequestFacts

REREAD_BYTES_MAX = 1024 * 1024
"""A response is read again up to this size, on the event loop; beyond, nobody reads its usage."""


class ResponseTrack:
    def __init__(self, exchange_id: str, limits: Limits, memory: MemoryBudget) -> None:
        self.exchange_id = exchange_id
        self.decoder: ResponseDecoder | None = None
        self.http_status: int | None = None
        self.total_bytes = 0
        self.dropped_bytes = 0
        self.warnings: list[str] = []
        self._limits = limits
        self._memory = memory
        self._content_type: str | None = None
        self._content_encoding: str | None = None
        self._hints: Mapping[str, str] = {}
        self._coding: ContentDecoder | None = None
        self._sha256 = hashlib.sha256()
        self._pending = bytearray()
        self._kept_bytes = 0
        self._next_index = 0
        self._allowed: bool | None = None
        self._dropped_state = "unjudged"
        self._over_limit = False
        self._decoder_bytes = 0
        """Of the memory budget, for what the decoder holds."""

    def start(
        self,
        *,
        status: int,
        content_type: str | None,
        content_encoding: str | None,
        hints: Mapping[str, str],
        codec_decoder: ResponseDecoder,
    ) -> None:
        """The response's head. `hints`: its headers among `RESPONSE_HINTS`."""
        self.http_status = status
        self._content_type = content_type
        self._content_encoding = content_encoding
        self._hints = hints
        self._begin_decoding(codec_decoder)

    def reread(self, decoder_for: Callable[[int, str | None], ResponseDecoder]) -> None:
        """Now it is known what is spoken, after the response began: read it from its beginning, where all of it is
        still held and not much, with the decoder for its (status, content type)."""
        if len(self._pending) != self.total_bytes or self.total_bytes > REREAD_BYTES_MAX or self.warnings:
            return
        self.release_decoder()
        self._begin_decoding(decoder_for(self.http_status or 0, self._content_type))
        self._decode(bytes(self._pending))

    def _begin_decoding(self, codec_decoder: ResponseDecoder) -> None:
        self.decoder = codec_decoder
        codec_decoder.take_head(self._hints)
        self._coding = None
        if self._content_encoding is not None:
            try:
                self._coding = decoder(
                    self._content_encoding,
                    bytes_max=self._limits.body_bytes_max,
                    ratio_max=self._limits.decoded_ratio_max,
                )
            except HeadgateError as error:
                self._stop_decoding(error.code)

    @property
    def terminal(self) -> bool:
        return self.decoder is not None and self.decoder.terminal

    @property
    def succeeded(self) -> bool:
        return self.http_status is not None and 200 <= self.http_status < 300

    @property
    def is_encoded(self) -> bool:
        """Its bytes are in a content coding, whether we can take that off or not."""
        return self._content_encoding is not None

    def warn(self, code: str) -> None:
        self.warnings.append(code)

    @property
    def has_pending(self) -> bool:
        return bool(self._pending) or (self.http_status is not None and self._next_index == 0)

    @property
    def may_write(self) -> bool:
        return self._allowed is not None

    def feed(self, data: bytes) -> None:
        """The next bytes as they came. Never raises: what cannot be read or held is a warning and a count."""
        self.total_bytes += len(data)
        self._sha256.update(data)
        self._decode(data)
        if self._allowed is False:
            return
        fits = self._kept_bytes + len(data) <= self._limits.body_bytes_max
        if self._over_limit or not fits or not self._memory.take(len(data)):
            self._over_limit = True
            self.dropped_bytes += len(data)
            return
        self._kept_bytes += len(data)
        self._pending += data

    def allow(self, *, keep: bool, dropped_state: str) -> None:
        """The judgement is known: the response's text may (or may not) go into the archive."""
        self._allowed = keep
        self._dropped_state = dropped_state
        if not keep:
            self.release()

    def release(self) -> None:
        self._memory.give(len(self._pending))
        self._pending = bytearray()

    def release_decoder(self) -> None:
        """What the decoder held is read, or let go."""
        self._memory.give(self._decoder_bytes)
        self._decoder_bytes = 0

    def take_part(self, at_ns: int, *, at_least: int = 0) -> ResponsePart | None:
        """The next part frame, when `at_least` bytes are pending (0: whatever there is, the bare head included)."""
        if self._allowed is None or not self.has_pending or len(self._pending) < at_least:
            return None
        head = self._next_index == 0
        data = bytes(self._pending)
        self.release()
        part = ResponsePart(
            exchange_id=self.exchange_id,
            at_ns=at_ns,
            index=self._next_index,
            http_status=self.http_status if head else None,
            content_type=self._content_type if head else None,
            content_encoding=self._content_encoding if head else None,
            data=data,
        )
        self._next_index += 1
        return part

    def lost_part(self, size_bytes: int) -> None:
        """A part could not be written: the spool is full."""
        self._over_limit = True
        self.dropped_bytes += size_bytes

    def content_state(self, *, whole: bool) -> str:
        """The word for what of the response the archive holds."""
        if self.total_bytes == 0:
            return "none"
        if not self._allowed:
            return self._dropped_state
        if self._over_limit:
            return "over_limit"
        return "exact" if whole else "partial"

    def digest(self, *, whole: bool) -> bytes | None:
        return self._sha256.digest() if whole and self.total_bytes else None

    def _decode(self, data: bytes) -> None:
        if self.decoder is None:
            return
        try:
            plain = data if self._coding is None else self._coding.decode(data)
        except HeadgateError as error:
            self._stop_decoding(error.code)
            return
        if plain:
            self.decoder.feed(plain)
            self._account()

    def _account(self) -> None:
        """A JSON answer is held until its end to be read: that counts as held, whatever is kept for the archive."""
        assert self.decoder is not None
        more = self.decoder.held_bytes - self._decoder_bytes
        if more <= 0:
            self._memory.give(-more)
        elif not self._memory.take(more):
            self._stop_decoding("response_too_large")
            return
        self._decoder_bytes += more

    def _stop_decoding(self, code: str) -> None:
        """Usage can no longer be read from what passes; the bytes are kept all the same."""
        self.warn(code)
        self._coding = None
        self.decoder = opaque.CODEC.response(call=Call("", "", ""), status=0, content_type=None, request=RequestFacts())
        self.release_decoder()
