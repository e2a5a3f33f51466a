"""Addresses at which Claude's APIs are served.

/v1/messages, /v1/messages/count_tokens, /v1/complete           Anthropic, and under a prefix Azure's Foundry
                                                                (`/anthropic`), Bedrock's mantle, gateways
…/publishers/anthropic/models/X:rawPredict, :streamRawPredict   Vertex AI: the model stands in the path
…/publishers/anthropic/models/count-tokens:rawPredict           Vertex AI, whose body names the model
"""

from __future__ import annotations

import re

from extproc.model import Call

_VERTEX = re.compile(r"(.*/publishers/anthropic/models/)([^/:]+)(:(?:rawPredict|streamRawPredict))")
_COUNT_TOKENS = "count-tokens"
_ANTHROPIC_HOST = "anthropic.com"
_NOT_PLAIN = re.compile(rb"[^A-Za-z0-9._~@-]")


def is_messages(call: Call) -> bool:
    return call.method == "POST" and (call.path.endswith("/v1/messages") or model_in_path(call.path) is not None)


def is_count_tokens(call: Call) -> bool:
    if call.method != "POST":
        return False
    match = _VERTEX.fullmatch(call.path)
    return call.path.endswith("/v1/messages/count_tokens") or (match is not None and match[2] == _COUNT_TOKENS)


def is_anthropics(call: Call) -> bool:
    """Is a path that others have too Anthropic's? By host, or by the header that its clients must send."""
    is_host = call.host == _ANTHROPIC_HOST or call.host.endswith(f".{_ANTHROPIC_HOST}")
    return is_host or "anthropic-version" in call.hints


def model_in_path(path: str) -> str | None:
    """The model that a path of Vertex AI names; None where the body does."""
    match = _VERTEX.fullmatch(path)
    return None if match is None or match[2] == _COUNT_TOKENS else match[2]


def streams_by_path(path: str) -> bool:
    """Vertex AI streams where the path says so, whatever the body says."""
    return path.endswith(":streamRawPredict")


def with_model_in_path(path: str, model: str) -> str | None:
    """`path` asking for another model; None where it names none."""
    match = _VERTEX.fullmatch(path)
    if match is None or match[2] == _COUNT_TOKENS:
        return None
    escaped = _NOT_PLAIN.sub(lambda found: b"%%%02X" % found[0][0], model.encode()).decode()
    return f"{match[1]}{escaped}{match[3]}"
