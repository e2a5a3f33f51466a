"""The part of a response decoder that is the same for every api: cutting the bytes, surviving what cannot be read,
turning it into stable warnings, and filling the gaps in the usage.

An api's codec brings an `Account`, which reads one event or one document.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from extproc.framing.response_body import ResponseBody, StreamFormat
from extproc.framing.stream_event import StreamEvent
from extproc.model import RequestFacts, ResponseFacts, Usage
from extproc.usage import completed


class Account(Protocol):
    """What one response amounts to so far. Holds counters, ids and the last usage, never the text."""

    terminal: bool
    """The API's own terminal event was taken. Set for it when a document was."""

    def take_event(self, event: StreamEvent) -> None:
        """The next event of a stream. Raises `ValueError` when its data cannot be read."""

    def take_document(self, document: Any) -> None:
        """A whole JSON body."""

    def usage_is_final(self, *, complete: bool) -> bool:
        """End of the response: is the output figure of `said` the provider's last word? `complete`: the response came
        to its regular end."""

    def facts(self) -> ResponseFacts:
        """End of the response: everything but `usage` and `terminal`. `warnings` are the account's own."""


class AccountingDecoder:
    """An `extproc.codec.ResponseDecoder` over an account."""

    def __init__(
        self,
        account: Account,
        *,
        status: int,
        request: RequestFacts,
        stream_format: StreamFormat = StreamFormat.SSE,
    ) -> None:
        self._account = account
        self._succeeded = 200 <= status < 300
        self._input_text_bytes = request.text_bytes
        self._body = ResponseBody(stream_format)
        self._warnings: dict[str, None] = {}
        self._seen = False

    @property
    def terminal(self) -> bool:
        return self._account.terminal

    @property
    def held_bytes(self) -> int:
        return self._body.held_bytes

    def feed(self, data: bytes) -> None:
        for event in self._body.feed(data):
            self._take(event)

    def finish(self, *, complete: bool) -> ResponseFacts:
        for event in self._body.flush():
            self._take(event)
        if self._body.is_json:
            self._take_document()
        if self._body.unknown_lines:
            self._warn("unknown_sse_field")
        account = self._account
        facts = account.facts()
        ended = account.terminal or bool(facts.finish_reasons) or facts.error is not None
        if self._seen and self._succeeded and not (ended if complete else account.terminal):
            self._warn("truncated")
        usage = Usage()
        if self._succeeded and (facts.error is None or facts.text_bytes or facts.said != usage):
            usage = completed(
                facts.said,
                is_final=account.usage_is_final(complete=complete),
                input_text_bytes=self._input_text_bytes,
                output_text_bytes=facts.text_bytes,
            )
        return replace(
            facts,
            usage=usage,
            terminal=account.terminal,
            warnings=tuple({**self._warnings, **dict.fromkeys(facts.warnings)}),
        )

    def _take_document(self) -> None:
        self._seen = True
        try:
            document = self._body.document()
        except ValueError:
            self._warn("response_too_large" if self._body.is_oversized else "undecodable_body")
            return
        self._account.terminal = True
        self._account.take_document(document)

    def _take(self, event: StreamEvent) -> None:
        self._seen = True
        if event.oversized:
            self._warn("oversized_event")
            return
        try:
            self._account.take_event(event)
        except ValueError:
            self._warn("undecodable_event")

    def _warn(self, code: str) -> None:
        self._warnings[code] = None
