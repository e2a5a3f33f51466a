"""Recordings in the many ways in which recorders write them: all of one exchange, all read alike."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from extproc.commands.recorded import Recorded, recordings
from extproc.commands.recorded_parts import Unreadable, headers_of, left_coding

ASKED = b'{"model":"m","messages":[{"role":"user","content":"caf\xc3\xa9"}]}'
TOLD = b'data: {"id":"c","choices":[]}\n\n'
HEAD = {"method": "POST", "authority": "api.openai.com", "path": "/v1/chat/completions?x=1"}
ANSWERED = {"status": 200, "headers": {"content-type": "text/event-stream"}}
FILES = {"request.body": ASKED, "response.body": TOLD}


def _write(folder: Path, request: Any, response: Any, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, data in {
        "request.json": json.dumps(request).encode(),
        "response.json": json.dumps(response).encode(),
        **files,
    }.items():
        (folder / name).write_bytes(data)
    return folder


def _only(found: Iterable[Recorded | tuple[str, Unreadable]]) -> Recorded:
    (recorded,) = found
    assert isinstance(recorded, Recorded), recorded
    return recorded


@pytest.mark.parametrize(
    "request_head",
    [
        HEAD,
        {"path": "/v1/chat/completions", "headers": {"Host": "api.openai.com"}},
        {"path": "v1/chat/completions", "headers": [["host", "API.openai.com:443"]]},
        {"url": "https://api.openai.com/v1/chat/completions?x=1"},
        {"uri": "https://user@api.openai.com:443/v1/chat/completions", "method": "post"},
        {"path": "https://api.openai.com/v1/chat/completions", "authority": "somebody.else"},
        {"headers": {":authority": "api.openai.com", ":path": "/v1/chat/completions", ":method": "POST"}},
        {"url": "https://api.openai.com//v1//chat/completions"},
        {"path": "/v1/chat/completions", "host": "api.openai.com", "headers": [{"name": "a", "value": "b"}]},
    ],
)
def test_an_address_is_found_wherever_it_stands(tmp_path: Path, request_head: Any) -> None:
    call = _only(recordings(_write(tmp_path / "one", request_head, ANSWERED, FILES))).call
    assert (call.method, call.host, call.path) == ("POST", "api.openai.com", "/v1/chat/completions")


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/x", "A": "1, 2"},
        {"content-type": ["text/x"], "A": ["1", "2"]},
        [["Content-Type", "text/x"], ["a", "1"], ["A", "2"]],
        [{"name": "content-type", "value": "text/x"}, {"name": "a", "value": "1"}, {"name": "a", "value": 2}],
        [{"key": "content-type", "value": "text/x"}, {"key": "a", "value": "1, 2"}, "junk", ["odd"], {"name": None}],
    ],
)
def test_headers_are_the_same_in_any_shape(headers: Any) -> None:
    assert headers_of(headers) == {"content-type": "text/x", "a": "1, 2"}


@pytest.mark.parametrize("status", [200, "200", "200 OK", "HTTP/1.1 200 OK", {"code": 200, "message": "OK"}])
def test_a_status_may_be_text(tmp_path: Path, status: Any) -> None:
    folder = _write(tmp_path / "one", HEAD, {"status": status, "headers": {}}, FILES)
    assert _only(recordings(folder)).status == 200


@pytest.mark.parametrize(
    "response", [{"status_code": 429}, {"status": "429 Too Many Requests"}, {"headers": {":status": "429"}}]
)
def test_a_status_is_found_wherever_it_stands(tmp_path: Path, response: Any) -> None:
    assert _only(recordings(_write(tmp_path / "one", HEAD, response, FILES))).status == 429


def test_an_answer_without_a_status_came_all_the_same(tmp_path: Path) -> None:
    assert _only(recordings(_write(tmp_path / "one", HEAD, {}, FILES))).status == 200
    assert _only(recordings(_write(tmp_path / "two", HEAD, {}, {"request.body": ASKED}))).status is None


@pytest.mark.parametrize(
    ("head", "files"),
    [
        ({}, {"response.body": TOLD}),
        ({"body_file": "answer.txt"}, {"answer.txt": TOLD}),
        ({"body_file": "deep/down/answer.txt"}, {"answer.txt": TOLD}),
        ({"body": TOLD.decode()}, {}),
        ({"body": {"string": TOLD.decode()}}, {}),
        ({"body": {"encoding": "base64", "string": base64.b64encode(TOLD).decode()}}, {}),
        ({"body": {"encoding": "UTF-8", "base64_string": base64.b64encode(TOLD).decode()}}, {}),
        ({"body": base64.b64encode(TOLD).decode(), "encoding": "base64"}, {}),
        ({"body_base64": base64.b64encode(TOLD).decode()}, {}),
        ({"encoding": "base64"}, {"response.body": base64.b64encode(TOLD)}),
        ({"encoding": "base64"}, {"response.body": TOLD}),
        ({}, {"response.wire": TOLD}),
    ],
)
def test_a_body_is_found_wherever_it_stands(tmp_path: Path, head: Any, files: dict[str, bytes]) -> None:
    folder = _write(tmp_path / "one", HEAD, {**ANSWERED, **head}, {"request.body": ASKED, **files})
    assert _only(recordings(folder)).response_body == TOLD


def test_a_body_that_was_stored_as_json_is_json(tmp_path: Path) -> None:
    folder = _write(tmp_path / "one", {**HEAD, "body": json.loads(ASKED)}, ANSWERED, {})
    assert _only(recordings(folder)).request_body == ASKED


@pytest.mark.parametrize(
    ("body", "said", "left"),
    [
        (gzip.compress(TOLD, mtime=0), "gzip", "gzip"),
        (gzip.compress(TOLD, mtime=0), None, "gzip"),
        (gzip.compress(TOLD, mtime=0), "br, gzip", "br, gzip"),
        (b"\x28\xb5\x2f\xfd\x04\x00", None, "zstd"),
        (TOLD, "gzip", None),
        (TOLD, "br", None),
        (ASKED * 9, "deflate", None),
        ("é".encode() * 400, "br", None),
        (b"x" + "é".encode() * 400, "br", None),
        (b"\x0b\x05\x80\x7b\x7d\x03", "br", "br"),
        (b"x\x9c\xab\xae\x05\x00\x01\x75\x00\xf9", "deflate", "deflate"),
        (b"", "gzip", None),
        (TOLD, None, None),
    ],
)
def test_the_bytes_say_whether_a_coding_is_still_on(body: bytes, said: str | None, left: str | None) -> None:
    assert left_coding(body, said) == left


def test_a_form_without_its_content_type_names_its_boundary_itself(tmp_path: Path) -> None:
    form = b'--b:1\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b:1--\r\n'
    for name, head in (("one", HEAD), ("two", {**HEAD, "headers": {"content-type": "x/y"}})):
        _write(tmp_path / name, head, ANSWERED, {"request.body": form})
    found = [item.call.content_type for item in recordings(tmp_path) if isinstance(item, Recorded)]
    assert found == ['multipart/form-data; boundary="b:1"', "x/y"]


def test_folders_are_searched_down_to_the_recordings(tmp_path: Path) -> None:
    for name in ("chat/plain", "chat/streamed", "responses/plain"):
        _write(tmp_path / name, HEAD, ANSWERED, FILES)
    (tmp_path / "empty").mkdir()
    found = [item.id if isinstance(item, Recorded) else item[0] for item in recordings(tmp_path)]
    assert found == ["plain", "streamed", "empty", "plain"]


@pytest.mark.parametrize(
    ("request_head", "why"),
    [
        ({}, "the request has no path"),
        ({"url": "https://[half/v1"}, "the request's url is none"),
        ({**HEAD, "body_base64": "é"}, "a body is not the base64 that it says it is"),
    ],
)
def test_what_is_no_recording_says_why(tmp_path: Path, request_head: Any, why: str) -> None:
    ((name, error),) = recordings(_write(tmp_path / "one", request_head, ANSWERED, {}))  # type: ignore[misc]
    assert (name, str(error)) == ("one", why)
