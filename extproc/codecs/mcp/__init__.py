"""The Model Context Protocol over streamable HTTP."""

from __future__ import annotations

from extproc.codec import Codec

CODECS: tuple[Codec, ...] = ()
