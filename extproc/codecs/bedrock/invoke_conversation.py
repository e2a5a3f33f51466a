"""The conversation in a stored exchange of InvokeModel: the request by its grammar, the answer by its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from extproc.codecs.bedrock.bodies import Grammar, request_grammar, response_grammar
from extproc.codecs.bedrock.chunks import CHUNK, unwrapped, with_openai_names
from extproc.codecs.bedrock.plain_prompt import call_part, prompt_parts, turn_parts
from extproc.codecs.bedrock.plain_response import answers, calls_of, text_of
from extproc.dialects.anthropic_messages import conversation as messages
from extproc.dialects.converse import conversation as converse
from extproc.dialects.openai_chat import conversation as chat
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody, StreamFormat
from extproc.framing.stream_event import StreamEvent
from extproc.model import Conversation, Message, Part
from extproc.shape import as_list, as_name, as_object, as_text, joined, json_text

_ANSWERS_MAX = 1_024


def read_conversation(request_body: bytes | None, response_body: bytes | None, model: str) -> Conversation:
    asked = _asked(request_body, model)
    answered = _answered(response_body)
    return replace(
        answered,
        system_text=asked.system_text,
        messages=(*asked.messages, *answered.messages),
        request_message_count=asked.request_message_count,
        tools=asked.tools,
        warnings=tuple(dict.fromkeys((*asked.warnings, *answered.warnings))),
    )


def _asked(body: bytes | None, model: str) -> Conversation:
    document = tolerant_json.loads_prefix_or_none(body)
    match request_grammar(document, model):
        case Grammar.MESSAGES:
            return messages.read_conversation(body, None)
        case Grammar.CONVERSE:
            return converse.read_conversation(body, None)
        case Grammar.CHAT:
            return chat.read_conversation(body, None)
        case Grammar.PLAIN:
            return _plain_request(as_object(document))


def _answered(body: bytes | None) -> Conversation:
    reader = ResponseBody(StreamFormat.EVENTSTREAM)
    payloads = list(_payloads(reader.read(body)))
    if reader.is_json:
        document = reader.document_or_none()
        answered = _answer([document], response_grammar(document), is_stream=False)
    else:
        answered = _answer(payloads, response_grammar(payloads[0] if payloads else None), is_stream=True)
    return replace(answered, warnings=(*answered.warnings, "truncated")) if reader.is_cut else answered


def _payloads(events: Iterable[StreamEvent]) -> Iterator[Any]:
    for event in events:
        if event.type == CHUNK and not event.oversized:
            try:
                yield tolerant_json.loads(unwrapped(event))
            except ValueError:
                continue


def _answer(documents: list[Any], grammar: Grammar, *, is_stream: bool) -> Conversation:
    match grammar:
        case Grammar.MESSAGES:
            return messages.read_conversation(None, _as_body(documents, is_stream=is_stream))
        case Grammar.CONVERSE:
            blocks = (
                converse.streamed_blocks(StreamEvent(b"", _dumped(document)) for document in documents)
                if is_stream
                else converse.answer_blocks(documents[0])
            )
            return converse.conversation_of(None, blocks)
        case Grammar.CHAT:
            return chat.read_conversation(
                None, _as_body([with_openai_names(d) for d in documents], is_stream=is_stream)
            )
        case Grammar.PLAIN:
            return _plain_answer([as_object(document) for document in documents])


def _as_body(documents: list[Any], *, is_stream: bool) -> bytes:
    """The answer as the vendor's own api would give it: JSON, or server-sent events."""
    if not is_stream:
        return _dumped(documents[0])
    return b"".join(b"data: " + _dumped(document) + b"\n\n" for document in documents)


def _dumped(document: Any) -> bytes:
    return json_text(document).encode()


def _plain_request(body: dict[str, Any]) -> Conversation:
    turns = [
        Message(as_name(turn.get("role")) or "unknown", tuple(turn_parts(turn)))
        for turn in map(as_object, as_list(body.get("chat_history")))
    ]
    if parts := tuple(prompt_parts(body)):
        turns.append(Message("user", parts))
    return Conversation(
        system_text=as_text(body.get("preamble")) or None,
        messages=tuple(turns),
        request_message_count=len(turns),
        tools=tuple(as_name(as_object(tool).get("name")) or "unknown" for tool in as_list(body.get("tools"))),
    )


def _plain_answer(documents: list[dict[str, Any]]) -> Conversation:
    texts: dict[int, list[str]] = {}
    calls: list[Part] = []
    pictures = 0
    for document in documents:
        for number, answer in answers(document):
            if (text := text_of(answer)) and (number in texts or len(texts) < _ANSWERS_MAX):
                texts.setdefault(number, []).append(text)
        calls += map(call_part, calls_of(document))
        pictures += len(as_list(document.get("images"))) + len(as_list(document.get("artifacts")))
    said = [(Part("text", "".join(pieces)),) for _, pieces in sorted(texts.items())]
    others = (*calls, *(Part("image") for _ in range(min(pictures, _ANSWERS_MAX))))
    if others:
        said = [(*(said[0] if said else ()), *others), *said[1:]]
    return Conversation(
        messages=tuple(Message("assistant", parts) for parts in said),
        response_text=joined("".join(pieces) for _, pieces in sorted(texts.items())),
        tool_calls=tuple(calls),
    )
