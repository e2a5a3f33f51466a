"""`openai.moderations`: verdicts on texts and images, as OpenAI and Mistral give them."""

from __future__ import annotations

from typing import Any

from extproc.codecs.openai.input_messages import input_messages
from extproc.codecs.openai.inputs import Inputs
from extproc.codecs.openai.result_codec import ResultCodec
from extproc.model import Call, Message, RequestFacts
from extproc.shape import Fields

_PATH_END = "/moderations"
_KNOWN_KEYS = frozenset({"input", "model"})


class OpenAiModerations(ResultCodec):
    api = "openai.moderations"

    def matches(self, call: Call) -> bool:
        """Under any prefix; Mistral's `…/chat/moderations` too, whose input is messages."""
        return call.method == "POST" and call.path.endswith(_PATH_END)

    def read(self, document: Any, call: Call) -> RequestFacts:
        del call
        body = Fields(document)
        body.refuse_lookalikes(_KNOWN_KEYS)
        inputs = Inputs()
        inputs.read(body, "input")
        return RequestFacts(
            model=body.text("model"),
            message_count=inputs.count,
            text_bytes=inputs.text_bytes,
            uninspected_parts=tuple(inputs.parts),
        )

    def messages(self, document: dict[str, Any]) -> tuple[Message, ...]:
        return input_messages(document.get("input"))
