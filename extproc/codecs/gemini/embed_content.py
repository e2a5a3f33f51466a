"""`gemini.embed_content`: vectors of texts, in the three ways that Google has for it.

    :embedContent        {"content": {"parts": [{"text": …}]}}                 Gemini API, and Vertex AI from 2026 on
    :batchEmbedContents  {"requests": [{"model": …, "content": {…}}, …]}      Gemini API
    :predict             {"instances": [{"content": …, "task_type": …}, …]}   Vertex AI, for embedding models only

The Gemini API says nothing of usage; Vertex says `usageMetadata`, or for `predict` the tokens of each instance.
Sources: Gemini API reference, "Embeddings"; Vertex AI reference, "Text embeddings API".
"""

from __future__ import annotations

import re
from typing import Any

from extproc.accounting import AccountingDecoder, Metering
from extproc.codec import ResponseDecoder
from extproc.codecs.gemini.conversation import read_embedded
from extproc.codecs.gemini.google_codec import GoogleCodec, target_of
from extproc.codecs.gemini.parts import PartsRead
from extproc.codecs.gemini.paths import Target, target
from extproc.codecs.gemini.plain_account import PlainAccount
from extproc.codecs.gemini.proto import ProtoObject
from extproc.codecs.gemini.shapes import CONTENT, EMBED, EMBED_INSTANCE
from extproc.codecs.gemini.usage import normalised
from extproc.framing.tolerant_json import utf8_size
from extproc.media import base64_part
from extproc.model import Call, Conversation, RequestFacts, UninspectedPart, Usage
from extproc.shape import TOKENS_MAX, as_count, as_list, as_object, invalid

_EMBEDDING_MODEL = re.compile(r".*(?:embedding|gecko).*")


class EmbedContent(GoogleCodec):
    api = "gemini.embed_content"
    operation: str | None = "embeddings"
    methods = frozenset({"embedContent", "batchEmbedContents"})

    def matches(self, call: Call) -> bool:
        if super().matches(call):
            return True
        asked = target(call.path) if call.method == "POST" else None
        return (
            asked is not None
            and asked.method == "predict"
            and _EMBEDDING_MODEL.fullmatch(asked.model or "") is not None
        )

    def request(self, document: Any, call: Call) -> RequestFacts:
        asked = target_of(call)
        read = PartsRead()
        count = _read_request(ProtoObject(document, EMBED), asked, read)
        return RequestFacts(
            model=asked.model,
            message_count=count,
            text_bytes=read.text_bytes,
            uninspected_parts=tuple(read.uninspected),
        )

    def response(self, *, call: Call, status: int, content_type: str | None, request: RequestFacts) -> ResponseDecoder:
        del call, content_type
        account = _EmbedAccount(status=status)
        return AccountingDecoder(account, status=status, request=request, metering=Metering.NO_OUTPUT)

    def conversation(self, call: Call, request_body: bytes | None, response_body: bytes | None) -> Conversation:
        del response_body
        return read_embedded(request_body, target_of(call).method)


def _read_request(body: ProtoObject, asked: Target, read: PartsRead) -> int:
    """Reads what is to be embedded; the number of texts. Raises `ClientError`."""
    if asked.method == "predict":
        if "instances" not in body:
            raise invalid("instances", "a list of objects")
        return sum(1 for instance in body.objects("instances", EMBED_INSTANCE) if _read_instance(instance, read))
    if asked.method == "embedContent":
        return _read_content(body, read)
    if "requests" not in body:
        raise invalid("requests", "a list of objects")
    return sum(_read_content(one, read) for one in body.objects("requests", EMBED))


def _read_content(holder: ProtoObject, read: PartsRead) -> int:
    if "content" not in holder:
        raise invalid("content", "an object")
    read.text_bytes += utf8_size(holder.text("title") or "")
    read.read_content(holder.object("content", CONTENT))
    return 1


def _read_instance(instance: ProtoObject, read: PartsRead) -> bool:
    """One text, or the text, image or video of a multimodal embedding."""
    for name in instance:
        if name in ("content", "title", "text"):
            read.text_bytes += utf8_size(instance.text(name) or "")
        elif name in ("image", "video"):
            _read_media(instance, name, read)
        elif name not in ("taskType", "mimeType"):
            read.uninspected.add("unknown", instance.pointer(name))
    return True


def _read_media(instance: ProtoObject, kind: str, read: PartsRead) -> None:
    held = as_object(instance.raw(kind))
    data = held.get("bytesBase64Encoded")
    where = instance.pointer(kind)
    if type(data) is str:
        read.uninspected.append(base64_part(kind, where, data, f"{held.get('mimeType') or ''}"))
    else:
        read.uninspected.append(UninspectedPart(kind, where))


class _EmbedAccount(PlainAccount):
    """What was embedded, where the provider says it."""

    def read(self, answer: dict[str, Any]) -> None:
        if metadata := as_object(answer.get("usageMetadata")):
            self.words = metadata
            self.said = Usage(input_tokens=normalised(metadata).input_tokens)
            return
        counts = [
            as_count(as_object(as_object(as_object(prediction).get("embeddings")).get("statistics")).get("token_count"))
            for prediction in as_list(answer.get("predictions"))
        ]
        known = [count for count in counts if count is not None]
        if known:  # each instance has its own: these are not cumulative
            self.said = Usage(input_tokens=min(sum(known), TOKENS_MAX))
            self.words = as_object(answer.get("metadata"))
