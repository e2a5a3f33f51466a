"""Refusals become the SDKs' own exceptions, with a message that support can follow up. Real SDKs, real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import anthropic
import openai
import pytest

from extproc.codecs import CODECS
from extproc.model import ErrorReply

EXCHANGE = "0190b3a0-7e4c-7abc-8def-0123456789ab"
CODE = "pii.no_bank_accounts"
MESSAGE = "Bank account numbers may not leave the company"

STATUSES = [
    (400, "BadRequestError"),
    (401, "AuthenticationError"),
    (403, "PermissionDeniedError"),
    (404, "NotFoundError"),
    (422, "UnprocessableEntityError"),
    (429, "RateLimitError"),
    (500, "InternalServerError"),
    (503, "InternalServerError"),
]


@contextmanager
def _answering(reply: ErrorReply) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that gives `reply` to everything; yields its address and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(reply.status)
            self.send_header("content-type", reply.content_type)
            self.send_header("content-length", str(len(reply.body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

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


def _reply(api: str, status: int) -> ErrorReply:
    return CODECS[api].error(status=status, code=CODE, message=MESSAGE, exchange_id=EXCHANGE)


@pytest.mark.parametrize(("status", "exception"), STATUSES)
@pytest.mark.parametrize("stream", [False, True])
def test_the_openai_sdk_raises_its_own_exception(status: int, exception: str, stream: bool) -> None:
    with _answering(_reply("openai.chat", status)) as (url, asked):
        client = openai.OpenAI(api_key="x", base_url=f"{url}/v1", max_retries=1 if status < 500 else 0)
        with pytest.raises(getattr(openai, exception)) as raised, client:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=stream)
    error = raised.value
    assert error.status_code == status
    assert all(word in error.message for word in (MESSAGE, CODE, EXCHANGE))
    assert (error.code, error.param) == (CODE, None)
    assert asked == ["/v1/chat/completions"]  # and did not try again where that is useless


@pytest.mark.parametrize(("status", "exception"), STATUSES)
@pytest.mark.parametrize("stream", [False, True])
def test_the_anthropic_sdk_raises_its_own_exception(status: int, exception: str, stream: bool) -> None:
    expected = "ServiceUnavailableError" if status == 503 else exception
    with _answering(_reply("anthropic.messages", status)) as (url, asked):
        client = anthropic.Anthropic(api_key="x", base_url=url, max_retries=1 if status < 500 else 0)
        with pytest.raises(anthropic.APIStatusError) as raised, client:
            client.messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "Hi"}], stream=stream)
    error = raised.value
    assert expected in [kind.__name__ for kind in type(error).__mro__]
    assert error.status_code == status
    assert all(word in str(error) for word in (MESSAGE, CODE, EXCHANGE))
    assert asked == ["/v1/messages"]


@pytest.mark.parametrize(
    ("api", "status", "kind"),
    [
        ("openai.chat", 400, "invalid_request_error"),
        ("openai.chat", 401, "authentication_error"),
        ("openai.chat", 403, "permission_denied"),
        ("openai.chat", 413, "request_too_large"),
        ("openai.chat", 415, "invalid_request_error"),
        ("openai.chat", 429, "rate_limit_error"),
        ("openai.chat", 503, "server_error"),
        ("anthropic.messages", 400, "invalid_request_error"),
        ("anthropic.messages", 401, "authentication_error"),
        ("anthropic.messages", 403, "permission_error"),
        ("anthropic.messages", 413, "request_too_large"),
        ("anthropic.messages", 415, "invalid_request_error"),
        ("anthropic.messages", 429, "rate_limit_error"),
        ("anthropic.messages", 500, "api_error"),
        ("anthropic.messages", 529, "overloaded_error"),
    ],
)
def test_the_type_is_the_providers_word_for_the_status(api: str, status: int, kind: str) -> None:
    assert json.loads(_reply(api, status).body)["error"]["type"] == kind


def test_the_bodies_have_exactly_the_providers_form() -> None:
    told = f"{MESSAGE} ({CODE}, exchange {EXCHANGE})"
    assert json.loads(_reply("openai.chat", 403).body) == {
        "error": {"message": told, "type": "permission_denied", "param": None, "code": CODE},
        "exchange_id": EXCHANGE,
    }
    assert json.loads(_reply("anthropic.messages", 403).body) == {
        "type": "error",
        "error": {"type": "permission_error", "message": told},
        "request_id": EXCHANGE,
    }
    assert json.loads(_reply("opaque", 403).body) == {
        "error": {"type": CODE, "code": CODE, "message": told},
        "exchange_id": EXCHANGE,
    }


@pytest.mark.parametrize("api", list(CODECS))
def test_only_what_may_pass_later_is_worth_a_retry(api: str) -> None:
    assert _reply(api, 403).headers["x-should-retry"] == "false"
    assert "x-should-retry" not in _reply(api, 503).headers
    assert _reply(api, 403).content_type == "application/json"


def test_any_text_makes_valid_json() -> None:
    for api, codec in CODECS.items():
        reply = codec.error(status=400, code='"}\n', message='quote " and \\ and \u2028', exchange_id="é")
        told = json.loads(reply.body)
        error = told.get("error", told)
        said = error if isinstance(error, str) else error["message"]
        assert 'quote " and \\ and \u2028' in said, api
