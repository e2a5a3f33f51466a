"""The simulated providers: a module for each API or family, a line in `ENDPOINTS` for each module."""

from __future__ import annotations

from collections.abc import Callable

from extproc.upstream.endpoint import Endpoint, Question, Reply
from extproc.upstream.http import Request
from extproc.upstream.providers import (
    anthropic,
    bedrock,
    cohere,
    gemini,
    mcp,
    ollama,
    openai_chat,
    openai_completions,
    openai_media,
    openai_responses,
    openai_vectors,
)

ENDPOINTS: tuple[Endpoint, ...] = (
    *anthropic.ENDPOINTS,
    *gemini.ENDPOINTS,
    *openai_chat.ENDPOINTS,
    *openai_responses.ENDPOINTS,
    *openai_completions.ENDPOINTS,
    *openai_vectors.ENDPOINTS,
    *openai_media.ENDPOINTS,
    *bedrock.ENDPOINTS,
    *cohere.ENDPOINTS,
    *ollama.ENDPOINTS,
    *mcp.ENDPOINTS,
)
"""The first that takes a request answers it: those that ask for a header stand before those of the same path."""


def found(request: Request) -> tuple[Endpoint, Question] | None:
    """The endpoint that a request is for, and the request as it reads it."""
    for endpoint in ENDPOINTS:
        question = endpoint.question(request)
        if question is not None:
            return endpoint, question
    return None


def refusal(request: Request) -> Callable[[int, str], Reply]:
    """How a request that no endpoint takes is refused."""
    return anthropic.refuse if "anthropic-version" in request.headers else openai_chat.refuse
