"""Google's enumerations by number, as `$alt=json;enum-encoding=int` asks for them.

Sources: `google/ai/generativelanguage/v1beta/generative_service.proto` and
`google/cloud/aiplatform/v1/content.proto`, which agree on the first five finish reasons and on no other.
"""

from __future__ import annotations

from typing import Any

from extproc.shape import as_name

_COMMON = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}
_GEMINI = {6: "LANGUAGE", 7: "BLOCKLIST", 8: "PROHIBITED_CONTENT", 9: "SPII", 10: "MALFORMED_FUNCTION_CALL"}
_VERTEX = {6: "BLOCKLIST", 7: "PROHIBITED_CONTENT", 8: "SPII", 9: "MALFORMED_FUNCTION_CALL", 10: "MODEL_ARMOR"}
_BLOCK_REASONS = {1: "SAFETY", 2: "OTHER", 3: "BLOCKLIST", 4: "PROHIBITED_CONTENT"}


def finish_reason(value: Any, *, is_vertex: bool) -> str:
    """The reason in the api's own words; a number without a name as its digits; "" for none."""
    if type(value) is int:
        return (
            _COMMON.get(value)
            or (_VERTEX if is_vertex else _GEMINI).get(value)
            or (as_name(str(value)) if value else "")
        )
    return "" if value == "FINISH_REASON_UNSPECIFIED" else as_name(value)


def block_reason(value: Any) -> str:
    """Why a prompt was blocked; "" for none."""
    if type(value) is int:
        return _BLOCK_REASONS.get(value) or (as_name(str(value)) if value else "")
    return as_name(value)
