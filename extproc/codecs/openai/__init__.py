"""OpenAI's APIs, as OpenAI defined them and many others speak them."""

from __future__ import annotations

from extproc.codec import Codec
from extproc.codecs.openai.chat import OpenAiChat

CODECS: tuple[Codec, ...] = (OpenAiChat(),)
