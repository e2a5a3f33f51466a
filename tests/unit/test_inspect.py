"""`headgate inspect`: what it prints for folders, HAR files and things that are neither."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from extproc.cli import main
from extproc.model import Call
from extproc.provider_names import provider_of

ASKED = {"model": "gpt-4o", "stream": False, "messages": [{"role": "user", "content": "Hi"}]}
ANSWER = {
    "id": "chatcmpl-1",
    "model": "gpt-4o-2024-08-06",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Looking.",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 8},
    },
}
SEEN = {
    "api": "openai.chat",
    "provider": "openai",
    "stream": False,
    "request_model": "gpt-4o",
    "response_model": "gpt-4o-2024-08-06",
    "response_id": "chatcmpl-1",
    "finish_reasons": ["tool_calls"],
    "usage": {
        "input_tokens": 9,
        "output_tokens": 4,
        "cache_read_input_tokens": 8,
        "cache_creation_input_tokens": None,
        "reasoning_output_tokens": None,
    },
    "provider_usage": ANSWER["usage"],
    "messages": [
        {"role": "user", "parts": [{"type": "text", "text": "Hi"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "text": "Looking."},
                {"type": "tool_call", "id": "c1", "name": "look", "arguments": '{"at": 1}'},
            ],
        },
    ],
    "tool_calls": [{"id": "c1", "name": "look", "arguments": '{"at": 1}'}],
    "tools": [],
    "response_text": "Looking.",
    "reasoning_text": None,
    "error": None,
    "warnings": [],
}


def _folder(path: Path, **parts: Any) -> Path:
    path.mkdir(parents=True)
    for name, value in parts.items():
        file = path / name.replace("_", ".")
        file.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return path


def _inspect(capsys: pytest.CaptureFixture[str], *paths: Path, exit_code: int = 0) -> list[dict[str, Any]]:
    assert main(["inspect", *map(str, paths)]) == exit_code
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def _har(*entries: Any) -> dict[str, Any]:
    return {"log": {"version": "1.2", "entries": list(entries)}}


REQUEST = {"method": "POST", "authority": "api.openai.com", "path": "/v1/chat/completions?x=1"}
RESPONSE = {"status": 200, "headers": [["content-type", "application/json"]]}


def test_a_folder_gives_the_normalised_exchange(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _folder(
        tmp_path / "one", request_json=REQUEST, request_body=ASKED, response_json=RESPONSE, response_body=ANSWER
    )
    (seen,) = _inspect(capsys, folder)
    assert seen["id"] == "one"
    assert {key: seen[key] for key in SEEN} == SEEN


def test_a_har_entry_gives_the_same_as_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {
        "request": {
            "method": "POST",
            "url": "https://api.openai.com/v1/chat/completions?key=x",
            "headers": [{"name": "Content-Type", "value": "application/json"}],
            "postData": {"mimeType": "application/json", "text": json.dumps(ASKED)},
        },
        "response": {
            "status": 200,
            "headers": [{"name": "content-encoding", "value": "br"}],
            "content": {
                "mimeType": "application/json",
                "encoding": "base64",
                "text": base64.b64encode(json.dumps(ANSWER).encode()).decode(),
            },
        },
    }
    file = tmp_path / "session.har"
    file.write_text(json.dumps(_har(entry, {"request": {}})), encoding="utf-8")
    seen, broken = _inspect(capsys, file, exit_code=1)
    assert seen["id"] == "session#0"
    assert {key: seen[key] for key in SEEN} == SEEN
    assert broken == {"id": "session#1", "unreadable": "the entry's request has no url"}


def test_half_a_surrogate_pair_is_printed_as_its_escape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "cut \ud83d"}}]}
    folder = _folder(
        tmp_path / "one", request_json=REQUEST, request_body=ASKED, response_json=RESPONSE, response_body=answer
    )
    (seen,) = _inspect(capsys, folder)
    assert seen["response_text"] == "cut \ud83d"


def test_a_recording_of_the_wire_alone_is_decoded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = {"status": 200, "headers": {"Content-Encoding": "gzip"}}
    wire = gzip.compress(json.dumps(ANSWER).encode())
    folder = _folder(tmp_path / "one", request_json=REQUEST, request_body=ASKED, response_json=head, response_wire=wire)
    (seen,) = _inspect(capsys, folder)
    assert seen["usage"] == SEEN["usage"]
    (folder / "response.wire").write_bytes(wire[:20] + b"broken" * 9)
    (seen,) = _inspect(capsys, folder)
    assert seen["warnings"][0] == "undecodable_content"


def test_a_request_without_an_answer_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _folder(tmp_path / "one", request_json=REQUEST, request_body=ASKED)
    (seen,) = _inspect(capsys, folder)
    assert (seen["status"], seen["request_model"], seen["response_text"]) == (None, "gpt-4o", None)
    assert seen["warnings"] == ["no_response"]


def test_what_the_gate_would_refuse_is_said_and_read_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = b'{"model": "cheap", "model": "dear", "messages": []}'
    folder = _folder(
        tmp_path / "one", request_json=REQUEST, request_body=twice, response_json=RESPONSE, response_body=ANSWER
    )
    (seen,) = _inspect(capsys, folder)
    assert seen["request"]["problem"]["code"] == "duplicate_key"
    assert seen["request_model"] == "dear"


def test_what_is_no_request_of_its_api_still_has_its_model_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {**ASKED, "temperature": "hot", "stream": True}
    folder = _folder(
        tmp_path / "one", request_json=REQUEST, request_body=wrong, response_json={"status": 400}, response_body={}
    )
    (seen,) = _inspect(capsys, folder)
    assert seen["request"]["problem"]["code"] == "invalid_request"
    assert (seen["request_model"], seen["stream"]) == ("gpt-4o", True)


def test_an_answer_in_events_was_streamed_though_nobody_kept_the_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, kind in (("events", "text/event-stream; charset=utf-8"), ("plain", "application/json")):
        _folder(
            tmp_path / name,
            request_json=REQUEST,
            response_json={"status": 200, "headers": {"content-type": kind}},
            response_body=b"data: [DONE]\n\n",
        )
    assert [seen["stream"] for seen in _inspect(capsys, tmp_path)] == [True, False]


def test_a_request_in_a_content_coding_shows_its_messages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = _folder(
        tmp_path / "one",
        request_json={**REQUEST, "headers": {"content-encoding": "gzip"}},
        request_body=gzip.compress(json.dumps(ASKED).encode()),
    )
    (seen,) = _inspect(capsys, folder)
    assert seen["messages"] == [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}]


def test_a_cut_stream_says_so_and_estimates_beside_what_was_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chunk = b'data: {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "twelve bytes"}}]}\n\n'
    folder = _folder(
        tmp_path / "one",
        request_json=REQUEST,
        request_body={**ASKED, "stream": True},
        response_json=RESPONSE,
        response_body=chunk,
    )
    (seen,) = _inspect(capsys, folder)
    assert seen["response_text"] == "twelve bytes"
    assert set(seen["usage"].values()) == {None}
    assert seen["usage_source"] == "estimated"
    assert seen["estimated_usage"]["output_tokens"] == 3
    assert seen["warnings"] == ["truncated"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"log": {}}', b'{"log": {"entries": {}}}', b"\xff\xfe"])
def test_a_file_that_is_no_har_is_a_usage_error(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.har"
    file.write_bytes(content)
    assert main(["inspect", str(file)]) == 2
    assert "is no HAR file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "path", "api", "provider"),
    [
        ("api.openai.com", "/v1/responses", "openai.responses", "openai"),
        ("res.openai.azure.com", "/openai/v1/responses", "openai.responses", "azure.ai.openai"),
        ("eu-west-1-aiplatform.googleapis.com", "/v1/x", "gemini.generate_content", "gcp.vertex_ai"),
        ("generativelanguage.googleapis.com", "/v1beta/openai/chat/completions", "openai.chat", "gcp.gemini"),
        ("bedrock-runtime.eu-central-1.amazonaws.com", "/model/x/invoke", "bedrock.invoke_model", "aws.bedrock"),
        (
            "localhost",
            "/google-vertex/v1/publishers/google/models/m:generateContent",
            "gemini.generate_content",
            "gcp.vertex_ai",
        ),
        ("localhost", "/api/chat", "ollama.chat", "ollama"),
        ("localhost", "/v1/chat/completions", "openai.chat", None),
        ("notaws.amazonaws.com", "/v1/chat/completions", "openai.chat", None),
    ],
)
def test_a_host_tells_whose_it_is(host: str, path: str, api: str, provider: str | None) -> None:
    assert provider_of(Call("POST", path, host), api) == provider


def test_a_model_in_the_path_is_told_without_a_body(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = {
        "method": "POST",
        "authority": "bedrock-runtime.eu-west-1.amazonaws.com",
        "path": "/model/a.b-v1%3A0/converse",
    }
    folder = _folder(tmp_path / "one", request_json=request)
    (seen,) = _inspect(capsys, folder)
    assert (seen["api"], seen["request_model"]) == ("bedrock.converse", "a.b-v1:0")


def test_a_port_tells_ollama_on_anybodys_host() -> None:
    call = Call("POST", "/v1/chat/completions", "localhost")
    assert [provider_of(call, "openai.chat", port=port) for port in (11434, 8000, None)] == ["ollama", None, None]
    groq = Call("POST", "/openai/v1/chat/completions", "api.groq.com")
    assert provider_of(groq, "openai.chat", port=11434) == "groq"


def test_a_request_that_is_itself_a_call_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = {"name": "greet", "arguments": {"name": "Ada"}}
    answer = {"content": [{"type": "text", "text": "Hello, Ada"}], "isError": False}
    folder = _folder(
        tmp_path / "one",
        request_json={"method": "POST", "authority": "localhost", "path": "/mcp"},
        request_body={"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params},
        response_json=RESPONSE,
        response_body={"jsonrpc": "2.0", "id": 2, "result": answer},
    )
    (seen,) = _inspect(capsys, folder)
    assert seen["tool_calls"] == [{"id": "2", "name": "greet", "arguments": '{"name":"Ada"}'}]
    assert seen["response_text"] == "Hello, Ada"
    assert seen["messages"][1] == {
        "role": "tool",
        "parts": [{"type": "tool_result", "text": "Hello, Ada", "id": "2", "name": "greet"}],
    }
