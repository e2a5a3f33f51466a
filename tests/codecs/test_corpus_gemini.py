"""Recorded traffic of Google's APIs, compared with a second reader that is as naive as can be and shares no code with
ours: whole responses of exchanges, and the golden responses of Firebase's and Vercel's tests."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from extproc.codecs import CODECS
from extproc.model import Call, RequestFacts, ResponseFacts
from tests.codecs.support import Recording, bytewise

NO_CORPUS = "HEADGATE_CORPUS does not name a corpus"
PATHS = {
    "gemini.generateContent": "/v1beta/models/m:generateContent",
    "gemini.streamGenerateContent": "/v1beta/models/m:streamGenerateContent",
    "gemini.countTokens": "/v1beta/models/m:countTokens",
    "gemini.interactions": "/v1beta/interactions",
}

# Golden files that their makers broke on purpose: there is nothing in them to read, and nothing may fail.
MALFORMED = {
    "vertex-streaming-failure-invalid-json",
    "vertex-unary-failure-invalid-response",
    "vertex-streaming-failure-malformed-content",
    "vertex-unary-failure-malformed-content",
    "vertex-streaming-failure-empty-content",
    "vertex-unary-failure-empty-content",
}
BLOCKED = {
    "gemini-streaming-failure-prompt-blocked-safety": ("BLOCKED_SAFETY", "the prompt was blocked: SAFETY"),
    "vertex-streaming-failure-prompt-blocked-safety": ("BLOCKED_SAFETY", "the prompt was blocked: SAFETY"),
    "vertex-unary-failure-prompt-blocked-safety": ("BLOCKED_SAFETY", "the prompt was blocked: SAFETY"),
    "vertex-streaming-failure-prompt-blocked-safety-with-message": ("BLOCKED_SAFETY", "Reasons"),
    "vertex-unary-failure-prompt-blocked-safety-with-message": ("BLOCKED_SAFETY", "Reasons"),
    "gemini-unary-failure-only-prompt-feedback": ("BLOCKED", "Message"),
    "vertex-unary-failure-unknown-enum-prompt-blocked": (
        "BLOCKED_FAKE_NEW_BLOCK_REASON",
        "the prompt was blocked: FAKE_NEW_BLOCK_REASON",
    ),
}
KINDS = ("input", "tool_use", "output", "thought")


def _folders(kind: str, apis: tuple[str, ...]) -> list[Path]:
    root = os.environ.get("HEADGATE_CORPUS")
    metas = sorted((Path(root) / kind).glob("*/meta.json")) if root else []
    return [meta.parent for meta in metas if json.loads(meta.read_bytes())["api"] in apis]


EXCHANGES = [
    Recording(folder)
    for folder in _folders(
        "exchanges", ("gemini.generateContent", "gemini.streamGenerateContent", "gemini.countTokens", "gemini.embed")
    )
]
GOLDEN = _folders("responses_only", tuple(PATHS))

each_exchange = pytest.mark.parametrize("recording", EXCHANGES, ids=lambda r: r.folder.name)
each_golden = pytest.mark.parametrize("folder", GOLDEN, ids=lambda f: f.name)


def test_the_corpus_holds_enough_of_googles_apis() -> None:
    if not EXCHANGES:
        pytest.skip(NO_CORPUS)
    apis = [recording.codec.api for recording in EXCHANGES]
    assert apis.count("gemini.generate_content") >= 28
    assert (apis.count("gemini.count_tokens"), apis.count("gemini.embed_content")) == (2, 2)
    assert len(GOLDEN) == 145
    assert set(BLOCKED) | MALFORMED <= {folder.name for folder in GOLDEN}


# ── the naive reader ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Seen:
    """What a careful person reads from a body."""

    model: str | None = None
    id: str | None = None
    reasons: dict[int, str] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    thoughts: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    error: tuple[str, str] | None = None


def _documents(body: bytes) -> list[Any]:
    """Every JSON document in a body: alone, in an array, in data lines, or raw between them."""
    try:
        whole = json.loads(body)
    except ValueError:
        text = body.decode().replace("\r\n", "\n")
        found = []
        for block in re.split(r"\n\n+", text):
            payload = "\n".join(
                line.removeprefix("data:") for line in block.split("\n") if not line.startswith("event:")
            )
            if payload.strip() and payload.strip() != "[DONE]":
                found.append(json.loads(payload))
        return found
    return whole if isinstance(whole, list) else [whole]


def _read(body: bytes) -> Seen:
    seen = Seen()
    for document in _documents(body):
        seen.model = document.get("modelVersion") or seen.model
        seen.id = seen.id or document.get("responseId")
        usage = document.get("usageMetadata") or {}
        if "totalTokenCount" in usage or "promptTokenCount" in usage or not seen.usage:
            seen.usage = usage
        if document.get("error"):
            seen.error = (document["error"]["status"], document["error"]["message"])
        for candidate in document.get("candidates") or []:
            if candidate.get("finishReason"):
                reason = candidate["finishReason"]
                seen.reasons[candidate.get("index", 0)] = {1: "STOP"}.get(reason, reason)
            for part in (candidate.get("content") or {}).get("parts") or []:
                _read_part(part, seen)
    return seen


def _read_part(part: dict[str, Any], seen: Seen) -> None:
    if part.get("thought"):
        seen.thoughts += part.get("text", "")
    else:
        seen.text += part.get("text", "")
    call = part.get("functionCall")
    if call is None:
        return
    if "name" in call:
        seen.calls.append((call["name"], call.get("args") or {}))
    for piece in call.get("partialArgs") or []:
        _place(seen.calls[-1][1], re.findall(r"\w+", piece["jsonPath"].removeprefix("$")), piece)


def _place(holder: Any, steps: list[str], piece: dict[str, Any]) -> None:
    """Index by index, as the golden files have it: small, dense, names without dots."""
    value = piece["stringValue"] if "stringValue" in piece else piece["numberValue"]
    for step, following in zip(steps, [*steps[1:], ""], strict=True):
        key: Any = int(step) if step.isdigit() else step
        if isinstance(holder, list):
            while len(holder) <= key:
                holder.append(None)
            known = holder[key]
        else:
            known = holder.get(key)
        if not following:
            holder[key] = known + value if isinstance(known, str) else value
            return
        if known is None:
            holder[key] = [] if following.isdigit() else {}
        holder = holder[key]


def _tokens(usage: dict[str, Any]) -> tuple[int | None, int | None]:
    if "promptTokenCount" not in usage:
        return None, None
    said = [usage[name] for name in ("candidatesTokenCount", "thoughtsTokenCount") if name in usage]
    return usage["promptTokenCount"] + usage.get("toolUsePromptTokenCount", 0), sum(said) if said else None


def _compare(facts: ResponseFacts, seen: Seen) -> None:
    assert facts.model == seen.model
    assert facts.response_id == seen.id
    assert facts.finish_reasons == tuple(reason for _, reason in sorted(seen.reasons.items()))
    assert (facts.said.input_tokens, facts.said.output_tokens) == _tokens(seen.usage)
    assert facts.said.cache_read_input_tokens == seen.usage.get("cachedContentTokenCount")
    assert facts.said.reasoning_output_tokens == seen.usage.get("thoughtsTokenCount")
    assert (json.loads(facts.provider_usage) if facts.provider_usage else {}) == seen.usage
    assert facts.tool_calls == tuple(name for name, _ in seen.calls)
    if "totalTokenCount" in seen.usage and facts.said.output_tokens is not None:
        assert facts.said.input_tokens is not None
        assert facts.said.input_tokens + facts.said.output_tokens == seen.usage["totalTokenCount"]


# ── exchanges ────────────────────────────────────────────────────────────────────────────────────────────────────────


@each_exchange
def test_an_exchange_is_read_as_the_provider_meant_it(recording: Recording) -> None:
    facts = recording.response_facts(recording.response_body)
    seen = _read(recording.response_body)
    if recording.codec.api != "gemini.generate_content":
        input_tokens = seen.usage.get("promptTokenCount")
        assert (facts.model, facts.finish_reasons, facts.said.input_tokens) == (None, (), input_tokens)
        assert facts.error is None
        return
    _compare(facts, seen)
    assert (None if facts.error is None else (facts.error.type, facts.error.message)) == seen.error
    assert facts.warnings == ()
    assert facts.terminal


@each_exchange
def test_a_request_is_read_as_its_author_meant_it(recording: Recording) -> None:
    request = json.loads(recording.request_body)
    facts = recording.request_facts
    named = re.fullmatch(r".*/models/([^:]+):(\w+)", recording.call.path)
    assert named is not None
    assert facts.model == named[1]
    assert facts.stream is (named[2] == "streamGenerateContent")
    config = request.get("generationConfig", {})
    assert (facts.max_output_tokens, facts.temperature) == (config.get("maxOutputTokens"), config.get("temperature"))
    tools = [
        name
        for tool in request.get("tools", [])
        for kind, held in tool.items()
        for name in ([f["name"] for f in held] if kind == "functionDeclarations" else [kind])
    ]
    assert list(facts.tools) == tools
    assert facts.has_system_text is ("systemInstruction" in request)
    embedded = len(request.get("requests", [])) or ("content" in request)
    assert facts.message_count == (len(request["contents"]) if "contents" in request else embedded)
    media = re.findall(r'"(?:inline_?[dD]ata|file_?[dD]ata)"', recording.request_body.decode())
    assert len(facts.uninspected_parts) == len(media)


@each_exchange
def test_an_exchanges_conversation_loses_no_text_and_no_call(recording: Recording) -> None:
    got = recording.codec.conversation(recording.call, recording.request_body, recording.response_body)
    assert got.request_message_count == recording.request_facts.message_count
    if recording.codec.api != "gemini.generate_content":
        return
    seen = _read(recording.response_body)
    assert (got.response_text or "", got.reasoning_text or "") == (seen.text, seen.thoughts)
    assert [(call.tool_name, json.loads(call.arguments or "")) for call in got.tool_calls] == seen.calls
    request = json.loads(recording.request_body)
    assert [message.role for message in got.messages[: got.request_message_count]] == [
        content["role"] for content in request["contents"]
    ]
    system = "".join(part["text"] for part in request.get("systemInstruction", {}).get("parts", []))
    assert (got.system_text or "") == system
    asked = [part.get("text") for content in request["contents"] for part in content["parts"] if "text" in part]
    assert [
        part.text
        for message in got.messages[: got.request_message_count]
        for part in message.parts
        if part.type == "text"
    ] == asked


@each_exchange
def test_chunks_of_an_exchange_never_change_its_facts(recording: Recording) -> None:
    _invariant(recording.response_facts, recording.response_body)


def test_a_list_of_models_is_no_models_answer() -> None:
    listed = [Recording(folder) for folder in _folders("exchanges", ("models.list",))]
    listed = [recording for recording in listed if recording.codec.api == "gemini.models"]
    if not EXCHANGES:
        pytest.skip(NO_CORPUS)
    assert [recording.response_facts(recording.response_body) for recording in listed] == [ResponseFacts(terminal=True)]


def _invariant(read: Any, body: bytes) -> None:
    whole = read(body)
    assert read(*bytewise(body)) == whole
    for size in (3, 1_000):
        assert read(*(body[i : i + size] for i in range(0, len(body), size))) == whole


# ── golden responses ─────────────────────────────────────────────────────────────────────────────────────────────────


def _call(folder: Path) -> Call:
    path = PATHS[json.loads((folder / "meta.json").read_bytes())["api"]]
    return Call("POST", path, "generativelanguage.googleapis.com")


def _facts(folder: Path, *chunks: bytes) -> ResponseFacts:
    call = _call(folder)
    status = json.loads((folder / "response.json").read_bytes())["status"]
    api = "gemini.interactions" if call.path.endswith("interactions") else "gemini.generate_content"
    codec = CODECS["gemini.count_tokens" if call.path.endswith("countTokens") else api]
    decoder = codec.response(call=call, status=status, content_type=None, request=RequestFacts())
    for chunk in chunks:
        decoder.feed(chunk)
    return decoder.finish(complete=True)


def _body(folder: Path) -> bytes:
    return (folder / "response.body").read_bytes()


def _is_interaction(folder: Path) -> bool:
    return _call(folder).path.endswith("interactions")


@each_golden
def test_a_golden_response_is_read_as_the_provider_meant_it(folder: Path) -> None:
    facts = _facts(folder, _body(folder))
    if _is_interaction(folder):
        _compare_interaction(facts, _interaction(_body(folder)))
        return
    seen = _read(_body(folder))
    if _call(folder).path.endswith("countTokens"):
        assert facts.error is None or (facts.error.type, facts.error.message) == seen.error
        assert facts.said.input_tokens is None
        return
    _compare(facts, seen)
    expected = BLOCKED.get(folder.name, seen.error)
    assert (None if facts.error is None else (facts.error.type, facts.error.message)) == expected
    if folder.name in MALFORMED:
        assert (facts.text_bytes, facts.tool_calls, facts.finish_reasons) == (0, (), ())


@each_golden
def test_a_golden_responses_conversation_loses_no_text_and_no_call(folder: Path) -> None:
    body = _body(folder)
    codec = CODECS["gemini.interactions" if _is_interaction(folder) else "gemini.generate_content"]
    got = codec.conversation(_call(folder), None, body)
    if _is_interaction(folder):
        _compare_said(got.response_text, got.reasoning_text, got.tool_calls, _interaction(body))
        return
    seen = _read(body)
    assert (got.response_text or "", got.reasoning_text or "") == (seen.text, seen.thoughts)
    assert [(call.tool_name, json.loads(call.arguments or "")) for call in got.tool_calls] == seen.calls
    media = [part for message in got.messages for part in message.parts if part.type == "image"]
    assert len(media) == body.count(b'"inlineData"')
    assert got.warnings == ()


@each_golden
def test_chunks_of_a_golden_response_never_change_its_facts(folder: Path) -> None:
    _invariant(lambda *chunks: _facts(folder, *chunks), _body(folder))


# ── interactions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _interaction(body: bytes) -> dict[str, Any]:
    """The interaction as a plain answer would have it, with its steps' texts and calls in order."""
    documents = _documents(body)
    whole = documents[-1].get("interaction", documents[0])
    texts, thoughts = "", ""
    calls: list[tuple[str, str, Any]] = []
    steps = whole.get("steps") or [
        document["step"] for document in documents if document.get("event_type") == "step.start"
    ]
    for step in steps:
        if step["type"] == "function_call":
            calls.append((step["id"], step["name"], step["arguments"]))
        texts += "".join(content["text"] for content in step.get("content", []))
        thoughts += "".join(content["text"] for content in step.get("summary", []))
    for document in documents:
        delta = document.get("delta", {})
        if delta.get("type") == "text":
            texts += delta["text"]
        if delta.get("type") == "thought_summary":
            thoughts += delta["content"]["text"]
        if delta.get("type") == "arguments_delta":
            call_id, name, _ = calls[-1]
            calls[-1] = (call_id, name, json.loads(delta["arguments"]))
    return {**whole, "texts": texts, "thoughts": thoughts, "calls": calls}


def _compare_interaction(facts: ResponseFacts, whole: dict[str, Any]) -> None:
    usage = whole["usage"]
    assert (facts.model, facts.response_id) == (whole["model"], whole.get("id") or None)  # none where nothing is stored
    assert facts.finish_reasons == (whole["status"],)
    assert facts.service_tier == whole["service_tier"]
    assert facts.said.input_tokens == usage["total_input_tokens"] + usage["total_tool_use_tokens"]
    assert facts.said.output_tokens == usage["total_output_tokens"] + usage["total_thought_tokens"]
    assert sum(usage[f"total_{kind}_tokens"] for kind in KINDS) == usage["total_tokens"]
    assert facts.said.cache_read_input_tokens == usage["total_cached_tokens"]
    assert json.loads(facts.provider_usage or "") == usage
    assert facts.tool_calls == tuple(name for _, name, _ in whole["calls"])
    assert (facts.error, facts.warnings, facts.terminal) == (None, (), True)
    assert facts.text_bytes >= len((whole["texts"] + whole["thoughts"]).encode())


def _compare_said(text: str | None, reasoning: str | None, calls: Any, whole: dict[str, Any]) -> None:
    assert (text or "", reasoning or "") == (whole["texts"], whole["thoughts"])
    assert [(call.tool_call_id, call.tool_name, json.loads(call.arguments)) for call in calls] == whole["calls"]
