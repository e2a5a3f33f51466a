"""Recorded Cohere traffic, compared with a second reader that is as naive as can be and shares no code with ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from extproc.model import UsageSource
from tests.codecs.support import Recording, bytewise, corpus_recordings

APIS = (
    "cohere.v1.chat",
    "cohere.v1.generate",
    "cohere.v1.rerank",
    "cohere.v2.chat",
    "cohere.v2.embed",
    "cohere.v2.rerank",
)
RECORDINGS = corpus_recordings(*APIS)
NO_CORPUS = "HEADGATE_CORPUS does not name a corpus with exchanges/"

each_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda r: r.folder.name)


def test_the_corpus_holds_every_api_it_did_when_this_was_written() -> None:
    if not RECORDINGS:
        pytest.skip(NO_CORPUS)
    assert {recording.meta["api"] for recording in RECORDINGS} == set(APIS)
    assert len(RECORDINGS) >= 17


def _documents(body: bytes) -> list[dict[str, Any]]:
    """The whole body, else its lines without what SSE puts before them."""
    try:
        return [json.loads(body)]
    except ValueError:
        lines = [line.removeprefix(b"data: ").strip() for line in body.split(b"\n")]
        return [json.loads(line) for line in lines if line.startswith(b"{")]


def _deep(document: Any, *path: str) -> Any:
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _naive(recording: Recording) -> dict[str, Any]:
    """Straight from the JSON; of streams the last word on everything, and all pieces put together."""
    seen: dict[str, Any] = {"usage": None, "id": None, "reason": None, "text": "", "calls": {}, "plan": ""}
    for chunk in _documents(recording.response_body):
        answer = chunk.get("response", chunk)
        delta = chunk.get("delta", {})
        seen["usage"] = delta.get("usage") or answer.get("usage") or answer.get("meta") or seen["usage"]
        seen["id"] = answer.get("response_id") or seen["id"] or answer.get("id")
        seen["reason"] = delta.get("finish_reason") or answer.get("finish_reason") or seen["reason"]
        for generation in answer.get("generations", []):
            seen["text"], seen["reason"] = generation["text"], generation["finish_reason"]
        if "response" in chunk:
            assert seen["text"] == answer["text"]  # the pieces were all of it
        elif isinstance(chunk.get("text"), str):
            seen["text"] += chunk["text"]
        message = _deep(chunk, "message") or _deep(delta, "message")
        if not isinstance(message, dict):
            continue
        seen["plan"] += message.get("tool_plan") or ""
        content = message.get("content") or []
        for part in [content] if isinstance(content, dict) else content:
            seen["text"] += part.get("text", "")
            seen["plan"] += part.get("thinking", "")
        calls = message.get("tool_calls") or []
        for number, call in enumerate([calls] if isinstance(calls, dict) else calls):
            slot = seen["calls"].setdefault(chunk.get("index", number), {"id": None, "name": None, "arguments": ""})
            slot["id"] = call.get("id") or slot["id"]
            slot["name"] = call["function"].get("name") or slot["name"]
            slot["arguments"] += call["function"]["arguments"]
    return seen


@each_recording
def test_the_address_tells_the_api(recording: Recording) -> None:
    assert recording.codec.api == recording.meta["api"]
    request = json.loads(recording.request_body)
    assert recording.request_facts.model == request["model"]
    assert recording.request_facts.stream == bool(recording.meta["stream"])


@each_recording
def test_usage_ids_and_reasons_are_what_cohere_said(recording: Recording) -> None:
    facts = recording.response_facts(recording.response_body)
    if recording.status != 200:
        assert facts.error is not None
        assert facts.error.message == json.loads(recording.response_body)["message"]
        assert facts.usage.source is UsageSource.NONE
        return
    naive = _naive(recording)
    assert facts.error is None
    assert facts.terminal
    assert facts.response_id == naive["id"]
    assert facts.finish_reasons == ((naive["reason"],) if naive["reason"] else ())
    assert json.loads(facts.provider_usage or "null") == naive["usage"]
    tokens, billed = naive["usage"].get("tokens"), naive["usage"]["billed_units"]
    counted = tokens or billed
    assert (facts.said.input_tokens, facts.said.output_tokens) == (
        counted.get("input_tokens"),
        counted.get("output_tokens"),
    )
    assert facts.said.cache_read_input_tokens == naive["usage"].get("cached_tokens")
    assert (facts.said.billed_input_tokens, facts.said.billed_output_tokens, facts.said.billed_search_units) == (
        billed.get("input_tokens"),
        billed.get("output_tokens"),
        billed.get("search_units"),
    )
    assert facts.tool_calls == tuple(call["name"] for _, call in sorted(naive["calls"].items()))


@each_recording
def test_text_and_calls_are_kept_whole(recording: Recording) -> None:
    conversation = recording.codec.conversation(recording.call, recording.request_body, recording.response_body)
    assert conversation.request_message_count == recording.request_facts.message_count
    if recording.status != 200:
        assert len(conversation.messages) == conversation.request_message_count
        return
    naive = _naive(recording)
    assert (conversation.response_text or "") == naive["text"]
    assert (conversation.reasoning_text or "") == naive["plan"]
    assert [(call.tool_call_id, call.tool_name, call.arguments) for call in conversation.tool_calls] == [
        (call["id"], call["name"], call["arguments"]) for _, call in sorted(naive["calls"].items())
    ]


@each_recording
def test_every_text_of_the_request_is_kept(recording: Recording) -> None:
    request = json.loads(recording.request_body)
    conversation = recording.codec.conversation(recording.call, recording.request_body, None)
    kept = "\n".join(part.text or part.arguments or "" for said in conversation.messages for part in said.parts)
    texts = [request.get("message"), request.get("prompt"), request.get("query")]
    texts += request.get("texts") or []
    texts += request.get("documents") or []
    texts += [said["message"] for said in request.get("chat_history") or []]
    for said in request.get("messages") or []:
        content = said.get("content")
        parts = content if isinstance(content, list) else [{"text": content}]
        texts += [part.get("text") or part.get("thinking") for part in parts]
        texts += [call["function"]["arguments"] for call in said.get("tool_calls") or []]
    assert [text for text in texts if text and text not in kept] == []


@each_recording
def test_chunks_never_change_the_facts(recording: Recording) -> None:
    body = recording.response_body
    whole = recording.response_facts(body)
    assert recording.response_facts(*bytewise(body)) == whole
    for size in (3, 1_000, 65_536):
        assert recording.response_facts(*(body[i : i + size] for i in range(0, len(body), size))) == whole
