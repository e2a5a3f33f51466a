"""Amazon Bedrock's runtime."""

from __future__ import annotations

from extproc.codec import Codec

CODECS: tuple[Codec, ...] = ()
