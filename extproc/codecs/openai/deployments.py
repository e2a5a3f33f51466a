"""Paths in which a name stands for the model: Azure OpenAI's deployments, Databricks' serving endpoints, and Mistral's
models on Vertex AI."""

from __future__ import annotations

import re

_NAMED_IN_PATH = re.compile(
    r"/(?:deployments|engines)/([^/]+)/[^/]+(?:/[^/]+)?"
    r"|/serving-endpoints/([^/]+)/invocations"
    r"|/publishers/mistralai/models/([^/:]+):(?:rawPredict|streamRawPredict)"
)
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def model_in_path(path: str) -> str | None:
    """The model that the path names, where that is what the provider goes by, whatever the body says (Azure OpenAI REST
    reference: `/openai/deployments/{deployment-id}/chat/completions`; Databricks REST reference, "Query a serving
    endpoint": `/serving-endpoints/{name}/invocations`; Vertex AI, "Mistral AI models": `:rawPredict`)."""
    named = _NAMED_IN_PATH.search(path)
    return named[named.lastindex or 0] if named is not None else None


def with_model_in_path(path: str, model: str) -> str | None:
    """`path` with another model's name, escaped as RFC 3986 §2.1 wants it; None where it names no model."""
    named = _NAMED_IN_PATH.search(path)
    if named is None:
        return None
    start, end = named.span(named.lastindex or 0)
    escaped = "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in model.encode())
    return f"{path[:start]}{escaped}{path[end:]}"
