"""Ollama's own API."""

from __future__ import annotations

from extproc.codec import Codec

CODECS: tuple[Codec, ...] = ()
