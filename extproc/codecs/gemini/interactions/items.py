"""What an interaction is made of, in both of its versions: steps that hold contents, or contents by themselves.

{"type": "user_input", "content": [{"type": "text", "text": …}, {"type": "image", "data": …}]}
{"type": "thought", "summary": [{"type": "text", "text": …}], "signature": …}
{"type": "function_call", "id": …, "name": …, "arguments": {…}}
{"type": "function_result", "call_id": …, "name": …, "result": "…" | {…} | [contents]}
{"role": "user", "content": "…" | [contents]}                                           (first version)
"""

from __future__ import annotations

from typing import Any

MEDIA_KINDS = {"image": "image", "audio": "audio", "video": "video", "document": "file", "file": "file"}
"""Type of a content that is not text → what we call it."""
HOLDERS = frozenset({"user_input", "model_output"})
FUNCTION_CALL = "function_call"
ITEMS_DEEP_MAX = 4
"""Contents within contents (an image in a function's result); deeper ones are unknown."""


def is_content(item: dict[str, Any]) -> bool:
    """Is this one content of a message, and not a message (a step, a turn) itself?"""
    return item.get("type") == "text" or is_media(item)


def is_media(item: dict[str, Any]) -> bool:
    kind = item.get("type")
    return type(kind) is str and kind in MEDIA_KINDS


def is_call(kind: str) -> bool:
    return kind.endswith("_call")


def is_result(kind: str) -> bool:
    return kind.endswith("_result")


def holds_contents(value: Any) -> bool:
    """Is this a list of contents, and not a provider's own data?"""
    return type(value) is list and bool(value) and all(type(item) is dict and is_content(item) for item in value)
