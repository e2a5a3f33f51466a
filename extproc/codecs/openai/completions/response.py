"""What a text completion amounts to, plain or streamed.

A choice has `text` instead of a message (Mistral's fill-in-the-middle a message all the same); everything else is as in
a chat completion, so its account reads it. Writer gives neither ids nor reasons nor usage, and streams bare pieces:
`data: {"value": "Sure"}`.
"""

from __future__ import annotations

from typing import Any

from extproc.dialects.openai_chat.response import ChatAccount
from extproc.framing.tolerant_json import utf8_size
from extproc.shape import as_text


class CompletionAccount(ChatAccount):
    """An `extproc.accounting.Account`."""

    def take_chunk(self, chunk: dict[str, Any]) -> None:
        super().take_chunk(chunk)
        self._text_bytes += utf8_size(as_text(chunk.get("value")))

    def take_choice(self, choice: dict[str, Any], place: int) -> None:
        super().take_choice(choice, place)
        self._text_bytes += utf8_size(as_text(choice.get("text")))
