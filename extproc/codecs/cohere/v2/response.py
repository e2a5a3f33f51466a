"""What a v2 chat answer amounts to, plain or streamed.

Traps, each with a recording in tests/codecs: `billed_units` beside `tokens`; `cached_tokens` outside of both; a plan
for the tools that is no content; calls that are an object in a stream and a list elsewhere; an error in `message-end`.
The answer does not name its model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.answer import AnswerAccount
from extproc.codecs.cohere.errors import ERROR, is_error, read_error, stream_error
from extproc.codecs.cohere.usage import normalised
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import Usage
from extproc.shape import as_list, as_name, as_object, as_text

_DONE = b"[DONE]"
_TEXT_KEYS = ("text", "thinking")


class ChatAccount(AnswerAccount):
    """An `extproc.accounting.Account`."""

    def take_event(self, event: StreamEvent) -> None:
        data = event.data.strip()
        if data == _DONE:
            self.terminal = True
            return
        if not data:
            return
        chunk = as_object(tolerant_json.loads(data))
        delta = as_object(chunk.get("delta"))
        message = as_object(delta.get("message"))
        if chunk.get("type") == "content-delta":  # nearly all events are
            self._take_content(message)
            return
        self._id = self._id or as_name(chunk.get("id"))
        self._take_message(message)
        if chunk.get("type") == "message-end":
            self.terminal = True
            self._take_end(delta)
        elif self._error is None and (event.type == b"error" or is_error(chunk)):
            self._error = read_error(chunk)

    def take_document(self, document: Any) -> None:
        answer = as_object(document)
        if is_error(answer) or not self._succeeded:
            self._error = read_error(answer)
            return
        self._id = as_name(answer.get("id"))
        self._take_message(as_object(answer.get("message")))
        self._take_end(answer)

    def _said(self) -> Usage:
        return normalised(self._usage)

    def _take_end(self, told: dict[str, Any]) -> None:
        self._finish_reason = as_name(told.get("finish_reason"))
        self._usage = as_object(told.get("usage")) or self._usage
        if told.get("error") or self._finish_reason == ERROR:
            self._error = stream_error(told.get("error"), self._finish_reason)

    def _take_message(self, message: dict[str, Any]) -> None:
        """A whole message, or what one event adds to it."""
        self._text_bytes += utf8_size(as_text(message.get("tool_plan")))
        self._take_content(message)
        for call in called(message):
            function = as_object(call.get("function"))
            self._text_bytes += utf8_size(as_text(function.get("arguments")))
            if name := as_name(function.get("name")):
                self._name_call(name)

    def _take_content(self, message: dict[str, Any]) -> None:
        content = message.get("content")
        for part in (content,) if type(content) is dict else content_parts(message):
            for key in _TEXT_KEYS:
                if type(text := part.get(key)) is str:
                    self._text_bytes += utf8_size(text)


def content_parts(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of a message, or the one that an event adds to; a text by itself is a part too."""
    content = message.get("content")
    if type(content) is str:
        yield {"type": "text", "text": content}
    elif type(content) is dict:
        yield content
    else:
        for part in as_list(content):
            yield {"type": "text", "text": part} if type(part) is str else as_object(part)


def called(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The tool calls of a message, or the one that an event begins or adds to."""
    calls = message.get("tool_calls")
    yield from map(as_object, [calls] if type(calls) is dict else as_list(calls))
