"""`ollama.chat` and `ollama.generate`: text, streamed as JSON lines unless it is told not to."""

from __future__ import annotations

from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.ollama import conversation
from extproc.codecs.ollama.request import read_chat, read_generate
from extproc.codecs.ollama.response import OllamaAccount
from extproc.codecs.ollama.shared import OllamaCodec
from extproc.framing.response_body import StreamFormat
from extproc.model import Call, Conversation, RequestFacts


class _Generating(OllamaCodec):
    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        account = OllamaAccount(status=status)
        return AccountingDecoder(account, status=status, request=request, stream_format=StreamFormat.NDJSON)


class OllamaChat(_Generating):
    api = "ollama.chat"
    operation: str | None = "chat"
    path_ends = ("/api/chat",)

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        return read_chat(document)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return conversation.read_chat(request_body, response_body)


class OllamaGenerate(_Generating):
    api = "ollama.generate"
    operation: str | None = "text_completion"
    path_ends = ("/api/generate",)

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        return read_generate(document)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return conversation.read_generate(request_body, response_body)
