"""The stand-ins for providers: simulated answers that tests steer, and recorded ones."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from extproc.upstream.http import Application
from extproc.upstream.journal import BODIES_KEPT_BYTES_MAX, Journal
from extproc.upstream.recordings import Library, Recording, Unreadable, load_recording, load_recordings
from extproc.upstream.replay import ReplayedProviders
from extproc.upstream.simulated import SimulatedProviders
from tests.e2e.gate import until
from tests.unit.upstream_server import CHAT, KEY, Server

TOOLS = [
    {"type": "function", "function": {"name": "look_up", "parameters": {"properties": {"n": {"type": "integer"}}}}}
]


@pytest.fixture
def serve() -> Iterator[Callable[[Application], Server]]:
    running: list[Server] = []

    def start(application: Application) -> Server:
        running.append(Server(application))
        return running[-1]

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def simulated(serve: Callable[[Application], Server]) -> Server:
    return serve(SimulatedProviders())


def events(body: bytes) -> list[Any]:
    lines = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: ")]
    return [line if line == b"[DONE]" else json.loads(line) for line in lines]


def test_an_openai_answer_has_the_apis_shape_and_the_dated_model(simulated: Server) -> None:
    reply = simulated.chat(n=2)
    assert reply.status == 200
    assert reply.json["model"] == "gpt-4o-mini-2024-07-18"
    assert [choice["finish_reason"] for choice in reply.json["choices"]] == ["stop", "stop"]
    assert reply.json["usage"]["completion_tokens"] == 16  # eight pieces in each of two choices
    assert int(reply.headers["content-length"]) == len(reply.body)


def test_equal_requests_have_equal_answers(simulated: Server) -> None:
    assert simulated.chat().body == simulated.chat().body
    assert simulated.chat().body != simulated.chat(model="gpt-4o").body


def test_an_openai_stream_ends_with_done_and_has_usage_only_when_asked(simulated: Server) -> None:
    plain = events(simulated.chat({"x-sim-chunks": "3"}, stream=True).body)
    assert plain[-1] == b"[DONE]"
    assert all("usage" not in event for event in plain[:-1])
    asked = events(simulated.chat({"x-sim-chunks": "3"}, stream=True, stream_options={"include_usage": True}).body)
    assert asked[-2]["choices"] == []
    assert asked[-2]["usage"]["completion_tokens"] == 3
    text = "".join(choice["delta"].get("content") or "" for event in plain[:-1] for choice in event["choices"])
    assert text == "This is a "


def test_the_first_tool_is_called_once_and_then_there_is_an_answer(simulated: Server) -> None:
    first = simulated.chat(tools=TOOLS).json["choices"][0]
    assert first["finish_reason"] == "tool_calls"
    (call,) = first["message"]["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("look_up", {"n": 1})
    result = {"role": "tool", "tool_call_id": call["id"], "content": "1"}
    second = simulated.chat(tools=TOOLS, messages=[*CHAT["messages"], first["message"], result])
    assert second.json["choices"][0]["finish_reason"] == "stop"
    streamed = events(simulated.chat(tools=TOOLS, stream=True).body)
    fragments = [c["delta"]["tool_calls"][0]["function"]["arguments"] for e in streamed[:-2] for c in e["choices"]]
    assert json.loads("".join(fragments)) == {"n": 1}


def test_anthropic_is_spoken_on_its_path(simulated: Server) -> None:
    body = {"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    whole = simulated.send("POST", "/v1/messages", {"x-api-key": "any"}, body).json
    assert (whole["type"], whole["stop_reason"], whole["usage"]["output_tokens"]) == ("message", "end_turn", 8)
    stream = events(simulated.send("POST", "/v1/messages", {"x-api-key": "any"}, body | {"stream": True}).body)
    kinds = [event["type"] for event in stream]
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert stream[-2]["usage"] == {"output_tokens": 8}
    tool = {"name": "look_up", "input_schema": {"properties": {"q": {"type": "string"}}}}
    called = simulated.send("POST", "/v1/messages", {"x-api-key": "any"}, body | {"tools": [tool]}).json
    assert (called["stop_reason"], called["content"][0]["input"]) == ("tool_use", {"q": "example"})


@pytest.mark.parametrize(
    ("path", "where"), [("/v1/chat/completions", ("error", "code")), ("/v1/messages", ("error", "type"))]
)
def test_errors_are_in_the_apis_format(simulated: Server, path: str, where: tuple[str, str]) -> None:
    refused = simulated.send("POST", path, {}, CHAT)
    assert refused.status == 401
    assert where[1] in refused.json[where[0]]
    assert simulated.send("POST", path, {**KEY, "x-sim-status": "429"}, CHAT).status == 429
    assert simulated.send("POST", path, KEY, b"{" * 200_000).status == 400
    assert simulated.send("POST", path, KEY, CHAT | {"model": "missing-1"}).status == 404
    assert simulated.send("GET", "/v1/nothing", KEY).status == 404


def test_an_echo_answers_with_what_came(simulated: Server) -> None:
    reply = simulated.chat({"x-sim-echo": "1"}, messages=[{"role": "user", "content": "zażółć"}])
    assert reply.json["choices"][0]["message"]["content"] == "zażółć"


def test_a_size_is_kept(simulated: Server) -> None:
    reply = simulated.chat({"x-sim-body-bytes": "300001"})
    assert len(reply.json["choices"][0]["message"]["content"]) == 300_001
    pieces = events(simulated.chat({"x-sim-chunks": "4", "x-sim-chunk-bytes": "100"}, stream=True).body)
    assert [len(event["choices"][0]["delta"]["content"]) for event in pieces[1:5]] == [100] * 4


def test_an_abort_cuts_the_answer_after_as_many_pieces_as_asked(simulated: Server) -> None:
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)) as cut:
        simulated.chat({"x-sim-abort-after-chunks": "2", "x-sim-chunk-delay-ms": "5"}, stream=True)
    if isinstance(cut.value, http.client.IncompleteRead):
        assert b"[DONE]" not in cut.value.partial


def test_failures_stop_after_as_many_as_asked(simulated: Server) -> None:
    failing = {"x-sim-fail-times": "2", "x-sim-key": "a"}
    assert [simulated.chat(failing).status for _ in range(4)] == [503, 503, 200, 200]


def test_an_answer_is_gzipped_when_asked_whole_and_streamed(simulated: Server) -> None:
    whole = simulated.chat({"x-sim-encoding": "gzip"})
    assert whole.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(whole.body))["object"] == "chat.completion"
    assert gzip.decompress(simulated.chat({"x-sim-encoding": "gzip"}, stream=True).body).endswith(b"data: [DONE]\n\n")


def test_trailers_follow_the_body(simulated: Server) -> None:
    host, _, port = simulated.address.rpartition(":")
    body = json.dumps(CHAT).encode()
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: k\r\nconnection: close\r\n"
            b"x-sim-trailers: x-sum: 7\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        )
        received = b"".join(iter(lambda: client.recv(65_536), b""))
    assert received.endswith(b"\r\n0\r\nx-sum: 7\r\n\r\n")


def test_a_chunked_request_is_read_whole_and_written_down(simulated: Server) -> None:
    body = json.dumps(CHAT).encode()
    host, _, port = simulated.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request(
        "POST", "/v1/chat/completions?q=1", iter([body[:10], body[10:]]), {**KEY, "x-sim-key": "k"}, encode_chunked=True
    )
    assert connection.getresponse().status == 200
    connection.close()
    (seen,) = simulated.send("GET", "/_sim/requests?key=k").json["requests"]
    assert (seen["method"], seen["path"]) == ("POST", "/v1/chat/completions?q=1")
    assert base64.b64decode(seen["body_base64"]) == body
    assert seen["body_sha256"] == hashlib.sha256(body).hexdigest()
    assert simulated.send("GET", "/_sim/requests?key=other").json["requests"] == []
    assert simulated.send("DELETE", "/_sim/requests").json["requests"] == []


@pytest.mark.parametrize(
    "sent",
    [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n"],
)
def test_what_is_not_http_closes_the_connection_and_nothing_else(simulated: Server, sent: bytes) -> None:
    host, _, port = simulated.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(sent)
        assert client.recv(100) == b""
    assert simulated.chat().status == 200


def test_the_journal_lets_old_bodies_go_before_it_grows_too_large() -> None:
    from extproc.upstream.http import Request

    journal = Journal()
    body = b"x" * (BODIES_KEPT_BYTES_MAX // 2)
    for _ in range(4):
        journal.add(Request("POST", "/", {}, body))
    kept = [entry["body_base64"] is not None for entry in journal.listed(None)]
    assert kept == [False, False, True, True]
    assert {entry["body_bytes"] for entry in journal.listed(None)} == {len(body)}


# --- recordings ------------------------------------------------------------------------------------------------------


def record(folder: Path, *, request: Any = None, response: Any = None, **files: bytes) -> Path:
    folder.mkdir(parents=True)
    request = {"method": "POST", "authority": "api.example", "path": "/v1/x", "headers": []} | (request or {})
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    (folder / "response.json").write_text(
        json.dumps({"status": 200, "headers": []} | (response or {})), encoding="utf-8"
    )
    for name, data in files.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    return folder


def test_a_recording_is_served_as_it_was_but_for_its_framing(
    serve: Callable[[Application], Server], tmp_path: Path
) -> None:
    headers = [
        ["Content-Type", "application/json"],
        ["Content-Length", "999"],
        ["Transfer-Encoding", "chunked"],
        ["Content-Encoding", "gzip"],
        ["X-Own", "kept"],
        ["Connection", "keep-alive"],
    ]
    record(tmp_path / "plain", response={"status": 429, "headers": headers}, request_body=b"{}", response_body=b"[1]")
    wire = gzip.compress(b"[2]")
    record(
        tmp_path / "wired",
        request={"path": "/w"},
        response={"headers": headers},
        response_body=b"[2]",
        response_wire=wire,
    )
    server = serve(ReplayedProviders(Library(load_recordings(tmp_path)[0])))
    plain = server.send("POST", "/v1/x", {"host": "api.example"}, b"{}")
    assert (plain.status, plain.body, plain.headers["x-own"]) == (429, b"[1]", "kept")
    assert "content-encoding" not in plain.headers
    assert (plain.headers["content-length"], plain.headers["x-replay-id"]) == ("3", "plain")
    wired = server.send("POST", "/w", {"host": "api.example"}, b"")
    assert (wired.headers["content-encoding"], wired.body) == ("gzip", wire)


def test_a_recorded_stream_is_served_in_chunks(serve: Callable[[Application], Server], tmp_path: Path) -> None:
    body = b"data: x\n\n" * 5_000
    record(tmp_path / "s", response={"headers": [["content-type", "text/event-stream"]]}, response_body=body)
    reply = serve(ReplayedProviders(Library(load_recordings(tmp_path)[0]))).send("POST", "/v1/x", {}, b"")
    assert reply.headers["transfer-encoding"] == "chunked"
    assert reply.body == body


def _recording(name: str, body: bytes, *, authority: str = "a.example", path: str = "/v1/x") -> Recording:
    return Recording(name, "POST", authority, path, body, 200, (), b"")


def library() -> Library:
    return Library(
        [
            _recording("equal", b'{"a": 1}'),
            _recording("other-host", b'{"a": 1}', authority="b.example"),
            _recording("json", b'{"b": [1, 2], "c": null}'),
            _recording("lonely", b"anything", path="/v1/lonely"),
        ]
    )


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"id": "json", "body": b"whatever", "path": "/nowhere"}, "json"),
        ({"body": b'{"a": 1}'}, "equal"),
        ({"body": b'{"a": 1}', "authority": "b.example"}, "other-host"),
        ({"body": b'{"a": 1}', "authority": "127.0.0.1:8080"}, "equal"),
        ({"body": b'{"c":null,"b":[1,2]}'}, "json"),
        ({"body": b"unlike", "path": "/v1/lonely"}, "lonely"),
    ],
)
def test_the_recording_that_answers_is_found(asked: dict[str, Any], found: str) -> None:
    call = {"id": None, "method": "POST", "path": "/v1/x", "authority": "a.example", "body": b""} | asked
    recording = library().find(**call)
    assert isinstance(recording, Recording)
    assert recording.id == found


def test_a_request_that_was_recorded_twice_is_answered_by_each_in_turn() -> None:
    library = Library([_recording("one", b"same"), _recording("two", b"same")])
    found = [library.find(id=None, method="POST", path="/v1/x", authority="a.example", body=b"same") for _ in range(3)]
    assert [recording.id for recording in found if isinstance(recording, Recording)] == ["one", "two", "one"]


def test_where_no_recording_answers_it_says_what_was_tried(
    serve: Callable[[Application], Server], tmp_path: Path
) -> None:
    server = serve(ReplayedProviders(library()))
    reply = server.send("POST", "/v1/x", {}, b'{"unlike": 1}')
    assert reply.status == 404
    assert "3 recordings of POST /v1/x" in reply.json["error"]["message"]
    assert "x-replay-id" in server.send("POST", "/v1/x", {"x-replay-id": "none"}, b"").json["error"]["message"]


@pytest.mark.parametrize(
    ("request_changes", "response_changes", "says"),
    [
        ({"path": 7}, {}, "path"),
        ({}, {"status": "ok"}, "status"),
        ({}, {"status": 100}, "status"),
    ],
)
def test_a_broken_recording_is_skipped_and_named(
    tmp_path: Path, request_changes: Any, response_changes: Any, says: str
) -> None:
    folder = record(tmp_path / "broken", request=request_changes, response=response_changes)
    record(tmp_path / "good")
    with pytest.raises(Unreadable, match=says):
        load_recording(folder)
    recordings, skipped = load_recordings(tmp_path)
    assert [recording.id for recording in recordings] == ["good"]
    assert len(skipped) == 1
    assert skipped[0].startswith("broken: ")


def test_a_header_that_would_split_the_answer_is_left_out(tmp_path: Path) -> None:
    folder = record(tmp_path / "r", response={"headers": [["x-a", "1\r\nx-b: 2"], ["x-c", "3"]]})
    assert load_recording(folder).headers == (("x-c", "3"),)


def test_a_slow_reader_holds_the_answer_not_the_memory(simulated: Server) -> None:
    """200 MB are asked for and not read: the server waits for the reader."""
    host, _, port = simulated.address.rpartition(":")
    body = json.dumps(CHAT | {"stream": True}).encode()
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: k\r\nx-sim-body-bytes: 200000000\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(body), body)
        )
        assert client.recv(16) == b"HTTP/1.1 200 OK\r"
        assert simulated.chat().status == 200
    until(lambda: simulated.chat().status == 200)


def test_every_recording_of_the_corpus_can_be_served() -> None:
    import os

    corpus = os.environ.get("HEADGATE_CORPUS")
    if not corpus:
        pytest.skip("HEADGATE_CORPUS is not set")
    recordings, skipped = load_recordings(Path(corpus) / "exchanges")
    assert skipped == []
    loaded = Library(recordings)
    for recording in recordings:
        found = loaded.find(
            id=None,
            method=recording.method,
            path=recording.path,
            authority=recording.authority,
            body=recording.request_body,
        )
        assert isinstance(found, Recording)
        assert found.request_body == recording.request_body
