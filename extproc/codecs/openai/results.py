"""Answers that are no text: vectors, scores, verdicts. One JSON document, of which only names and usage count.

    embeddings   {"object": "list", "data": [{"embedding": [0.1, …] | "base64", "index": 0}], "model": "…",
                  "usage": {"prompt_tokens": 8, "total_tokens": 8}}
    Voyage       "usage": {"total_tokens": 18}                                 all of them are input
    rerank       {"results": [{"index": 0, "relevance_score": 0.9}], "model": "…", "usage": {"total_tokens": 43}}
    in Cohere's words, as some serve it: "meta": {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 9}}
    moderations  {"id": "modr-…", "model": "…", "results": [{"flagged": false, …}]}        no usage

The vectors themselves are never looked at.
"""

from __future__ import annotations

from typing import Any

from extproc.answer import AnswerAccount
from extproc.dialects.openai_chat.errors import read_error
from extproc.framing import tolerant_json
from extproc.framing.stream_event import StreamEvent
from extproc.model import NO_USAGE, Usage
from extproc.shape import as_count, as_name, as_object


class ResultAccount(AnswerAccount):
    """An `extproc.accounting.Account`."""

    def __init__(self, *, status: int) -> None:
        super().__init__(status=status)
        self._figures = NO_USAGE

    def take_event(self, event: StreamEvent) -> None:
        """These apis do not stream: an event can only say what went wrong."""
        document = as_object(tolerant_json.loads(event.data.strip() or b"null"))
        if event.type == b"error" or document.get("error"):
            self._error = read_error(document)

    def take_document(self, document: Any) -> None:
        body = as_object(document)
        self._model = as_name(body.get("model"))
        self._id = as_name(body.get("id")) or as_name(body.get("request_id"))
        usage, meta = as_object(body.get("usage")), as_object(body.get("meta"))
        self._usage = usage or meta
        self._figures = read_usage(usage) if usage else _billed(meta)
        if body.get("error") or (not self._succeeded and document):
            self._error = read_error(document)

    def _said(self) -> Usage:
        return self._figures


def read_usage(usage: dict[str, Any]) -> Usage:
    """A usage object in either of the two sets of names that these apis have."""
    input_tokens = _first(usage, "prompt_tokens", "input_tokens")
    output_tokens = _first(usage, "completion_tokens", "output_tokens")
    if input_tokens is None and output_tokens is None:
        input_tokens = as_count(usage.get("total_tokens"))
    details = next(
        (held for key in ("prompt_tokens_details", "input_tokens_details", "input_token_details")
         if (held := as_object(usage.get(key)))),
        {},
    )  # fmt: skip
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_input_tokens=as_count(details.get("cached_tokens")),
        input_audio_tokens=as_count(details.get("audio_tokens")),
        input_image_tokens=as_count(details.get("image_tokens")),
    )


def _billed(meta: dict[str, Any]) -> Usage:
    tokens, billed = as_object(meta.get("tokens")), as_object(meta.get("billed_units"))
    return Usage(
        input_tokens=as_count(tokens.get("input_tokens")),
        output_tokens=as_count(tokens.get("output_tokens")),
        billed_input_tokens=as_count(billed.get("input_tokens")),
        billed_output_tokens=as_count(billed.get("output_tokens")),
        billed_search_units=as_count(billed.get("search_units")),
    )


def _first(usage: dict[str, Any], *keys: str) -> int | None:
    return next((count for key in keys if (count := as_count(usage.get(key))) is not None), None)
