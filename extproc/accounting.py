"""The part of a response decoder that is the same for every api: cutting the bytes, surviving what cannot be read,
turning it into stable warnings, and filling the gaps in the usage.

An api's codec brings an `Account`, which reads one event or one document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import Enum, auto
from typing import Any, Protocol, runtime_checkable

from extproc.framing.response_body import ResponseBody, StreamFormat
from extproc.framing.stream_event import StreamEvent
from extproc.model import NO_USAGE, ErrorFacts, RequestFacts, ResponseFacts, Usage, UsageSource
from extproc.usage import completed

ERROR_BYTES_MAX = 4_096
"""Of an error that is in no form of the api's, so much is kept as its message."""


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


@runtime_checkable
class ReadsHead(Protocol):
    """An account that has figures in the response's headers, too."""

    def take_head(self, headers: Mapping[str, str]) -> None:
        """Before all else: those of `RESPONSE_HINTS` that the response has."""


class Metering(Enum):
    """What of an api's usage can be worked out from the text that passed, where the provider does not say it."""

    TEXT = auto()
    """Text in, text out: both sides are estimated."""
    NO_OUTPUT = auto()
    """Text in; vectors, scores or verdicts out: no output tokens, so a figure that is not said is 0."""
    MEDIA_OUT = auto()
    """Text in; images or speech out, whose tokens nobody can tell from bytes: not said is not known."""
    MEDIA_IN = auto()
    """Speech in, text out: input that is not said is not known."""
    NOTHING = auto()
    """No model is run: no tokens, whatever the text."""


class AccountingDecoder:
    """An `extproc.codec.ResponseDecoder` over an account."""

    def __init__(
        self,
        account: Account,
        *,
        status: int,
        request: RequestFacts,
        stream_format: StreamFormat = StreamFormat.SSE,
        metering: Metering = Metering.TEXT,
    ) -> None:
        self._account = account
        self._succeeded = 200 <= status < 300
        self._failed = status >= 400
        self._head = b""
        """The first bytes of an error's body: gateways and proxies answer in text and HTML."""
        self._input_text_bytes = request.text_bytes
        self._metering = metering
        self._body = ResponseBody(stream_format)
        self._warnings: dict[str, None] = {}
        self._seen = False

    @property
    def terminal(self) -> bool:
        return self._account.terminal

    @property
    def held_bytes(self) -> int:
        return self._body.held_bytes

    def take_head(self, headers: Mapping[str, str]) -> None:
        if headers and isinstance(self._account, ReadsHead):
            self._account.take_head(headers)

    def feed(self, data: bytes) -> None:
        if self._failed and len(self._head) < ERROR_BYTES_MAX:
            self._head += data[: ERROR_BYTES_MAX - len(self._head)]
        for event in self._body.feed(data):
            self._take(event)
        if self._body.is_ended:
            self._account.terminal = True

    def finish(self, *, complete: bool) -> ResponseFacts:
        was_terminal = self._account.terminal
        for event in self._body.flush():
            self._take(event)
        if self._body.is_cut:  # an event that was closed where it was cut off ends nothing
            self._account.terminal = was_terminal
        if self._body.is_json:
            self._take_document()
        if self._body.unknown_lines:
            self._warn("unknown_sse_field")
        if self._body.is_broken:
            self._warn("broken_framing")
        account = self._account
        facts = account.facts()
        if self._failed and (facts.error is None or not facts.error.message):
            kind = "error" if facts.error is None else facts.error.type
            facts = replace(facts, error=ErrorFacts(kind, self._head.decode("utf-8", "replace").strip()))
        ended = account.terminal or bool(facts.finish_reasons) or facts.error is not None
        unended = self._seen and self._succeeded and not (ended if complete else account.terminal)
        if unended or self._body.is_cut or (self._body.is_broken and not account.terminal):
            self._warn("truncated")
        usage = NO_USAGE
        if self._succeeded and (facts.error is None or facts.text_bytes or facts.said != NO_USAGE):
            usage = self._filled(facts, is_final=account.usage_is_final(complete=complete))
        return self._told(facts, usage)

    def _told(self, facts: ResponseFacts, usage: Usage) -> ResponseFacts:
        """`dataclasses.replace` in a sixth of its time: each exchange pays for it. A test holds the two equal."""
        return ResponseFacts(
            facts.model,
            facts.response_id,
            facts.finish_reasons,
            facts.said,
            usage,
            facts.provider_usage,
            facts.service_tier,
            facts.tool_calls,
            facts.text_bytes,
            facts.error,
            self._account.terminal,
            tuple({**self._warnings, **dict.fromkeys(facts.warnings)}),
        )

    def _filled(self, facts: ResponseFacts, *, is_final: bool) -> Usage:
        said, metering = facts.said, self._metering
        if metering is Metering.NOTHING:
            return NO_USAGE
        if metering is Metering.NO_OUTPUT:
            is_final = True  # whatever was cut off held no figure that grows
            said = replace(said, output_tokens=said.output_tokens or 0)
        usage = completed(
            said, is_final=is_final, input_text_bytes=self._input_text_bytes, output_text_bytes=facts.text_bytes
        )
        if metering is Metering.NO_OUTPUT and facts.said.input_tokens is None:
            return replace(usage, source=UsageSource.ESTIMATED)
        if metering is Metering.MEDIA_OUT and facts.said.output_tokens is None:
            return replace(usage, output_tokens=None)
        if metering is Metering.MEDIA_IN and facts.said.input_tokens is None:
            return replace(usage, input_tokens=None)
        return usage

    def _take_document(self) -> None:
        self._seen = True
        try:
            document = self._body.document()
        except ValueError:
            self._warn("response_too_large" if self._body.is_oversized else "undecodable_body")
            return
        self._account.terminal = True
        self._account.take_document(document)
        if self._body.is_cut:
            self._account.terminal = False

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
