"""Recorded chat completions, text completions and Responses, compared with a second reader that is as naive as can be.

The naive reader shares no code with ours: it splits lines, parses each `data:` as JSON, keeps the last of everything.
What it cannot know (a fixture that holds four responses in one body, reasoning that only the total shows) is written
down by hand below.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from extproc.codec import Codec
from extproc.codecs import CODECS, recognised
from extproc.model import Call, RequestFacts, ResponseFacts, UsageSource
from tests.codecs.support import Recording, bytewise, corpus_recordings

NO_CORPUS = "HEADGATE_CORPUS does not name a corpus with exchanges/"
APIS = ("openai.chat", "openai.completions", "openai.responses")
WRITERS_CHAT = "/v1/chat"
"""Chat completions at an address that says nothing: only the body tells."""

HIDDEN_REASONING = {"gemini-openai_chat-n-200-pydantic-ai-e998cf5f": 28}
"""`total_tokens` 100 says that 28 tokens of thinking are not among the 6 of `completion_tokens`."""
MISLABELLED = {"azure-deepseek-reasoning_1-n": "openai.chat"}
"""Called a response, but its `object` is `chat.completion`."""
SEVERAL_RESPONSES = "azure-reasoning-encrypted-content_1-s"
"""A fixture of four turns in one body."""
NO_TEXT = "openai-chat-n-400-ai-gateway-6f273acf"
NO_JSON = "other-openai_chat-n-200-pydantic-ai-c1bf5923"


@dataclass(frozen=True)
class Case:
    """One recorded answer and what it was asked."""

    name: str
    codec: Codec
    call: Call
    request_body: bytes | None
    request: RequestFacts
    status: int
    body: bytes

    def facts(self, *chunks: bytes) -> ResponseFacts:
        decoder = self.codec.response(call=self.call, status=self.status, content_type=None, request=self.request)
        for chunk in chunks:
            decoder.feed(chunk)
        return decoder.finish(complete=True)


def _recorded() -> list[Case]:
    cases = []
    for recording in corpus_recordings(*APIS, "other.chat"):
        codec = recording.codec
        if codec.api == "opaque" and recording.call.path == WRITERS_CHAT:
            codec = recognised(json.loads(recording.request_body), recording.call) or codec
        if codec.api not in APIS:
            continue
        try:
            request = codec.request(json.loads(recording.request_body), recording.call)
        except Exception:  # noqa: BLE001 (max_tokens: -1, which the provider refused as well)
            request = RequestFacts()
        cases.append(Case(recording.folder.name, codec, recording.call, recording.request_body, request,
                          recording.status, recording.response_body))  # fmt: skip
    return cases


def _answers_only() -> list[Case]:
    root = os.environ.get("HEADGATE_CORPUS")
    folders = sorted((Path(root) / "responses_only").glob("*/meta.json")) if root else []
    cases = []
    for path in folders:
        meta = json.loads(path.read_bytes())
        if meta["api"] in APIS:
            call = Call("POST", "/v1/x", "example.org")
            body = (path.parent / "response.body").read_bytes()
            codec = CODECS[MISLABELLED.get(path.parent.name, meta["api"])]
            cases.append(Case(path.parent.name, codec, call, None, RequestFacts(), 200, body))
    return cases


CASES = [*_recorded(), *_answers_only()]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def test_the_corpus_holds_enough_of_each_api() -> None:
    if not CASES:
        pytest.skip(NO_CORPUS)
    apis = [case.codec.api for case in CASES]
    assert apis.count("openai.chat") >= 85
    assert apis.count("openai.responses") >= 44
    assert apis.count("openai.completions") >= 9
    assert sum(case.call.path == WRITERS_CHAT for case in CASES) == 3


def _documents(body: bytes) -> list[Any]:
    try:
        return [json.loads(body)]
    except ValueError:
        lines = [line[5:].strip() for line in body.replace(b"\r", b"\n").split(b"\n") if line.startswith(b"data:")]
        return [json.loads(line) for line in lines if line and line != b"[DONE]"]


def _chat(documents: list[Any]) -> dict[str, Any]:
    seen: dict[str, Any] = {"usage": {}, "texts": {}, "thoughts": {}, "reasons": {}, "calls": {}, "error": None}
    for chunk in documents:
        for key in ("model", "id", "service_tier"):
            seen[key] = (seen.get(key) if key == "id" else None) or chunk.get(key) or seen.get(key) or None
        seen["usage"] = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or seen["usage"]
        seen["error"] = chunk.get("error") or seen["error"]
        seen["texts"][0] = seen["texts"].get(0, "") + chunk.get("value", "")
        for place, choice in enumerate(chunk.get("choices") or []):
            number = choice.get("index", place)
            said = choice.get("delta") or choice.get("message") or {}
            seen["reasons"] |= {number: choice["finish_reason"]} if choice.get("finish_reason") else {}
            content = said.get("content") if "delta" in choice or "message" in choice else choice["text"]
            for part in content if isinstance(content, list) else [content]:
                if isinstance(part, dict) and part["type"] == "thinking":
                    thought = "".join(inner["text"] for inner in part["thinking"])
                    seen["thoughts"][number] = seen["thoughts"].get(number, "") + thought
                else:
                    text = part["text"] if isinstance(part, dict) else part or ""
                    seen["texts"][number] = seen["texts"].get(number, "") + text
            thought = said.get("reasoning_content") or said.get("reasoning") or ""
            if not thought:
                thought = "".join(detail.get("text") or "" for detail in said.get("reasoning_details") or [])
            seen["thoughts"][number] = seen["thoughts"].get(number, "") + thought
            seen["texts"][number] = seen["texts"].get(number, "") + (said.get("refusal") or "")
            if (legacy := said.get("function_call") or {}).get("name"):
                seen["calls"][number, -1] = [None, legacy["name"], legacy["arguments"]]
            for position, call in enumerate(said.get("tool_calls") or []):
                index = call.get("index") if call.get("index") is not None else position
                known = seen["calls"].setdefault((number, index), [None, None, ""])
                known[0] = known[0] or call.get("id")
                known[1] = known[1] or call["function"]["name"]
                known[2] += call["function"]["arguments"] or ""
    arguments = [call[2] for call in seen["calls"].values()]
    return {**seen, "written": [*seen["texts"].values(), *seen["thoughts"].values(), *arguments]}


def _response(documents: list[Any]) -> dict[str, Any]:
    last = documents[-1]
    whole = last.get("response", last)
    output = whole.get("output") or []
    content = [part for item in output if item["type"] == "message" for part in item["content"]]
    thoughts = [item for item in output if item["type"] == "reasoning"]
    reason = (whole.get("incomplete_details") or {}).get("reason") or whole.get("status")
    return {
        **{key: whole.get(key) for key in ("model", "id", "service_tier", "error")},
        "usage": whole.get("usage") or {},
        "reasons": {} if reason in (None, "queued") else {0: reason},
        "texts": {0: "".join(part.get("text") or part.get("refusal") or "" for part in content)},
        "thoughts": {
            0: "\n\n".join(part["text"] for item in thoughts for part in (*item["summary"], *item.get("content", ())))
        },
        "calls": {
            place: [item["call_id"], item["name"], item["arguments"]]
            for place, item in enumerate(item for item in output if item["type"] == "function_call")
        },
        "own_items": [item for item in output if item["type"].endswith("_call")],
        "written": [
            *(part.get("text") or part.get("refusal") or "" for part in content),
            *(part["text"] for item in thoughts for part in (*item["summary"], *item.get("content", ()))),
            *(item["arguments"] for item in output if item["type"] == "function_call"),
        ],
    }


def _naive(case: Case) -> dict[str, Any]:
    documents = _documents(case.body)
    return _response(documents) if case.codec.api == "openai.responses" else _chat(documents)


def _figures(case: Case, usage: dict[str, Any]) -> dict[str, int | None]:
    if case.codec.api == "openai.responses":
        read, details = usage["input_tokens_details"], usage["output_tokens_details"]
        figures = {"input_tokens": usage["input_tokens"], "output_tokens": usage["output_tokens"]}
    else:
        read, details = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
        hidden = HIDDEN_REASONING.get(case.name, 0)
        figures = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"] + hidden}
        details = {"reasoning_tokens": hidden, **details} if hidden else details
        beside = [usage.get(key) for key in ("cached_tokens", "num_cached_tokens", "prompt_cache_hit_tokens")]
        read = {"cached_tokens": next((n for n in beside if n is not None), None), **read}
    return {
        **figures,
        "cache_read_input_tokens": read.get("cached_tokens"),
        "cache_creation_input_tokens": read.get("cache_write_tokens"),
        "reasoning_output_tokens": details.get("reasoning_tokens"),
    }


@each_case
def test_the_answer_is_read_as_a_careful_person_reads_it(case: Case) -> None:
    facts = case.facts(case.body)
    if case.name == NO_JSON:
        assert (facts.model, facts.error, facts.warnings) == (None, None, ("unknown_sse_field",))
        return
    naive = _naive(case)
    if case.status != 200:
        error = naive["error"]
        assert facts.error is not None
        assert (facts.error.type, facts.error.message) == (error.get("type") or str(error["code"]), error["message"])
        assert facts.usage.source is UsageSource.NONE
        return
    assert (facts.model, facts.response_id) == (naive["model"], naive["id"])
    assert facts.service_tier == naive["service_tier"]
    assert facts.finish_reasons == tuple(reason for _, reason in sorted(naive["reasons"].items()))
    assert (facts.error.message if facts.error else None) == (naive["error"] or {}).get("message")
    if naive["usage"]:
        expected = _figures(case, naive["usage"])
        assert {name: getattr(facts.said, name) for name in expected} == expected
        assert facts.usage.source is UsageSource.PROVIDER
        assert json.loads(facts.provider_usage or "") == naive["usage"]
    else:
        assert facts.provider_usage is None
        assert facts.usage.source in (UsageSource.ESTIMATED, UsageSource.NONE)


@each_case
def test_texts_and_calls_are_put_together(case: Case) -> None:
    if case.status != 200 or case.name == NO_JSON:
        return
    facts = case.facts(case.body)
    conversation = case.codec.conversation(case.call, case.request_body, case.body)
    naive = _naive(case)
    text = "\n\n".join(text for _, text in sorted(naive["texts"].items()) if text)
    thought = "\n\n".join(text for _, text in sorted(naive["thoughts"].items()) if text)
    calls = [call for _, call in sorted(naive["calls"].items())]
    named = [[c.tool_call_id, c.tool_name, c.arguments] for c in conversation.tool_calls]
    if case.name == SEVERAL_RESPONSES:
        assert (conversation.response_text or "").endswith(text)
        assert [call[1] for call in named] == ["calculator"] * 3
        return
    assert (conversation.response_text, conversation.reasoning_text) == (text or None, thought or None)
    own = [call for call in named if call[1] in facts.tool_calls and call not in calls]
    assert [call for call in named if call not in own] == calls
    if case.codec.api == "openai.responses":
        kinds = [item["type"].removesuffix("_call") for item in naive["own_items"] if item["type"] != "function_call"]
        assert [call[1] for call in own] == kinds
    assert len(facts.tool_calls) == len(named)


@each_case
def test_text_is_counted_once_however_often_it_passes(case: Case) -> None:
    """By deltas or by the whole, never by both: an estimate would be twice too large."""
    if case.status != 200 or case.name in (NO_JSON, SEVERAL_RESPONSES):
        return
    naive = _naive(case)
    size = len("".join(naive["written"]).encode())
    own = [item for item in naive.get("own_items", ()) if item["type"] != "function_call"]
    counted = case.facts(case.body).text_bytes
    assert size <= counted <= size + len(json.dumps(own)) if own else counted == size


@each_case
def test_chunks_never_change_the_facts(case: Case) -> None:
    whole = case.facts(case.body)
    if len(case.body) < 100_000:
        assert case.facts(*bytewise(case.body)) == whole
    for size in (3, 1_000, 65_536):
        assert case.facts(*(case.body[i : i + size] for i in range(0, len(case.body), size))) == whole


@pytest.mark.parametrize("recording", corpus_recordings(*APIS), ids=lambda recording: recording.folder.name)
def test_the_request_is_read(recording: Recording) -> None:
    document = json.loads(recording.request_body)
    if document.get("max_tokens") == -1:
        return
    facts = recording.request_facts
    assert facts.model == document["model"]
    assert facts.stream == bool(document.get("stream"))
    given = document.get("messages", document.get("input", document.get("prompt")))
    assert facts.message_count == (len(given) if isinstance(given, list) else 1)
    conversation = recording.codec.conversation(recording.call, recording.request_body, None)
    assert conversation.request_message_count == len(conversation.messages) == facts.message_count
    assert conversation.tools == facts.tools
    strings = sum(len(text.encode()) for text in _strings(document))
    assert facts.text_bytes <= strings
    assert facts.text_bytes > 0 or recording.folder.name == NO_TEXT
    assert not [part for part in facts.uninspected_parts if part.kind == "unknown"]


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, inner in value.items() for text in (key, *_strings(inner))]
    return [text for inner in value for text in _strings(inner)] if isinstance(value, list) else []
