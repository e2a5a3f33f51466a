"""The apis that Headgate speaks: a folder for each family, a line in `CODECS` for each folder.

A grammar that more than one family speaks (Claude's messages on Bedrock and Vertex) lives in `extproc.dialects`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from extproc.codec import Codec
from extproc.codecs import anthropic, bedrock, cohere, gemini, mcp, ollama, opaque, openai
from extproc.model import Call

CODECS: Mapping[str, Codec] = MappingProxyType(
    {
        codec.api: codec
        for codec in (
            *openai.CODECS,
            *anthropic.CODECS,
            *gemini.CODECS,
            *bedrock.CODECS,
            *cohere.CODECS,
            *ollama.CODECS,
            *mcp.CODECS,
            opaque.CODEC,  # last: it matches everything
        )
    }
)
"""The first that matches is taken. Where paths of two families could both match, each asks for the host or a header."""
_IN_ORDER = tuple(CODECS.values())

_PLAIN = "[A-Za-z0-9._:@+~-]"
_NO_DOTS = r"(?!.*/\.{1,2}(?:/|$))"
_PLAIN_PATH = re.compile(rf"{_NO_DOTS}(?:/{_PLAIN}+)+")
"""The paths of every api here. What stands behind an escape, `;`, an empty segment or one of dots, the next server may
cut off or read in another way: such a call is spoken in no api that we know."""
_ESCAPED_MODEL_PATH = re.compile(rf"{_NO_DOTS}(?:/{_PLAIN}+)*/model/(?:{_PLAIN}|%3[Aa]|(?<!\.)%2[Ff](?!\.))+/[a-z-]+")
"""The one exception: AWS SDKs escape the `:` and `/` of a model's id or ARN, as SigV4 wants it. No ARN has a dot beside
a slash: what looks like `..` to a server that unescapes too early is no model."""
_DIRECTORY_PATH = re.compile(rf"{_NO_DOTS}(?:/{_PLAIN}+)*/")
"""Only MCP is spoken at the root of a host (`mcp.stripe.com`) or at a path that ends in `/` (`…/mcp/`)."""


def codec_for(call: Call) -> Codec:
    """The first codec that matches; `opaque` when no other does."""
    if _PLAIN_PATH.fullmatch(call.path) is not None:
        for codec in _IN_ORDER:
            if codec.matches(call):
                return codec
    if _ESCAPED_MODEL_PATH.fullmatch(call.path) is not None:
        return next((codec for codec in bedrock.CODECS if codec.matches(call)), opaque.CODEC)
    if _DIRECTORY_PATH.fullmatch(call.path) is not None:
        return next((codec for codec in mcp.CODECS if codec.matches(call)), opaque.CODEC)
    return opaque.CODEC


def recognised(document: Any, call: Call) -> Codec | None:
    """The codec whose bodies look like `document`, for a call that no codec matches; None when there is none.

    For what a path does not say: an MCP endpoint or a chat completion at an address of somebody's own. Policy is told
    that only the body said so (`api_source: body`), because a body can be dressed up.
    """
    return next((codec for codec in CODECS.values() if codec.recognises(document, call)), None)
