"""Documents that a request brings along for the model to cite: text, read by it, said by nobody in the conversation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.framing.tolerant_json import utf8_size
from extproc.model import Message, Part
from extproc.shape import Fields, as_list, as_object, invalid, json_text, text_size

DOCUMENTS_ROLE = "system"
"""Whose words documents count as: given by the application, and no turn of the conversation."""


def documents_size(body: Fields, key: str = "documents") -> tuple[int, int]:
    """(how many, UTF-8 bytes of all their text). Raises `ClientError` when they are not texts or objects."""
    documents = body.raw(key)
    if documents is None:
        return 0, 0
    if type(documents) is not list:
        raise invalid(body.named(key), "a list of strings or objects")
    size = 0
    for document in documents:
        if type(document) is not str and type(document) is not dict:
            raise invalid(body.named(key), "a list of strings or objects")
        size += utf8_size(document) if type(document) is str else text_size(document)
    return len(documents), size


def document_text(document: Any) -> str:
    """What a document says: its text, or all it holds as JSON when that is more than a text."""
    if type(document) is str:
        return document
    data = as_object(document).get("data", document)
    if type(data) is str:
        return data
    fields = as_object(data)
    only = next(iter(fields.values())) if len(fields) == 1 else None
    return only if type(only) is str else json_text(data)


def document_messages(request: dict[str, Any]) -> Iterator[Message]:
    """The documents of a stored request, as one message when there are any."""
    parts = tuple(Part("file", document_text(document)) for document in as_list(request.get("documents")))
    if parts:
        yield Message(DOCUMENTS_ROLE, parts)
