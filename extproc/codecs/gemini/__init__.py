"""Google's Gemini API and Vertex AI."""

from __future__ import annotations

from extproc.codec import Codec

CODECS: tuple[Codec, ...] = ()
