"""OpenAI's APIs, as OpenAI defined them and many others speak them."""

from __future__ import annotations

from extproc.codec import Codec
from extproc.codecs.openai.audio import OpenAiAudio
from extproc.codecs.openai.chat import OpenAiChat
from extproc.codecs.openai.completions import OpenAiCompletions
from extproc.codecs.openai.embeddings import OpenAiEmbeddings
from extproc.codecs.openai.images import OpenAiImages
from extproc.codecs.openai.models import OpenAiModels
from extproc.codecs.openai.moderations import OpenAiModerations
from extproc.codecs.openai.rerank import OpenAiRerank
from extproc.codecs.openai.responses import OpenAiResponses

CODECS: tuple[Codec, ...] = (
    OpenAiChat(),
    OpenAiCompletions(),
    OpenAiResponses(),
    OpenAiEmbeddings(),
    OpenAiImages(),
    OpenAiAudio(),
    OpenAiModerations(),
    OpenAiRerank(),
    OpenAiModels(),
)
