"""Parts of a request that no detector reads, as facts: what they are, where, how large. Shared by the codecs."""

from __future__ import annotations

import re

from extproc.errors import ClientError
from extproc.model import UninspectedPart

PARTS_MAX = 10_000
"""Uninspected parts in one request; each is kept with its place, so more are refused."""

_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]{1,64}/[a-z0-9.+-]{1,64}")
_DATA_URL_HEAD_CHARS_MAX = 512


class Parts(list[UninspectedPart]):
    """The uninspected parts of one request, in order. Raises `ClientError` beyond `PARTS_MAX`."""

    def append(self, part: UninspectedPart) -> None:
        if len(self) >= PARTS_MAX:
            raise ClientError("invalid_request", f"the request holds more than {PARTS_MAX} parts that are not text")
        super().append(part)

    def add(self, kind: str, field: str) -> None:
        self.append(UninspectedPart(kind, field))


def base64_part(kind: str, field: str, data: str, media_type: str) -> UninspectedPart:
    """A part whose bytes stand in the body. A `media_type` that is none, the client's text, is left out."""
    named = media_type.lower()
    return UninspectedPart(kind, field, named if _MEDIA_TYPE.fullmatch(named) else None, len(data))


def url_part(kind: str, field: str, url: str) -> UninspectedPart:
    """A part by URL: a `data:` URL (RFC 2397) holds it, any other says where it lies."""
    if url[:5].lower() != "data:":
        return UninspectedPart(kind, field)
    head, comma, _ = url[:_DATA_URL_HEAD_CHARS_MAX].partition(",")
    media_type = head[5:].split(";")[0].lower()
    known = media_type if _MEDIA_TYPE.fullmatch(media_type) else None
    return UninspectedPart(kind, field, known, len(url) - len(head) - len(comma))
