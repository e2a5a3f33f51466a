"""The old completions (platform.openai.com/docs/api-reference/completions)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from extproc.upstream.answers import CREATED_S, Answer, Json, sse
from extproc.upstream.endpoint import Endpoint, Question, Reply, events, whole
from extproc.upstream.providers.openai_chat import asks_for_usage, choices_of, refuse, usage


def _reply(question: Question) -> Reply:
    body = question.body
    prompt = body["prompt"]
    answer = question.answer(
        "cmpl-",
        tool=None,
        echo=prompt if isinstance(prompt, str) else "",
        choices=choices_of(body),
        usage_in_stream=asks_for_usage(body),
    )
    if question.streams:
        return events(_events(answer))
    choices = [_choice(index, answer.text, "stop") for index in range(answer.choices)]
    return whole(_document(answer, choices) | {"usage": usage(answer)})


def _document(answer: Answer, choices: list[Json]) -> Json:
    return {
        "id": answer.id,
        "object": "text_completion",
        "created": CREATED_S,
        "model": answer.model,
        "choices": choices,
    }


def _choice(index: int, text: str, reason: str | None) -> Json:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


def _events(answer: Answer) -> Iterator[bytes]:
    told: Json = {"usage": None} if answer.usage_in_stream else {}
    for index in range(answer.choices):
        for piece in answer.pieces:
            yield sse(_document(answer, [_choice(index, piece, None)]) | told)
        yield sse(_document(answer, [_choice(index, "", "stop")]) | told)
    if answer.usage_in_stream:
        yield sse(_document(answer, []) | {"usage": usage(answer)})
    yield b"data: [DONE]\n\n"


# Not chat's: its endpoint stands before.
ENDPOINTS = (Endpoint("POST", re.compile(r"/completions$"), _reply, refuse, wants="prompt"),)
