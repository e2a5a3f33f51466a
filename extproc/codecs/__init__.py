"""The apis that Headgate speaks: one file or folder each, one line in `CODECS`."""

from __future__ import annotations

import re
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


_PLAIN_PATH = re.compile(r"(?:/[A-Za-z0-9._:@+~-]+)+")
"""The paths of every api here. What stands behind an escape, `;` or an empty segment, the next server may cut off or
read in another way: such a call is spoken in no api that we know."""


def codec_for(call: Call) -> Codec:
    """The first codec that matches; `opaque` when no other does."""
    if _PLAIN_PATH.fullmatch(call.path) is None:
        return opaque.CODEC
    return next(codec for codec in CODECS.values() if codec.matches(call))
