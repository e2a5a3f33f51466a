"""Cohere's API, v1 and v2."""

from __future__ import annotations

from extproc.codec import Codec
from extproc.codecs.cohere.embed import EmbedV1, EmbedV2
from extproc.codecs.cohere.rerank import RerankV1, RerankV2
from extproc.codecs.cohere.v1.chat import ChatV1
from extproc.codecs.cohere.v1.generate import Generate
from extproc.codecs.cohere.v2.chat import ChatV2

CODECS: tuple[Codec, ...] = (ChatV2(), ChatV1(), Generate(), EmbedV2(), EmbedV1(), RerankV2(), RerankV1())
