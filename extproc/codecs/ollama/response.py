"""What an answer of Ollama amounts to: one object, or one on each line of a stream.

    {"model": "…", "message": {"role": "assistant", "content": "Hel"}, "done": false}          `/api/chat`
    {"model": "…", "response": "Hel", "done": false}                                           `/api/generate`
    {"model": "…", "done": true, "done_reason": "stop", "prompt_eval_count": 17, "eval_count": 50, …}
    {"error": "…"}                                                       also after a status of 200, in mid-stream

Sources: Ollama's docs/api.md; `server/routes.go` for the error in a stream.
"""

from __future__ import annotations

from typing import Any

from extproc.answer import AnswerAccount
from extproc.codecs.ollama.shared import figures, read_error, usage_of
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.model import Usage
from extproc.shape import as_list, as_name, as_object, as_text, json_text


class OllamaAccount(AnswerAccount):
    """An `extproc.accounting.Account`."""

    def take_event(self, event: StreamEvent) -> None:
        self._take(as_object(tolerant_json.loads(event.data)))

    def take_document(self, document: Any) -> None:
        self._take(as_object(document))

    def _said(self) -> Usage:
        return usage_of(self._usage)

    def _take(self, line: dict[str, Any]) -> None:
        self._model = as_name(line.get("model")) or self._model
        if (error := read_error(line)) is not None:
            self._error = error
            self.terminal = True  # nothing follows it
        message = as_object(line.get("message"))
        for text in (line.get("response"), line.get("thinking"), message.get("content"), message.get("thinking")):
            self._text_bytes += utf8_size(as_text(text))
        for call in as_list(message.get("tool_calls")) + as_list(line.get("tool_calls")):
            called = as_object(as_object(call).get("function"))
            if name := as_name(called.get("name")):
                self._name_call(name)
            if (arguments := called.get("arguments")) is not None:
                self._text_bytes += utf8_size(json_text(arguments))
        self._finish_reason = as_name(line.get("done_reason")) or self._finish_reason
        if said := figures(line):
            self._usage = said
        if line.get("done") is True:
            self.terminal = True
