"""`anthropic.models`: which models there are (Anthropic API reference, "List Models").

Others list theirs at the same path: it is Anthropic's by its host, or by the header that its clients must send.
"""

from __future__ import annotations

import re
from typing import Any

from extproc.codecs.anthropic.anthropic_codec import PlainAnswerCodec
from extproc.codecs.anthropic.paths import is_anthropics
from extproc.model import Call, Conversation, RequestFacts

_PATH = re.compile(r"(?:/[^/]+)*/v1/models(?:/[^/]+)?")


class AnthropicModels(PlainAnswerCodec):
    api = "anthropic.models"

    def matches(self, call: Call) -> bool:
        return call.method == "GET" and _PATH.fullmatch(call.path) is not None and is_anthropics(call)

    def request(self, document: Any, call: Call) -> RequestFacts:
        del document, call  # what a GET brings along, nobody reads
        return RequestFacts()

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        del call, body, model
        raise LookupError("a list of models asks for none")

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call, request_body, response_body
        return Conversation()
