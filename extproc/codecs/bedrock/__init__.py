"""Amazon Bedrock's runtime."""

from __future__ import annotations

from extproc.codec import Codec
from extproc.codecs.bedrock.converse import BedrockConverse
from extproc.codecs.bedrock.invoke_model import BedrockInvokeModel

CODECS: tuple[Codec, ...] = (BedrockConverse(), BedrockInvokeModel())
