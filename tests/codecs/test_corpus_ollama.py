"""Recorded traffic of Ollama's own api, compared with a naive second reader that shares no code with ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from extproc.model import UsageSource
from tests.codecs.support import Recording, bytewise, corpus_recordings

LABELS = ("ollama.chat", "ollama.generate", "openai.embeddings")
"""As the corpus labels them; one call of `/api/embeddings` stands among the others' embeddings."""
APIS = ("ollama.chat", "ollama.generate", "ollama.embed")
RECORDINGS = [r for r in corpus_recordings(*LABELS) if r.codec.api in APIS]

each_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda r: r.folder.name)


def test_the_corpus_holds_what_is_read_here() -> None:
    if not RECORDINGS:
        pytest.skip("HEADGATE_CORPUS does not name a corpus with exchanges/")
    apis = [recording.codec.api for recording in RECORDINGS]
    assert [apis.count(api) for api in APIS] == [3, 4, 1]


def _lines(recording: Recording) -> list[dict[str, Any]]:
    return [json.loads(line) for line in recording.response_body.decode().split("\n") if line]


def _text(line: dict[str, Any]) -> str:
    return str(line.get("response") or line.get("message", {}).get("content") or "")


@each_recording
def test_names_usage_and_reasons_are_what_the_server_said(recording: Recording) -> None:
    *_, last = _lines(recording)
    facts = recording.response_facts(recording.response_body)
    assert facts.error is None
    assert facts.terminal
    assert facts.model == last.get("model")
    assert facts.finish_reasons == ((last["done_reason"],) if "done_reason" in last else ())
    assert facts.said.input_tokens == last.get("prompt_eval_count")
    assert facts.said.output_tokens == last.get("eval_count")
    figures = {key: value for key, value in last.items() if key.endswith(("_count", "_duration"))}
    assert (json.loads(facts.provider_usage) if facts.provider_usage else {}) == figures
    told = [key in last for key in ("prompt_eval_count", "eval_count")]
    expected = {2: UsageSource.PROVIDER, 1: UsageSource.PARTIAL, 0: UsageSource.ESTIMATED}[sum(told)]
    assert facts.usage.source is expected


@each_recording
def test_the_text_is_put_together(recording: Recording) -> None:
    request = json.loads(recording.request_body)
    text = "".join(map(_text, _lines(recording)))
    conversation = recording.codec.conversation(recording.call, recording.request_body, recording.response_body)
    assert (conversation.response_text or "") == text
    assert recording.response_facts(recording.response_body).text_bytes == len(text.encode())
    assert recording.request_facts.model == request["model"]
    is_embedding = recording.codec.api == "ollama.embed"
    assert recording.request_facts.stream is (not is_embedding and request.get("stream", True))
    asked = request.get("messages") or [{"role": "user", "content": request["prompt"]}]
    assert conversation.request_message_count == len(asked) == recording.request_facts.message_count
    assert [message.role for message in conversation.messages[: len(asked)]] == [said["role"] for said in asked]
    calls = [part for message in conversation.messages for part in message.parts if part.type == "tool_call"]
    told = [call["function"] for said in asked for call in said.get("tool_calls", [])]
    assert [(call.tool_name, json.loads(call.arguments or "")) for call in calls] == [
        (function["name"], function["arguments"]) for function in told
    ]


@each_recording
def test_chunks_never_change_the_facts(recording: Recording) -> None:
    body = recording.response_body
    whole = recording.response_facts(body)
    assert recording.response_facts(*bytewise(body)) == whole
    for size in (7, 4_096):
        assert recording.response_facts(*(body[i : i + size] for i in range(0, len(body), size))) == whole
