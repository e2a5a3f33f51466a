"""`openai.models`: which models there are, as OpenAI and all who speak its apis list them.

Only reading: `DELETE …/models/X` destroys a tuned model, so it stays opaque and needs the leave that such calls need.
"""

from __future__ import annotations

import re
from typing import Any

from extproc.accounting import Metering
from extproc.codecs.openai.result_codec import ResultCodec
from extproc.model import Call, Message, RequestFacts

_PATH = re.compile(r"(?:/[^/]+)*/(?:v1|openai)/models(?:/.+)?|/models(?:/.+)?")
_OTHER_HOSTS = ("anthropic.com", "googleapis.com", "cohere.com", "cohere.ai")
_OPENAI_WORDS = "/openai/"
"""Google serves lists of its own and, below this, OpenAI's."""


class OpenAiModels(ResultCodec):
    api = "openai.models"
    metering = Metering.NOTHING

    def matches(self, call: Call) -> bool:
        """The list, or one model, whose name may have slashes. Others have these paths too: host and header tell."""
        if call.method != "GET" or "anthropic-version" in call.hints or _PATH.fullmatch(call.path) is None:
            return False
        is_others = any(call.host == host or call.host.endswith("." + host) for host in _OTHER_HOSTS)
        return not is_others or _OPENAI_WORDS in call.path

    def read(self, document: Any, call: Call) -> RequestFacts:
        """What a GET brings along, nobody reads."""
        del document, call
        return RequestFacts()

    def messages(self, document: dict[str, Any]) -> tuple[Message, ...]:
        del document
        return ()

    def with_model(self, call: Call, body: bytes, model: str) -> tuple[str, bytes]:
        del call, body, model
        raise LookupError("a list of models asks for none")
