"""The apis that Headgate speaks: one file or folder each, one line in `CODECS`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from extproc.codec import Codec
from extproc.codecs import anthropic_messages, opaque, openai_chat
from extproc.model import Call

CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        codec.api: codec
        for codec in (
            openai_chat.CODEC,
            anthropic_messages.CODEC,
            opaque.CODEC,  # last: it matches everything
        )
    }
)


def codec_for(call: Call) -> Codec:
    """The first codec that matches; `opaque` when no other does."""
    return next(codec for codec in CODECS.values() if codec.matches(call))
