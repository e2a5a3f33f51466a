"""Reads a v1 chat request strictly (Cohere API reference, "Chat", API v1)."""

from __future__ import annotations

from extproc.codecs.cohere.documents import documents_size
from extproc.codecs.cohere.words import WORDS
from extproc.framing.tolerant_json import utf8_size
from extproc.model import RequestFacts
from extproc.shape import Fields, invalid, text_size
from extproc.steering import Steering

_KNOWN_KEYS = frozenset(
    """chat_history citation_quality connectors conversation_id documents force_single_step frequency_penalty k
    max_input_tokens max_tokens message model p preamble presence_penalty prompt_truncation raw_prompting
    response_format safety_mode search_queries_only seed stop_sequences stream temperature tool_results
    tools""".split()  # noqa: SIM905 (a text reads better than one line for each word)
)
_STEERING = Steering(
    """citation_quality force_single_step frequency_penalty k max_input_tokens p presence_penalty prompt_truncation
    raw_prompting safety_mode search_queries_only seed response_format.type""",
    WORDS,
)
_HISTORY_KEYS = frozenset({"role", "message", "text", "tool_calls", "tool_results"})
_TOOL_KEYS = frozenset({"name", "description", "parameter_definitions"})
_SYSTEM_ROLE = "system"


def is_system(role: str) -> bool:
    """Roles are written `SYSTEM`; llama-index says `System`."""
    return role.casefold() == _SYSTEM_ROLE


def read_request(document: object) -> RequestFacts:
    """Raises `ClientError` (`invalid_request`, `ambiguous_key`)."""
    body = Fields(document)
    body.refuse_lookalikes(_KNOWN_KEYS)
    message = body.text("message")
    if message is None:
        raise invalid("message", "a string")
    preamble = body.text("preamble")
    count, size, has_system_text = _history(body)
    documents, documents_bytes = documents_size(body)
    results_bytes = sum(text_size(result.raw(key)) for _, result in body.objects("tool_results") for key in _RESULT)
    tools = [_named(tool, "name", "function") for _, tool in body.objects("tools")]
    tools += [_named(connector, "id", "connector") for _, connector in body.objects("connectors")]
    extra = sum(text_size(body.raw(key)) for key in ("tools", "response_format"))
    return RequestFacts(
        model=body.text("model"),
        stream=body.flag("stream"),
        max_output_tokens=body.integer("max_tokens"),
        temperature=body.number("temperature"),
        tools=tuple(tools),
        message_count=count + bool(message) + bool(body.raw("tool_results")) + bool(documents),
        has_system_text=has_system_text or bool(preamble),
        text_bytes=size + utf8_size(message) + utf8_size(preamble or "") + documents_bytes + results_bytes + extra,
        asks_stream_usage=True,  # the last event always tells it
        parameters=_STEERING.of(body.members),
        conversation_id=body.text("conversation_id"),
    )


_RESULT = ("call", "outputs")


def _history(body: Fields) -> tuple[int, int, bool]:
    """(messages, UTF-8 bytes of their text, is one of them the system's)."""
    count = size = 0
    has_system_text = False
    for _, said in body.objects("chat_history"):
        said.refuse_lookalikes(_HISTORY_KEYS)
        count += 1
        has_system_text |= is_system(said.text("role") or said.text("user_name") or "")
        size += utf8_size(said.text("message") or said.text("text") or "")
        for _, call in said.objects("tool_calls"):
            size += sum(text_size(call.raw(key)) for key in ("name", "parameters"))
        for _, result in said.objects("tool_results"):
            size += sum(text_size(result.raw(key)) for key in _RESULT)
    return count, size, has_system_text


def _named(tool: Fields, key: str, otherwise: str) -> str:
    """A tool's name; a connector, which Cohere itself runs, by its id (`web-search`)."""
    tool.refuse_lookalikes(_TOOL_KEYS | {"id"})
    return tool.text(key) or otherwise
