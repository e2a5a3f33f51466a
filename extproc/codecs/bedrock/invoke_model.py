"""`bedrock.invoke_model`: InvokeModel of the Bedrock runtime, plain and streamed. Each vendor has bodies of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.bedrock import plain_request
from extproc.codecs.bedrock.bedrock_codec import BedrockCodec
from extproc.codecs.bedrock.bodies import Grammar, request_grammar
from extproc.codecs.bedrock.invoke_conversation import read_conversation
from extproc.codecs.bedrock.invoke_response import InvokeAccount
from extproc.codecs.bedrock.paths import model_call
from extproc.dialects.anthropic_messages.request import read_request as read_messages
from extproc.dialects.converse.request import read_request as read_converse
from extproc.dialects.openai_chat.request import read_request as read_chat
from extproc.framing.response_body import StreamFormat
from extproc.model import Call, Conversation, RequestFacts

_NO_OUTPUT = ("embed", "rerank", "marengo")
"""Words in the ids of models that answer in figures, not in text."""


class BedrockInvokeModel(BedrockCodec):
    api = "bedrock.invoke_model"
    operations = "invoke"

    def request(self, document: Any, call: Call) -> RequestFacts:
        named = model_call(call)
        facts = _read(document, "" if named is None else named.model)
        if named is not None:
            facts = replace(facts, model=named.model, stream=named.is_stream)
        return replace(facts, asks_stream_usage=True)

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del content_type  # the bytes tell
        return AccountingDecoder(
            InvokeAccount(status=status),
            status=status,
            request=request,
            stream_format=StreamFormat.EVENTSTREAM,
            metering=_metering(call, request),
        )

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        named = model_call(call)
        return read_conversation(request_body, response_body, "" if named is None else named.model)


def _read(document: Any, model: str) -> RequestFacts:
    match request_grammar(document, model):
        case Grammar.MESSAGES:
            return read_messages(document)
        case Grammar.CONVERSE:
            return read_converse(document)
        case Grammar.CHAT:
            return read_chat(document)
        case Grammar.PLAIN:
            return plain_request.read_request(document)


def _metering(call: Call, request: RequestFacts) -> Metering:
    named = model_call(call)
    model = "" if named is None else named.model.lower()
    if any(word in model for word in _NO_OUTPUT):
        return Metering.NO_OUTPUT
    return Metering.TEXT if request.image_count is None else Metering.MEDIA_OUT
