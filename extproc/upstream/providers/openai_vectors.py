"""Embeddings, moderations and the list of models (platform.openai.com/docs/api-reference)."""

from __future__ import annotations

import base64
import re
import struct

from extproc.upstream.answers import CREATED_S, RESOLVED_MODELS, Json, answer_id, resolved, vector
from extproc.upstream.endpoint import Endpoint, Question, Reply, whole
from extproc.upstream.providers.openai_chat import refuse

CATEGORIES = ("harassment", "hate", "illicit", "self-harm", "sexual", "violence")
DIMENSIONS_MAX = 4096


def _embeddings(question: Question) -> Reply:
    body = question.body
    asked = body["input"]
    inputs = [asked] if isinstance(asked, str) or all(isinstance(token, int) for token in asked) else asked
    size = body.get("dimensions", 3)
    size = size if isinstance(size, int) and 1 <= size <= DIMENSIONS_MAX else 3
    listed = [
        {"object": "embedding", "index": index, "embedding": _embedding(str(text), size, body.get("encoding_format"))}
        for index, text in enumerate(inputs)
    ]
    usage = {"prompt_tokens": question.input_tokens, "total_tokens": question.input_tokens}
    return whole({"object": "list", "data": listed, "model": resolved(question.model), "usage": usage})


def _embedding(text: str, size: int, encoding: object) -> list[float] | str:
    """Numbers, or the base64 of little-endian float32 that OpenAI's own SDK asks for."""
    numbers = vector(text, size)
    return base64.b64encode(struct.pack(f"<{size}f", *numbers)).decode() if encoding == "base64" else numbers


def _moderations(question: Question) -> Reply:
    asked = question.body["input"]
    result: Json = {
        "flagged": False,
        "categories": dict.fromkeys(CATEGORIES, False),
        "category_scores": dict.fromkeys(CATEGORIES, 0.001),
        "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
    }
    count = len(asked) if isinstance(asked, list) and all(isinstance(text, str) for text in asked) else 1
    model = question.model if "model" in question.body else "omni-moderation-latest"
    return whole({"id": answer_id("modr-", question.request.body), "model": model, "results": [result] * count})


def _models(question: Question) -> Reply:
    del question
    return whole({"object": "list", "data": [_model(name) for name in RESOLVED_MODELS]})


def _one_model(question: Question) -> Reply:
    return whole(_model(question.model))


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": CREATED_S, "owned_by": "simulated"}


ENDPOINTS = (
    Endpoint("POST", re.compile(r"/embeddings$"), _embeddings, refuse, wants="input"),
    Endpoint("POST", re.compile(r"/moderations$"), _moderations, refuse, wants="input"),
    Endpoint("GET", re.compile(r"/v1/models$"), _models, refuse),
    Endpoint("GET", re.compile(r"/v1/models/(?P<model>[^/]+)$"), _one_model, refuse),
)
