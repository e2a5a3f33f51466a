"""What embeddings, moderations and rerankers were given to read, as messages: for people and SQL, so tolerant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.codecs.openai.inputs import DEPTH_MAX, grouped, is_token_ids, media_kind
from extproc.model import Message, Part
from extproc.shape import as_name, as_object, unknown_part


def input_messages(value: Any) -> tuple[Message, ...]:
    """One message for each single input."""
    return tuple(Message(_role(parts), tuple(input_parts(parts))) for parts in grouped(value))


def input_parts(items: list[Any], depth: int = 0) -> Iterator[Part]:
    """The parts of one input. What is no text and no media that we know is kept as its JSON."""
    for item in items:
        if type(item) is str:
            yield Part("text", item)
        elif type(item) is dict and depth < DEPTH_MAX:
            yield from _object_parts(item, depth + 1)
        elif type(item) is list and depth < DEPTH_MAX and not is_token_ids(item):
            yield from input_parts(item, depth + 1)
        else:
            yield unknown_part(item)


def _role(parts: list[Any]) -> str:
    return as_name(as_object(parts[0]).get("role")) or "user" if len(parts) == 1 else "user"


def _object_parts(item: dict[str, Any], depth: int) -> Iterator[Part]:
    content, kind = item.get("content"), as_name(item.get("type"))
    if type(content) is str:
        yield Part("text", content)
    elif type(content) is list:
        yield from input_parts(content, depth)
    elif type(item.get("text")) is str and kind in ("", "text", "input_text"):
        yield Part("text", item["text"])
    media = [media_kind(kind)] if kind else [media_kind(key) for key, held in item.items() if held is not None]
    found = [Part(name) for name in media if name is not None]
    yield from found
    if not found and content is None and type(item.get("text")) is not str:
        yield unknown_part(item)
