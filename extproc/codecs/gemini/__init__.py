"""Google's Gemini API and Vertex AI."""

from __future__ import annotations

from extproc.codec import Codec
from extproc.codecs.gemini.count_tokens import CountTokens
from extproc.codecs.gemini.embed_content import EmbedContent
from extproc.codecs.gemini.generate_content import GenerateContent
from extproc.codecs.gemini.interactions import Interactions
from extproc.codecs.gemini.models import Models

CODECS: tuple[Codec, ...] = (GenerateContent(), CountTokens(), EmbedContent(), Models(), Interactions())
