"""A stream that is asked for its usage, from providers that frame, cut and end it in every way that there is.

Each case: the bytes of the provider's answer, and those that a client gets who did not ask. The first are in the row.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from extproc.stack import Stack, plan
from tests.e2e.conftest import QUICK
from tests.e2e.gate import EXAMPLE
from tests.e2e.scripted import Scripted, ScriptedReply
from tests.e2e.traffic import EXCHANGE_HEADER, OPENAI, Row, wait_for_rows

pytestmark = pytest.mark.e2e

STREAMED = {**OPENAI.document, "stream": True}
PAUSE_S = 0.05
"""Longer than what came before takes through the gate: else Envoy answers 502 in the place of a head that it holds."""

TEXT = b'data: {"id":"c","model":"gpt-4o-mini","choices":[{"index":0,"delta":{"content":"Hi"}}],"usage":null}'
LAST = b'data: {"id":"c","model":"gpt-4o-mini","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}'
EXTRA = b'data: {"id":"c","model":"gpt-4o-mini","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":7}}'
DONE = b"data: [DONE]"

OK = b"HTTP/1.1 200 OK\r\n"
SSE = b"content-type: text/event-stream\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"


def _stream(*events: bytes, end: bytes = b"\n") -> bytes:
    return b"".join(event + end + end for event in events)


ASKED = _stream(TEXT, LAST, EXTRA, DONE)
WANTED = _stream(TEXT, LAST, DONE)
CRLF, CRLF_WANTED = _stream(TEXT, LAST, EXTRA, DONE, end=b"\r\n"), _stream(TEXT, LAST, DONE, end=b"\r\n")
CR, CR_WANTED = _stream(TEXT, LAST, EXTRA, DONE, end=b"\r"), _stream(TEXT, LAST, DONE, end=b"\r")
LONG = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"y" * 200_000 + b'"}}]}\n\n'
TINY = _stream(TEXT) * 2_000
BLANK = b"\n" * 100_000


def _chunks(body: bytes, size: int = 1 << 30) -> list[bytes]:
    """Each in a write of its own (RFC 9112 §7.1), without the end."""
    pieces = (body[start : start + size] for start in range(0, len(body), size))
    return [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]


def _chunked(body: bytes, size: int = 1 << 30, trailers: bytes = b"") -> list[bytes | float]:
    return [OK + SSE + CHUNKED, *_chunks(body, size), b"0\r\n" + trailers + b"\r\n"]


WHOLE = {
    "in one chunk": (_chunked(ASKED), ASKED, WANTED),
    "byte by byte": (_chunked(ASKED, 1), ASKED, WANTED),
    "in one write with its head": ([b"".join(map(bytes, _chunked(ASKED)))], ASKED, WANTED),  # type: ignore[arg-type]
    "with a length": ([OK + SSE + b"content-length: %d\r\n\r\n" % len(ASKED), ASKED], ASKED, WANTED),
    "until the connection ends": ([OK + SSE + b"connection: close\r\n\r\n", ASKED], ASKED, WANTED),
    "by HTTP/1.0": ([b"HTTP/1.0 200 OK\r\n" + SSE + b"\r\n", ASKED], ASKED, WANTED),
    "with trailers": (_chunked(ASKED, 64, b"x-sum: 1\r\n"), ASKED, WANTED),
    "after an interim answer": ([b"HTTP/1.1 100 Continue\r\n\r\n", *_chunked(ASKED)], ASKED, WANTED),
    "without a content type": ([OK + CHUNKED, *_chunks(ASKED), b"0\r\n\r\n"], ASKED, WANTED),
    "without the last blank line": (_chunked(ASKED[:-2]), ASKED[:-2], WANTED[:-2]),
    "ending in the extra chunk": (_chunked(_stream(TEXT, LAST) + EXTRA), None, _stream(TEXT, LAST)),
    "with CR LF, cut between them": (_chunked(CRLF, 7), CRLF, CRLF_WANTED),
    "with CR alone": (_chunked(CR, 7), CR, CR_WANTED),
    "with a byte order mark": (_chunked(b"\xef\xbb\xbf" + ASKED), b"\xef\xbb\xbf" + ASKED, b"\xef\xbb\xbf" + WANTED),
    "with comments": (_chunked(b": PROCESSING\n\n" + ASKED + b": bye"), None, b": PROCESSING\n\n" + WANTED + b": bye"),
    "with a long event": (_chunked(LONG + ASKED, 999), LONG + ASKED, LONG + WANTED),
    "with thousands of events": (_chunked(TINY + ASKED), TINY + ASKED, TINY + WANTED),
    "with nothing but line ends first": (_chunked(BLANK + ASKED), BLANK + ASKED, BLANK + WANTED),
    "with choices that are null": (_chunked(ASKED.replace(b"[]", b"null")), None, WANTED),
}


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    routes: list[dict[str, Any]] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["routes"]
    routes = [route | ({"stream_usage": "ask"} if route["name"] == "openai" else {}) for route in routes]
    state = tmp_path_factory.mktemp("asking")
    chosen = plan(EXAMPLE, state=state, port=0, concurrency=1, settings=QUICK | {"routes": routes})
    with Stack(chosen, report=lambda _: None) as running:
        yield running


@pytest.fixture(scope="module")
def provider(asking: Stack) -> Iterator[Scripted]:
    with Scripted(asking) as standing_in:
        yield standing_in


def _row(stack: Stack, reply: ScriptedReply) -> Row:
    (row,) = wait_for_rows(stack, lambda row: row["exchange_id"] == reply.headers[EXCHANGE_HEADER])
    return row


@pytest.mark.parametrize("case", WHOLE)
def test_the_client_gets_all_but_the_chunk_and_the_row_has_all(asking: Stack, provider: Scripted, case: str) -> None:
    script, sent, wanted = WHOLE[case]
    reply = provider.send(OPENAI, STREAMED, script)
    assert (reply.status, reply.whole) == (200, True)
    assert reply.body == wanted
    row = _row(asking, reply)
    assert (row["capture_status"], row["usage_source"], row["response_content_state"]) == (
        "completed",
        "provider",
        "exact",
    )
    assert (row["gen_ai_usage_input_tokens"], row["gen_ai_usage_output_tokens"]) == (9, 7)
    assert row["gen_ai_response_finish_reasons"] == ["stop"]
    assert row["response_sha256"] == hashlib.sha256(row["response_body"]).digest()
    assert sent is None or row["response_body"] == sent


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"c","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":0}}',
        b'{"id":"c","choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9}}',
    ],
    ids=["no choices", "a choice"],
)
def test_a_plain_answer_to_a_streamed_request_passes_whole(asking: Stack, provider: Scripted, body: bytes) -> None:
    head = OK + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    reply = provider.send(OPENAI, STREAMED, [head, body])
    assert reply.body == body
    assert _row(asking, reply)["response_body"] == body


@pytest.mark.parametrize(
    "end", [b"content-length: 0\r\n\r\n", CHUNKED + b"0\r\n\r\n", CHUNKED + b"0\r\nx-a: 1\r\n\r\n"]
)
def test_an_answer_without_a_byte_ends(asking: Stack, provider: Scripted, end: bytes) -> None:
    reply = provider.send(OPENAI, STREAMED, [OK + SSE + end])
    assert (reply.status, reply.body, reply.whole) == (200, b"", True)
    assert _row(asking, reply)["capture_status"] == "completed"


def test_a_provider_that_refuses_to_be_asked_is_heard_to_the_byte(asking: Stack, provider: Scripted) -> None:
    """Mistral's API answers what it does not know with 422."""
    body = b'{"object":"error","message":"Extra inputs are not permitted: stream_options","code":3051}'
    head = b"HTTP/1.1 422 Unprocessable Entity\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(
        body
    )
    reply = provider.send(OPENAI, STREAMED, [head, body])
    assert (reply.status, reply.body) == (422, body)
    assert _row(asking, reply)["http_status"] == 422


def test_a_coded_stream_passes_as_it_came(asking: Stack, provider: Scripted) -> None:
    coded = gzip.compress(ASKED, mtime=0)
    script = [OK + SSE + b"content-encoding: gzip\r\n" + CHUNKED, *_chunks(coded, 20), b"0\r\n\r\n"]
    reply = provider.send(OPENAI, STREAMED, script)
    assert reply.body == coded
    row = _row(asking, reply)
    assert (row["warnings"], row["usage_source"]) == (["usage_chunk_kept"], "provider")


@pytest.mark.parametrize("cut", range(0, len(EXTRA + DONE) + 4, 13))
def test_a_stream_that_breaks_off_gives_what_was_complete_and_no_invented_end(
    asking: Stack, provider: Scripted, cut: int
) -> None:
    before, tail = _stream(TEXT, LAST), _stream(EXTRA, DONE)[:cut]
    reply = provider.send(OPENAI, STREAMED, [OK + SSE + CHUNKED, *_chunks(before), *_chunks(tail), PAUSE_S])
    assert (reply.status, reply.body, reply.whole) == (200, before, False)
    row = _row(asking, reply)
    assert (row["capture_status"], row["http_status"]) == ("upstream_aborted", 200)
    assert row["response_body"] == before + tail
    if cut >= len(EXTRA):
        assert (row["usage_source"], row["gen_ai_usage_output_tokens"]) == ("provider", 7)


def test_an_answer_that_envoy_had_to_give_itself_is_told_as_such(asking: Stack, provider: Scripted) -> None:
    """The provider's head comes together with the end of its connection, so Envoy passes on neither."""
    reply = provider.send(OPENAI, STREAMED, [OK + SSE + CHUNKED + b"zz\r\n"])
    row = _row(asking, reply)
    assert (reply.status, row["http_status"], row["answered_by"]) == (502, 502, "envoy")
    assert row["capture_status"] == "upstream_aborted"
