"""Addresses of the Bedrock runtime (Amazon Bedrock API reference): the path names the model and the operation.

    /model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse
    /model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.amazon.nova-lite-v1%3A0/invoke

AWS SDKs escape `:` and `/` of an id, others write them as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from extproc.model import Call

_CALL = re.compile(r"(.*?/model/)([^/]+|arn:[^?#]+)/(converse|converse-stream|invoke|invoke-with-response-stream)")
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")
_NOT_PLAIN = re.compile(rb"[^A-Za-z0-9._~-]")
_SEPARATORS = re.compile(r"[.:/]")

VENDORS = frozenset(
    """ai21 amazon anthropic cohere deepseek google luma meta minimax mistral moonshot moonshotai nvidia openai qwen
    stability twelvelabs writer xai zai""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
"""First words of Bedrock's model ids, behind the region of an inference profile (`us.`, `eu.`, `apac.`, `global.`)."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    before: str
    """The path in front of the model's id."""
    model: str
    """The id or ARN, as it is without escapes."""
    operation: str

    @property
    def is_stream(self) -> bool:
        return self.operation.endswith("stream")

    def path_for(self, model: str) -> str:
        """The path asking for another model, escaped as SigV4 wants it."""
        escaped = _NOT_PLAIN.sub(lambda match: b"%%%02X" % match[0][0], model.encode())
        return f"{self.before}{escaped.decode()}/{self.operation}"


def model_call(call: Call) -> ModelCall | None:
    """What a call's path says; None when it is no call of a model."""
    is_possible = call.method == "POST" and "/model/" in call.path  # asked for every call that is not Bedrock's, too
    match = _CALL.fullmatch(call.path) if is_possible else None
    if match is None:
        return None
    return ModelCall(match[1], _unescaped(match[2]), match[3])


def vendor_of(model: str) -> str | None:
    """Whose model an id or ARN names; None where it does not say (an application's inference profile, an import)."""
    words = _SEPARATORS.split(model.rpartition("/")[2] or model)
    named = next((word for word in words if word in VENDORS), None)
    return named or next((word for word in _SEPARATORS.split(model) if word in VENDORS), None)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
