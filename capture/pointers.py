"""JSON Pointers for the facts tree: where a finding is, without the names that a client made up.

A pointer into tool arguments or a JSON schema can hold anybody's text as an object key, even the very value that was
found. In `facts` every name that is not one of the APIs' own reads `*`; the full pointer is in the content tree.
"""

from __future__ import annotations

_API_NAMES = frozenset(
    (
        "messages",
        "system",
        "content",
        "text",
        "role",
        "name",
        "input",
        "arguments",
        "function",
        "tool_calls",
        "tool_call_id",
        "tools",
        "tool_choice",
        "parameters",
        "input_schema",
        "description",
        "properties",
        "type",
        "source",
        "data",
        "url",
        "image_url",
        "file",
        "file_id",
        "file_data",
        "filename",
        "input_audio",
        "audio",
        "thinking",
        "reasoning",
        "reasoning_content",
        "refusal",
        "metadata",
        "user",
        "stop",
        "prompt",
        "suffix",
        "instructions",
        "response_format",
        "json_schema",
        "schema",
        "id",
        "title",
        "media_type",
        "cache_control",
        "prediction",
        "documents",
        "citations",
        "context",
        "items",
        "enum",
        "default",
        "contents",
        "parts",
        "choices",
        "message",
        "delta",
        "output",
        "tool_use_id",
        "partial_json",
        "custom",
        "stop_sequences",
    )
)
_SEGMENTS_MAX = 64


def public_pointer(pointer: str) -> str:
    """RFC 6901 in, the same with `*` for foreign names out; a trailing `#key` mark is kept."""
    body, mark, key = pointer.rpartition("#")
    path, suffix = (body, "#key") if mark and key == "key" else (pointer, "")
    segments = path.split("/")[: _SEGMENTS_MAX + 1]
    return "/".join([segments[0][:0], *map(_public, segments[1:])]) + suffix


def _public(segment: str) -> str:
    if segment in _API_NAMES or (segment.isascii() and segment.isdigit() and len(segment) <= 7):
        return segment
    return "*"
