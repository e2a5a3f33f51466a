"""`anthropic.count_tokens`: how long a request would be (Anthropic API reference, "Count tokens in a Message").

Its answer, `{"input_tokens": 641}`, is what was asked for and no usage: no model runs and nothing is billed.
"""

from __future__ import annotations

from typing import Any

from extproc.codecs.anthropic.anthropic_codec import PlainAnswerCodec
from extproc.codecs.anthropic.paths import is_count_tokens
from extproc.dialects.anthropic_messages.conversation import read_conversation
from extproc.dialects.anthropic_messages.request import read_request
from extproc.model import Call, Conversation, RequestFacts


class AnthropicCountTokens(PlainAnswerCodec):
    api = "anthropic.count_tokens"

    def matches(self, call: Call) -> bool:
        return is_count_tokens(call)

    def request(self, document: Any, call: Call) -> RequestFacts:
        del call
        return read_request(document)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call, response_body
        return read_conversation(request_body, None)
