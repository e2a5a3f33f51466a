"""Ollama's own API; the other one that it serves is OpenAI's. What lists and loads models stays opaque."""

from __future__ import annotations

from extproc.codec import Codec
from extproc.codecs.ollama.embed import OllamaEmbed
from extproc.codecs.ollama.generating import OllamaChat, OllamaGenerate

CODECS: tuple[Codec, ...] = (OllamaChat(), OllamaGenerate(), OllamaEmbed())
