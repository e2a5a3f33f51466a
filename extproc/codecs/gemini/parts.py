"""The parts of a request's contents: how much text, and what is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from extproc.codecs.gemini.proto import ProtoObject, Shape
from extproc.codecs.gemini.shapes import (
    BLOB,
    CODE,
    CODE_RESULT,
    FILE,
    FUNCTION_CALL,
    FUNCTION_RESPONSE,
    FUNCTION_RESPONSE_PART,
    PART,
    TOOL_CALL,
    TOOL_RESPONSE,
    TRANSCRIPTION,
)
from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts, base64_part, media_type_or_none
from extproc.model import UninspectedPart
from extproc.shape import text_size

ABOUT_PARTS = frozenset(
    """thought thoughtSignature videoMetadata mediaResolution mediaProcessing partMetadata speechMetadata
    documentMetadata spreadsheetMetadata audioMetadata""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
"""Fields of a part that say something about it. What is text in them is scanned as any string."""
_NOT_HELD = ABOUT_PARTS | {"text"}
_TEXTS: Mapping[str, tuple[Shape, tuple[str, ...]]] = {
    "executableCode": (CODE, ("code",)),
    "codeExecutionResult": (CODE_RESULT, ("output",)),
    "toolCall": (TOOL_CALL, ("args",)),
    "toolResponse": (TOOL_RESPONSE, ("response",)),
    "audioTranscription": (TRANSCRIPTION, ("text",)),
}
"""What a part holds that is nothing but text, and where."""
_MEDIA_KINDS = ("image", "audio", "video")


def media_kind(media_type: str) -> str:
    """`image`, `audio`, `video`, or `file` for every other media type."""
    kind = media_type.strip().lower().partition("/")[0]
    return kind if kind in _MEDIA_KINDS else "file"


def _only_text(parts: Any) -> str | None:
    """The text of a content that has one part, made of nothing else."""
    part = parts[0] if type(parts) is list and len(parts) == 1 else None
    text = part.get("text") if type(part) is dict and len(part) == 1 else None
    return text if type(text) is str else None


class PartsRead:
    """Counts the text of all parts given, and notes those that are none."""

    def __init__(self) -> None:
        self.text_bytes = 0
        self.uninspected = Parts()

    def read_content(self, content: ProtoObject) -> None:
        """Raises `ClientError` (`invalid_request`, `ambiguous_key`)."""
        if (text := _only_text(content.raw("parts"))) is not None:  # nearly every content
            self.text_bytes += utf8_size(text)
            return
        for part in content.objects("parts", PART):
            if (said := part.text("text")) is not None:
                self.text_bytes += utf8_size(said)
            for name in part:
                if name not in _NOT_HELD:
                    self._read_held(part, name)

    def _read_held(self, part: ProtoObject, name: str) -> None:
        """What a part holds that is not plain text."""
        match name:
            case "inlineData":
                self._read_blob(part, name)
            case "fileData":
                self._read_file(part, name)
            case "functionCall":
                self._read_call(part, name)
            case "functionResponse":
                self._read_response(part, name)
            case _ if (readable := _TEXTS.get(name)) is not None:
                kind, texts = readable
                held = part.object(name, kind)
                self.text_bytes += sum(text_size(held.raw(text)) for text in texts)
            case _:
                self.uninspected.add("unknown", part.pointer(name))

    def _read_blob(self, part: ProtoObject, name: str) -> None:
        blob = part.object(name, BLOB)
        media_type = blob.text("mimeType") or ""
        self.text_bytes += utf8_size(blob.text("displayName") or "")
        self.uninspected.append(
            base64_part(media_kind(media_type), blob.where, blob.text("data") or "", media_type),
        )

    def _read_file(self, part: ProtoObject, name: str) -> None:
        named = part.object(name, FILE)
        media_type = named.text("mimeType") or ""
        named.text("fileUri")
        self.text_bytes += utf8_size(named.text("displayName") or "")
        self.uninspected.append(UninspectedPart(media_kind(media_type), named.where, media_type_or_none(media_type)))

    def _read_call(self, part: ProtoObject, name: str) -> None:
        call = part.object(name, FUNCTION_CALL)
        self.text_bytes += utf8_size(call.text("name") or "") + text_size(call.raw("args"))
        self.text_bytes += text_size(call.raw("partialArgs"))

    def _read_response(self, part: ProtoObject, name: str) -> None:
        answer = part.object(name, FUNCTION_RESPONSE)
        self.text_bytes += utf8_size(answer.text("name") or "") + text_size(answer.raw("response"))
        for inner in answer.objects("parts", FUNCTION_RESPONSE_PART):
            for held in inner:
                if held == "inlineData":
                    self._read_blob(inner, held)
                elif held == "fileData":
                    self._read_file(inner, held)
                elif held not in ABOUT_PARTS:
                    self.uninspected.add("unknown", inner.pointer(held))
