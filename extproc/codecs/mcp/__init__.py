"""The Model Context Protocol over streamable HTTP."""

from __future__ import annotations

from extproc.codec import Codec
from extproc.codecs.mcp.codec import Mcp

CODECS: tuple[Codec, ...] = (Mcp(),)
