"""Google's own SDK: what it sends is read, what we refuse it raises. Real SDK, real HTTP on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from extproc.codecs import CODECS, codec_for
from extproc.framing import strict_json
from extproc.model import Call, RequestFacts

EXCHANGE = "0190b3a0-7e4c-7abc-8def-0123456789ab"
CODE = "pii.no_bank_accounts"
MESSAGE = "Bank account numbers may not leave the company"
REFUSAL = {"status": 403, "code": CODE, "message": MESSAGE, "exchange_id": EXCHANGE}
CALL = Call("POST", "/v1beta/models/m:streamGenerateContent", "h")
HELLO = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hey"}]}, "finishReason": "STOP"}]}


@contextmanager
def _answering(status: int, content_type: str, body: bytes) -> Iterator[tuple[genai.Client, list[tuple[Call, bytes]]]]:
    """A server that gives the same answer to everything; a client for it, and what it was asked."""
    asked: list[tuple[Call, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            path = self.path.partition("?")[0]
            asked.append((Call("POST", path, "h"), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(status)
            self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    options = types.HttpOptions(base_url=f"http://127.0.0.1:{server.server_port}")
    try:
        yield genai.Client(api_key="x", http_options=options), asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _read(asked: list[tuple[Call, bytes]]) -> tuple[str, RequestFacts]:
    call, body = asked[-1]
    codec = codec_for(call)
    return codec.api, codec.request(strict_json.parse(body, depth_max=64), call)


def _told(message: Any) -> bool:
    return all(word in str(message) for word in (MESSAGE, CODE, EXCHANGE))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "kind", "name"),
    [
        (400, errors.ClientError, "INVALID_ARGUMENT"),
        (403, errors.ClientError, "PERMISSION_DENIED"),
        (413, errors.ClientError, "INVALID_ARGUMENT"),
        (429, errors.ClientError, "RESOURCE_EXHAUSTED"),
        (500, errors.ServerError, "INTERNAL"),
        (503, errors.ServerError, "UNAVAILABLE"),
    ],
)
def test_a_refusal_is_raised_as_the_error_of_its_status(
    stream: bool, status: int, kind: type[errors.APIError], name: str
) -> None:
    reply = CODECS["gemini.generate_content"].error(status=status, code=CODE, message=MESSAGE, exchange_id=EXCHANGE)
    with _answering(reply.status, reply.content_type, reply.body) as (client, asked):
        ask = client.models.generate_content_stream if stream else client.models.generate_content
        with pytest.raises(kind) as raised:
            list(ask(model="gemini-x", contents="Hi"))
    assert (raised.value.code, raised.value.status) == (status, name)
    assert _told(raised.value.message)
    assert len(asked) == 1


def test_a_refusal_in_mid_stream_is_raised_after_what_was_said() -> None:
    event = CODECS["gemini.generate_content"].error_event(call=CALL, **REFUSAL)  # type: ignore[arg-type]
    body = b"data: " + json.dumps(HELLO).encode() + b"\r\n\r\n" + event
    with _answering(200, "text/event-stream", body) as (client, _):
        chunks = client.models.generate_content_stream(model="gemini-x", contents="Hi")
        said = [next(chunks).text]
        with pytest.raises(errors.ClientError) as raised:
            next(chunks)
    assert said == ["Hey"]
    assert raised.value.code == 403
    assert _told(raised.value.message)


def test_our_own_error_event_reads_as_an_error() -> None:
    for api in ("gemini.generate_content", "gemini.interactions"):
        codec = CODECS[api]
        decoder = codec.response(call=CALL, status=200, content_type=None, request=RequestFacts())
        decoder.feed(codec.error_event(call=CALL, **REFUSAL))  # type: ignore[arg-type]
        error = decoder.finish(complete=True).error
        assert error is not None
        assert (error.type, _told(error.message)) == ("PERMISSION_DENIED", True)


def test_a_whole_configuration_is_read_as_the_sdk_sends_it() -> None:
    def weather(city: str) -> str:
        """The weather in a city."""
        return city

    config = types.GenerateContentConfig(
        system_instruction="Be kind",
        temperature=0.25,
        max_output_tokens=64,
        candidate_count=2,
        top_k=3,
        seed=7,
        response_mime_type="application/json",
        response_json_schema={"type": "object"},
        thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_level=types.ThinkingLevel.LOW),
        safety_settings=[
            types.SafetySetting(
                category=types.HarmCategory.HARM_CATEGORY_HARASSMENT, threshold=types.HarmBlockThreshold.BLOCK_NONE
            )
        ],
        tools=[weather, types.Tool(code_execution=types.ToolCodeExecution())],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        cached_content="cachedContents/abc",
    )
    contents: list[Any] = [
        "Look",
        types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png"),
        types.Part.from_uri(file_uri="gs://b/v.mp4", mime_type="video/mp4"),
        types.Part.from_function_response(name="weather", response={"result": "fine"}),
    ]
    with _answering(200, "application/json", json.dumps(HELLO).encode()) as (client, asked):
        client.models.generate_content(model="gemini-x", contents=contents, config=config)
    api, facts = _read(asked)
    assert api == "gemini.generate_content"
    assert (facts.model, facts.stream, facts.max_output_tokens, facts.choices) == ("gemini-x", False, 64, 2)
    assert (facts.temperature, facts.has_system_text) == (0.25, True)
    assert sorted(facts.tools) == ["codeExecution", "weather"]
    assert [(part.kind, part.media_type) for part in facts.uninspected_parts] == [
        ("image", "image/png"),
        ("video", "video/mp4"),
        ("reference", None),
    ]
    assert facts.parameters == {"topK": 3.0, "seed": 7, "includeThoughts": True, "thinkingLevel": "low"}


def test_a_chat_sends_what_was_said_again() -> None:
    body = b"data: " + json.dumps(HELLO).encode() + b"\r\n\r\n"
    with _answering(200, "text/event-stream", body) as (client, asked):
        chat = client.chats.create(model="gemini-x")
        list(chat.send_message_stream("One"))
        list(chat.send_message_stream("Two"))
    api, facts = _read(asked)
    assert (api, facts.stream, facts.message_count) == ("gemini.generate_content", True, 3)
    said = codec_for(asked[-1][0]).conversation(*asked[-1], None).messages
    assert [(message.role, message.parts[0].text) for message in said] == [
        ("user", "One"),
        ("model", "Hey"),
        ("user", "Two"),
    ]


def test_counting_and_embedding_are_told_apart_from_generating() -> None:
    with _answering(200, "application/json", b'{"totalTokens": 3}') as (client, asked):
        client.models.count_tokens(model="gemini-x", contents="Hello")
        assert _read(asked)[0] == "gemini.count_tokens"
        assert _read(asked)[1].text_bytes == 5
    with _answering(200, "application/json", b'{"embeddings": [{"values": [0.5]}]}') as (client, asked):
        client.models.embed_content(model="gemini-embedding-001", contents=["One", "Three"])
        api, facts = _read(asked)
        assert (api, facts.model, facts.message_count) == ("gemini.embed_content", "gemini-embedding-001", 2)
        assert facts.text_bytes == 8


def test_an_interaction_is_read_as_the_sdk_sends_it() -> None:
    answer = {"id": "i1", "status": "completed", "model": "gemini-x", "created": "2026-01-01T00:00:00Z"}
    with _answering(200, "application/json", json.dumps(answer).encode()) as (client, asked):
        client.interactions.create(model="gemini-x", input="Hello", previous_interaction_id="i0")
    api, facts = _read(asked)
    assert (api, facts.model, facts.text_bytes, facts.message_count) == ("gemini.interactions", "gemini-x", 5, 1)
    assert (facts.previous_response_id, facts.stream) == ("i0", False)


def test_a_refused_interaction_is_raised_with_our_message() -> None:
    reply = CODECS["gemini.interactions"].error(**REFUSAL)  # type: ignore[arg-type]
    with (
        _answering(reply.status, reply.content_type, reply.body) as (client, asked),
        pytest.raises(Exception, match="Bank account") as raised,
    ):
        client.interactions.create(model="gemini-x", input="Hello")
    assert getattr(raised.value, "status_code", None) == 403 or getattr(raised.value, "code", None) == 403
    assert _told(raised.value)
    assert len(asked) == 1
