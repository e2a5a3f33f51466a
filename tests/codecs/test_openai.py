"""OpenAI's apis beyond what recordings show: which call is spoken in which, other models, errors in mid-stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codec import Codec
from extproc.codecs import CODECS, codec_for, recognised
from extproc.codecs.openai.responses.response import ITEMS_MAX
from extproc.errors import ClientError
from extproc.media import is_encrypted
from extproc.model import Call, RequestFacts, ResponseFacts

CHAT, COMPLETIONS, RESPONSES = (CODECS[f"openai.{name}"] for name in ("chat", "completions", "responses"))
CALL = Call("POST", "/v1/x", "h")
EXCHANGE = "0190b3a0-7e4c-7abc-8def-0123456789ab"


@pytest.mark.parametrize(
    ("method", "path", "api"),
    [
        ("POST", "/openai/v1/chat/completions", "openai.chat"),
        ("POST", "/v1beta1/projects/p/locations/l/endpoints/openapi/chat/completions", "openai.chat"),
        ("POST", "/api/v2/cortex/v1/chat/completions", "openai.chat"),
        ("POST", "/serving-endpoints/chat/completions", "openai.chat"),
        ("POST", "/serving-endpoints/llama/invocations", "openai.chat"),
        ("POST", "/v1/projects/p/locations/l/publishers/mistralai/models/m-1:streamRawPredict", "openai.chat"),
        ("POST", "/v1/projects/p/locations/l/publishers/ai21/models/m-1:rawPredict", "opaque"),
        ("POST", "/endpoints/mine/invocations", "opaque"),
        ("GET", "/serving-endpoints/llama/invocations", "opaque"),
        ("POST", "/v1/completions", "openai.completions"),
        ("POST", "/completions", "openai.completions"),
        ("POST", "/beta/completions", "openai.completions"),
        ("POST", "/inference/v1/completions", "openai.completions"),
        ("POST", "/openai/deployments/d/completions", "openai.completions"),
        ("POST", "/v1/engines/davinci/completions", "openai.completions"),
        ("POST", "/v1/CHAT/completions", "opaque"),
        ("POST", "/v1/fim/completions", "openai.completions"),
        ("POST", "/v1/responses", "openai.responses"),
        ("POST", "/responses", "openai.responses"),
        ("POST", "/openai/v1/responses", "openai.responses"),
        ("POST", "/openai/responses", "openai.responses"),
        ("POST", "/v1/responses/compact", "openai.responses"),
        ("GET", "/v1/responses/resp_1", "openai.responses"),
        ("POST", "/v1/responses/resp_1/cancel", "opaque"),
        ("POST", "/v1/responses/input_tokens", "opaque"),
        ("GET", "/v1/responses/resp_1/input_items", "opaque"),
        ("DELETE", "/v1/responses/resp_1", "opaque"),
        ("POST", "/v1/xresponses", "opaque"),
    ],
)
def test_calls_are_told_by_their_path(method: str, path: str, api: str) -> None:
    assert codec_for(Call(method, path, "example.org")).api == api


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/chat/completions", b'{ "model" :"a","n":1}', ("/v1/chat/completions", b'{ "model" :"b/c","n":1}')),
        ("/openai/deployments/a/chat/completions", b'{"model":"x"}',
         ("/openai/deployments/b%2Fc/chat/completions", b'{"model":"x"}')),
        ("/serving-endpoints/a/invocations", b"{}", ("/serving-endpoints/b%2Fc/invocations", b"{}")),
        ("/ml/v1/text/chat", b'{"model":"x", "model_id" : "a"}',
         ("/ml/v1/text/chat", b'{"model":"x", "model_id" : "b/c"}')),
        ("/ml/v1/deployments/a/text/chat", b"{}", ("/ml/v1/deployments/b%2Fc/text/chat", b"{}")),
    ],
)  # fmt: skip
def test_another_model_is_asked_for_where_the_provider_reads_it(
    path: str, body: bytes, expected: tuple[str, bytes]
) -> None:
    assert CHAT.with_model(Call("POST", path, "h"), body, "b/c") == expected


def test_a_body_without_a_model_cannot_ask_for_another() -> None:
    for codec in (CHAT, COMPLETIONS, RESPONSES):
        with pytest.raises(LookupError):
            codec.with_model(CALL, b'{"input":"Hi"}', "m")


SAID = [{"role": "user", "content": "Hi"}]
CHATS: list[Any] = [
    {"model": "m", "messages": SAID},
    {"model": "m", "messages": SAID, "max_tokens": 5, "stop": "x", "stream": True, "tools": [{"type": "function"}]},
    {"model": "m", "messages": [{"role": "system", "content": "S"}, *SAID]},
    {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
    {"model": "m", "messages": [*SAID, {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c", "function": {"name": "f", "arguments": "{}"}}]}]},
]  # fmt: skip
NO_CHATS: list[Any] = [
    None, [], {}, "model",
    {"messages": SAID},
    {"model": "m", "messages": []},
    {"model": "m", "messages": [{"content": "Hi"}]},
    {"model": "m", "messages": [{"role": "model", "content": "Hi"}]},
    {"model": "m", "messages": [{"role": "user", "content": None}]},
    {"model": "claude", "messages": SAID, "max_tokens": 5, "system": "S"},
    {"model": "claude", "messages": SAID, "tools": [{"name": "f", "input_schema": {}}]},
    {"model": "claude", "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]},
    {"model": "claude", "messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
    {"model": "llama", "messages": SAID, "options": {"num_ctx": 1}},
    {"model": "llama", "messages": SAID, "keep_alive": "5m"},
    {"model": "llama", "messages": [{"role": "user", "content": "Hi", "images": ["AAAA"]}]},
    {"model": "llama", "messages": [{"role": "assistant", "content": "", "tool_calls": [
        {"function": {"name": "f", "arguments": {"a": 1}}}]}]},
    {"model": "command-r", "messages": SAID, "documents": []},
    {"model": "command-r", "message": "Hi", "chat_history": []},
    {"model": "nova", "messages": [{"role": "user", "content": [{"text": "Hi"}]}], "inferenceConfig": {}},
    {"jsonrpc": "2.0", "method": "m", "model": "m", "messages": SAID},
]  # fmt: skip


def _recognised(document: Any, call: Call = CALL) -> str | None:
    codec = recognised(document, call)
    return codec.api if codec else None


@pytest.mark.parametrize("document", CHATS)
def test_a_chat_is_recognised_at_any_address(document: Any) -> None:
    assert _recognised(document) == "openai.chat"
    assert _recognised(document, Call("GET", "/v1/x", "h")) is None
    versioned = Call("POST", "/v1/x", "h", hints={"anthropic-version": "2023-06-01"})
    assert _recognised(document, versioned) != "openai.chat"


@pytest.mark.parametrize("document", NO_CHATS)
def test_what_may_be_anothers_is_not_called_a_chat(document: Any) -> None:
    assert _recognised(document) != "openai.chat"


@pytest.mark.parametrize(
    ("document", "api"),
    [
        ({"model": "m", "input": SAID}, "openai.responses"),
        ({"model": "m", "input": [{"type": "function_call_output", "output": "x"}]}, "openai.responses"),
        ({"model": "m", "input": "Hi", "instructions": "Be brief"}, "openai.responses"),
        ({"model": "m", "input": "Hi", "max_output_tokens": 5}, "openai.responses"),
        ({"model": "m", "input": "Hi"}, None),
        ({"model": "m", "input": ["Hi"]}, None),
        ({"model": "m", "input": [1, 2]}, None),
        ({"model": "m", "input": [{"text": "Hi"}]}, None),
        ({"model": "m", "input": [{"type": "text", "text": "Hi"}]}, None),
        ({"model": "m", "input": "Hi", "voice": "alloy", "instructions": "Speak"}, None),
    ],
)
def test_a_response_is_told_from_an_embedding(document: Any, api: str | None) -> None:
    assert (_recognised(document) == "openai.responses") == (api is not None)


@contextmanager
def _streaming(body: bytes) -> Iterator[openai.OpenAI]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with openai.OpenAI(api_key="x", base_url=f"http://127.0.0.1:{server.server_port}/v1", max_retries=0) as client:
            yield client
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _stream(client: openai.OpenAI, api: str) -> Iterable[Any]:
    if api == "chat":
        return client.chat.completions.create(model="m", messages=[], stream=True)
    if api == "completions":
        return client.completions.create(model="m", prompt="x", stream=True)
    return client.responses.create(model="m", input="x", stream=True)


@pytest.mark.parametrize("api", ["chat", "completions", "responses"])
def test_the_sdk_raises_what_it_is_told_in_mid_stream(api: str) -> None:
    codec = CODECS[f"openai.{api}"]
    told = codec.error_event(call=CALL, status=403, code="pii.iban", message="Not this", exchange_id=EXCHANGE)
    first = {
        "chat": {"id": "c", "choices": [{"index": 0, "delta": {"content": "A"}, "finish_reason": None}]},
        "completions": {"id": "c", "choices": [{"index": 0, "text": "A", "finish_reason": None}]},
        "responses": {"type": "response.output_text.delta", "delta": "A", "output_index": 0},
    }[api]
    with _streaming(b"data: " + json.dumps(first).encode() + b"\n\n" + told) as client:
        stream = _stream(client, api)
        seen: list[Any] = []
        with pytest.raises(openai.APIError) as raised:
            seen.extend(stream)
    assert len(seen) == 1
    assert all(word in raised.value.message for word in ("Not this", "pii.iban", EXCHANGE))
    decoder = codec.response(call=CALL, status=200, content_type=None, request=RequestFacts())
    decoder.feed(told)
    error = decoder.finish(complete=True).error
    assert error is not None
    assert (error.type, error.message) == ("permission_denied", f"Not this (pii.iban, exchange {EXCHANGE})")


ASKED: dict[str, Any] = {"model": "m", "input": "Hi"}


@pytest.mark.parametrize(
    "document",
    [
        [], None, "Hi",
        {**ASKED, "model": 5},
        {**ASKED, "input": 5},
        {**ASKED, "input": {"role": "user"}},
        {**ASKED, "input": ["Hi"]},
        {**ASKED, "input": [{"role": 1, "content": "Hi"}]},
        {**ASKED, "input": [{"role": "user", "content": 5}]},
        {**ASKED, "input": [{"role": "user", "content": [5]}]},
        {**ASKED, "input": [{"role": "user", "content": [{"type": "input_text", "text": 5}]}]},
        {**ASKED, "input": [{"type": ["message"], "content": "Hi"}]},
        {**ASKED, "input": [{"type": "function_call_output", "output": 5}]},
        {**ASKED, "instructions": ["Hi"]},
        {**ASKED, "stream": "true"},
        {**ASKED, "max_output_tokens": -1},
        {**ASKED, "tools": {}},
        {**ASKED, "tools": [{"type": 5}]},
        {**ASKED, "tools": [{"type": "function", "name": 5}]},
        {**ASKED, "previous_response_id": 5},
        {**ASKED, "conversation": 5},
        {**ASKED, "conversation": {"id": 5}},
        {**ASKED, "prompt": "pmpt"},
        {**ASKED, "prompt": {"id": "p", "variables": []}},
    ],
)  # fmt: skip
def test_a_responses_request_of_another_shape_is_refused(document: Any) -> None:
    with pytest.raises(ClientError) as refused:
        RESPONSES.request(document, CALL)
    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize(
    "document",
    [
        {"model": "m", "prompt": {}}, {"model": "m", "prompt": 5}, {"model": "m", "prompt": [["x"]]},
        {"model": "m", "prompt": [1, "x"]}, {"model": "m", "prompt": [True]}, {"model": "m", "prompt": "x", "n": 0},
        {"model": "m", "prompt": "x", "suffix": 5}, {"model": [], "prompt": "x"},
    ],
)  # fmt: skip
def test_a_completions_request_of_another_shape_is_refused(document: Any) -> None:
    with pytest.raises(ClientError) as refused:
        COMPLETIONS.request(document, CALL)
    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize(
    ("codec", "document"),
    [
        (RESPONSES, {**ASKED, "Instructions": "x"}),
        (RESPONSES, {**ASKED, "input": [{"Role": "user", "content": "Hi"}]}),
        (RESPONSES, {**ASKED, "input": [{"role": "user", "content": [{"type": "input_text", "Text": "Hi"}]}]}),
        (RESPONSES, {**ASKED, "tools": [{"type": "function", "NAME": "f"}]}),
        (COMPLETIONS, {"model": "m", "PROMPT": "Hi"}),
    ],
)
def test_a_key_that_some_servers_take_for_another_is_refused(codec: Any, document: Any) -> None:
    with pytest.raises(ClientError) as refused:
        codec.request(document, CALL)
    assert refused.value.code == "ambiguous_key"


def test_only_the_providers_own_blobs_go_unread() -> None:
    blob = "gAAAA" * 20
    items = [
        {"type": "reasoning", "encrypted_content": blob},
        {"type": "compaction", "encrypted_content": blob},
        {"type": "message", "role": "user", "encrypted_content": blob},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": blob}]},
    ]
    document = {"model": "m", "input": items}
    assert [is_encrypted(document, f"/input/{index}/encrypted_content", blob) for index in range(3)] == [
        True, True, False,
    ]  # fmt: skip
    assert not is_encrypted(document, "/input/3/summary/0/text", blob)
    assert not is_encrypted({"input": [{"type": "reasoning"}]}, "/input/0/encrypted_content", "call me at 10:00")


def _facts(*events: Any, complete: bool = True) -> ResponseFacts:
    decoder = RESPONSES.response(call=CALL, status=200, content_type=None, request=RequestFacts(text_bytes=8))
    for event in events:
        decoder.feed(b"data: " + json.dumps(event).encode() + b"\n\n")
    return decoder.finish(complete=complete)


def test_a_response_with_more_items_than_anyone_reads_counts_its_text_all_the_same() -> None:
    count = ITEMS_MAX + 500
    deltas = [{"type": "response.output_text.delta", "output_index": n, "delta": "ab"} for n in range(count)]
    assert _facts(*deltas).text_bytes == 2 * count
    calls = [
        {"type": "response.output_item.done", "output_index": n, "item": {"type": "function_call", "name": "f"}}
        for n in range(count)
    ]
    assert len(_facts(*calls).tool_calls) == ITEMS_MAX


def test_two_responses_in_one_body_count_both_and_the_last_usage() -> None:
    def turn(name: str, tokens: int) -> list[Any]:
        output = [{"type": "function_call", "name": name, "call_id": name, "arguments": "{}"}]
        usage = {"input_tokens": tokens, "output_tokens": 1}
        return [
            {"type": "response.created", "response": {"id": name, "status": "in_progress"}},
            {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"},
            {"type": "response.completed",
             "response": {"id": name, "status": "completed", "output": output, "usage": usage}},
        ]  # fmt: skip

    facts = _facts(*turn("a", 5), *turn("b", 7))
    assert (facts.tool_calls, facts.text_bytes, facts.response_id) == (("a", "b"), 4, "b")
    assert facts.said.input_tokens == 7


def test_what_a_command_printed_or_a_voice_said_is_no_text_of_the_models() -> None:
    assert _facts({"type": "response.audio.delta", "delta": "UklGRg=="}).text_bytes == 0
    assert _facts({"type": "response.shell_call_output_content.delta", "delta": {"stdout": "x"}}).text_bytes == 0
    assert _facts({"type": "response.brand_new.delta", "delta": "text"}).text_bytes == 4
    assert _facts({"type": "response.reasoning_summary.delta", "delta": {"text": "older"}}).text_bytes == 5


def test_a_stream_that_resumes_or_polls_a_background_response_counts_at_its_end() -> None:
    response = {"id": "r", "background": True, "usage": {"input_tokens": 4, "output_tokens": 2}}
    got = Call("GET", "/v1/responses/r", "h")
    for status, tokens in (("in_progress", None), ("completed", 4)):
        decoder = RESPONSES.response(call=got, status=200, content_type=None, request=RequestFacts())
        decoder.feed(json.dumps({**response, "status": status}).encode())
        facts = decoder.finish(complete=True)
        assert (facts.usage.input_tokens, facts.said.input_tokens) == (tokens, 4)


KEYS = [
    "type", "response", "output", "item", "delta", "output_index", "item_id", "content", "summary", "text", "refusal",
    "arguments", "action", "queries", "outputs", "results", "error", "usage", "input_tokens_details", "status", "id",
    "input", "tools", "role", "name", "prompt", "variables", "image_url", "input_audio", "file_data", "value",
    "choices", "incomplete_details", "background", "model", "namespace", "index",
]  # fmt: skip
WORDS = [
    "response.created", "response.completed", "response.output_item.added", "response.output_item.done", "error",
    "response.output_text.delta", "response.function_call_arguments.delta", "response.reasoning_summary_text.delta",
    "message", "reasoning", "function_call", "function_call_output", "code_interpreter_call", "mcp_call", "completed",
    "web_search_call", "image_generation_call", "output_text", "input_image", "input_file", "input_audio", "namespace",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=4) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)


@pytest.mark.parametrize("codec", [COMPLETIONS, RESPONSES], ids=lambda codec: codec.api)
@given(st.lists(JSON, max_size=4), st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_comes_is_read_or_refused(codec: Codec, documents: list[Any], streamed: bool) -> None:
    body = b"".join(b"data: " + json.dumps(document).encode() + b"\n\n" for document in documents)
    if not streamed:
        body = json.dumps(documents[0] if documents else None).encode()
    decoder = codec.response(call=CALL, status=200, content_type=None, request=RequestFacts())
    decoder.feed(body)
    assert isinstance(decoder.finish(complete=True), ResponseFacts)
    codec.conversation(CALL, body, body)
    for document in documents:
        whole = {"input": document, "prompt": document, "tools": [document]}
        codec.conversation(CALL, json.dumps(whole).encode(), json.dumps({"output": document}).encode())
        for asked in (document, whole, {"input": [document]}):
            try:
                facts = codec.request(asked, CALL)
            except ClientError:
                continue
            assert isinstance(facts, RequestFacts)


def test_mistral_on_vertex_is_named_and_streamed_by_its_path() -> None:
    body = {"model": "another", "messages": [{"role": "user", "content": "Hi"}]}
    path = "/v1/projects/p/locations/l/publishers/mistralai/models/mistral-small-2503"
    plain = CHAT.request(body, Call("POST", f"{path}:rawPredict", "h"))
    streamed = CHAT.request(body, Call("POST", f"{path}:streamRawPredict", "h"))
    assert (plain.model, plain.stream) == ("mistral-small-2503", False)
    assert (streamed.model, streamed.stream) == ("mistral-small-2503", True)
