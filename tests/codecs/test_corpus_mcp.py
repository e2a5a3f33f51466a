"""Recorded MCP traffic and the specification's own examples, compared with what plain JSON says."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from extproc.codecs import CODECS
from extproc.model import Call, Conversation, RequestFacts, UsageSource
from tests.codecs.support import Recording, bytewise, corpus_recordings

RECORDINGS = corpus_recordings("mcp")
NO_CORPUS = "HEADGATE_CORPUS does not name a corpus"
MCP = CODECS["mcp"]
CALL = Call("POST", "/mcp", "tools.example.com")

each_recording = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda r: r.folder.name)


def _examples() -> list[dict[str, Any]]:
    root = os.environ.get("HEADGATE_CORPUS")
    path = Path(root) / "security" / "mcp_spec_examples.jsonl" if root else None
    return [json.loads(line) for line in path.read_text().splitlines()] if path is not None and path.exists() else []


each_example = pytest.mark.parametrize("example", _examples(), ids=lambda e: f"{e['type']}/{e['name']}")


def test_the_corpus_holds_recordings_and_examples() -> None:
    if not RECORDINGS:
        pytest.skip(NO_CORPUS)
    assert len(RECORDINGS) >= 6
    assert len(_examples()) >= 86


def _messages(body: bytes) -> list[Any]:
    if body.lstrip().startswith(b"{"):
        return [json.loads(body)]
    return [json.loads(line[5:]) for line in body.splitlines() if line.startswith(b"data:")]


@each_recording
def test_requests_are_read(recording: Recording) -> None:
    assert recording.codec.api == "mcp"
    sent = json.loads(recording.request_body)
    facts = recording.request_facts
    assert facts.rpc_methods == (sent["method"],)
    assert facts.called_tools == ((sent["params"]["name"],) if sent["method"] == "tools/call" else ())
    assert facts.model is None


@each_recording
def test_answers_are_read_and_count_no_tokens(recording: Recording) -> None:
    sent = json.loads(recording.request_body)
    facts = recording.response_facts(recording.response_body)
    conversation = recording.codec.conversation(recording.call, recording.request_body, recording.response_body)
    assert (facts.usage.source, facts.error, facts.warnings) == (UsageSource.NONE, None, ())
    assert facts.response_id == (str(sent["id"]) if "id" in sent else None)
    results = [message["result"] for message in _messages(recording.response_body) if "result" in message]
    assert len(results) == ("id" in sent)
    for result in results:
        assert conversation.tools == tuple(tool["name"] for tool in result.get("tools", ()))
        text = "\n\n".join(block["text"] for block in result.get("content", ())) or result.get("instructions")
        assert conversation.response_text == text
        if "structuredContent" in result:
            parts = [part for part in conversation.messages[-1].parts if part.media_type == "application/json"]
            assert [json.loads(part.text or "") for part in parts] == [result["structuredContent"]]
    call = conversation.messages[0].parts[0]
    if sent["method"] == "tools/call":
        assert (call.tool_call_id, call.tool_name) == (str(sent["id"]), sent["params"]["name"])
        assert json.loads(call.arguments or "") == sent["params"]["arguments"]
    else:
        assert json.loads(call.text or "") == {key: sent[key] for key in ("method", "params") if key in sent}


@each_recording
def test_chunks_never_change_the_facts(recording: Recording) -> None:
    body = recording.response_body
    whole = recording.response_facts(body)
    assert recording.response_facts(*bytewise(body)) == whole
    for size in (3, 1_000):
        assert recording.response_facts(*(body[i : i + size] for i in range(0, len(body), size))) == whole


# ── the specification's examples ─────────────────────────────────────────────────────────────────────────────────────

_PARAMS_OF = {
    "CallToolRequestParams": "tools/call",
    "CompleteRequestParams": "completion/complete",
    "CreateMessageRequestParams": "sampling/createMessage",
    "ElicitRequestFormParams": "elicitation/create",
    "PaginatedRequestParams": "tools/list",
    "ProgressNotificationParams": "notifications/progress",
}
_RESULT_MEMBERS = {
    "BlobResourceContents": ("contents", True),
    "EmbeddedResource": ("content", True),
    "ImageContent": ("content", True),
    "InputRequests": ("inputRequests", False),
    "Resource": ("resources", True),
    "Root": ("roots", True),
    "SamplingMessage": ("messages", True),
    "TextContent": ("content", True),
    "Tool": ("tools", True),
    "ToolResultContent": ("content", True),
    "ToolUseContent": ("content", True),
}
_KEPT_ELSEWHERE = frozenset(
    {"_meta", "annotations", "resultType", "cacheScope", "data", "blob", "jsonrpc", "type", "id"}
)
"""Bookkeeping of the protocol, what is base64, and what stands in typed fields."""


def _message(example: dict[str, Any]) -> dict[str, Any]:
    """A whole JSON-RPC message around an example, which may be a part of one."""
    kind, held = example["type"], example["json"]
    if "method" in held or "result" in held or "error" in held:
        return {"jsonrpc": "2.0", **held}
    if kind in _PARAMS_OF:
        return {"jsonrpc": "2.0", "id": 1, "method": _PARAMS_OF[kind], "params": held}
    if kind == "InputResponses":
        params = {"name": "a_tool", "arguments": {}, "inputResponses": held}
        return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    if kind.endswith("Error"):
        return {"jsonrpc": "2.0", "id": 1, "error": held}
    if kind in _RESULT_MEMBERS:
        member, is_listed = _RESULT_MEMBERS[kind]
        return {"jsonrpc": "2.0", "id": 1, "result": {member: [held] if is_listed else held}}
    return {"jsonrpc": "2.0", "id": 1, "result": held}


def _texts(value: Any, key: str = "") -> list[str]:
    """Every string of a document that is content."""
    if key in _KEPT_ELSEWHERE and not (key in ("data", "id") and isinstance(value, dict)):
        return []
    if isinstance(value, dict):
        return [text for name, held in value.items() for text in _texts(held, name)]
    if isinstance(value, list):
        return [text for held in value for text in _texts(held, key)]
    return [value] if isinstance(value, str) else []


def _said(conversation: Conversation) -> str:
    """All that a conversation holds, strings inside of JSON texts included."""
    told: list[str] = [*conversation.tools]
    for message in conversation.messages:
        told.append(message.role)
        for part in message.parts:
            told += [part.type, part.tool_call_id or "", part.tool_name or "", part.media_type or ""]
            for text in (part.text, part.arguments):
                if text:
                    told += [text, *_inside(text)]
    return "\n".join(told)


def _inside(text: str) -> list[str]:
    try:
        return [held for held in _texts({"": json.loads(text)}) if isinstance(held, str)]
    except ValueError:
        return []


@each_example
def test_every_example_of_the_specification_is_a_request_we_accept(example: dict[str, Any]) -> None:
    """What servers send, clients may send on: nothing of it is refused, and its media are known to be unread."""
    message = _message(example)
    facts = MCP.request(message, CALL)
    assert facts.rpc_methods == (message.get("method", "(response)"),)
    held = json.dumps(message.get("result", {}).get("content"))
    assert [part.kind for part in facts.uninspected_parts] == (["image"] if '"type": "image"' in held else [])


@each_example
@pytest.mark.parametrize("sent_by", ["client", "server"])
def test_nothing_of_an_example_is_lost(example: dict[str, Any], sent_by: str) -> None:
    message = _message(example)
    body = json.dumps(message).encode()
    request, response = (body, None) if sent_by == "client" else (None, body)
    said = _said(MCP.conversation(CALL, request, response))
    told_by_type = {"tools/call", "sampling/createMessage"}
    assert [text for text in _texts(message) if text not in said and text not in told_by_type] == []


@each_example
def test_an_example_as_an_answer_gives_its_error_and_id(example: dict[str, Any]) -> None:
    message = _message(example)
    decoder = MCP.response(call=CALL, status=200, content_type=None, request=RequestFacts())
    decoder.feed(f"data: {json.dumps(message)}\n\n".encode())
    facts = decoder.finish(complete=True)
    error = message.get("error")
    if error is not None:
        assert facts.error is not None
        assert (facts.error.type, facts.error.message) == (str(error["code"]), error["message"])
    else:
        assert facts.error is None
    answers = "method" not in message
    assert facts.terminal is answers
    assert facts.response_id == (str(message["id"]) if answers else None)
