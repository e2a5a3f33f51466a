"""Bedrock: what stands in the path, whose grammar a body is in, and errors that AWS' own SDK raises."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError as AwsError
from botocore.exceptions import EventStreamError
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codecs import CODECS, codec_for
from extproc.errors import ClientError
from extproc.media import is_encrypted
from extproc.model import Call, RequestFacts, ResponseFacts, UsageSource
from tests.codecs.eventstream import chunk, event, message

CONVERSE = CODECS["bedrock.converse"]
INVOKE = CODECS["bedrock.invoke_model"]
HOST = "bedrock-runtime.us-east-1.amazonaws.com"
EXCHANGE = "0190b3a0-7e4c-7abc-8def-0123456789ab"
CODE = "pii.no_bank_accounts"
MESSAGE = "Bank account numbers may not leave the company"
HI = {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.amazon.nova-lite-v1:0"
ESCAPED_PROFILE = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Ainference-profile%2Fus.amazon.nova-lite-v1%3A0"


def _call(path: str) -> Call:
    return Call("POST", path, HOST)


def _facts(codec: Any, body: bytes, path: str = "/model/x/invoke", *, status: int = 200) -> ResponseFacts:
    decoder = codec.response(call=_call(path), status=status, content_type=None, request=RequestFacts())
    decoder.feed(body)
    facts: ResponseFacts = decoder.finish(complete=True)
    return facts


@pytest.mark.parametrize(
    ("method", "path", "api"),
    [
        ("POST", "/model/amazon.nova-lite-v1%3A0/converse", "bedrock.converse"),
        ("POST", "/model/amazon.nova-lite-v1:0/converse-stream", "bedrock.converse"),
        ("POST", f"/bedrock/model/{ESCAPED_PROFILE}/converse", "bedrock.converse"),
        ("POST", f"/model/{PROFILE}/converse", "bedrock.converse"),
        ("POST", "/model/meta.llama3-70b-instruct-v1%3A0/invoke", "bedrock.invoke_model"),
        ("POST", "/model/x/invoke-with-response-stream", "bedrock.invoke_model"),
        ("GET", "/model/x/invoke", "opaque"),
        ("POST", "/model/x/count-tokens", "opaque"),
        ("POST", "/model/x/invoke-with-bidirectional-stream", "opaque"),
        ("POST", "/model/x/y/invoke", "opaque"),
        ("POST", "/guardrail/g/version/1/apply", "opaque"),
        ("POST", "/async-invoke", "opaque"),
        ("POST", "/model/x%3B/invoke", "opaque"),
        ("POST", "/model//invoke", "opaque"),
    ],
)
def test_calls_are_told_by_the_path(method: str, path: str, api: str) -> None:
    assert codec_for(Call(method, path, HOST)).api == api


@pytest.mark.parametrize(
    ("path", "model", "stream"),
    [
        ("/model/amazon.nova-lite-v1%3A0/converse", "amazon.nova-lite-v1:0", False),
        ("/model/amazon.nova-lite-v1:0/converse-stream", "amazon.nova-lite-v1:0", True),
        (f"/model/{ESCAPED_PROFILE}/converse", PROFILE, False),
        (f"/model/{PROFILE}/converse", PROFILE, False),
    ],
)
def test_model_and_stream_stand_in_the_path(path: str, model: str, stream: bool) -> None:
    facts = CONVERSE.request({**HI, "model": "another", "stream": not stream}, _call(path))
    assert (facts.model, facts.stream) == (model, stream)


@pytest.mark.parametrize("codec", [CONVERSE, INVOKE], ids=lambda c: c.api)
def test_another_model_changes_the_path_and_nothing_else(codec: Any) -> None:
    operation = "converse" if codec is CONVERSE else "invoke"
    body = b'{"messages" : []}'
    path, same = codec.with_model(_call(f"/aws/model/amazon.nova-lite-v1%3A0/{operation}"), body, PROFILE)
    assert path == f"/aws/model/{ESCAPED_PROFILE}/{operation}"
    assert same is body
    with pytest.raises(LookupError):
        codec.with_model(_call("/other"), body, PROFILE)


def _asking(content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], **more}


PROFILE_OF_AN_APPLICATION = "arn:aws:bedrock:us-east-1:1:application-inference-profile/a"
IMPORTED = "arn:aws:bedrock:us-east-1:1:imported-model/a"
FUNCTION = {"type": "function", "function": {"name": "get"}}
IMAGE_URL = {"type": "image_url", "image_url": {"url": "https://x"}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "x"}
FILM = {"inputPrompt": "What?", "mediaSource": {"s3Location": {"uri": "s3://bucket/x.mp4"}}}


@pytest.mark.parametrize(
    ("model", "body", "tools", "unread"),
    [
        ("us.anthropic.claude-x", _asking([{"type": "text", "text": "Hi"}], max_tokens=1), (), []),
        ("global.anthropic.claude-x", _asking([{"type": "image", "source": {"type": "url"}}]), (), ["image"]),
        ("amazon.nova-pro-v1:0", {**HI, "toolConfig": {"tools": [{"toolSpec": {"name": "get"}}]}}, ("get",), []),
        ("qwen.qwen3-32b-v1:0", _asking("Hi", tools=[FUNCTION]), ("get",), []),
        (PROFILE_OF_AN_APPLICATION, _asking("Hi", anthropic_version="x", tools=[{"name": "get"}]), ("get",), []),
        (PROFILE_OF_AN_APPLICATION, HI, (), []),
        (IMPORTED, _asking([IMAGE_URL]), (), ["image"]),
        (IMPORTED, _asking([RESULT]), (), []),
        ("twelvelabs.pegasus-1-2-v1:0", FILM, (), ["video"]),
        ("amazon.titan-embed-image-v1", {"inputText": "Hi", "inputImage": "QUJD" * 40}, (), ["image"]),
        ("meta.llama3", {"words": ["Hi"]}, (), ["unknown"]),
    ],
)
def test_a_body_is_read_in_its_vendors_grammar(
    model: str, body: Any, tools: tuple[str, ...], unread: list[str]
) -> None:
    facts = INVOKE.request(body, _call(f"/model/{model}/invoke"))
    assert facts.model == model
    assert facts.tools == tools
    assert [part.kind for part in facts.uninspected_parts] == unread


@pytest.mark.parametrize(
    ("codec", "path", "body"),
    [
        (CONVERSE, "/model/x/converse", []),
        (CONVERSE, "/model/x/converse", {"messages": "Hi"}),
        (CONVERSE, "/model/x/converse", {"messages": [{"role": "user", "content": 5}]}),
        (CONVERSE, "/model/x/converse", {"messages": [{"role": "user", "content": [{"text": 5}]}]}),
        (CONVERSE, "/model/x/converse", {"messages": [{"role": "user", "content": [{"image": "x"}]}]}),
        (CONVERSE, "/model/x/converse", {**HI, "inferenceConfig": {"maxTokens": "5"}}),
        (CONVERSE, "/model/x/converse", {**HI, "toolConfig": {"tools": [{"toolSpec": {"name": 5}}]}}),
        (INVOKE, "/model/anthropic.claude-x/invoke", {"messages": "Hi"}),
        (INVOKE, "/model/meta.llama3/invoke", {"prompt": ["Hi"]}),
        (INVOKE, "/model/meta.llama3/invoke", {"prompt": "Hi", "max_gen_len": "5"}),
        (INVOKE, "/model/amazon.titan/invoke", {"inputText": "Hi", "textGenerationConfig": []}),
    ],
)
def test_another_shape_than_the_api_has_is_refused(codec: Any, path: str, body: Any) -> None:
    with pytest.raises(ClientError) as refused:
        codec.request(body, _call(path))
    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize("body", [{**HI, "Messages": []}, {**HI, "TOOLCONFIG": {}}, {"messages": [{"Content": []}]}])
def test_a_key_that_some_servers_take_for_another_is_refused(body: Any) -> None:
    with pytest.raises(ClientError) as refused:
        CONVERSE.request(body, _call("/model/x/converse"))
    assert refused.value.code == "ambiguous_key"


def test_blocks_nested_deeper_than_anyone_nests_count_as_unread() -> None:
    block: dict[str, Any] = {"text": "deep"}
    for _ in range(20):
        block = {"toolResult": {"content": [block]}}
    facts = CONVERSE.request({"messages": [{"role": "user", "content": [block]}]}, _call("/model/x/converse"))
    assert [part.kind for part in facts.uninspected_parts] == ["unknown"]


def test_what_only_the_provider_can_read_is_known_by_its_place() -> None:
    block = {"reasoningContent": {"reasoningText": {"text": "why", "signature": "c2ln"}}}
    document = {"messages": [{"role": "assistant", "content": [block]}]}
    where = "/messages/0/content/0/reasoningContent/reasoningText"
    assert is_encrypted(document, f"{where}/signature", "c2ln")
    assert not is_encrypted(document, f"{where}/text", "c2ln")
    assert not is_encrypted(document, f"{where}/signature", "no base64")


def test_padding_unknown_events_and_broken_chunks_count_for_nothing() -> None:
    stream = event("chunk", {"bytes": "%%%"}) + event("chunk", {"p": "abc"}) + event("later", {"bytes": "e30="})
    facts = _facts(INVOKE, stream + chunk({"generation": "Hi", "generation_token_count": 1, "prompt_token_count": 2}))
    assert (facts.text_bytes, facts.usage.input_tokens, facts.usage.output_tokens) == (2, 2, 1)
    assert facts.warnings == ("undecodable_event", "truncated")


def test_the_vendors_figures_go_before_bedrocks_count() -> None:
    """Claude's own count of a call with tools is 134, Bedrock's metrics said 90 of the same stream."""
    metrics = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 392, "outputTokenCount": 90}}
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 392, "output_tokens": 4}}}
    delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 134}}
    facts = _facts(INVOKE, chunk(start) + chunk(delta) + chunk({"type": "message_stop", **metrics}))
    assert (facts.usage.output_tokens, facts.usage.source) == (134, UsageSource.PROVIDER)


def _headed(body: dict[str, Any], **counts: str) -> ResponseFacts:
    """The facts of an answer whose headers count tokens: `input="8"` is `x-amzn-bedrock-input-token-count: 8`."""
    decoder = INVOKE.response(call=_call("/model/x/invoke"), status=200, content_type=None, request=RequestFacts())
    names = {name: f"x-amzn-bedrock-{name.replace('_', '-')}-token-count" for name in counts}
    decoder.take_head({names[name]: count for name, count in counts.items()})
    decoder.feed(json.dumps(body).encode())
    return decoder.finish(complete=True)


SAID_BY_MISTRAL = {"outputs": [{"text": "x", "stop_reason": "stop"}]}


def test_what_a_vendor_does_not_count_the_headers_do() -> None:
    facts = _headed(SAID_BY_MISTRAL, input="8", output="3", cache_read_input="100", cache_write_input="20")
    assert (facts.usage.input_tokens, facts.usage.output_tokens, facts.usage.source) == (128, 3, UsageSource.PROVIDER)
    assert (facts.said.cache_read_input_tokens, facts.said.cache_creation_input_tokens) == (100, 20)
    assert json.loads(facts.provider_usage or "") == {
        "inputTokenCount": 8,
        "outputTokenCount": 3,
        "cacheReadInputTokenCount": 100,
        "cacheWriteInputTokenCount": 20,
    }


def test_the_vendors_figures_go_before_the_headers() -> None:
    said = {"generation": "Hi", "prompt_token_count": 2, "generation_token_count": 1, "stop_reason": "stop"}
    facts = _headed(said, input="8", output="3")
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (2, 1)


@pytest.mark.parametrize("nonsense", ["", "-1", "1.5", "\u0661", "1" * 13, "8, 8"])
def test_headers_that_count_nothing_are_left_aside(nonsense: str) -> None:
    facts = _headed(SAID_BY_MISTRAL, input=nonsense, output=nonsense)
    assert (facts.usage.source, facts.provider_usage) == (UsageSource.ESTIMATED, None)


def test_metrics_count_what_the_cache_held_apart() -> None:
    counts = {"inputTokenCount": 4, "outputTokenCount": 9}
    cached = {"cacheReadInputTokenCount": 100, "cacheWriteInputTokenCount": 20}
    said = {"outputs": [{"text": "x", "stop_reason": "stop"}]}
    usage = _facts(INVOKE, chunk({**said, "amazon-bedrock-invocationMetrics": {**counts, **cached}})).usage
    assert (usage.input_tokens, usage.output_tokens) == (124, 9)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (100, 20)


@pytest.mark.parametrize(
    ("body", "status", "kind", "text"),
    [
        ({"message": "no"}, 403, "AccessDeniedException", "no"),
        ({"Message": "no"}, 400, "ValidationException", "no"),
        ({"__type": "com.amazon#ThrottlingException:http://x", "message": "a"}, 429, "ThrottlingException", "a"),
        ({"Output": {"__type": "com.x#UnknownOperationException"}}, 404, "UnknownOperationException", ""),
        ({}, 503, "ServiceUnavailableException", ""),
        ({"message": "no"}, 499, "ValidationException", "no"),
    ],
)
def test_errors_by_status_are_named_as_aws_names_them(body: Any, status: int, kind: str, text: str) -> None:
    for codec in (CONVERSE, INVOKE):
        error = _facts(codec, json.dumps(body).encode(), status=status).error
        assert error is not None
        assert error.type == kind
        assert not text or error.message == text


def test_an_error_message_of_the_framing_is_an_error() -> None:
    told = message(b"", message_type="error", error_code="InternalFailure", error_message="Broken")
    for codec in (CONVERSE, INVOKE):
        error = _facts(codec, told).error
        assert error is not None
        assert (error.type, error.message) == ("InternalFailure", "Broken")


@contextmanager
def _answering(status: int, headers: dict[str, str], body: bytes) -> Iterator[Any]:
    """A client of AWS' SDK for a server on loopback that gives this answer to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{server.server_port}",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


CALLS: list[Callable[[Any], Any]] = [
    lambda client: client.converse(modelId="m", **HI),
    lambda client: client.converse_stream(modelId="m", **HI),
    lambda client: client.invoke_model(modelId="m", body=b"{}"),
    lambda client: client.invoke_model_with_response_stream(modelId="m", body=b"{}"),
]


@pytest.mark.parametrize("ask", CALLS, ids=["converse", "converse_stream", "invoke", "invoke_stream"])
@pytest.mark.parametrize(
    ("status", "exception"),
    [
        (400, "ValidationException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailableException"),
    ],
)
def test_the_aws_sdk_raises_its_own_exception(ask: Callable[[Any], Any], status: int, exception: str) -> None:
    reply = CONVERSE.error(status=status, code=CODE, message=MESSAGE, exchange_id=EXCHANGE)
    assert reply == INVOKE.error(status=status, code=CODE, message=MESSAGE, exchange_id=EXCHANGE)
    headers = {"content-type": reply.content_type, **reply.headers}
    with _answering(reply.status, headers, reply.body) as client, pytest.raises(AwsError) as raised:
        ask(client)
    told = raised.value.response
    assert type(raised.value).__name__ == told["Error"]["Code"] == exception
    assert told["Error"]["Message"] == f"{MESSAGE} ({CODE}, exchange {EXCHANGE})"
    assert told["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, "validationException"),
        (429, "throttlingException"),
        (500, "internalServerException"),
        (503, "serviceUnavailableException"),
    ],
)
def test_an_error_in_mid_stream_raises_in_the_aws_sdk(status: int, kind: str) -> None:
    told = CONVERSE.error_event(
        call=_call("/model/m/converse-stream"), status=status, code=CODE, message=MESSAGE, exchange_id=EXCHANGE
    )
    before = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Half"}})
    headers = {"content-type": "application/vnd.amazon.eventstream"}
    with _answering(200, headers, before + told) as client:
        seen = []
        with pytest.raises(EventStreamError) as raised:
            seen += client.converse_stream(modelId="m", **HI)["stream"]
    assert raised.value.response["Error"] == {
        "Code": kind,
        "Message": f"{MESSAGE} ({CODE}, exchange {EXCHANGE})",
    }
    assert isinstance(raised.value, AwsError)


def test_an_error_in_mid_stream_of_invoke_model_raises_too() -> None:
    told = INVOKE.error_event(
        call=_call("/model/m/invoke-with-response-stream"), status=403, code=CODE, message=MESSAGE, exchange_id=EXCHANGE
    )
    headers = {"content-type": "application/vnd.amazon.eventstream"}
    with _answering(200, headers, chunk({"completion": "Half"}) + told) as client:
        stream = client.invoke_model_with_response_stream(modelId="m", body=b"{}")["body"]
        with pytest.raises(EventStreamError, match="Bank account numbers"):
            list(stream)
    assert _facts(INVOKE, chunk({"completion": "Half"}) + told).error is not None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["message", "output", "content", "text", "toolUse", "input", "name", "usage", "inputTokens", "stopReason",
             "delta", "start", "contentBlockIndex", "metadata", "toolResult", "json", "reasoningContent", "image",
             "document", "source", "bytes", "results", "outputText", "generation", "choices", "generations",
             "completions", "data", "finishReason", "reason", "meta", "billed_units", "event_type", "tool_calls",
             "amazon-bedrock-invocationMetrics", "type", "messages", "prompt", "images", "error", "role", "system",
             "toolConfig", "tools", "toolSpec", "chat_history", "imageVariationParams", "textGenerationConfig"]
        ),
        inner | st.sampled_from(["stream-end", "message_start", "completion", "QUJD" * 40]),
        max_size=5,
    ),
    max_leaves=15,
)  # fmt: skip


@given(st.lists(VALUES, max_size=4), st.sampled_from(["contentBlockDelta", "contentBlockStart", "metadata", "chunk"]))
@settings(max_examples=150, deadline=None)
def test_any_json_in_any_event_gives_facts(documents: list[Any], kind: str) -> None:
    for codec in (CONVERSE, INVOKE):
        for body in (
            b"".join(event(kind, document) for document in documents),
            b"".join(chunk(document) for document in documents),
            json.dumps(documents[0] if documents else {}).encode(),
        ):
            assert isinstance(_facts(codec, body), ResponseFacts)
            codec.conversation(_call("/model/x/invoke"), body, body)


@given(VALUES, st.sampled_from(["anthropic.x", "amazon.x", "meta.x", "qwen.x", "x"]))
@settings(max_examples=200, deadline=None)
def test_any_document_gives_facts_or_a_typed_error(document: Any, model: str) -> None:
    for codec, operation in ((CONVERSE, "converse"), (INVOKE, "invoke")):
        for candidate in (document, {"messages": [{"role": "user", "content": document}]}, {"messages": [document]}):
            call = _call(f"/model/{model}/{operation}")
            try:
                facts = codec.request(candidate, call)
            except ClientError:
                continue
            read = codec.conversation(call, json.dumps(candidate).encode(), None)
            assert facts.message_count == read.request_message_count


def test_optimized_latency_is_told_as_the_tier_because_it_costs_more() -> None:
    told = {"usage": {"inputTokens": 1, "outputTokens": 1}, "performanceConfig": {"latency": "optimized"}}
    assert _facts(CONVERSE, event("metadata", told)).service_tier == "optimized"
