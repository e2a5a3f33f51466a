"""Anthropic's APIs."""

from __future__ import annotations

from extproc.codec import Codec
from extproc.codecs.anthropic.complete import AnthropicComplete
from extproc.codecs.anthropic.count_tokens import AnthropicCountTokens
from extproc.codecs.anthropic.messages import AnthropicMessages
from extproc.codecs.anthropic.models import AnthropicModels

CODECS: tuple[Codec, ...] = (AnthropicMessages(), AnthropicCountTokens(), AnthropicComplete(), AnthropicModels())
