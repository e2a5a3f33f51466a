"""Anthropic's APIs."""

from __future__ import annotations

from extproc.codec import Codec
from extproc.codecs.anthropic.messages import AnthropicMessages

CODECS: tuple[Codec, ...] = (AnthropicMessages(),)
