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
    return UninspectedPart(kind, field, media_type_or_none(media_type), len(data))


def url_part(kind: str, field: str, url: str) -> UninspectedPart:
    """A part by URL: a `data:` URL (RFC 2397) holds it, any other says where it lies."""
    if url[:5].lower() != "data:":
        return UninspectedPart(kind, field)
    head, comma, _ = url[:_DATA_URL_HEAD_CHARS_MAX].partition(",")
    return UninspectedPart(
        kind, field, media_type_or_none(head[5:].partition(";")[0]), len(url) - len(head) - len(comma)
    )


def media_type_or_none(text: str) -> str | None:
    """`text` in lower case when it is a media type without parameters (RFC 9110 §8.3.1), else None."""
    named = text.strip().lower()
    return named if _MEDIA_TYPE.fullmatch(named) else None
