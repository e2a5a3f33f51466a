"""`gemini.generate_content`: Google's models, plain and streamed, on the Gemini API, Vertex AI and Firebase."""

from __future__ import annotations

from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.gemini.conversation import read_conversation
from extproc.codecs.gemini.google_codec import GoogleCodec, target_of
from extproc.codecs.gemini.request import STREAM_METHOD, read_request
from extproc.codecs.gemini.response import GenerateAccount
from extproc.framing.response_body import StreamFormat
from extproc.model import Call, Conversation, RequestFacts
from extproc.shape import as_list, as_object


class GenerateContent(GoogleCodec):
    api = "gemini.generate_content"
    operation: str | None = "generate_content"
    methods = frozenset({"generateContent", STREAM_METHOD})

    def recognises(self, document: Any, call: Call) -> bool:
        """Contents made of parts, under an address of somebody's own."""
        contents = as_list(as_object(document).get("contents"))
        return call.method == "POST" and bool(contents) and all("parts" in as_object(item) for item in contents)

    def request(self, document: Any, call: Call) -> RequestFacts:
        return read_request(document, target_of(call))

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del content_type  # the bytes tell
        account = GenerateAccount(status=status, is_vertex=target_of(call).is_vertex)
        return AccountingDecoder(account, status=status, request=request, stream_format=StreamFormat.JSON_ARRAY)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        return read_conversation(request_body, response_body, target_of(call))
