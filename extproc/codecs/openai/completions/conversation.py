"""The conversation in a stored text completion: each prompt a message of the user, each choice one of the assistant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from extproc.codecs.openai.completions.request import is_tokens
from extproc.dialects.openai_chat.response import choice_number, spoken
from extproc.framing import tolerant_json
from extproc.framing.response_body import ResponseBody
from extproc.model import Conversation, Message, Part
from extproc.shape import as_list, as_object, as_text, joined, unknown_part


def read_conversation(request_body: bytes | None, response_body: bytes | None) -> Conversation:
    request = as_object(tolerant_json.loads_or_none(request_body))
    asked = [Message("user", parts) for parts in _prompts(request.get("prompt"))]
    if asked and (suffix := as_text(request.get("suffix"))):  # what comes after the text that is asked for
        asked[-1] = Message("user", (*asked[-1].parts, Part("text", suffix)))
    answers = [text for _, text in sorted(_texts(response_body).items())]
    is_unknown = any(part.type == "unknown" for message in asked for part in message.parts)
    return Conversation(
        messages=(*asked, *(Message("assistant", (Part("text", text),)) for text in answers)),
        request_message_count=len(asked),
        response_text=joined(answers),
        warnings=("unknown_part",) if is_unknown else (),
    )


def _prompts(prompt: Any) -> Iterator[tuple[Part, ...]]:
    if type(prompt) is str:
        yield (Part("text", prompt),) if prompt else ()
    elif is_tokens(prompt):
        yield (unknown_part(prompt),)
    else:
        for one in as_list(prompt):
            yield (Part("text", one) if type(one) is str else unknown_part(one),)


def _texts(body: bytes | None) -> dict[int, str]:
    """The texts by choice."""
    pieces: dict[int, list[str]] = {}
    for document, _ in ResponseBody().documents(body):
        chunk = as_object(document)
        pieces.setdefault(0, []).append(as_text(chunk.get("value")))  # Writer
        for place, choice in enumerate(map(as_object, as_list(chunk.get("choices")))):
            text = as_text(choice.get("text")) or as_text(spoken(choice).get("content"))  # Mistral's fill-in-the-middle
            pieces.setdefault(choice_number(choice, place), []).append(text)
    return {number: "".join(texts) for number, texts in pieces.items() if any(texts)}
