"""`anthropic.messages`: the Messages API, at Anthropic and wherever Claude is served in its own words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.anthropic.anthropic_codec import AnthropicCodec
from extproc.codecs.anthropic.paths import is_messages, model_in_path, streams_by_path, with_model_in_path
from extproc.codecs.anthropic.recognition import looks_like_messages
from extproc.dialects.anthropic_messages.conversation import read_conversation
from extproc.dialects.anthropic_messages.request import read_request
from extproc.dialects.anthropic_messages.response import MessageAccount
from extproc.model import Call, Conversation, RequestFacts


class AnthropicMessages(AnthropicCodec):
    api = "anthropic.messages"
    operation: str | None = "chat"

    def matches(self, call: Call) -> bool:
        """Under any prefix, and only this call: not `…/messages/count_tokens`, not batches."""
        return is_messages(call)

    def recognises(self, document: Any, call: Call) -> bool:
        return looks_like_messages(document, call)

    def request(self, document: Any, call: Call) -> RequestFacts:
        facts = read_request(document)
        if (named := model_in_path(call.path)) is None:
            return facts
        return replace(facts, model=named, stream=facts.stream or streams_by_path(call.path))

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        return AccountingDecoder(MessageAccount(status=status), status=status, request=request)

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        path = with_model_in_path(call.path, model)
        return super().with_model(call, body, model) if path is None else (path, body)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return read_conversation(request_body, response_body)
