"""An answer of InvokeModel: told by its first members, read by its vendor's account, completed by Bedrock's count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from extproc.accounting import Account
from extproc.codecs.bedrock.bodies import Grammar, response_grammar
from extproc.codecs.bedrock.chunks import CHUNK, METRICS, counted, metrics_in, unwrapped, with_openai_names
from extproc.codecs.bedrock.plain_response import PlainAccount
from extproc.dialects.anthropic_messages.response import MessageAccount
from extproc.dialects.converse.errors import read_error
from extproc.dialects.converse.response import ConverseAccount
from extproc.dialects.openai_chat.response import ChatAccount
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.model import ErrorFacts, ResponseFacts, Usage
from extproc.shape import as_object
from extproc.usage import verbatim

_METRICS_KEY = METRICS.encode()
_STOP_REASON = b'"stop_reason"'
_ERROR_KEYS = frozenset({"message", "Message", "__type", "Output"})


class InvokeAccount:
    """An `extproc.accounting.Account` over the one of the vendor's grammar."""

    def __init__(self, *, status: int) -> None:
        self.terminal = False
        self._status = status
        self._grammar: Grammar | None = None
        self._inner: Account | None = None
        self._metrics: dict[str, Any] = {}
        self._head_metrics: dict[str, Any] = {}
        self._error: ErrorFacts | None = None

    def take_head(self, headers: Mapping[str, str]) -> None:
        """What Bedrock counted, where the vendor's body does not say it."""
        self._head_metrics = metrics_in(headers)

    def take_event(self, event: StreamEvent) -> None:
        if event.is_error or event.type.endswith(b"Exception"):
            kind = event.type.decode("utf-8", "replace")
            self._error = read_error(tolerant_json.loads(event.data) if event.data else {}, kind=kind)
            return
        if event.type != CHUNK:
            return
        data = unwrapped(event)
        inner = self._inner or self._account_for(tolerant_json.loads(data))
        if self._grammar is Grammar.CHAT and _STOP_REASON in data:
            data = orjson.dumps(with_openai_names(tolerant_json.loads(data)))
        inner.take_event(StreamEvent(b"", data))
        if _METRICS_KEY in data:
            self._metrics = as_object(as_object(tolerant_json.loads(data)).get(METRICS)) or self._metrics
        self.terminal = inner.terminal or bool(self._metrics)

    def take_document(self, document: Any) -> None:
        body = as_object(document)
        if not 200 <= self._status < 300 or (body and body.keys() <= _ERROR_KEYS):
            self._error = read_error(body, status=self._status)
            return
        inner = self._account_for(document)
        inner.take_document(with_openai_names(document) if self._grammar is Grammar.CHAT else document)
        self._metrics = as_object(body.get(METRICS))

    def usage_is_final(self, *, complete: bool) -> bool:
        return bool(self._metrics) or (self._inner is not None and self._inner.usage_is_final(complete=complete))

    def facts(self) -> ResponseFacts:
        facts = ResponseFacts() if self._inner is None else self._inner.facts()
        if self._metrics and facts.said.output_tokens is None:
            facts = replace(facts, said=_filled(facts.said, counted(self._metrics)))
        if self._metrics and (facts.provider_usage is None or self._says_the_same(facts.said)):
            facts = replace(facts, provider_usage=verbatim(self._metrics))
        if self._head_metrics and self._inner is not None and facts.provider_usage is None:
            said = _filled(facts.said, counted(self._head_metrics))
            facts = replace(facts, said=said, provider_usage=verbatim(self._head_metrics))
        return facts if self._error is None else replace(facts, error=self._error)

    def _says_the_same(self, said: Usage) -> bool:
        """Is Bedrock's count, which came last, what a prompt's vendor said in running totals? (Command R's tokens are
        not those that Bedrock bills.)"""
        by_bedrock = counted(self._metrics)
        return self._grammar is Grammar.PLAIN and (said.input_tokens, said.output_tokens) == (
            by_bedrock.input_tokens,
            by_bedrock.output_tokens,
        )

    def _account_for(self, document: Any) -> Account:
        self._grammar = response_grammar(document)
        match self._grammar:
            case Grammar.MESSAGES:
                self._inner = MessageAccount(status=self._status)
            case Grammar.CONVERSE:
                self._inner = ConverseAccount(status=self._status)
            case Grammar.CHAT:
                self._inner = ChatAccount(status=self._status)
            case Grammar.PLAIN:
                self._inner = PlainAccount()
        return self._inner


def _filled(said: Usage, counted_by_bedrock: Usage) -> Usage:
    """The vendor's figures, those it does not say from Bedrock's count."""
    if said.input_tokens is not None:
        return replace(said, output_tokens=counted_by_bedrock.output_tokens)
    return replace(
        said,
        input_tokens=counted_by_bedrock.input_tokens,
        output_tokens=counted_by_bedrock.output_tokens,
        cache_read_input_tokens=counted_by_bedrock.cache_read_input_tokens,
        cache_creation_input_tokens=counted_by_bedrock.cache_creation_input_tokens,
    )
