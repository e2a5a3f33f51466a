"""Azure OpenAI's paths, in which the deployment stands for the model."""

from __future__ import annotations

import re

_NAMED_IN_PATH = re.compile(r"/(?:deployments|engines)/([^/]+)/[^/]+(?:/[^/]+)?")


def model_in_path(path: str) -> str | None:
    """The model that the path names, where that is what the provider goes by, whatever the body says (Azure OpenAI REST
    reference: `/openai/deployments/{deployment-id}/chat/completions`)."""
    named = _NAMED_IN_PATH.search(path)
    return named[1] if named is not None else None
