"""Recorded Bedrock traffic, compared with a second reader: AWS' own framing, and rules as naive as can be."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from botocore.eventstream import EventStreamBuffer

from extproc.codecs import CODECS
from extproc.framing import strict_json
from extproc.model import Call, Conversation, RequestFacts, ResponseFacts, UsageSource
from tests.codecs.support import Recording, bytewise, corpus_recordings

EXCHANGES = corpus_recordings("bedrock.converse", "bedrock.converseStream", "bedrock.invoke", "bedrock.invokeStream")
NO_CORPUS = "HEADGATE_CORPUS does not name a corpus with exchanges/"
CUT_BY_THE_RECORDER = "bedrock-converse-n-200-pydantic-ai-ca754a02"
"""Its request ends in the middle of its JSON."""


@dataclass(frozen=True)
class Case:
    name: str
    call: Call
    status: int
    request_body: bytes
    response_body: bytes

    def facts(self, *chunks: bytes) -> ResponseFacts:
        codec = CODECS["bedrock.invoke_model" if "/invoke" in self.call.path else "bedrock.converse"]
        request = RequestFacts()
        if self.request_body and self.name != CUT_BY_THE_RECORDER:
            request = codec.request(strict_json.parse(self.request_body, depth_max=128), self.call)
        decoder = codec.response(call=self.call, status=self.status, content_type=None, request=request)
        for piece in chunks or (self.response_body,):
            decoder.feed(piece)
        return decoder.finish(complete=True)

    @property
    def conversation(self) -> Conversation:
        codec = CODECS["bedrock.invoke_model" if "/invoke" in self.call.path else "bedrock.converse"]
        return codec.conversation(self.call, self.request_body, self.response_body)


def _of_exchange(recording: Recording) -> Case:
    return Case(
        recording.folder.name, recording.call, recording.status, recording.request_body, recording.response_body
    )


def _responses_only() -> list[Case]:
    root = os.environ.get("HEADGATE_CORPUS")
    folders = sorted((Path(root) / "responses_only").glob("bedrock-*")) if root else []
    call = Call("POST", "/model/x/converse", "bedrock-runtime.us-east-1.amazonaws.com")
    return [
        Case(folder.name, call, json.loads((folder / "response.json").read_bytes())["status"], b"",
             (folder / "response.body").read_bytes())
        for folder in folders
    ]  # fmt: skip


CASES = [*map(_of_exchange, EXCHANGES), *_responses_only()]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_exchange = pytest.mark.parametrize("recording", EXCHANGES, ids=lambda r: r.folder.name)


def test_the_corpus_holds_enough_of_both_apis() -> None:
    if not CASES:
        pytest.skip(NO_CORPUS)
    paths = [case.call.path for case in CASES]
    assert sum("converse" in path for path in paths) >= 40
    assert sum("invoke" in path for path in paths) >= 12


def _documents(body: bytes) -> list[tuple[str, dict[str, Any]]]:
    """(event type, document) of each event, by AWS' own parser; one whole document has no type."""
    if body.lstrip()[:1] == b"{":
        return [("", json.loads(body))]
    buffer = EventStreamBuffer()
    buffer.add_data(body)
    found = []
    for message in buffer:
        kind = message.headers[":event-type"]
        document = json.loads(message.payload)
        if kind == "chunk":
            document = json.loads(base64.b64decode(document["bytes"]))
            kind = document.get("type") or next(iter(document))
            if isinstance(document.get(kind), dict):
                document = document[kind]
        found.append((kind, document))
    return found


def _naive(body: bytes) -> dict[str, Any]:
    """Text, reasoning, calls, reason and the last usage object, straight from the documents."""
    seen: dict[str, Any] = {"text": "", "thought": "", "calls": [], "reason": None, "usage": None, "model": None}
    for kind, document in _documents(body):
        message = document.get("output", {}).get("message") or document.get("message") or document
        if isinstance(message, str):
            continue
        for block in message.get("content") or []:
            _naive_block(block, seen)
        if kind in ("contentBlockStart", "content_block_start"):
            _naive_block(document.get("start") or document.get("content_block") or {}, seen, is_start=True)
        if kind in ("contentBlockDelta", "content_block_delta"):
            delta = document["delta"]
            seen["text"] += delta.get("text", "")
            seen["thought"] += delta.get("reasoningContent", {}).get("text", "")
            if piece := delta.get("toolUse", {}).get("input") or delta.get("partial_json"):
                seen["calls"][-1][1] += piece
        for key in ("generation", "outputText"):
            seen["text"] += document.get(key) or ""
        seen["model"] = message.get("model") or seen["model"]
        seen["usage"] = document.get("usage") or message.get("usage") or seen["usage"]
        for key in ("stopReason", "stop_reason", "completionReason"):
            seen["reason"] = document.get(key) or (document.get("delta") or {}).get(key) or seen["reason"]
    return seen


def _naive_block(block: dict[str, Any], seen: dict[str, Any], *, is_start: bool = False) -> None:
    seen["text"] += block.get("text", "")
    seen["thought"] += block.get("reasoningContent", {}).get("reasoningText", {}).get("text", "")
    call = block.get("toolUse") or (block if block.get("type") == "tool_use" else None)
    if call:
        seen["calls"].append([call["name"], "" if is_start else json.dumps(call["input"])])


def _naive_tokens(case: Case) -> tuple[int | None, int | None]:
    """Input with what the cache held, output."""
    inputs: dict[str, int] = {}
    output = None
    for _, document in _documents(case.response_body):
        usage = document.get("usage") or (document.get("message") or {}).get("usage") or {}
        if "inputTokens" in usage:
            cached = max(usage.get("cacheReadInputTokens", 0), usage.get("cacheReadInputTokenCount", 0))
            written = max(usage.get("cacheWriteInputTokens", 0), usage.get("cacheWriteInputTokenCount", 0))
            if "totalTokens" in usage:  # the provider's own sum is the referee
                assert usage["inputTokens"] + cached + written + usage["outputTokens"] == usage["totalTokens"]
            return usage["inputTokens"] + cached + written, usage["outputTokens"]
        for key in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"):
            if key in usage:
                inputs[key] = usage[key]
        output = usage.get("output_tokens", output)
        for key in ("prompt_token_count", "inputTextTokenCount"):
            if key in document:
                inputs = {key: int(document[key])}
        for key in ("generation_token_count", "totalOutputTextTokenCount"):
            output = int(document[key]) if key in document else output
    return (sum(inputs.values()) if inputs else None), output


@each_case
def test_usage_reason_and_error_are_what_the_provider_said(case: Case) -> None:
    facts = case.facts()
    if case.status != 200:
        assert facts.usage.source is UsageSource.NONE
        assert facts.error is not None
        assert (facts.error.type, facts.error.message) == (
            "ValidationException",
            json.loads(case.response_body)["message"],
        )
        return
    assert facts.error is None
    naive = _naive(case.response_body)
    assert facts.finish_reasons == ((naive["reason"],) if naive["reason"] else ())
    assert facts.model == naive["model"]
    if naive["usage"] is not None:
        assert facts.provider_usage is not None
        assert json.loads(facts.provider_usage) == naive["usage"]
    tokens = _naive_tokens(case)
    if tokens == (None, None):
        assert facts.usage.source is UsageSource.ESTIMATED
        assert facts.usage.output_tokens == -(-facts.text_bytes // 4)
    else:
        assert (facts.usage.input_tokens, facts.usage.output_tokens) == tokens
        assert facts.usage.source is UsageSource.PROVIDER
    assert not {"undecodable_event", "undecodable_body", "broken_framing", "truncated"} & set(facts.warnings)


@each_case
def test_text_reasoning_and_calls_are_kept(case: Case) -> None:
    if case.status != 200:
        assert case.conversation.response_text is None
        return
    naive = _naive(case.response_body)
    conversation = case.conversation
    assert (conversation.response_text or "") == naive["text"]
    assert (conversation.reasoning_text or "") == naive["thought"]
    assert [
        (call.tool_name, json.loads(call.arguments or "null")) for call in conversation.tool_calls
    ] == [(name, json.loads(arguments or "{}")) for name, arguments in naive["calls"]]  # fmt: skip
    assert list(case.facts().tool_calls) == [name for name, _ in naive["calls"]]


@each_case
def test_chunks_never_change_the_facts(case: Case) -> None:
    body = case.response_body
    whole = case.facts(body)
    assert case.facts(*bytewise(body)) == whole
    for size in (3, 1_000):
        assert case.facts(*(body[i : i + size] for i in range(0, len(body), size))) == whole


@each_exchange
def test_the_request_is_read(recording: Recording) -> None:
    model = unquote(recording.call.path).split("/model/")[1].rpartition("/")[0]
    if not recording.request_body or recording.folder.name == CUT_BY_THE_RECORDER:
        return
    facts = recording.request_facts
    request = json.loads(recording.request_body)
    settings = request.get("inferenceConfig") or request.get("textGenerationConfig") or request
    limits = [
        settings[key]
        for key in ("maxTokens", "max_new_tokens", "maxTokenCount", "max_gen_len", "max_tokens")
        if key in settings
    ]
    tools = [
        tool["toolSpec"]["name"] if "toolSpec" in tool else tool.get("systemTool", tool)["name"]
        for tool in request.get("toolConfig", request).get("tools", ())
        if "cachePoint" not in tool
    ]
    assert facts.model == model
    assert facts.stream == recording.call.path.endswith("stream")
    assert facts.max_output_tokens == (limits[0] if limits else None)
    assert facts.temperature == settings.get("temperature")
    assert facts.message_count == len(request.get("messages", "x"))
    assert facts.has_system_text == bool(request.get("system"))
    assert list(facts.tools) == tools


@each_exchange
def test_the_conversation_begins_with_what_was_asked(recording: Recording) -> None:
    if not recording.request_body or recording.folder.name == CUT_BY_THE_RECORDER:
        return
    request = json.loads(recording.request_body)
    conversation = recording.codec.conversation(recording.call, recording.request_body, recording.response_body)
    assert conversation.request_message_count == recording.request_facts.message_count
    asked = conversation.messages[: conversation.request_message_count]
    texts = [part.text for message in asked for part in message.parts if part.type == "text"]
    said = [
        block["text"]
        for message in request.get("messages", ())
        for block in ([{"text": message["content"]}] if isinstance(message["content"], str) else message["content"])
        if block.get("text")
    ] + [request[key] for key in ("prompt", "inputText") if key in request]
    assert [text for text in texts if text in said] == said
