"""boto3 through the gate: Converse and InvokeModel, plain and streamed, signed over HTTP and with a token over TLS."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from extproc.stack import Stack
from tests.e2e.proofs import authority, certificate
from tests.e2e.sdk_calls import (
    CALL_TOKENS,
    CALLED,
    DENIED_KEY,
    KEY,
    SCHEMA,
    TEXT,
    Told,
    Trace,
    assert_denied,
    assert_told,
)
from tests.e2e.traffic import received_body

pytestmark = pytest.mark.e2e

AMAZON = "bedrock-runtime.us-east-1.amazonaws.com"
NOVA = "amazon.nova-lite-v1:0"
CLAUDE = "anthropic.claude-haiku-4-5-20251001-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc12xyz"
HELLO: Any = [{"role": "user", "content": [{"text": "hello"}]}]
TOOLS: Any = {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": dict(SCHEMA)}}}]}
ASKED = {
    "anthropic_version": "bedrock-2023-05-31",
    "max_tokens": 64,
    "messages": [{"role": "user", "content": "hello"}],
}


@pytest.fixture(autouse=True)
def nothing_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials, profiles or metadata service of wherever this runs."""
    for name in ("AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


@contextmanager
def bedrock(stack: Stack, trace: Trace, key: str = KEY, **more: Any) -> Iterator[Any]:
    """A client that signs with credentials that are nobody's, and shows its client key beside the signature."""
    client: Any = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"{stack.base_url}/bedrock",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="nobodys-secret",
        **more,
    )
    _adding(client, {"x-api-key": key, **trace.headers})
    try:
        yield client
    finally:
        client.close()


def _adding(client: Any, headers: dict[str, str]) -> None:
    def add(request: Any, **_: Any) -> None:
        for name, value in headers.items():
            request.headers[name] = value

    client.meta.events.register("before-send.bedrock-runtime", add)


def told(api: str, **more: Any) -> Told:
    expected: dict[str, Any] = {
        "operation": "chat",
        "request_model": NOVA,
        "response_model": None,
        "finish_reasons": ("end_turn",),
    } | more
    return Told(api, "aws.bedrock", **expected)


def test_converse_answers(stack: Stack) -> None:
    trace = Trace()
    with bedrock(stack, trace) as client:
        answer = client.converse(modelId=NOVA, messages=HELLO)
    assert answer["output"]["message"]["content"] == [{"text": TEXT}]
    row = assert_told(stack, trace, told("bedrock.converse"))
    assert row["path"] == "/model/amazon.nova-lite-v1%3A0/converse"
    (received,) = trace.received(stack)
    assert received["headers"]["authorization"] == "Bearer simulated-provider-key"
    assert "x-api-key" not in received["headers"]


def test_converse_streams(stack: Stack) -> None:
    trace = Trace()
    with bedrock(stack, trace) as client:
        stream = client.converse_stream(modelId=NOVA, messages=HELLO)["stream"]
        text = "".join(event["contentBlockDelta"]["delta"]["text"] for event in stream if "contentBlockDelta" in event)
    assert text == TEXT
    assert_told(stack, trace, told("bedrock.converse", stream=True))


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_converse_calls_a_tool(stack: Stack, stream: bool) -> None:
    trace = Trace()
    with bedrock(stack, trace) as client:
        asked: Any = {"modelId": NOVA, "messages": HELLO, "toolConfig": TOOLS}
        if stream:
            events = list(client.converse_stream(**asked)["stream"])
            assert {"messageStop": {"stopReason": "tool_use"}} in events
        else:
            assert client.converse(**asked)["stopReason"] == "tool_use"
    expected = told(
        "bedrock.converse",
        stream=stream,
        finish_reasons=("tool_use",),
        text=None,
        tool_calls=(CALLED,),
        output_tokens=CALL_TOKENS,
    )
    assert assert_told(stack, trace, expected)["tools"] == ["weather"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_an_invoked_claude_answers_in_its_own_grammar(stack: Stack, stream: bool) -> None:
    trace = Trace()
    with bedrock(stack, trace) as client:
        asked: Any = {"modelId": CLAUDE, "body": json.dumps(ASKED)}
        if stream:
            chunks = client.invoke_model_with_response_stream(**asked)["body"]
            events = [json.loads(chunk["chunk"]["bytes"]) for chunk in chunks]
            assert events[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 8
        else:
            assert json.loads(client.invoke_model(**asked)["body"].read())["content"][0]["text"] == TEXT
    expected = told("bedrock.invoke_model", stream=stream, request_model=CLAUDE, response_model=CLAUDE)
    assert_told(stack, trace, expected)


def test_a_profiles_arn_goes_through_with_its_slash_escaped(stack: Stack) -> None:
    trace = Trace()
    with bedrock(stack, trace) as client:
        client.converse(modelId=PROFILE, messages=HELLO)
    assert_told(stack, trace, told("bedrock.converse", request_model=PROFILE))
    (received,) = trace.received(stack)
    assert received["path"].endswith("%3Aapplication-inference-profile%2Fabc12xyz/converse")


@pytest.mark.parametrize("operation", ["converse", "converse_stream", "invoke_model"])
def test_a_denial_is_an_access_denied_exception_and_is_not_retried(stack: Stack, operation: str) -> None:
    trace = Trace()
    asked: Any = {"body": json.dumps(ASKED)} if operation == "invoke_model" else {"messages": HELLO}
    with bedrock(stack, trace, DENIED_KEY) as client, pytest.raises(ClientError) as raised:
        getattr(client, operation)(modelId=NOVA, **asked)
    assert raised.value.response["Error"]["Code"] == "AccessDeniedException"
    message = raised.value.response["Error"]["Message"]
    says = f"team search may not use model {NOVA}"
    assert_denied(stack, trace, code="access.model_allowlist", message=message, says=says)


def test_a_wrong_key_is_told_in_the_words_of_the_gateway(stack: Stack) -> None:
    with bedrock(stack, Trace(), "wrong") as client, pytest.raises(ClientError) as raised:
        client.converse(modelId=NOVA, messages=HELLO)
    error = raised.value.response["Error"]
    assert error["Code"] == "UnrecognizedClientException"
    assert "client key or token is missing, expired or not known to the gateway" in error["Message"]


def test_in_shadow_a_signature_stays_valid_and_its_key_is_known(stack: Stack) -> None:
    """The client believes that it talks to Amazon, and nothing that it signed is changed on the way."""
    trace = Trace()
    client: Any = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"http://{AMAZON}",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="nobodys-secret",
        config=Config(proxies={"http": stack.base_url}),  # leads the host name to the gate, as its DNS would
    )
    _adding(client, trace.headers)
    client.converse(modelId=PROFILE, messages=HELLO)
    client.close()
    (received,) = trace.received(stack)
    assert received["headers"]["authorization"].endswith(f"Signature={_signature(received)}")
    row = assert_told(stack, trace, told("bedrock.converse", request_model=PROFILE))
    assert (row["mode"], row["host"], row["team"]) == ("shadow", AMAZON, None)
    key = hmac.new(b"example-fingerprint-key", b"AKIDEXAMPLE", "sha256").hexdigest()[:32]
    assert row["key_fingerprint"] == key


def _signature(received: dict[str, Any]) -> str:
    """What Amazon would calculate over the request as it arrived."""
    headers = {name: received["headers"][name] for name in ("content-type", "x-amz-date")}
    request = AWSRequest("POST", f"http://{received['headers']['host']}{received['path']}", headers=headers)
    request.data = received_body(received)
    request.context["timestamp"] = headers["x-amz-date"]
    signer = SigV4Auth(Credentials("AKIDEXAMPLE", "nobodys-secret"), "bedrock", "us-east-1")
    signature: str = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return signature


def test_over_tls_the_client_key_is_the_bearer_token(
    make_stack: Callable[..., Stack], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("tls")
    authority(folder, "ca")
    certificate(folder, "server", "IP:127.0.0.1")
    tls = {"certificate": str(folder / "server.pem"), "private_key": str(folder / "server.key")}
    stack = make_stack(settings={"listener": {"tls": tls}})
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", KEY)
    trace = Trace()
    client: Any = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"{stack.base_url}/bedrock",
        verify=str(folder / "ca.pem"),
        config=Config(retries={"total_max_attempts": 1}),
    )
    _adding(client, trace.headers)
    assert client.converse(modelId=NOVA, messages=HELLO)["stopReason"] == "end_turn"
    assert_told(stack, trace, told("bedrock.converse"))
    client.close()
