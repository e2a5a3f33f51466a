"""Which call a streamed fragment belongs to: providers differ on this more than on anything else."""

from __future__ import annotations

from typing import Any

from extproc.shape import as_list, as_name, as_object, as_text, json_text

CALLS_MAX = 1_024
"""Calls told apart in one response; more are taken for one."""


class CallSlots:
    """Gives each call of a response a number, in order of first appearance.

    A fragment names its call by `index`; by `id` alone (Mistral), repeated in every fragment or not; or by neither,
    when it is a call in one piece (Gemini) or goes on with the last one. Some give all calls index 0 and tell them
    apart by id.
    """

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, Any], int] = {}
        self._ids: dict[tuple[int, Any], str] = {}
        self._last: dict[int, tuple[int, Any]] = {}
        self.names: list[str] = []

    def number(self, choice: int, fragment: dict[str, Any]) -> int:
        """The number of the call that `fragment` is of. Remembers its name."""
        index = fragment.get("index")
        call_id = as_name(fragment.get("id"))
        name = called_name(fragment)
        if type(index) is int:
            key: tuple[int, Any] = (choice, index)
            known_id = self._ids.get(key, "")
            is_new = key not in self._numbers or bool(name and call_id and known_id and call_id != known_id)
        elif call_id:
            key = (choice, call_id)
            is_new = key not in self._numbers
        else:
            key = self._last.get(choice, (choice, None))
            is_new = bool(name) or key not in self._numbers
        if is_new and len(self.names) < CALLS_MAX:
            self._numbers[key] = len(self.names)
            self.names.append("")
        number = self._numbers.get(key, len(self.names) - 1)
        if key in self._numbers:  # what is beyond the limit must not fill our memory under keys of its own
            if call_id:
                self._ids[key] = call_id
            self._last[choice] = key
        if name and not self.names[number]:
            self.names[number] = name
        return number


def calls_in(said: dict[str, Any]) -> list[dict[str, Any]]:
    """The calls, or fragments of calls, in a message or delta: a list, or the one call itself, as Hugging Face's TGI
    streams it."""
    calls = said.get("tool_calls")
    return [calls] if type(calls) is dict and calls else [call for call in as_list(calls) if type(call) is dict]


def called_name(fragment: dict[str, Any]) -> str:
    """The name of the function or custom tool."""
    return as_name(_called(fragment).get("name"))


def called_arguments(fragment: dict[str, Any]) -> str:
    """The arguments (a function's, as JSON text) or the input (a custom tool's), or a piece of them. Some servers of
    open models give the arguments as the object that the text should say."""
    called = _called(fragment)
    arguments = called.get("arguments")
    if type(arguments) is dict:
        return json_text(arguments)
    return as_text(arguments) or as_text(called.get("input"))


def legacy_call(said: dict[str, Any]) -> dict[str, Any] | None:
    """The `function_call` of a message or delta as a fragment; None where it is missing or, as Go writes it, empty."""
    called = as_object(said.get("function_call"))
    return {"index": -1, "function": called} if called.get("name") or called.get("arguments") else None


def _called(fragment: dict[str, Any]) -> dict[str, Any]:
    return as_object(fragment.get("function")) or as_object(fragment.get("custom"))
