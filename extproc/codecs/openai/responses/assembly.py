"""The output items of a stored response: those of a plain answer, or those put together from a stream's events.

The terminal event repeats all output, `response.output_item.done` one whole item. Only of what was cut off before that,
the deltas are put together: which field of which item they add to is `_DELTAS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from extproc.codecs.openai.responses.response import FINAL_STATUSES
from extproc.framing.response_body import ResponseBody
from extproc.shape import as_list, as_name, as_object, as_text

_DELTAS: Mapping[str, tuple[str, str, str]] = {
    "response.output_text.delta": ("message", "content", "output_text"),
    "response.refusal.delta": ("message", "content", "refusal"),
    "response.output_audio_transcript.delta": ("message", "content", "output_text"),
    "response.audio.transcript.delta": ("message", "content", "output_text"),
    "response.reasoning_text.delta": ("reasoning", "content", "reasoning_text"),
    "response.reasoning_summary_text.delta": ("reasoning", "summary", "summary_text"),
    "response.function_call_arguments.delta": ("function_call", "arguments", ""),
    "response.mcp_call_arguments.delta": ("mcp_call", "arguments", ""),
    "response.mcp_call.arguments.delta": ("mcp_call", "arguments", ""),
    "response.custom_tool_call_input.delta": ("custom_tool_call", "input", ""),
    "response.code_interpreter_call_code.delta": ("code_interpreter_call", "code", ""),
    "response.code_interpreter_call.code.delta": ("code_interpreter_call", "code", ""),
}
"""Event → (type of the item, the item's key, type of the part in the list there or "" for a string)."""

_Slot = tuple[str, int, str]
"""The item's key, the part's index in the list there, the part's type."""


@dataclass(slots=True)
class _Item:
    """One item as it is put together."""

    item: dict[str, Any] = field(default_factory=dict)
    is_whole: bool = False
    pieces: dict[_Slot, list[str]] = field(default_factory=dict)

    def assembled(self) -> dict[str, Any]:
        if self.is_whole:
            return self.item
        whole = dict(self.item)
        for (key, _, kind), texts in sorted(self.pieces.items()):
            text = "".join(texts)
            if not kind:
                whole[key] = text
            else:
                part = {"type": kind, "refusal" if kind == "refusal" else "text": text}
                whole[key] = [*as_list(whole.get(key)), part]
        return whole


@dataclass(slots=True)
class _Response:
    """One response of a stream."""

    response_id: str = ""
    items: dict[Any, _Item] = field(default_factory=dict)
    output: list[Any] = field(default_factory=list)

    def take(self, kind: str, body: dict[str, Any]) -> None:
        if kind.startswith("response.output_item."):
            built = self._item(body)
            built.is_whole = built.is_whole or kind.endswith(".done")
            if built.is_whole or not built.item:
                built.item = as_object(body.get("item"))
        elif kind in _DELTAS:
            item_type, key, part_type = _DELTAS[kind]
            built = self._item(body)
            built.item = built.item or {"type": item_type, "id": body.get("item_id"), "role": "assistant"}
            index = body.get("summary_index" if key == "summary" else "content_index")
            slot = (key, index if type(index) is int else 0, part_type)
            built.pieces.setdefault(slot, []).append(_text_of(body.get("delta")))

    def all_items(self) -> list[Any]:
        if self.output:
            return self.output
        ordered = sorted(self.items.items(), key=lambda entry: entry[0] if type(entry[0]) is int else -1)
        return [built.assembled() for _, built in ordered]

    def _item(self, body: dict[str, Any]) -> _Item:
        index = body.get("output_index")
        named = as_name(body.get("item_id")) or as_name(as_object(body.get("item")).get("id"))
        return self.items.setdefault(index if type(index) is int else named, _Item())


def output_items(body: bytes | None) -> list[Any]:
    """In order. Of several responses in one body (some record the turns of a run so) one after the other."""
    responses = [_Response()]
    for held, event in ResponseBody().documents(body):
        document = as_object(held)
        if event is None:
            return as_list(document.get("output"))
        kind = as_text(document.get("type")) or event.type.decode("ascii", "replace")
        if type(response := document.get("response")) is dict:
            current = responses[-1]
            response_id = as_name(response.get("id"))
            if response_id and current.response_id and response_id != current.response_id:
                responses.append(current := _Response())
            current.response_id = response_id or current.response_id
            if as_name(response.get("status")) in FINAL_STATUSES:
                current.output = as_list(response.get("output"))
        else:
            responses[-1].take(kind, document)
    return [item for response in responses for item in response.all_items()]


def _text_of(delta: Any) -> str:
    return delta if type(delta) is str else as_text(as_object(delta).get("text"))
