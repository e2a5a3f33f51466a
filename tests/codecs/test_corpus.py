"""Recorded provider traffic, compared with a second reader that is as naive as can be and shares no code with ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from extproc.model import UsageSource
from tests.codecs.support import Recording, corpus_recordings

APIS = ("openai.chat", "anthropic.messages")
RECORDINGS = [r for r in corpus_recordings(*APIS) if r.codec.api in APIS]
NO_CORPUS = "HEADGATE_CORPUS does not name a corpus with exchanges/"

# total_tokens says that 28 tokens of thinking are not among the 6 of completion_tokens.
HIDDEN_REASONING = {"gemini-openai_chat-n-200-pydantic-ai-e998cf5f": 28}

each_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda r: r.folder.name)


def test_the_corpus_holds_enough_of_both_apis() -> None:
    if not RECORDINGS:
        pytest.skip(NO_CORPUS)
    apis = [recording.codec.api for recording in RECORDINGS]
    assert apis.count("openai.chat") >= 60
    assert apis.count("anthropic.messages") >= 25


def _documents(body: bytes) -> list[dict[str, Any]]:
    try:
        whole = json.loads(body)
    except ValueError:
        lines = [line[5:].strip() for line in body.replace(b"\r", b"\n").split(b"\n") if line.startswith(b"data:")]
        return [json.loads(line) for line in lines if line and line != b"[DONE]"]
    return [whole]


def _naive(recording: Recording) -> dict[str, Any]:
    """Usage (last one wins), model, id, finish reasons and text, straight from the JSON."""
    seen: dict[str, Any] = {"usage": {}, "model": None, "id": None, "reasons": {}, "text": ""}
    for document in _documents(recording.response_body):
        message = document.get("message") if document.get("type") == "message_start" else document
        if isinstance(message, dict):
            seen["model"] = message.get("model") or seen["model"]
            seen["id"] = seen["id"] or message.get("id") or None
        for holder in (document, document.get("message"), document.get("x_groq")):
            if isinstance(holder, dict):
                seen["usage"] |= {k: v for k, v in (holder.get("usage") or {}).items() if v is not None}
        for choice in document.get("choices") or []:
            if choice.get("finish_reason"):
                seen["reasons"][choice["index"]] = choice["finish_reason"]
            content = (choice.get("delta") or choice.get("message") or {}).get("content")
            if isinstance(content, str) and choice["index"] == 0:
                seen["text"] += content
        for holder in (document, document.get("delta") if document.get("type") == "message_delta" else None):
            if isinstance(holder, dict) and holder.get("stop_reason"):
                seen["reasons"][0] = holder["stop_reason"]
        if isinstance(document.get("content"), list):
            seen["text"] += "".join(b.get("text", "") for b in document["content"] if b["type"] == "text")
        if document.get("type") == "content_block_delta":
            seen["text"] += document["delta"].get("text", "")
    return seen


def _tokens(usage: dict[str, Any], api: str) -> tuple[int, int]:
    if api == "openai.chat":
        return usage["prompt_tokens"], usage["completion_tokens"]
    cached = sum(usage.get(f"cache_{kind}_input_tokens", 0) for kind in ("read", "creation"))
    return usage["input_tokens"] + cached, usage["output_tokens"]


@each_recording
def test_usage_names_and_reasons_are_what_the_provider_said(recording: Recording) -> None:
    if not recording.response_body.lstrip().startswith((b"{", b"data:", b"event:", b":")):
        assert recording.response_facts(recording.response_body).model is None
        return
    facts = recording.response_facts(recording.response_body)
    naive = _naive(recording)
    if recording.status != 200:
        assert facts.usage.source is UsageSource.NONE
        assert facts.error is not None
        assert facts.error.message
        return
    assert facts.model == naive["model"]
    assert facts.response_id == naive["id"]
    assert facts.finish_reasons == tuple(reason for _, reason in sorted(naive["reasons"].items()))
    if naive["usage"]:
        input_tokens, output_tokens = _tokens(naive["usage"], recording.codec.api)
        output_tokens += HIDDEN_REASONING.get(recording.folder.name, 0)
        assert (facts.usage.input_tokens, facts.usage.output_tokens) == (input_tokens, output_tokens)
        assert facts.usage.source is UsageSource.PROVIDER
    else:
        assert facts.usage.source is UsageSource.ESTIMATED
        assert facts.usage.output_tokens == -(-facts.text_bytes // 4)
    if recording.meta["usage_last_seen"] and recording.codec.api == "openai.chat":
        assert facts.usage.input_tokens == recording.meta["usage_last_seen"]["prompt_tokens"]


@each_recording
def test_the_text_of_the_first_answer_is_kept(recording: Recording) -> None:
    conversation = recording.codec.conversation(recording.call, recording.request_body, recording.response_body)
    request = json.loads(recording.request_body)
    assert conversation.request_message_count == len(request["messages"])
    assert recording.request_facts.message_count == len(request["messages"])
    assert recording.request_facts.model == request["model"]
    if not recording.response_body.lstrip().startswith((b"{", b"data:", b"event:", b":")):
        assert conversation.response_text is None
        return
    text = _naive(recording)["text"]
    if recording.status == 200 and text:
        assert (conversation.response_text or "").startswith(text)
