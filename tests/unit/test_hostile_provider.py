"""Whatever a provider writes into its answer, the exchange's last frame can be written: no answer may cost a row."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from capture.record import Closed, decode, encode
from extproc import frames
from extproc.codecs import CODECS
from extproc.model import Call, Cost, RequestFacts, ResponseFacts, UsageSource

HALF_A_PAIR = b"\\ud800"

CHAT = b"""{"id": "a%s", "model": "m%s", "choices": [{"index": 0, "finish_reason": "stop%s",
"message": {"content": "hi",
"tool_calls": [{"id": "1", "function": {"name": "f%s", "arguments": "{}"}}]}}], "usage": {"prompt_tokens": 3,
"completion_tokens": 1}}"""
MESSAGE = b"""{"type": "message", "id": "a%s", "model": "m%s", "stop_reason": "stop%s", "content": [{"type": "tool_use",
"id": "1", "name": "f%s", "input": {}}], "usage": {"input_tokens": 3, "output_tokens": 1}}"""


CALL = Call("POST", "/v1/x", "h")


def _read(api: str, body: bytes, status: int = 200) -> ResponseFacts:
    decoder = CODECS[api].response(
        call=Call("POST", "/v1/x", "h"),
        status=status,
        content_type="application/json",
        request=RequestFacts(text_bytes=40),
    )
    decoder.feed(body)
    return decoder.finish(complete=True)


def _written(facts: ResponseFacts) -> Closed:
    """The last frame of an exchange with this answer, through the bytes of the spool and back."""
    frame = frames.closed(
        exchange_id="01989d3e-0000-7000-8000-000000000001",
        at_ns=1,
        capture_status="completed",
        answered_by="upstream",
        http_status=200,
        error_type=None,
        attempts=1,
        facts=facts,
        cost=Cost(),
        keep_text=True,
        response_bytes=1,
        response_sha256=None,
        response_content_state="exact",
        duration_ns=1,
        time_to_first_token_ns=1,
        gateway_overhead_ns=1,
        warnings=facts.warnings,
        dropped_bytes=0,
    )
    read_back = decode(encode(frame))
    assert isinstance(read_back, Closed)
    return read_back


@pytest.mark.parametrize(("api", "body"), [("openai.chat", CHAT), ("anthropic.messages", MESSAGE)])
def test_half_a_surrogate_pair_in_a_name_becomes_a_question_mark(api: str, body: bytes) -> None:
    frame = _written(_read(api, body % ((HALF_A_PAIR,) * 4)))
    assert (frame.response_id, frame.response_model) == ("a?", "m?")
    assert (frame.finish_reasons, frame.tool_calls) == (("stop?",), ("f?",))


@pytest.mark.parametrize("api", ["openai.chat", "anthropic.messages"])
def test_half_a_surrogate_pair_in_an_error_becomes_a_question_mark(api: str) -> None:
    body = b'{"type": "error", "error": {"type": "bad\\ud800", "message": "no \\udfff"}}'
    frame = _written(_read(api, body, status=400))
    assert (frame.error_type, frame.error_message) == ("bad?", "no ?")


@pytest.mark.parametrize(
    "figure", ["1e30", "18446744073709551615", "9223372036854775808", "-1", "-1e30", "NaN", "1e999", "1000000001"]
)
def test_a_figure_that_counts_no_tokens_is_estimated_instead(figure: str) -> None:
    said = f'{{"usage": {{"prompt_tokens": {figure}, "completion_tokens": 1, "total_tokens": {figure}}}}}'
    frame = _written(_read("openai.chat", said.encode()))
    # 40 bytes of text were asked: ten tokens at four bytes each.
    assert (frame.input_tokens, frame.output_tokens) == (10, 1)
    assert frame.usage_source == UsageSource.PARTIAL


def test_an_error_code_of_a_thousand_digits_is_cut() -> None:
    body = b'{"error": {"message": "\\ud800", "code": ' + b"7" * 1_000 + b"}}"
    frame = _written(_read("openai.chat", body, status=500))
    assert frame.error_type == "7" * 256


SENTENCE = "The prompt 'my number is 219-09-9998' is not allowed"


def test_a_sentence_in_the_place_of_a_name_is_not_kept_beside_the_facts() -> None:
    called = {"id": "1", "function": {"name": SENTENCE, "arguments": "{}"}}
    answer = {
        "id": SENTENCE,
        "model": SENTENCE,
        "choices": [{"index": 0, "finish_reason": SENTENCE, "message": {"tool_calls": [called]}}],
        "error": {"message": "no", "type": SENTENCE},
    }
    frame = _written(_read("openai.chat", json.dumps(answer).encode()))
    assert (frame.response_id, frame.response_model, frame.error_type) == (None, None, "error")
    assert (frame.finish_reasons, frame.tool_calls) == (("(withheld)",), ("(withheld)",))


@pytest.mark.parametrize("name", ["get_weather", "mcp__files__read", "获取天气", "models/gpt-4o:free@2024"])
def test_a_name_is_kept_in_any_alphabet(name: str) -> None:
    frame = _written(_read("openai.chat", json.dumps({"model": name, "choices": []}).encode()))
    assert frame.response_model == name


def test_calls_that_nobody_would_make_take_no_memory() -> None:
    def chunk(number: int) -> dict[str, Any]:
        called = {"index": number, "id": f"call_{number}", "function": {"name": "f", "arguments": ""}}
        return {"choices": [{"index": number, "delta": {"tool_calls": [called]}}]}

    decoder = CODECS["openai.chat"].response(call=CALL, status=200, content_type=None, request=RequestFacts())
    held: list[int] = []
    for begin in range(0, 20_000, 5_000):
        decoder.feed(b"".join(b"data: %s\n\n" % json.dumps(chunk(begin + n)).encode() for n in range(5_000)))
        held.append(len(pickle.dumps(decoder)))
    assert held[-1] - held[0] < 10_000, held
    assert len(decoder.finish(complete=True).tool_calls) == 1_024
