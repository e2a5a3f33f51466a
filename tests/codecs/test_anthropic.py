"""Anthropic: where its apis are spoken, what their newer answers say, and errors in mid-stream that its SDK raises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import anthropic
import pytest

from extproc.codecs import CODECS, codec_for, recognised
from extproc.errors import ClientError
from extproc.media import is_encrypted
from extproc.model import Call, RequestFacts, ResponseFacts
from tests.codecs.eventstream import chunk

MESSAGES = CODECS["anthropic.messages"]
VERTEX = "/v1/projects/p/locations/global/publishers/anthropic/models"
HOST = "api.anthropic.com"
EXCHANGE = "0190b3a0-7e4c-7abc-8def-0123456789ab"
CODE = "pii.no_bank_accounts"
MESSAGE = "Bank account numbers may not leave the company"
HI = {"max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("method", "host", "path", "api"),
    [
        ("POST", HOST, "/v1/messages", "anthropic.messages"),
        ("POST", "x.services.ai.azure.com", "/anthropic/v1/messages", "anthropic.messages"),
        ("POST", "bedrock-mantle.us-east-1.api.aws", "/anthropic/v1/messages", "anthropic.messages"),
        ("POST", "aiplatform.googleapis.com", f"{VERTEX}/claude-x@20250929:rawPredict", "anthropic.messages"),
        ("POST", "aiplatform.googleapis.com", f"{VERTEX}/claude-x:streamRawPredict", "anthropic.messages"),
        ("POST", "aiplatform.googleapis.com", f"{VERTEX}/count-tokens:rawPredict", "anthropic.count_tokens"),
        ("POST", HOST, "/v1/messages/count_tokens", "anthropic.count_tokens"),
        ("POST", HOST, "/v1/complete", "anthropic.complete"),
        ("GET", HOST, "/v1/models", "anthropic.models"),
        ("GET", HOST, "/v1/models/claude-x", "anthropic.models"),
        ("GET", "api.openai.com", "/v1/models", "openai.models"),
        ("POST", HOST, "/v1/messages/batches", "opaque"),
        ("POST", "aiplatform.googleapis.com", f"{VERTEX}/claude-x:predict", "opaque"),
        ("GET", HOST, "/v1/messages", "opaque"),
    ],
)
def test_calls_are_told_by_the_path(method: str, host: str, path: str, api: str) -> None:
    assert codec_for(Call(method, path, host)).api == api


def test_a_list_of_models_is_anthropics_where_its_clients_header_says_so() -> None:
    call = Call("GET", "/v1/models", "gateway.example.org", hints={"anthropic-version": "2023-06-01"})
    assert codec_for(call).api == "anthropic.models"


def test_vertex_goes_by_the_path_for_the_model_and_the_stream() -> None:
    call = Call("POST", f"{VERTEX}/claude-x@20250929:streamRawPredict", "aiplatform.googleapis.com")
    facts = MESSAGES.request({**HI, "model": "another"}, call)
    assert (facts.model, facts.stream) == ("claude-x@20250929", True)
    body = b'{"model": "another"}'
    assert MESSAGES.with_model(call, body, "claude-y@1") == (f"{VERTEX}/claude-y@1:streamRawPredict", body)


def test_elsewhere_the_body_names_the_model() -> None:
    path, body = MESSAGES.with_model(Call("POST", "/v1/messages", HOST), b'{ "model" : "a" }', "b")
    assert (path, body) == ("/v1/messages", b'{ "model" : "b" }')


MARKED = [
    {"anthropic_version": "vertex-2023-10-16"},
    {"tools": [{"name": "get", "input_schema": {"type": "object"}}]},
    {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "QQ=="}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}]},
]


@pytest.mark.parametrize("more", MARKED)
def test_a_body_that_only_claude_takes_is_recognised_anywhere(more: dict[str, Any]) -> None:
    found = recognised({"model": "m", **HI, **more}, Call("POST", "/my/own/path", "h"))
    assert found is not None
    assert found.api == "anthropic.messages"


@pytest.mark.parametrize(
    "document",
    [
        HI,
        {"messages": HI["messages"], "tools": [{"name": "get", "input_schema": {}}]},
        {**HI, "messages": [], "anthropic_version": "x"},
        {**HI, "messages": [{"role": "tool", "content": "x"}], "anthropic_version": "x"},
        {**HI, "messages": [{"role": "user", "content": [{"text": "Hi"}]}], "anthropic_version": "x"},
        [],
        None,
    ],
)
def test_a_body_that_others_could_take_is_not(document: Any) -> None:
    assert not MESSAGES.recognises(document, Call("POST", "/my/own/path", "h"))


def test_the_header_of_its_clients_tells_it_too() -> None:
    call = Call("POST", "/my/own/path", "h", hints={"anthropic-version": "2023-06-01"})
    assert MESSAGES.recognises(HI, call)
    assert not MESSAGES.recognises(HI, Call("GET", "/my/own/path", "h", hints=call.hints))


@pytest.mark.parametrize(
    "body",
    [{}, {"prompt": 5}, {"prompt": "x", "max_tokens_to_sample": "5"}, {"prompt": "x", "stream": 1}, []],
)
def test_a_text_completion_has_its_own_shape(body: Any) -> None:
    with pytest.raises(ClientError) as refused:
        CODECS["anthropic.complete"].request(body, Call("POST", "/v1/complete", HOST))
    assert refused.value.code == "invalid_request"


def _facts(*events: dict[str, Any], complete: bool = True) -> ResponseFacts:
    decoder = MESSAGES.response(
        call=Call("POST", "/v1/messages", HOST), status=200, content_type=None, request=RequestFacts()
    )
    for event in events:
        decoder.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    return decoder.finish(complete=complete)


def test_a_cache_that_lives_an_hour_is_never_more_than_what_was_written() -> None:
    written = {"input_tokens": 3, "cache_creation_input_tokens": 900}
    start = {**written, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 900}}
    last = {"output_tokens": 5, "cache_creation_input_tokens": 100}
    usage = _facts(
        {"type": "message_start", "message": {"usage": start}}, {"type": "message_delta", "usage": last}
    ).said
    assert (usage.cache_creation_input_tokens, usage.cache_creation_1h_input_tokens) == (100, 100)
    assert usage.input_tokens == 103


def test_figures_of_a_compaction_move_from_the_cache_to_none() -> None:
    """As recorded: what was compacted was read from the cache, the answer was not."""
    start = {"input_tokens": 100, "cache_read_input_tokens": 55096, "output_tokens": 7}
    last = {"input_tokens": 181, "cache_read_input_tokens": 0, "output_tokens": 8}
    iterations = [{"type": "compaction", "input_tokens": 100, "cache_read_input_tokens": 55096, "output_tokens": 83}]
    facts = _facts(
        {"type": "message_start", "message": {"usage": start}},
        {"type": "message_delta", "usage": {**last, "iterations": iterations}},
    )
    assert (facts.said.input_tokens, facts.said.cache_read_input_tokens, facts.said.output_tokens) == (181, 0, 8)
    assert "usage_beyond_total" in facts.warnings


@pytest.mark.parametrize(("declined", "is_beyond"), [((), False), ((408, 0), True)])
def test_a_fallback_is_beyond_the_total_only_when_another_attempt_was_counted_too(
    declined: tuple[int, ...], is_beyond: bool
) -> None:
    """The figures at the top are those of the attempt that answered."""
    answered = {"input_tokens": 412, "output_tokens": 264}
    attempts = [{"type": "message", "input_tokens": declined[0], "output_tokens": declined[1]}] if declined else []
    attempts.append({"type": "fallback_message", "model": "claude-served", **answered})
    facts = _facts({"type": "message_delta", "usage": {**answered, "iterations": attempts}})
    assert (facts.said.input_tokens, facts.said.output_tokens) == (412, 264)
    assert ("usage_beyond_total" in facts.warnings) is is_beyond


def test_a_null_error_beside_an_answer_is_none() -> None:
    body = {"type": "message", "error": None, "content": [], "usage": {"input_tokens": 1, "output_tokens": 2}}
    decoder = MESSAGES.response(
        call=Call("POST", "/v1/messages", HOST), status=200, content_type=None, request=RequestFacts()
    )
    decoder.feed(json.dumps(body).encode())
    assert decoder.finish(complete=True).error is None


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("compaction", "encrypted_content"),
        ("compaction", "signature"),
        ("advisor_redacted_result", "encrypted_content"),
        ("encrypted_code_execution_result", "encrypted_stdout"),
        ("thinking", "signature"),
    ],
)
def test_what_only_the_provider_can_read_is_known_by_its_block(kind: str, key: str) -> None:
    document = {"messages": [{"role": "assistant", "content": [{"type": kind, key: "QUJD"}]}]}
    assert is_encrypted(document, f"/messages/0/content/0/{key}", "QUJD")
    document["messages"][0]["content"] = [{"type": "text", key: "QUJD"}]
    assert not is_encrypted(document, f"/messages/0/content/0/{key}", "QUJD")


@contextmanager
def _streaming(content_type: str, body: bytes) -> Iterator[str]:
    """A server on loopback that answers everything with this stream; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


START: dict[str, Any] = {
    "type": "message_start",
    "message": {"id": "m", "type": "message", "role": "assistant", "model": "x", "content": [],
                "usage": {"input_tokens": 1, "output_tokens": 1}},
}  # fmt: skip


def _refused(client: Any) -> str:
    with pytest.raises(anthropic.APIStatusError) as raised:
        for _ in client.messages.create(model="m", stream=True, **HI):
            pass
    return str(raised.value)


def test_an_error_in_mid_stream_raises_in_the_anthropic_sdk() -> None:
    told = MESSAGES.error_event(
        call=Call("POST", "/v1/messages", HOST), status=403, code=CODE, message=MESSAGE, exchange_id=EXCHANGE
    )
    before = b"event: message_start\ndata: " + json.dumps(START).encode() + b"\n\n"
    with _streaming("text/event-stream", before + told) as url:
        message = _refused(anthropic.Anthropic(api_key="x", base_url=url, max_retries=0))
    assert all(word in message for word in ("permission_error", MESSAGE, CODE, EXCHANGE))
    error = _facts_of(before + told).error
    assert error is not None
    assert (error.type, error.message) == ("permission_error", f"{MESSAGE} ({CODE}, exchange {EXCHANGE})")


def test_an_error_in_mid_stream_of_bedrock_raises_in_the_anthropic_sdk() -> None:
    call = Call("POST", "/model/m/invoke-with-response-stream", "h")
    told = CODECS["bedrock.invoke_model"].error_event(
        call=call, status=403, code=CODE, message=MESSAGE, exchange_id=EXCHANGE
    )
    with _streaming("application/vnd.amazon.eventstream", chunk(START) + told) as url:
        client = anthropic.AnthropicBedrock(
            aws_access_key="x", aws_secret_key="x", aws_region="us-east-1", base_url=url, max_retries=0
        )
        message = _refused(client)
    assert all(word in message for word in (MESSAGE, CODE, EXCHANGE))


def _facts_of(body: bytes) -> ResponseFacts:
    decoder = MESSAGES.response(
        call=Call("POST", "/v1/messages", HOST), status=200, content_type=None, request=RequestFacts()
    )
    decoder.feed(body)
    return decoder.finish(complete=True)


def test_the_fast_mode_is_told_as_the_tier_because_it_costs_more() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "service_tier": "standard", "speed": "fast"}
    start = {"type": "message_start", "message": {"usage": usage}}
    assert _facts(start, {"type": "message_delta", "usage": {"output_tokens": 3}}).service_tier == "fast"
