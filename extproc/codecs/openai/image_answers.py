"""What an answer with images amounts to, whole or streamed.

    {"created": 1, "data": [{"b64_json": "…" | "url": "…", "revised_prompt": "…"}], "output_format": "png",
     "usage": {"input_tokens": 50, "output_tokens": 4160, "total_tokens": 4210, "input_tokens_details": {…}}}

    event: image_generation.partial_image   data: {"type": …, "b64_json": "…", "partial_image_index": 0}
    event: image_generation.completed       data: {"type": …, "b64_json": "…", "usage": {…}}     `image_edit.…` likewise

No answer names its model. Models that are billed by the image say nothing of usage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from extproc.answer import AnswerAccount
from extproc.codecs.openai.results import read_usage
from extproc.dialects.openai_chat.errors import read_error
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import utf8_size
from extproc.media import media_type_or_none
from extproc.model import Part, Usage
from extproc.shape import as_count, as_list, as_name, as_object, as_text

_COMPLETED = ".completed"
_DONE = b"[DONE]"


class ImageAccount(AnswerAccount):
    """An `extproc.accounting.Account`."""

    def take_event(self, event: StreamEvent) -> None:
        data = event.data.strip()
        if data and data != _DONE:
            document = as_object(tolerant_json.loads(data))
            kind = as_name(document.get("type"))
            self._take(document)
            self.terminal = self.terminal or kind.endswith(_COMPLETED)
            if self._error is None and (event.type == b"error" or kind == "error"):
                self._error = read_error(document)

    def take_document(self, document: Any) -> None:
        self._take(as_object(document))
        if self._error is None and not self._succeeded:
            self._error = read_error(document)

    def _said(self) -> Usage:
        return _read_usage(self._usage)

    def _take(self, document: dict[str, Any]) -> None:
        self._model = as_name(document.get("model")) or self._model
        self._id = as_name(document.get("id")) or self._id
        self._usage = as_object(document.get("usage")) or self._usage
        for image in _images(document):
            self._text_bytes += utf8_size(as_text(image.get("revised_prompt")))
        if document.get("error"):
            self._error = read_error(document)


def image_parts(body: bytes | None) -> Iterator[Part]:
    """The images of a stored answer, without their data, each after the prompt that was made of the caller's."""
    for answer, _ in ResponseBody().documents(body):
        document = as_object(answer)
        media_type = media_type_or_none(f"image/{as_name(document.get('output_format'))}")
        for image in _images(document):
            if revised := as_text(image.get("revised_prompt")):
                yield Part("text", revised)
            yield Part("image", media_type=media_type)


def _read_usage(usage: dict[str, Any]) -> Usage:
    """Output without details is all images: newer models also write, and then say how much of it is what."""
    said = read_usage(usage)
    details = as_object(usage.get("output_tokens_details"))
    drawn = as_count(details.get("image_tokens")) if details else said.output_tokens
    return replace(said, output_image_tokens=drawn)


def _images(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The finished images in a document or event."""
    if as_name(document.get("type")).endswith(_COMPLETED):
        return [document]
    return [as_object(image) for image in as_list(document.get("data"))]
