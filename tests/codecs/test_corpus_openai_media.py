"""Recorded embeddings, rerankings and images, compared with a naive second reader that shares no code with ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from extproc.model import UsageSource
from tests.codecs.support import Recording, bytewise, corpus_recordings

LABELS = ("openai.embeddings", "rerank", "other.chat")
"""As the corpus labels them; `other.chat` holds, among others, a call for an image."""
APIS = ("openai.embeddings", "openai.rerank", "openai.images")
RECORDINGS = [r for r in corpus_recordings(*LABELS) if r.codec.api in APIS]

each_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda r: r.folder.name)


def test_the_corpus_holds_what_is_read_here() -> None:
    if not RECORDINGS:
        pytest.skip("HEADGATE_CORPUS does not name a corpus with exchanges/")
    apis = [recording.codec.api for recording in RECORDINGS]
    assert (apis.count("openai.embeddings"), apis.count("openai.rerank"), apis.count("openai.images")) == (8, 1, 1)


def _asked(request: dict[str, Any]) -> list[str]:
    """All texts that were given to read."""
    asked: list[str] = []
    for key in ("input", "query", "documents", "prompt"):
        value = request.get(key)
        asked += [value] if isinstance(value, str) else [text for text in value or [] if isinstance(text, str)]
    return asked


@each_recording
def test_the_request_gives_its_texts_and_its_model(recording: Recording) -> None:
    request = json.loads(recording.request_body)
    asked = _asked(request)
    facts = recording.request_facts
    deployment = recording.call.path.split("/")[3] if "/deployments/" in recording.call.path else None
    assert facts.model == (deployment or request.get("model"))
    messages = recording.codec.conversation(recording.call, recording.request_body, recording.response_body).messages
    assert [part.text for message in messages for part in message.parts if part.type == "text"] == asked
    if asked:
        assert facts.text_bytes == sum(len(text.encode()) for text in asked)
        assert facts.uninspected_parts == ()
    else:  # token ids
        assert [part.kind for part in facts.uninspected_parts] == ["unknown"]
        assert facts.text_bytes == 4 * len(request["input"])


@each_recording
def test_names_usage_and_errors_are_what_the_provider_said(recording: Recording) -> None:
    body = json.loads(recording.response_body)
    facts = recording.response_facts(recording.response_body)
    if recording.status != 200:
        told = body.get("error", body)
        assert facts.error is not None
        assert facts.error.message == told.get("message", told.get("detail"))
        assert facts.usage.source is UsageSource.NONE
        return
    usage = body["usage"]
    assert facts.error is None
    assert facts.model == body["model"]
    assert facts.response_id == body.get("id")
    assert json.loads(facts.provider_usage or "") == usage
    assert facts.said.input_tokens == usage.get("prompt_tokens", usage["total_tokens"])
    assert facts.said.output_tokens == usage.get("completion_tokens")
    assert (facts.usage.output_tokens, facts.usage.source) == (0, UsageSource.PROVIDER)
    assert facts.text_bytes == 0


@each_recording
def test_chunks_never_change_the_facts(recording: Recording) -> None:
    body = recording.response_body
    whole = recording.response_facts(body)
    assert recording.response_facts(*bytewise(body)) == whole
    for size in (7, 4_096):
        assert recording.response_facts(*(body[i : i + size] for i in range(0, len(body), size))) == whole
