"""Cohere: what is refused, where it is spoken, and what its SDK makes of our errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import cohere
import cohere.errors
import pytest
from cohere.core.api_error import ApiError
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codecs import CODECS, codec_for, recognised
from extproc.errors import ClientError
from extproc.model import Call, RequestFacts, ResponseFacts, Usage

APIS = [api for api in CODECS if api.startswith("cohere.")]
CALL = Call("POST", "/v2/chat", "api.cohere.com")
EXCHANGE = "0190b3a0-7e4c-7abc-8def-0123456789ab"
TOLD = f"Not today (pii.no_bank_accounts, exchange {EXCHANGE})"
REFUSAL: dict[str, Any] = {"code": "pii.no_bank_accounts", "message": "Not today", "exchange_id": EXCHANGE}
CHAT_V2 = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
CHAT_V1 = {"model": "m", "message": "Hi"}
GENERATE = {"model": "m", "prompt": "Hi"}
EMBED = {"model": "m", "texts": ["Hi"]}
RERANK = {"model": "m", "query": "Hi", "documents": ["Ho"]}
PLAIN: dict[str, dict[str, Any]] = {
    "cohere.v2.chat": CHAT_V2,
    "cohere.v1.chat": CHAT_V1,
    "cohere.v1.generate": GENERATE,
    "cohere.v2.embed": EMBED,
    "cohere.v1.embed": EMBED,
    "cohere.v2.rerank": RERANK,
    "cohere.v1.rerank": RERANK,
}

each_api = pytest.mark.parametrize("api", APIS)


def _facts(api: str, body: bytes, status: int = 200, *, complete: bool = True) -> ResponseFacts:
    decoder = CODECS[api].response(call=CALL, status=status, content_type=None, request=RequestFacts())
    decoder.feed(body)
    return decoder.finish(complete=complete)


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_api_has_a_plain_request_here() -> None:
    assert sorted(PLAIN) == sorted(APIS)


@pytest.mark.parametrize(
    ("api", "changed"),
    [
        ("cohere.v2.chat", {"messages": None}),
        ("cohere.v2.chat", {"messages": "Hi"}),
        ("cohere.v2.chat", {"messages": ["Hi"]}),
        ("cohere.v2.chat", {"messages": [{"role": 5}]}),
        ("cohere.v2.chat", {"messages": [{"content": 5}]}),
        ("cohere.v2.chat", {"messages": [{"content": [5]}]}),
        ("cohere.v2.chat", {"messages": [{"content": [{"type": "text", "text": ["hidden"]}]}]}),
        ("cohere.v2.chat", {"messages": [{"content": {"type": "text", "text": {"hidden": 1}}}]}),
        ("cohere.v2.chat", {"messages": [{"content": [{"type": "image_url", "image_url": 5}]}]}),
        ("cohere.v2.chat", {"messages": [{"tool_plan": ["hidden"]}]}),
        ("cohere.v2.chat", {"messages": [{"tool_calls": {"function": {}}}]}),
        ("cohere.v2.chat", {"documents": "text"}),
        ("cohere.v2.chat", {"documents": [5]}),
        ("cohere.v2.chat", {"stream": "yes"}),
        ("cohere.v2.chat", {"max_tokens": 1.5}),
        ("cohere.v2.chat", {"tools": [{"type": "function", "function": "w"}]}),
        ("cohere.v1.chat", {"message": None}),
        ("cohere.v1.chat", {"message": ["Hi"]}),
        ("cohere.v1.chat", {"preamble": ["Hi"]}),
        ("cohere.v1.chat", {"chat_history": {"role": "USER"}}),
        ("cohere.v1.chat", {"chat_history": [{"message": 5}]}),
        ("cohere.v1.chat", {"tool_results": "text"}),
        ("cohere.v1.chat", {"connectors": [{"id": 5}]}),
        ("cohere.v1.chat", {"conversation_id": 5}),
        ("cohere.v1.generate", {"prompt": None}),
        ("cohere.v1.generate", {"prompt": ["Hi"]}),
        ("cohere.v1.generate", {"num_generations": 0}),
        ("cohere.v2.embed", {"texts": None}),
        ("cohere.v2.embed", {"texts": "Hi"}),
        ("cohere.v2.embed", {"texts": [["Hi"]]}),
        ("cohere.v2.embed", {"images": [{"url": "x"}]}),
        ("cohere.v2.embed", {"inputs": ["Hi"]}),
        ("cohere.v2.embed", {"inputs": [{"content": None}]}),
        ("cohere.v2.embed", {"inputs": [{"content": [{"type": "text", "text": 5}]}]}),
        ("cohere.v2.rerank", {"query": None}),
        ("cohere.v2.rerank", {"query": ["Hi"]}),
        ("cohere.v2.rerank", {"documents": None}),
        ("cohere.v2.rerank", {"documents": [5]}),
    ],
)
def test_what_is_not_the_apis_shape_is_refused_and_never_quoted(api: str, changed: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as raised:
        CODECS[api].request({**PLAIN[api], **changed}, CALL)
    assert raised.value.code == "invalid_request"
    assert "hidden" not in raised.value.message


@each_api
def test_a_key_that_only_looks_like_the_real_one_is_refused(api: str) -> None:
    for key in PLAIN[api]:
        with pytest.raises(ClientError) as raised:
            CODECS[api].request({**PLAIN[api], key.upper(): PLAIN[api][key]}, CALL)
        assert raised.value.code == "ambiguous_key"


@each_api
def test_null_and_unknown_members_change_nothing(api: str) -> None:
    codec = CODECS[api]
    nulls = dict.fromkeys(("stream", "max_tokens", "temperature", "tools", "images", "inputs", "preamble", "priority"))
    plain = codec.request(PLAIN[api], CALL)
    assert codec.request({**PLAIN[api], **nulls}, CALL) == plain
    assert codec.request({**PLAIN[api], "brand_new_option": {"x": "text"}}, CALL) == plain


def test_a_parameter_that_is_no_word_of_the_api_stays_out_of_the_facts() -> None:
    told = {**CHAT_V2, "safety_mode": "sk-live-123", "tool_choice": "please call me", "thinking": {"type": ["x"]}}
    assert CODECS["cohere.v2.chat"].request(told, CALL).parameters == {}


def test_a_model_is_named_in_the_body_and_nothing_else_changes() -> None:
    body = b'{"model" :"m", "messages":[{"role":"user","content":"H\\u00e9"}]}'
    path, edited = CODECS["cohere.v2.chat"].with_model(CALL, body, "other")
    assert (path, edited) == ("/v2/chat", body.replace(b'"m"', b'"other"'))
    with pytest.raises(LookupError):
        CODECS["cohere.v1.chat"].with_model(CALL, b'{"message": "Hi"}', "other")


# ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/v1/chat", "/v1/generate"])
def test_paths_that_others_have_too_are_cohere_s_by_host_or_prefix(path: str) -> None:
    api = f"cohere.{path[1:].replace('/', '.')}"
    for host in ("api.cohere.com", "api.cohere.ai", "production.api.cohere.ai", "x.eastus2.models.ai.azure.com"):
        assert codec_for(Call("POST", path, host)).api == api
    assert codec_for(Call("POST", f"/cohere{path}", "gateway.example.com")).api == api
    for host in ("example.com", "notcohere.com", "cohere.com.example.com"):
        assert codec_for(Call("POST", path, host)).api == "opaque"
    assert codec_for(Call("GET", path, "api.cohere.com")).api == "opaque"


def test_one_message_at_v1_chat_is_recognised_under_any_host() -> None:
    call = Call("POST", "/v1/chat", "models.example.com")
    assert recognised(CHAT_V1, call) is CODECS["cohere.v1.chat"]
    assert recognised({**CHAT_V1, "messages": []}, call) is not CODECS["cohere.v1.chat"]
    assert recognised({"message": {"text": "Hi"}}, call) is None
    assert recognised(CHAT_V1, Call("POST", "/v1/comments", "models.example.com")) is None


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_figures_of_2023_are_read() -> None:
    count = {"prompt_tokens": 29, "response_tokens": 14, "total_tokens": 43, "billed_tokens": 28}
    facts = _facts("cohere.v1.chat", json.dumps({"response_id": "r", "text": "Hi", "token_count": count}).encode())
    assert facts.said == Usage(input_tokens=29, output_tokens=14)
    assert json.loads(facts.provider_usage or "") == {"token_count": count}


def test_figures_that_cannot_be_counts_are_not_said() -> None:
    usage = {"tokens": {"input_tokens": -1, "output_tokens": "4"}, "billed_units": {"input_tokens": 1.5}}
    answer = {"id": "c", "message": {"role": "assistant"}, "finish_reason": "COMPLETE", "usage": usage}
    assert _facts("cohere.v2.chat", json.dumps(answer).encode()).said == Usage()


def test_vllm_reranks_in_the_same_grammar_and_counts_tokens() -> None:
    answer = {"id": "rerank-1", "model": "bge", "usage": {"total_tokens": 56}, "results": []}
    facts = _facts("cohere.v2.rerank", json.dumps(answer).encode())
    assert (facts.model, facts.said.input_tokens, facts.usage.output_tokens) == ("bge", 56, 0)


@each_api
def test_an_answer_cut_in_the_middle_is_no_end(api: str) -> None:
    answer = json.dumps(
        {"id": "c", "text": "Hi", "finish_reason": "COMPLETE", "meta": {"billed_units": {"input_tokens": 3}}, "x": "y"}
    ).encode()
    facts = _facts(api, answer[:-4], complete=False)
    assert not facts.terminal
    assert "truncated" in facts.warnings


def test_calls_that_never_end_are_bounded() -> None:
    call = {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": {"function": {"name": "f"}}}}}
    body = f"data: {json.dumps(call)}\n\n".encode() * 1_100
    assert len(_facts("cohere.v2.chat", body).tool_calls) == 1_024
    piece = {"event_type": "tool-calls-chunk", "tool_call_delta": {"name": "f"}}
    assert len(_facts("cohere.v1.chat", f"{json.dumps(piece)}\n".encode() * 1_100).tool_calls) == 1_024


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["type", "event_type", "delta", "message", "content", "text", "thinking", "tool_calls", "tool_plan", "id",
             "function", "name", "arguments", "parameters", "usage", "tokens", "billed_units", "meta", "response",
             "generations", "finish_reason", "is_finished", "index", "error", "err", "tool_call_delta", "documents",
             "search_queries", "chat_history", "tool_results", "outputs", "inputs", "texts", "image_url", "role"]
        ),
        inner | st.sampled_from(["message-end", "content-delta", "stream-end", "tool-calls-chunk", "text", "ERROR"]),
        max_size=6,
    ),
    max_leaves=20,
)  # fmt: skip


@each_api
@given(value=VALUES, lines=st.lists(VALUES, max_size=3))
@settings(max_examples=80, deadline=None)
def test_any_json_gives_facts_or_a_typed_error(api: str, value: Any, lines: list[Any]) -> None:
    codec = CODECS[api]
    for body in (
        json.dumps(value).encode(),
        b"".join(json.dumps(line).encode() + b"\n" for line in lines),
        b"".join(b"data: " + json.dumps(line).encode() + b"\n\n" for line in lines),
    ):
        assert isinstance(_facts(api, body), ResponseFacts)
        codec.conversation(CALL, body, body)
    members = dict.fromkeys(("messages", "documents", "inputs", "chat_history", "tool_results"), value)
    for document in (value, {**PLAIN[api], **members}, *({**PLAIN[api], key: value} for key in members)):
        try:
            facts = codec.request(document, CALL)
        except ClientError:
            continue
        body = json.dumps(document).encode()
        assert codec.conversation(CALL, body, None).request_message_count == facts.message_count


# ── the SDK ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _answering(status: int, content_type: str, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that gives the same to everything; yields its address and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
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
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


MESSAGES: Any = [{"role": "user", "content": "Hi"}]
ONCE: Any = {"max_retries": 0}


def _ask(api: str, url: str) -> None:
    with cohere.ClientV2(api_key="x", base_url=url) as v2, cohere.Client(api_key="x", base_url=url) as v1:
        if api == "cohere.v2.chat":
            v2.chat(model="m", messages=MESSAGES, request_options=ONCE)
        elif api == "cohere.v1.chat":
            v1.chat(model="m", message="Hi", request_options=ONCE)
        elif api == "cohere.v2.embed":
            v2.embed(model="m", texts=["Hi"], input_type="search_query", request_options=ONCE)
        else:
            v2.rerank(model="m", query="Hi", documents=["Ho"], request_options=ONCE)


@pytest.mark.parametrize("api", ["cohere.v2.chat", "cohere.v1.chat", "cohere.v2.embed", "cohere.v2.rerank"])
@pytest.mark.parametrize(
    ("status", "exception"),
    [
        (400, cohere.errors.BadRequestError),
        (401, cohere.errors.UnauthorizedError),
        (403, cohere.errors.ForbiddenError),
        (404, cohere.errors.NotFoundError),
        (413, ApiError),
        (422, cohere.errors.UnprocessableEntityError),
        (429, cohere.errors.TooManyRequestsError),
        (500, cohere.errors.InternalServerError),
        (503, cohere.errors.ServiceUnavailableError),
    ],
)
def test_the_sdk_raises_its_own_exception(api: str, status: int, exception: type[ApiError]) -> None:
    reply = CODECS[api].error(status=status, **REFUSAL)
    with _answering(reply.status, reply.content_type, reply.body) as (url, asked), pytest.raises(exception) as raised:
        _ask(api, url)
    assert (raised.value.status_code, raised.value.body) == (status, {"id": EXCHANGE, "message": TOLD})
    assert [codec_for(Call("POST", path, "api.cohere.com")).api for path in asked] == [api]


def test_a_refused_stream_raises_before_its_first_event() -> None:
    reply = CODECS["cohere.v2.chat"].error(status=403, **REFUSAL)
    with (
        _answering(reply.status, reply.content_type, reply.body) as (url, _),
        cohere.ClientV2(api_key="x", base_url=url) as client,
        pytest.raises(cohere.errors.ForbiddenError),
    ):
        list(client.chat_stream(model="m", messages=MESSAGES))


def test_an_error_in_mid_stream_is_the_last_event_that_the_v2_sdk_hands_on() -> None:
    delta = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Half"}}}}
    body = b"event: content-delta\ndata: " + json.dumps(delta).encode() + b"\n\n"
    body += CODECS["cohere.v2.chat"].error_event(call=CALL, status=403, **REFUSAL)
    with (
        _answering(200, "text/event-stream", body) as (url, _),
        cohere.ClientV2(api_key="x", base_url=url) as client,
    ):
        events = list(client.chat_stream(model="m", messages=MESSAGES))
    last: Any = events[-1]
    assert [event.type for event in events] == ["content-delta", "message-end"]
    assert (last.delta.finish_reason, last.delta.error) == ("ERROR", TOLD)
    facts = _facts("cohere.v2.chat", body)
    assert facts.error is not None
    assert (facts.error.message, facts.terminal) == (TOLD, True)


def test_an_error_in_mid_stream_is_the_last_event_that_the_v1_sdk_hands_on() -> None:
    body = b'{"is_finished":false,"event_type":"text-generation","text":"Half"}\n'
    body += CODECS["cohere.v1.chat"].error_event(call=CALL, status=403, **REFUSAL)
    with (
        _answering(200, "application/stream+json", body) as (url, _),
        cohere.Client(api_key="x", base_url=url) as client,
    ):
        events: list[Any] = list(client.chat_stream(model="m", message="Hi"))
    assert [event.event_type for event in events] == ["text-generation", "stream-end"]
    assert (events[-1].finish_reason, events[-1].error) == ("ERROR", TOLD)
    facts = _facts("cohere.v1.chat", body)
    assert facts.error is not None
    assert (facts.error.message, facts.finish_reasons, facts.text_bytes) == (TOLD, ("ERROR",), 4)


def test_an_error_of_generate_is_its_own_event() -> None:
    body = CODECS["cohere.v1.generate"].error_event(call=CALL, status=403, **REFUSAL)
    assert json.loads(body) == {
        "is_finished": True,
        "event_type": "stream-error",
        "finish_reason": "ERROR",
        "err": TOLD,
    }
    error = _facts("cohere.v1.generate", body).error
    assert error is not None
    assert error.message == TOLD


def test_an_error_is_framed_as_the_client_asked_for_its_stream() -> None:
    call = Call("POST", "/v1/chat", "api.cohere.com", hints={"accept": "text/event-stream"})
    event = CODECS["cohere.v1.chat"].error_event(call=call, status=403, **REFUSAL)
    assert event.startswith(b"event: stream-end\ndata: {")
    assert event.endswith(b"}\n\n")
