"""Recorded traffic of Anthropic's apis, compared with a second reader that is as naive as can be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from extproc.model import UsageSource
from tests.codecs.support import Recording, bytewise, corpus_recordings

RECORDINGS = [r for r in corpus_recordings() if r.codec.api.startswith("anthropic.")]
MESSAGES = [r for r in RECORDINGS if r.codec.api == "anthropic.messages"]
NO_CORPUS = "HEADGATE_CORPUS does not name a corpus with exchanges/"

each_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda r: r.folder.name)
each_message = pytest.mark.parametrize("recording", MESSAGES, ids=lambda r: r.folder.name)


def test_the_corpus_holds_enough_of_each_api() -> None:
    if not RECORDINGS:
        pytest.skip(NO_CORPUS)
    apis = [recording.codec.api for recording in RECORDINGS]
    assert apis.count("anthropic.messages") >= 30
    assert apis.count("anthropic.count_tokens") >= 2
    assert apis.count("anthropic.complete") >= 1


def _events(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[5:]) for line in body.split(b"\n") if line.startswith(b"data:")]


def _message(body: bytes) -> dict[str, Any]:
    """The answer as it would be without a stream: blocks whole, `usage` merged, the last word winning."""
    if body.lstrip()[:1] == b"{":
        whole: dict[str, Any] = json.loads(body)
        return whole
    message: dict[str, Any] = {}
    for event in _events(body):
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append({**event["content_block"], "pieces": ""})
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                for key in ("text", "thinking"):
                    if key in delta:
                        block[key] += delta[key]
                if delta["type"] == "compaction_delta":
                    block["content"] = (block["content"] or "") + (delta["content"] or "")
                block["pieces"] += delta.get("partial_json", "")
            case "message_delta":
                message |= {key: value for key, value in event["delta"].items() if value is not None}
                message["usage"] = {**message["usage"], **event["usage"]}
    return message


def _input_of(block: dict[str, Any]) -> Any:
    return json.loads(block["pieces"]) if block.get("pieces") else block["input"]


@each_message
def test_blocks_reasons_and_calls_are_what_the_provider_said(recording: Recording) -> None:
    facts = recording.response_facts(recording.response_body)
    message = _message(recording.response_body)
    conversation = recording.codec.conversation(recording.call, recording.request_body, recording.response_body)
    if recording.status != 200:
        assert facts.error is not None
        assert (facts.error.type, facts.error.message) == (message["error"]["type"], message["error"]["message"])
        return
    assert facts.error is None
    assert facts.finish_reasons == (message["stop_reason"],)
    assert (facts.model, facts.response_id) == (message["model"], message["id"])
    blocks = message["content"]
    calls = [block for block in blocks if block["type"].endswith("tool_use")]
    assert facts.tool_calls == tuple(call["name"] for call in calls)
    assert [(c.tool_call_id, c.tool_name, json.loads(c.arguments or "")) for c in conversation.tool_calls] == [
        (call["id"], call["name"], _input_of(call)) for call in calls
    ]
    assert (conversation.response_text or "") == "".join(b["text"] for b in blocks if b["type"] == "text")
    thoughts = [b.get("thinking") or b.get("content") for b in blocks if b["type"] in ("thinking", "compaction")]
    assert (conversation.reasoning_text or "") == "\n\n".join(filter(None, thoughts))
    results = [block["tool_use_id"] for block in blocks if block["type"].endswith("tool_result")]
    answer = conversation.messages[-1].parts if blocks else ()
    assert [part.tool_call_id for part in answer if part.type == "tool_result"] == results
    assert not [part for part in answer if part.type == "unknown"]


@each_message
def test_usage_is_what_the_provider_said(recording: Recording) -> None:
    facts = recording.response_facts(recording.response_body)
    if recording.status != 200:
        assert facts.usage.source is UsageSource.NONE
        return
    usage = _message(recording.response_body)["usage"]
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    assert facts.usage.source is UsageSource.PROVIDER
    assert facts.usage.input_tokens == usage["input_tokens"] + (read or 0) + (written or 0)
    assert facts.usage.output_tokens == usage["output_tokens"]
    assert (facts.usage.cache_read_input_tokens, facts.usage.cache_creation_input_tokens) == (read, written)
    assert facts.usage.reasoning_output_tokens == usage.get("output_tokens_details", {}).get("thinking_tokens")
    assert facts.usage.cache_creation_1h_input_tokens == usage.get("cache_creation", {}).get(
        "ephemeral_1h_input_tokens"
    )
    assert facts.usage.web_searches == (usage.get("server_tool_use") or {}).get("web_search_requests")
    assert facts.service_tier == usage.get("service_tier")
    beyond = {"compaction", "advisor_message"} & {i["type"] for i in usage.get("iterations") or ()}
    assert ("usage_beyond_total" in facts.warnings) == bool(beyond)
    events = _events(recording.response_body)
    last = next((event["usage"] for event in reversed(events) if event["type"] == "message_delta"), usage)
    assert facts.provider_usage is not None
    assert json.loads(facts.provider_usage) == last


@each_recording
def test_the_request_is_read(recording: Recording) -> None:
    facts, request = recording.request_facts, json.loads(recording.request_body)
    assert facts.model == request["model"]
    assert facts.stream == request.get("stream", False)
    assert facts.max_output_tokens == request.get("max_tokens", request.get("max_tokens_to_sample"))
    assert facts.message_count == len(request.get("messages", "x"))
    assert facts.has_system_text == bool(request.get("system"))
    tools = [
        tool["name"] if tool.get("type", "custom") == "custom" else tool["type"] for tool in request.get("tools", ())
    ]
    assert list(facts.tools) == tools + ["mcp_server"] * len(request.get("mcp_servers", ()))
    conversation = recording.codec.conversation(recording.call, recording.request_body, None)
    assert conversation.request_message_count == facts.message_count
    assert conversation.tools == facts.tools


@each_recording
def test_a_count_of_tokens_is_no_usage(recording: Recording) -> None:
    if recording.codec.api == "anthropic.count_tokens":
        facts = recording.response_facts(recording.response_body)
        assert facts.usage.source is UsageSource.NONE
        assert facts.usage.input_tokens is facts.provider_usage is None


@each_recording
def test_a_text_completion_never_says_its_tokens(recording: Recording) -> None:
    if recording.codec.api == "anthropic.complete":
        facts, answer = recording.response_facts(recording.response_body), json.loads(recording.response_body)
        assert facts.usage.source is UsageSource.ESTIMATED
        assert (facts.model, facts.finish_reasons) == (answer["model"], (answer["stop_reason"],))
        conversation = recording.codec.conversation(recording.call, recording.request_body, recording.response_body)
        assert conversation.response_text == answer["completion"]


@each_recording
def test_chunks_never_change_the_facts(recording: Recording) -> None:
    body = recording.response_body
    whole = recording.response_facts(body)
    if len(body) < 50_000:
        assert recording.response_facts(*bytewise(body)) == whole
    for size in (7, 1_000):
        assert recording.response_facts(*(body[i : i + size] for i in range(0, len(body), size))) == whole
