"""Cohere's API, v1 and v2."""

from __future__ import annotations

from extproc.codec import Codec

CODECS: tuple[Codec, ...] = ()
