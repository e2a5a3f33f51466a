"""Reads a Converse request strictly (Amazon Bedrock API reference, "Converse"; Amazon Nova user guide, "Complete
request schema").

A block is a union: its one member says what it is (`{"text": …}`, `{"image": …}`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts, base64_part
from extproc.model import RequestFacts, UninspectedPart
from extproc.shape import Fields, as_object, as_text, as_word, invalid, text_size
from extproc.steering import Parameters, Steering, is_setting

KNOWN_KEYS = frozenset(
    """additionalModelRequestFields additionalModelResponseFieldPaths guardrailConfig inferenceConfig messages
    outputConfig performanceConfig promptVariables requestMetadata schemaVersion serviceTier system
    toolConfig""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_MESSAGE_KEYS = frozenset({"role", "content"})
_INFERENCE_KEYS = frozenset(
    """maxTokens max_new_tokens max_tokens temperature topP top_p topK top_k stopSequences""".split()  # noqa: SIM905 (as above)
)
_TOOL_KEYS = frozenset({"toolSpec", "systemTool", "cachePoint", "name"})

_LIMIT_KEYS = ("maxTokens", "max_new_tokens", "max_tokens")
"""Nova's InvokeModel took `max_new_tokens` first, and takes Converse's word since."""
_INFERENCE_NUMBERS = ("topP", "top_p", "topK", "top_k")

_STEERING = Steering("serviceTier.type performanceConfig.latency outputConfig.effort")
_THINKING = Steering(
    """thinking.type thinking.budget_tokens thinking.maxReasoningEffort reasoning_config.type
    reasoning_config.budget_tokens reasoning_config.maxReasoningEffort reasoningConfig.type
    reasoningConfig.budget_tokens reasoningConfig.maxReasoningEffort"""
)

_TEXT_MEMBERS = frozenset(
    {"text", "toolUse", "json", "citationsContent", "searchResult", "toolAddition", "toolRemoval"}
)
"""Members whose strings are all text that the model reads."""
MEDIA_KINDS: Mapping[str, str] = {"image": "image", "video": "video", "audio": "audio", "document": "file"}
_IGNORED_MEMBERS = frozenset({"cachePoint", "type"})
"""Neither text nor media. Some SDKs write a `type` beside the member."""
_BLOCK_KEYS = frozenset(
    {*_TEXT_MEMBERS, *MEDIA_KINDS, *_IGNORED_MEMBERS, "toolResult", "guardContent", "reasoningContent"}
)
BLOCKS_DEEP_MAX = 8
"""Blocks within blocks (an image in a tool's result); deeper ones are called unknown, so uninspected."""

_DOCUMENT_TYPES: Mapping[str, str] = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}
_FORMAT_NAMES: Mapping[str, str] = {"jpg": "jpeg", "three_gp": "3gpp", "mov": "quicktime", "mkv": "x-matroska"}


def media_type(member: str, media_format: str) -> str:
    """The media type of a block's `format`: `image/png`, `application/pdf`; empty where it says none."""
    if not media_format:
        return ""
    if member == "document":
        return _DOCUMENT_TYPES.get(media_format, "")
    return f"{member}/{_FORMAT_NAMES.get(media_format, media_format)}"


def read_request(document: Any) -> RequestFacts:
    """The facts but for model and stream, which the path says. `messages` may be missing: a stored prompt has its own.

    Raises `ClientError` (`invalid_request`, `ambiguous_key`).
    """
    body = Fields(document)
    body.refuse_lookalikes(KNOWN_KEYS)
    text = _Text()
    text.read_blocks(body, "system", "/system", depth=0)
    has_system_text = text.size_bytes > 0
    count = 0
    for index, message in body.objects("messages"):
        count += 1
        message.refuse_lookalikes(_MESSAGE_KEYS)
        has_system_text |= message.text("role") == "system"
        text.read_blocks(message, "content", f"/messages/{index}/content", depth=0)
    for key in ("toolConfig", "additionalModelRequestFields", "promptVariables", "outputConfig"):
        text.size_bytes += text_size(body.raw(key))
    inference = body.fields("inferenceConfig")
    inference.refuse_lookalikes(_INFERENCE_KEYS)
    limits = [limit for key in _LIMIT_KEYS if (limit := inference.integer(key)) is not None]
    return RequestFacts(
        max_output_tokens=max(limits, default=None),
        temperature=inference.number("temperature"),
        tools=tool_names(body),
        message_count=count,
        has_system_text=has_system_text,
        text_bytes=text.size_bytes,
        uninspected_parts=tuple(text.parts),
        asks_stream_usage=True,
        parameters=_parameters(body, inference),
    )


def tool_names(body: Fields) -> tuple[str, ...]:
    """The client's tools and those of Bedrock by name; the vendor's own (`additionalModelRequestFields`) by type."""
    names: list[str] = []
    for _, tool in body.fields("toolConfig").objects("tools"):
        tool.refuse_lookalikes(_TOOL_KEYS)
        if tool.raw("toolSpec") is not None or tool.raw("systemTool") is not None:
            for key in ("toolSpec", "systemTool"):
                if tool.raw(key) is not None:
                    named = tool.fields(key)
                    named.refuse_lookalikes(_TOOL_KEYS)
                    names.append(named.text("name") or key)
        elif tool.raw("cachePoint") is None:
            names.append("unknown")
    additional = body.raw("additionalModelRequestFields")
    if type(additional) is dict and type(additional.get("tools")) is list:
        for _, tool in body.fields("additionalModelRequestFields").objects("tools"):
            names.append(tool.text("type") or tool.text("name") or "unknown")
    return tuple(names)


def _parameters(body: Fields, inference: Fields) -> Parameters:
    found = _STEERING.of(body.members)
    for key in _INFERENCE_NUMBERS:
        if (number := inference.number(key)) is not None:
            found[key] = number
    choice = body.fields("toolConfig").raw("toolChoice")
    if type(choice) is dict and (word := as_word(next(iter(choice), None))) is not None:
        found["toolChoice"] = word
    additional = as_object(body.raw("additionalModelRequestFields"))
    return found | {key: value for key, value in additional.items() if is_setting(value)} | _THINKING.of(additional)


class _Text:
    """Counts the text of a request and notes what is none."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.parts = Parts()

    def read_blocks(self, holder: Fields, key: str, where: str, *, depth: int) -> None:
        """The list of blocks at `key`. A string is no list, but there is nothing to mistake in one."""
        content = holder.raw(key)
        if type(content) is str:
            self.size_bytes += utf8_size(content)
            return
        if content is not None and type(content) is not list:
            raise invalid(holder.named(key), "a list of blocks")
        for index, item in enumerate(content or ()):
            if type(item) is dict and len(item) == 1 and type(text := item.get("text")) is str:  # nearly every block
                self.size_bytes += utf8_size(text)
            else:
                self._read_block(Fields(item, holder, (key, index)), item, f"{where}/{index}", depth)

    def _read_block(self, block: Fields, item: dict[str, Any], where: str, depth: int) -> None:
        block.refuse_lookalikes(_BLOCK_KEYS)
        for member in item:
            self._read_member(block, item, member, where, depth)

    def _read_member(self, block: Fields, item: dict[str, Any], member: str, where: str, depth: int) -> None:
        if member in MEDIA_KINDS:
            self._read_media(block.fields(member), member, where, depth)
        elif member == "toolResult":
            if depth >= BLOCKS_DEEP_MAX:
                self.parts.add("unknown", where)
            else:
                self.read_blocks(block.fields(member), "content", f"{where}/toolResult/content", depth=depth + 1)
        elif member == "guardContent":
            guarded = block.fields(member)
            self.size_bytes += utf8_size(guarded.fields("text").text("text") or "")
            if guarded.raw("image") is not None:
                self._read_media(guarded.fields("image"), "image", where, depth)
        elif member == "reasoningContent":
            self.size_bytes += utf8_size(block.fields(member).fields("reasoningText").text("text") or "")
        elif member == "text":
            self.size_bytes += utf8_size(block.text("text") or "")
        elif member in _TEXT_MEMBERS:
            self.size_bytes += text_size(item[member])
        elif member not in _IGNORED_MEMBERS:
            self.parts.add("unknown", where)

    def _read_media(self, media: Fields, member: str, where: str, depth: int) -> None:
        """An image, a video, a sound, a document: in the body, in S3, or (a document) as plain text."""
        kind = MEDIA_KINDS[member]
        for key in ("name", "context"):
            self.size_bytes += utf8_size(media.text(key) or "")
        source = media.fields("source")
        if source.raw("text") is not None:
            self.size_bytes += utf8_size(source.text("text") or "")
        elif source.raw("content") is not None and depth < BLOCKS_DEEP_MAX:
            self.read_blocks(source, "content", f"{where}/{member}/source/content", depth=depth + 1)
        elif source.raw("bytes") is not None:
            named = media_type(member, as_text(media.raw("format")))
            self.parts.append(base64_part(kind, where, source.text("bytes") or "", named))
        else:
            self.parts.append(UninspectedPart(kind, where))
