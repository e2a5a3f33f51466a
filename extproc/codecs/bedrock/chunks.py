"""The events of InvokeModelWithResponseStream: a `chunk` whose payload wraps the vendor's own event.

    {"bytes": "<base64 of the vendor's JSON>", "p": "abcdefgh"}          `p` is padding

The last of them brings what Bedrock counted, as a member of the vendor's event:

    "amazon-bedrock-invocationMetrics": {"inputTokenCount": 8, "outputTokenCount": 35, "invocationLatency": 715, …}

An answer that is no stream has these figures in its headers (Amazon Bedrock API reference, "InvokeModel"; what AWS'
own SDKs and LangChain read there):

    x-amzn-bedrock-input-token-count: 8
    x-amzn-bedrock-output-token-count: 35
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.model import Usage
from extproc.shape import as_count, as_object, as_text

METRICS = "amazon-bedrock-invocationMetrics"
GUARDRAIL_ACTION = "amazon-bedrock-guardrailAction"
CHUNK = b"chunk"

_COUNTED: Mapping[str, str] = {
    "x-amzn-bedrock-input-token-count": "inputTokenCount",
    "x-amzn-bedrock-output-token-count": "outputTokenCount",
    "x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokenCount",
    "x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokenCount",
}
_COUNT = re.compile(r"[0-9]{1,12}")


def unwrapped(event: StreamEvent) -> bytes:
    """The vendor's event in a `chunk`. Raises `ValueError` when there is none."""
    wrapped = as_text(as_object(tolerant_json.loads(event.data)).get("bytes"))
    return base64.b64decode(wrapped, validate=True)


def with_openai_names(document: Any) -> Any:
    """Mistral's chat on Bedrock says `stop_reason` where all others say `finish_reason`."""
    body = as_object(document)
    choices = body.get("choices")
    if type(choices) is not list:
        return document
    return {**body, "choices": [_with_finish_reason(choice) for choice in choices]}


def _with_finish_reason(choice: Any) -> Any:
    if type(choice) is not dict or "finish_reason" in choice or "stop_reason" not in choice:
        return choice
    return {**choice, "finish_reason": choice["stop_reason"]}


def metrics_in(headers: Mapping[str, str]) -> dict[str, Any]:
    """What Bedrock counted of an answer that is no stream, by the names that its streams have for it."""
    return {
        metric: int(told)
        for header, metric in _COUNTED.items()
        if (told := headers.get(header)) is not None and _COUNT.fullmatch(told)
    }


def counted(metrics: dict[str, Any]) -> Usage:
    """What Bedrock counted, as OTel GenAI counts: `inputTokenCount` leaves out what the cache held."""
    uncached = as_count(metrics.get("inputTokenCount"))
    cache_read = as_count(metrics.get("cacheReadInputTokenCount"))
    cache_write = as_count(metrics.get("cacheWriteInputTokenCount"))
    return Usage(
        input_tokens=None if uncached is None else uncached + (cache_read or 0) + (cache_write or 0),
        output_tokens=as_count(metrics.get("outputTokenCount")),
        cache_read_input_tokens=cache_read,
        cache_creation_input_tokens=cache_write,
    )
