"""Requests that are forms (`multipart/form-data`), read as if they were JSON: `framing.multipart` gives every field as
text, and the apis say which of them are numbers and flags."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from extproc.codecs.openai.inputs import media_part
from extproc.errors import ClientError
from extproc.framing import multipart, tolerant_json
from extproc.media import Parts
from extproc.model import Call, UninspectedPart
from extproc.shape import Fields, as_object, as_text, invalid

_FORM = "multipart/form-data"
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?(?:[eE][-+]?[0-9]{1,2})?")
_FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
"""What FastAPI's servers take for a flag, in any case; `true` and `false` are what SDKs send."""
_FIRST_LINE_BYTES_MAX = 128


def is_form(call: Call) -> bool:
    """Does the call's header say that its body is a form?"""
    return (call.content_type or "").lstrip().lower().startswith(_FORM)


def typed(
    document: Any, call: Call, *, integers: frozenset[str], numbers: frozenset[str], flags: frozenset[str]
) -> Any:
    """`document` with the named fields of a form as what they mean; JSON stays as it is. Raises `ClientError`
    (`invalid_request`) for a field that is none."""
    if not is_form(call) or type(document) is not dict:
        return document
    meant: dict[str, Any] = {}
    for key, value in document.items():
        if type(value) is not str:
            meant[key] = value
        elif key in integers:
            if not _INTEGER.fullmatch(value):
                raise invalid(key, "an integer")
            meant[key] = int(value)
        elif key in numbers:
            if not _NUMBER.fullmatch(value):
                raise invalid(key, "a number")
            meant[key] = float(value)
        elif key in flags:
            if value.lower() not in _FLAGS:
                raise invalid(key, "true or false")
            meant[key] = _FLAGS[value.lower()]
        else:
            meant[key] = value
    return meant


def file_part(kind: str, field: str, held: Any) -> UninspectedPart:
    """A file of a form; where the body is JSON, a URL, an id or base64."""
    size = as_object(held).get("size_bytes")
    if type(size) is int:
        media_type = held.get("media_type")
        return UninspectedPart(kind, field, media_type if type(media_type) is str else None, size)
    return media_part(kind, field, held)


def file_parts(kind: str, body: Fields, keys: Iterable[str]) -> Parts:
    """The files in the members `keys`, one or a list in each."""
    parts = Parts()
    for key in keys:
        held = body.raw(key)
        if type(held) is list:
            for index, item in enumerate(held):
                parts.append(file_part(kind, f"/{key}/{index}", item))
        elif held is not None:
            parts.append(file_part(kind, f"/{key}", held))
    return parts


def stored(body: bytes | None) -> dict[str, Any]:
    """The fields of a stored request, form or JSON; none where it cannot be read. A form names its boundary in its
    first line, and one that was cut off is read without what it lacks."""
    if not body or not body.startswith(b"--"):
        return as_object(tolerant_json.loads_or_none(body))
    boundary = body[:_FIRST_LINE_BYTES_MAX].partition(b"\r\n")[0][2:].decode("latin-1")
    content_type = f'{_FORM}; boundary="{boundary}"'
    end = f"\r\n--{boundary}--\r\n".encode("latin-1")
    for candidate in (body, body + end):
        try:
            return multipart.parse(candidate, content_type)
        except ClientError:
            continue
    return {}


def text_of(value: Any) -> str:
    """A field's text, or what a list of fields says, one below the other."""
    return "\n".join(map(as_text, value)) if type(value) is list else as_text(value)
