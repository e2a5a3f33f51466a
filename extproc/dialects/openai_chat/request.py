"""Reads a chat completions request strictly (OpenAI API reference, "Create chat completion", and its dialects)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from extproc.dialects.openai_chat.parameters import CHAT
from extproc.framing.tolerant_json import utf8_size
from extproc.media import Parts, base64_part, url_part
from extproc.model import RequestFacts
from extproc.shape import Fields, as_list, as_object, as_text, invalid, text_size

KNOWN_KEYS = frozenset(
    """audio data_sources fallbacks frequency_penalty function_call functions logit_bias logprobs max_completion_tokens
    max_tokens messages metadata modalities model models n parallel_tool_calls plugins prediction presence_penalty
    prompt_cache_key provider reasoning reasoning_effort response_format safety_identifier search_parameters seed
    service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity
    web_search_options""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_MESSAGE_KEYS = frozenset({"role", "content", "tool_calls", "function_call", "audio", "images"})
_PART_KEYS = frozenset(
    """type text refusal thinking reasoning content image_url image input_image input_audio audio_url video_url
    input_video document_url file input_file""".split()  # noqa: SIM905 (as above)
)
_TOOL_KEYS = frozenset({"type", "name", "function", "custom"})
_PLAIN_KEYS = frozenset({"role", "content", "tool_call_id"})
_CALL_KEYS = frozenset({"id", "type", "index", "function"})
_FUNCTION_KEYS = frozenset({"name", "arguments"})
"""What messages and calls have that need no second look."""
SYSTEM_ROLES = frozenset({"system", "developer"})

TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal", "thinking", "reasoning", "tool_result"})
_MESSAGE_TEXT_KEYS = ("reasoning_content", "reasoning", "refusal", "name")
_TEXT_KEYS = ("text", "refusal", "thinking", "reasoning", "content")
_MEDIA_KINDS = {
    "image_url": "image",
    "image": "image",
    "input_image": "image",
    "input_audio": "audio",
    "audio_url": "audio",
    "video_url": "video",
    "input_video": "video",
    "document_url": "file",
    "file": "file",
    "input_file": "file",
}
_SCHEME_CHARS_MAX = 16
_INNER_MEDIA_KINDS = {**_MEDIA_KINDS, "document": "file"}
"""A tool's result may hold parts in Anthropic's words."""


def media_kind(part_type: str) -> str | None:
    """`image`, `audio`, `video` or `file` for the type of a part that holds or names media, else None."""
    return _MEDIA_KINDS.get(part_type)


def read_request(document: Any) -> RequestFacts:
    """Raises `ClientError` (`invalid_request`, `ambiguous_key`)."""
    body = Fields(document)
    body.refuse_lookalikes(KNOWN_KEYS)
    if body.raw("messages") is None:
        raise invalid("messages", "a list of objects")
    messages = _Messages()
    for index, item in enumerate(body.listed("messages")):
        if not messages.read_plain(item):
            messages.read(index, Fields(item, body, ("messages", index)))
    stream = body.flag("stream")
    choices = body.integer("n", at_least=1)
    tools = tool_names(body)
    for key in ("tools", "functions", "response_format", "prediction"):
        if (extra := body.raw(key)) is not None:
            messages.text_bytes += text_size(extra)
    return RequestFacts(
        model=body.text("model"),
        fallback_models=fallback_models(body),
        stream=stream,
        max_output_tokens=output_limit(body, "max_completion_tokens", "max_tokens"),
        choices=1 if choices is None else choices,
        temperature=body.number("temperature"),
        tools=tools,
        message_count=messages.count,
        has_system_text=messages.has_system_text,
        text_bytes=messages.text_bytes,
        uninspected_parts=tuple(messages.parts),
        asks_stream_usage=body.fields("stream_options").flag("include_usage"),
        parameters=CHAT.of(body.members),
    )


def fallback_models(body: Fields) -> tuple[str, ...]:
    """Who may answer in the model's stead, by the request's own word: `models` (OpenRouter), `fallbacks` (LiteLLM's
    proxy: names, requests of their own, or lists of names by the name that they stand in for),
    `providerOptions.gateway.models` (Vercel's gateway)."""
    names = list(body.texts("models"))
    for index, item in enumerate(body.listed("fallbacks")):
        if type(item) is str:
            names.append(item)
            continue
        fallback = Fields(item, body, ("fallbacks", index))
        named = fallback.text("model")
        names += [named] if named else [name for key, held in item.items() if held for name in fallback.texts(key)]
    if as_object(as_object(body.raw("providerOptions")).get("gateway")).get("models") is not None:
        names += body.fields("providerOptions").fields("gateway").texts("models")
    return tuple(names)


def output_limit(body: Fields, *keys: str) -> int | None:
    """The largest of the limits that are asked for, so that no budget is too small. None where there is none, which -1
    says to LM Studio and llama.cpp (their own examples send it); others refuse that."""
    limits = [limit for key in keys if (limit := body.integer(key, at_least=-1)) is not None]
    return None if -1 in limits else max(limits, default=None)


def tool_names(body: Fields) -> tuple[str, ...]:
    """Names of functions and custom tools; what the provider runs itself by its type."""
    names: list[str] = []
    for _, tool in body.objects("tools"):
        tool.refuse_lookalikes(_TOOL_KEYS)
        kind = tool.text("type") or "function"
        named = tool.fields(kind) if kind in ("function", "custom") else None
        if named is not None:
            named.refuse_lookalikes(_TOOL_KEYS)
        names.append((named.text("name") if named else None) or tool.text("name") or kind)
    names += [function.text("name") or "function" for _, function in body.objects("functions")]
    return (*names, *optional_tools(body.members))


def optional_tools(request: Mapping[str, Any]) -> Iterator[str]:
    """What the provider searches for an answer because an option says so, named like the tools it runs itself: OpenAI's
    `web_search_options`, xAI's `search_parameters` (which may say `off`), OpenRouter's `plugins`, Azure's
    `data_sources`. Tolerant."""
    live = request.get("search_parameters")
    if request.get("web_search_options") is not None or (live is not None and as_object(live).get("mode") != "off"):
        yield "web_search"
    for key, naming, otherwise in (("plugins", "id", "plugin"), ("data_sources", "type", "data_source")):
        for option in map(as_object, as_list(request.get(key))):
            yield as_text(option.get(naming)) or otherwise


def _plain_call_size(call: Any) -> int:
    """UTF-8 bytes of a function's name and arguments, where a call has nothing else; else 0."""
    function = call.get("function") if type(call) is dict and _CALL_KEYS.issuperset(call) else None
    if type(function) is not dict or not _FUNCTION_KEYS.issuperset(function):
        return 0
    name, arguments = function.get("name"), function.get("arguments")
    return utf8_size(name) + utf8_size(arguments) if type(name) is str and type(arguments) is str else 0


def _any_call_size(call: Fields) -> int:
    return sum(_call_size(call.fields(key)) for key in ("function", "custom"))


def _call_size(called: Fields) -> int:
    return sum(text_size(called.raw(key)) for key in ("name", "arguments", "input"))


class _Messages:
    def __init__(self) -> None:
        self.count = 0
        self.has_system_text = False
        self.text_bytes = 0
        self.parts = Parts()

    def read_plain(self, message: Any) -> bool:
        """Count a message of one text and nothing else, as nearly all are; False for any other."""
        if type(message) is not dict or not _PLAIN_KEYS.issuperset(message):
            return False
        role, content = message.get("role"), message.get("content")
        if type(role) is not str or type(content) is not str:
            return False
        self.count += 1
        self.has_system_text = self.has_system_text or role in SYSTEM_ROLES
        self.text_bytes += utf8_size(content)
        return True

    def read(self, index: int, message: Fields) -> None:
        self.count += 1
        message.refuse_lookalikes(_MESSAGE_KEYS)
        if message.text("role") in SYSTEM_ROLES:
            self.has_system_text = True
        self._read_content(message, index)
        for key in _MESSAGE_TEXT_KEYS:
            if (value := message.raw(key)) is not None:
                self.text_bytes += utf8_size(as_text(value))
        for index_of_call, call in enumerate(message.listed("tool_calls")):
            size = _plain_call_size(call)
            self.text_bytes += size or _any_call_size(Fields(call, message, ("tool_calls", index_of_call)))
        if message.raw("function_call") is not None:
            self.text_bytes += _call_size(message.fields("function_call"))
        for detail in map(as_object, as_list(message.raw("reasoning_details"))):
            self.text_bytes += text_size(detail.get("text")) + text_size(detail.get("summary"))
        if message.raw("audio") is not None:  # an answer that was spoken before, named by its id
            self.parts.add("reference", f"/messages/{index}/audio")
        if message.raw("images") is not None:  # what a model drew before (OpenRouter), or an image in Ollama's way
            self.parts.add("image", f"/messages/{index}/images")

    def _read_content(self, message: Fields, message_index: int) -> None:
        content = message.raw("content")
        if content is None:
            return
        if type(content) is str:
            self.text_bytes += utf8_size(content)
            return
        if type(content) is not list:
            raise invalid(message.named("content"), "a string or a list of parts")
        for index, item in enumerate(content):
            if type(item) is str:
                self.text_bytes += utf8_size(item)
            else:
                part = Fields(item, message, ("content", index))
                self._read_part(part, item, f"/messages/{message_index}/content/{index}")

    def _read_part(self, part: Fields, item: dict[str, Any], where: str) -> None:
        part.refuse_lookalikes(_PART_KEYS)
        kind = part.text("type") or ("text" if type(item.get("text")) is str and len(item) == 1 else "")
        if kind in TEXT_PARTS:
            self.text_bytes += sum(text_size(item.get(key)) for key in _TEXT_KEYS)
            for key in _TEXT_KEYS:
                self._read_inner(item.get(key), f"{where}/{key}")
        elif kind in _MEDIA_KINDS:
            self._read_media(item, kind, where)
        else:
            self.parts.add("unknown", where)

    def _read_inner(self, held: Any, where: str) -> None:
        """Media among the parts that a part of text is made of: a tool's result, a chain of thought."""
        for index, inner in enumerate(as_list(held)):
            kind = _INNER_MEDIA_KINDS.get(as_text(as_object(inner).get("type")).lower())
            if kind is not None:
                self.parts.add(kind, f"{where}/{index}")
            elif type(inner) is dict:
                for key in _TEXT_KEYS:
                    if type(inner.get(key)) is list:
                        self.parts.add("unknown", f"{where}/{index}/{key}")

    def _read_media(self, item: dict[str, Any], part_type: str, where: str) -> None:
        kind = _MEDIA_KINDS[part_type]
        held = item.get(part_type)
        inner = as_object(held)
        if (data := inner.get("data")) is not None and type(data) is str:
            self.parts.append(base64_part(kind, where, data, f"{kind}/{as_text(inner.get('format'))}"))
            return
        if type(held) is str and kind == "audio" and "://" not in held[:_SCHEME_CHARS_MAX] and held[:5] != "data:":
            self.parts.append(base64_part(kind, where, held, ""))  # Mistral
            return
        url = held if type(held) is str else inner.get("url", inner.get("file_data"))
        self.parts.append(url_part(kind, where, as_text(url)))
