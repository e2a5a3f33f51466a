"""`bedrock.converse`: Converse and ConverseStream of the Bedrock runtime."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.bedrock.bedrock_codec import BedrockCodec
from extproc.codecs.bedrock.paths import model_call
from extproc.dialects.converse.conversation import read_conversation
from extproc.dialects.converse.request import read_request
from extproc.dialects.converse.response import ConverseAccount
from extproc.framing.response_body import StreamFormat
from extproc.model import Call, Conversation, RequestFacts


class BedrockConverse(BedrockCodec):
    api = "bedrock.converse"
    operations = "converse"

    def request(self, document: Any, call: Call) -> RequestFacts:
        facts = read_request(document)
        named = model_call(call)
        return facts if named is None else replace(facts, model=named.model, stream=named.is_stream)

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        return AccountingDecoder(
            ConverseAccount(status=status), status=status, request=request, stream_format=StreamFormat.EVENTSTREAM
        )

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return read_conversation(request_body, response_body)
