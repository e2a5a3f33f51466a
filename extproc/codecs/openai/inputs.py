"""What embeddings, moderations and rerankers are given to read: texts, token ids, parts of text and media. Strictly.

    "text" | ["text", …]                                     OpenAI and all who speak it
    [9906, 1917] | [[9906, 1917], …]                         OpenAI, vLLM: token ids, which nobody reads as text
    [{"text": "…"}, {"image": "https://… or base64"}]        Jina, Azure's model inference
    [{"content": [{"type": "text", …}, {"type": "image_url", …}]}]   Voyage, OpenRouter, vLLM
    [{"type": "text", …}, {"type": "image_url", …}]          OpenAI's moderations: the parts of one input
    [{"role": "user", "content": "…"}, …]                    Mistral's chat moderations

Sources: the providers' API references, "Create embeddings", "Create moderation", "Rerank".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts, base64_part, url_part
from extproc.model import UninspectedPart
from extproc.shape import Fields, as_list, as_object, invalid, text_size
from extproc.usage import BYTES_PER_TOKEN

DEPTH_MAX = 4
"""Lists in lists: a batch of conversations of messages of parts."""
_RAW_BASE64_CHARS_MIN = 128
"""A shorter string that is no URL is taken for a name or a mistake, and stays text to the detectors."""

_MEDIA_KINDS = {
    "image": "image",
    "image_url": "image",
    "image_base64": "image",
    "input_image": "image",
    "audio": "audio",
    "audio_url": "audio",
    "input_audio": "audio",
    "video": "video",
    "video_url": "video",
    "video_base64": "video",
    "pdf": "file",
    "file": "file",
}
"""The type of a part, or the key of an untyped one → what it holds."""
_TEXT_TYPES = frozenset({"text", "input_text"})
_KEYS = frozenset({"type", "text", "content", *_MEDIA_KINDS})


def media_kind(name: str) -> str | None:
    """`image`, `audio`, `video` or `file` for a part's type, or the key of an untyped part; else None."""
    return _MEDIA_KINDS.get(name)


def media_part(kind: str, field: str, held: Any) -> UninspectedPart:
    """The part at `field` that `held` says: a URL, a data URL, bare base64, or an object with one of them in it."""
    inner = as_object(held)
    for key in ("url", "image_url", "data", "file_data"):
        if type(inner.get(key)) is str:
            held = inner[key]
    if type(held) is not str:
        return UninspectedPart(kind if inner else "unknown", field)
    if held[:5].lower() == "data:" or "://" in held[:16] or len(held) < _RAW_BASE64_CHARS_MIN:
        return url_part(kind, field, held)
    return base64_part(kind, field, held, "")


def is_token_ids(value: Any) -> bool:
    """A text that the client has cut into tokens itself. Looks at the first element: a list is of one kind."""
    return type(value) is list and bool(value) and type(value[0]) is int


def grouped(value: Any) -> list[list[Any]]:
    """The single inputs of a batch, each as its parts: typed parts side by side are one input."""
    if type(value) is not list or is_token_ids(value):
        return [] if value is None else [[value]]
    if value and "type" in as_object(value[0]):
        return [value]
    return [[item] for item in value]


class Inputs:
    """Collects what one request gives to read. Raises `ClientError` as it goes."""

    def __init__(self) -> None:
        self.count = 0
        """Single inputs, each of which gets a vector or a verdict of its own."""
        self.text_bytes = 0
        self.parts = Parts()

    def read(self, body: Fields, key: str) -> None:
        """All inputs in the member `key`: one or a batch."""
        value = body.raw(key)
        if type(value) not in (str, list, dict):
            raise invalid(body.named(key), "a string or a list")
        self.count += len(grouped(value))
        self._read(value, body, key, f"/{key}", depth=0)

    def add_text(self, text: str | None) -> None:
        self.text_bytes += utf8_size(text or "")

    def add_media(self, body: Fields, key: str, kind: str) -> None:
        """The media in the member `key`, one or a list."""
        held = body.raw(key)
        if held is None:
            return
        for field, item in _each(held, f"/{key}"):
            self.parts.append(media_part(kind, field, item))

    def _read(self, value: Any, holder: Fields, key: str | tuple[str, int], where: str, *, depth: int) -> None:
        if type(value) is str:
            self.text_bytes += utf8_size(value)
        elif is_token_ids(value):
            self.parts.add("unknown", where)
            self.text_bytes += len(value) * BYTES_PER_TOKEN  # what estimates take for that many tokens
        elif type(value) is list:
            if depth >= DEPTH_MAX:
                self.parts.add("unknown", where)
                return
            name = key if type(key) is str else key[0]
            for index, item in enumerate(value):
                self._read(item, holder, (name, index), f"{where}/{index}", depth=depth + 1)
        elif type(value) is dict:
            self._read_object(Fields(value, holder, key), value, where, depth)
        else:
            name = key if type(key) is str else key[0]
            raise invalid(holder.named(name), "text, or a list of texts, token ids or objects")

    def _read_object(self, item: Fields, members: dict[str, Any], where: str, depth: int) -> None:
        item.refuse_lookalikes(_KEYS)
        kind = item.text("type")
        if kind is not None and kind not in _TEXT_TYPES:
            media = media_kind(kind)
            self.parts.append(
                UninspectedPart("unknown", where) if media is None else media_part(media, where, members.get(kind))
            )
            return
        item.text("text")
        for key, value in members.items():
            if key == "content" and type(value) is not str:
                if type(value) not in (list, type(None)):
                    raise invalid(item.named(key), "a string or a list of parts")
                self._read(value or [], item, key, f"{where}/{key}", depth=depth + 1)
            elif value is not None and (media := media_kind(key)) is not None:
                self.parts.append(media_part(media, f"{where}/{key}", value))
            elif key not in ("type", "role"):
                self.text_bytes += text_size(value)  # a document's own fields (`rank_fields`) are read as well


def _each(held: Any, where: str) -> Iterator[tuple[str, Any]]:
    if type(held) is not list:
        yield where, held
    for index, item in enumerate(as_list(held)):
        yield f"{where}/{index}", item
