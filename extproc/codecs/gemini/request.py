"""Reads a request of generateContent, streamGenerateContent or countTokens strictly (Gemini API reference,
"Generating content"; Vertex AI reference, `GenerateContentRequest`)."""

from __future__ import annotations

from typing import Any

from extproc.codecs.gemini.parts import PartsRead
from extproc.codecs.gemini.paths import Target, bare
from extproc.codecs.gemini.proto import ProtoObject
from extproc.codecs.gemini.shapes import (
    CALLING_CONFIG,
    CODE_ASSIST,
    CONTENT,
    FUNCTION,
    GENERATE,
    GENERATION_CONFIG,
    MANUAL_MODE,
    ROUTING_CONFIG,
    THINKING_CONFIG,
    TOOL,
    TOOL_CONFIG,
)
from extproc.model import RequestFacts
from extproc.shape import as_word, invalid, text_size

STREAM_METHOD = "streamGenerateContent"

_NUMBERS = ("topP", "topK", "presencePenalty", "frequencyPenalty")
_INTEGERS = ("logprobs", "seed")
_FLAGS = ("responseLogprobs", "audioTimestamp", "enableEnhancedCivicAnswers")
_SCHEMAS = ("responseSchema", "responseJsonSchema", "_responseJsonSchema", "responseFormat", "stopSequences")
_ANY_INTEGER = -(2**63)


def read_request(document: Any, asked: Target) -> RequestFacts:
    """Raises `ClientError` (`invalid_request`, `ambiguous_key`)."""
    body, model = _body(document, asked)
    if "contents" not in body and asked.method == "countTokens":
        inner = body.object("generateContentRequest", GENERATE)
        model = model or bare(inner.text("model") or "")
        if "contents" in inner:
            body = inner
    if "contents" not in body and "instances" not in body:
        raise invalid("contents", "a list of objects")
    read = PartsRead()
    has_system_text = _read_system(body, read)
    count = 0
    for content in body.objects("contents", CONTENT):
        count += 1
        has_system_text |= content.text("role") == "system"
        read.read_content(content)
    config = body.object("generationConfig", GENERATION_CONFIG)
    read.text_bytes += sum(text_size(config.raw(name)) for name in _SCHEMAS)
    read.text_bytes += text_size(body.raw("tools")) + text_size(body.raw("instances"))
    if body.text("cachedContent"):
        read.uninspected.add("reference", body.pointer("cachedContent"))
    if "instances" in body:  # what models on Vertex AI that are not Google's own read: anything
        read.uninspected.add("unknown", body.pointer("instances"))
    return RequestFacts(
        model=model or None,
        fallback_models=_routed_models(config),
        stream=asked.method == STREAM_METHOD,
        max_output_tokens=config.integer("maxOutputTokens"),
        choices=config.integer("candidateCount", at_least=1) or 1,
        temperature=config.number("temperature"),
        tools=tool_names(body),
        message_count=count,
        has_system_text=has_system_text,
        text_bytes=read.text_bytes,
        uninspected_parts=tuple(read.uninspected),
        asks_stream_usage=True,
        parameters=_parameters(body, config),
    )


def _routed_models(config: ProtoObject) -> tuple[str, ...]:
    """The model that `routingConfig` names in the stead of the path's (Vertex AI reference, `RoutingConfig`)."""
    manual = config.object("routingConfig", ROUTING_CONFIG).object("manualMode", MANUAL_MODE)
    named = bare(manual.text("modelName") or "")
    return (named,) if named else ()


def _body(document: Any, asked: Target) -> tuple[ProtoObject, str]:
    """The request proper and its model: the path's word, where it has one."""
    if not asked.is_code_assist:
        body = ProtoObject(document, GENERATE)
        return body, asked.model or bare(body.text("model") or "")
    holder = ProtoObject(document, CODE_ASSIST)
    body = holder.object("request", GENERATE)
    return body, bare(holder.text("model") or body.text("model") or "")


def _read_system(body: ProtoObject, read: PartsRead) -> bool:
    read.read_content(body.object("systemInstruction", CONTENT))
    return read.text_bytes > 0


def tool_names(body: ProtoObject) -> tuple[str, ...]:
    """Functions by their name, what the provider runs itself by its field (`googleSearch`)."""
    names: list[str] = []
    for tool in body.objects("tools", TOOL):
        for kind in tool:
            if kind == "functionDeclarations":
                names += [function.text("name") or "function" for function in tool.objects(kind, FUNCTION)]
            else:
                names.append(kind)
    return tuple(names)


def _parameters(body: ProtoObject, config: ProtoObject) -> dict[str, float | int | bool | str]:
    thinking = config.object("thinkingConfig", THINKING_CONFIG)
    calling = body.object("toolConfig", TOOL_CONFIG).object("functionCallingConfig", CALLING_CONFIG)
    found: dict[str, float | int | bool | str | None] = {
        **{name: config.number(name) for name in _NUMBERS},
        **{name: config.integer(name, at_least=_ANY_INTEGER) for name in _INTEGERS},
        **{name: config.flag(name) for name in _FLAGS},
        "includeThoughts": thinking.flag("includeThoughts"),
        "thinkingBudget": thinking.integer("thinkingBudget", at_least=-1),  # -1: as much as the model likes
        "thinkingLevel": _word(thinking, "thinkingLevel"),
        "functionCallingMode": _word(calling, "mode"),
        "mediaResolution": _word(config, "mediaResolution"),
        "serviceTier": _word(body, "serviceTier"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _word(holder: ProtoObject, name: str) -> str | None:
    """A word of an enumeration, in lower case as `as_word` wants it; an enumeration may be a number."""
    value = holder.raw(name)
    return as_word(value.lower()) if type(value) is str else None
