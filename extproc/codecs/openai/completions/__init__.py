"""`openai.completions`: text completions as OpenAI defined them, and vLLM, Together and Writer speak them."""

from __future__ import annotations

import re
from typing import Any

from extproc.accounting import AccountingDecoder
from extproc.codec import ResponseDecoder
from extproc.codecs.openai.completions.conversation import read_conversation
from extproc.codecs.openai.completions.request import read_request
from extproc.codecs.openai.completions.response import CompletionAccount
from extproc.codecs.openai.deployments import model_in_path
from extproc.codecs.openai.family import CompletingCodec
from extproc.model import Call, Conversation, RequestFacts

_PATH = re.compile(r"(?:.*/(?:v\d[a-z0-9]*|beta|openai|api|(?:deployments|engines)/[^/]+))?(?:/fim)?/completions")
"""Under a version or a deployment, not after any word: what is not quite `chat` must not be read as something else."""


class OpenAiCompletions(CompletingCodec):
    api = "openai.completions"
    operation: str | None = "text_completion"

    def matches(self, call: Call) -> bool:
        """`/v1`, `/inference/v1`, DeepSeek's `/beta`, Azure's `/openai/deployments/X`, Mistral's `/v1/fim`."""
        return call.method == "POST" and _PATH.fullmatch(call.path) is not None

    def request(self, document: Any, call: Call) -> RequestFacts:
        return read_request(document, named=model_in_path(call.path))

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type  # the bytes tell
        return AccountingDecoder(CompletionAccount(status=status), status=status, request=request)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del call
        return read_conversation(request_body, response_body)
