"""Embeddings, rerankers, moderations, images and audio: whose call it is, what is refused, what is edited."""

from __future__ import annotations

import contextlib
import json
import pickle
from collections.abc import Callable
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codecs import CODECS, codec_for
from extproc.errors import ClientError
from extproc.framing import multipart
from extproc.media import PARTS_MAX
from extproc.model import Call, RequestFacts, UsageSource
from tests.codecs.test_errors import CODE, EXCHANGE, MESSAGE, _answering, _reply
from tests.codecs.test_requests import JSON

EMBEDDINGS = CODECS["openai.embeddings"]
MODERATIONS = CODECS["openai.moderations"]
RERANK = CODECS["openai.rerank"]
IMAGES = CODECS["openai.images"]
AUDIO = CODECS["openai.audio"]
MODELS = CODECS["openai.models"]

FORM = "multipart/form-data; boundary=b"
CALL = Call("POST", "/v1/x", "h")
SPEECH = Call("POST", "/v1/audio/speech", "h")
HEARD = Call("POST", "/v1/audio/transcriptions", "h", content_type=FORM)
EDIT = Call("POST", "/v1/images/edits", "h", content_type=FORM)


@pytest.mark.parametrize(
    ("method", "host", "path", "api"),
    [
        ("POST", "api.openai.com", "/v1/embeddings", "openai.embeddings"),
        ("POST", "x.openai.azure.com", "/openai/deployments/e/embeddings", "openai.embeddings"),
        ("POST", "api.voyageai.com", "/v1/multimodalembeddings", "openai.embeddings"),
        ("POST", "api.voyageai.com", "/v1/contextualizedembeddings", "openai.embeddings"),
        ("POST", "openrouter.ai", "/api/v1/embeddings", "openai.embeddings"),
        ("POST", "127.0.0.1:11434", "/api/embeddings", "ollama.embed"),
        ("POST", "127.0.0.1:11434", "/api/embed", "ollama.embed"),
        ("POST", "h", "/ollama/api/chat", "ollama.chat"),
        ("POST", "h", "/api/generate", "ollama.generate"),
        ("GET", "h", "/api/tags", "opaque"),
        ("POST", "h", "/api/show", "opaque"),
        ("GET", "h", "/api/chat", "opaque"),
        ("POST", "h", "/myapi/chat", "opaque"),
        ("GET", "api.openai.com", "/v1/embeddings", "opaque"),
        ("POST", "api.openai.com", "/v1/embeddings/x", "opaque"),
        ("POST", "api.openai.com", "/v1/images/generations", "openai.images"),
        ("POST", "api.openai.com", "/v1/images/edits", "openai.images"),
        ("POST", "api.openai.com", "/v1/images/variations", "openai.images"),
        ("POST", "api.openai.com", "/v1/audio/speech", "openai.audio"),
        ("POST", "api.groq.com", "/openai/v1/audio/translations", "openai.audio"),
        ("POST", "api.openai.com", "/v1/audio/voices", "opaque"),
        ("POST", "api.openai.com", "/v1/moderations", "openai.moderations"),
        ("POST", "api.jina.ai", "/v1/rerank", "openai.rerank"),
        ("POST", "h", "/rerank", "openai.rerank"),
        ("GET", "api.openai.com", "/v1/models", "openai.models"),
        ("GET", "api.openai.com", "/v1/models/ft:gpt-4o:acme:1", "openai.models"),
        ("GET", "api.deepseek.com", "/models", "openai.models"),
        ("GET", "x.openai.azure.com", "/openai/models", "openai.models"),
        ("GET", "generativelanguage.googleapis.com", "/v1beta/openai/models", "openai.models"),
        ("DELETE", "api.openai.com", "/v1/models/ft:gpt-4o:acme:1", "opaque"),
        ("GET", "huggingface.co", "/api/models", "opaque"),
    ],
)
def test_calls_are_told_by_method_path_and_host(method: str, host: str, path: str, api: str) -> None:
    assert codec_for(Call(method, path, host)).api == api


@pytest.mark.parametrize(
    "call",
    [
        Call("GET", "/v1/models", "api.anthropic.com"),
        Call("GET", "/v1/models", "gateway.example", hints={"anthropic-version": "2023-06-01"}),
        Call("GET", "/v1/models", "generativelanguage.googleapis.com"),
        Call("GET", "/v1/models", "api.cohere.com"),
    ],
    ids=lambda call: call.host,
)
def test_others_lists_of_models_are_not_openais(call: Call) -> None:
    assert not MODELS.matches(call)


@pytest.mark.parametrize("host", ["api.cohere.com", "api.cohere.ai", "bedrock-agent-runtime.eu-west-1.amazonaws.com"])
def test_a_reranker_of_another_make_is_not_claimed(host: str) -> None:
    assert not RERANK.matches(Call("POST", "/v1/rerank", host))
    assert RERANK.matches(Call("POST", "/v1/rerank", "api.notcohere.com"))


REFUSED: list[tuple[str, Call, Any]] = [
    ("openai.embeddings", CALL, {}),
    ("openai.embeddings", CALL, []),
    ("openai.embeddings", CALL, {"input": 5}),
    ("openai.embeddings", CALL, {"input": True}),
    ("openai.embeddings", CALL, {"input": ["a", None]}),
    ("openai.embeddings", CALL, {"input": ["a", 1.5]}),
    ("openai.embeddings", CALL, {"input": [{"text": 5}]}),
    ("openai.embeddings", CALL, {"input": [{"type": 5}]}),
    ("openai.embeddings", CALL, {"inputs": [{"content": 5}]}),
    ("openai.embeddings", CALL, {"input": "a", "model": 5}),
    ("openai.moderations", CALL, {"model": "m"}),
    ("openai.moderations", CALL, {"input": 5}),
    ("openai.rerank", CALL, {"query": "q"}),
    ("openai.rerank", CALL, {"documents": ["d"]}),
    ("openai.rerank", CALL, {"query": "q", "documents": 5}),
    ("openai.rerank", CALL, {"query": "q", "documents": [1.5]}),
    ("openai.rerank", CALL, {"query": "q", "texts": "t"}),
    ("openai.images", CALL, {"prompt": ["a"]}),
    ("openai.images", CALL, {"prompt": "a", "n": 0}),
    ("openai.images", CALL, {"prompt": "a", "n": "2"}),
    ("openai.images", CALL, {"prompt": "a", "stream": "true"}),
    ("openai.images", EDIT, {"prompt": "a", "n": "two"}),
    ("openai.images", EDIT, {"prompt": "a", "stream": "maybe"}),
    ("openai.audio", SPEECH, {"model": "m"}),
    ("openai.audio", SPEECH, {"input": ["a"]}),
    ("openai.audio", HEARD, {"prompt": {"filename": "a", "media_type": None, "size_bytes": 1}}),
    ("openai.audio", HEARD, {"temperature": "warm"}),
    ("ollama.chat", CALL, {"messages": "Hi"}),
    ("ollama.chat", CALL, {"messages": [{"role": "user", "content": ["Hi"]}]}),
    ("ollama.chat", CALL, {"messages": [{"role": "user", "images": "abc"}]}),
    ("ollama.chat", CALL, {"messages": [{"role": "user", "images": [5]}]}),
    ("ollama.chat", CALL, {"stream": "false"}),
    ("ollama.chat", CALL, {"options": {"num_predict": -3}}),
    ("ollama.generate", CALL, {"prompt": ["Hi"]}),
    ("ollama.generate", CALL, {"prompt": "Hi", "context": "abc"}),
    ("ollama.embed", CALL, {"model": "m"}),
    ("ollama.embed", CALL, {"input": [5]}),
]


@pytest.mark.parametrize(("api", "call", "document"), REFUSED)
def test_another_shape_than_the_api_has_is_refused(api: str, call: Call, document: Any) -> None:
    with pytest.raises(ClientError) as refused:
        CODECS[api].request(document, call)
    assert refused.value.code == "invalid_request"


@pytest.mark.parametrize(
    ("api", "call", "document"),
    [
        ("openai.embeddings", CALL, {"input": "a", "Model": "m"}),
        ("openai.embeddings", CALL, {"input": [{"text": "a", "IMAGE": "b"}]}),
        ("openai.moderations", CALL, {"input": "a", "INPUT": "b"}),
        ("openai.rerank", CALL, {"query": "q", "documents": [], "Documents": ["d"]}),
        ("openai.images", CALL, {"prompt": "a", "Prompt": "b"}),
        ("openai.audio", SPEECH, {"input": "a", "Input": "b"}),
        ("openai.audio", HEARD, {"Prompt": "b"}),
        ("ollama.chat", CALL, {"messages": [], "Messages": []}),
        ("ollama.chat", CALL, {"messages": [{"role": "user", "content": "a", "Content": "b"}]}),
        ("ollama.chat", CALL, {"messages": [{"tool_calls": [{"function": {"name": "f", "Arguments": {}}}]}]}),
        ("ollama.chat", CALL, {"options": {"num_predict": 5, "Num_Predict": 500}}),
        ("ollama.generate", CALL, {"prompt": "a", "System": "b"}),
        ("ollama.embed", CALL, {"input": "a", "Input": "b"}),
    ],
)
def test_a_key_that_some_servers_take_for_another_is_refused(api: str, call: Call, document: Any) -> None:
    with pytest.raises(ClientError) as refused:
        CODECS[api].request(document, call)
    assert refused.value.code == "ambiguous_key"


def test_more_unread_inputs_than_can_be_listed_are_refused() -> None:
    with pytest.raises(ClientError):
        EMBEDDINGS.request({"input": [[1]] * (PARTS_MAX + 1)}, CALL)


def test_lists_nested_deeper_than_anyone_nests_count_as_unread() -> None:
    deep: Any = "text"
    for _ in range(20):
        deep = ["first", deep]
    facts = EMBEDDINGS.request({"input": deep}, CALL)
    assert [part.kind for part in facts.uninspected_parts] == ["unknown"]


def test_ollama_without_a_word_about_it_streams_and_limits_below_zero_are_none() -> None:
    chat = CODECS["ollama.chat"]
    assert chat.request({"model": "m"}, CALL).stream
    assert not chat.request({"model": "m", "stream": False}, CALL).stream
    assert chat.request({"model": "m", "options": {"num_predict": -1}}, CALL).max_output_tokens is None
    assert chat.request({"model": "m", "options": {"num_predict": 0}}, CALL).max_output_tokens == 0


def _form(*fields: tuple[str, str]) -> bytes:
    parts = (f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields)
    return "".join((*parts, "--b--\r\n")).encode()


def test_the_model_of_a_form_is_changed_and_no_other_byte() -> None:
    body = _form(("prompt", "dall-e-2"), ("model", "dall-e-2"), ("n", "1"))
    assert IMAGES.with_model(EDIT, body, "gpt-image-1") == (
        EDIT.path,
        _form(("prompt", "dall-e-2"), ("model", "gpt-image-1"), ("n", "1")),
    )
    with pytest.raises(LookupError):
        IMAGES.with_model(EDIT, _form(("n", "1")), "gpt-image-1")


def test_the_model_of_a_deployment_is_changed_in_the_path() -> None:
    call = Call("POST", "/openai/deployments/ada/embeddings", "x.openai.azure.com")
    body = b'{"input": "ada", "model": "ada"}'
    assert EMBEDDINGS.with_model(call, body, "large") == ("/openai/deployments/large/embeddings", body)
    assert RERANK.with_model(CALL, b'{ "model":"a", "query":"model" }', "b") == (
        CALL.path,
        b'{ "model":"b", "query":"model" }',
    )
    with pytest.raises(LookupError):
        MODELS.with_model(Call("GET", "/v1/models", "h"), b"", "b")


def test_numbers_and_flags_of_a_form_are_read_as_what_they_mean() -> None:
    fields = multipart.parse(_form(("model", "m"), ("n", "3"), ("stream", "TRUE"), ("output_compression", "50")), FORM)
    facts = IMAGES.request(fields, EDIT)
    assert (facts.choices, facts.image_count, facts.stream) == (3, 3, True)
    assert facts.parameters == {"output_compression": 50}


def _facts(api: str, call: Call, body: bytes, *, complete: bool, request: RequestFacts | None = None) -> Any:
    asked = request or RequestFacts(text_bytes=8)
    decoder = CODECS[api].response(call=call, status=200, content_type=None, request=asked)
    decoder.feed(body)
    return decoder.finish(complete=complete)


def test_sound_that_was_cut_off_is_marked_and_its_tokens_are_not_guessed() -> None:
    facts = _facts("openai.audio", SPEECH, b"\xff\xfb" * 100, complete=False)
    assert facts.warnings == ("truncated",)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (2, None)
    assert facts.usage.source is UsageSource.ESTIMATED


def test_raw_samples_that_look_like_the_beginning_of_json_are_sound() -> None:
    facts = _facts("openai.audio", SPEECH, b"{\0\x01\0" * 100, complete=True)
    assert (facts.warnings, facts.terminal, facts.text_bytes) == ((), True, 0)


def test_a_recording_gives_no_estimate_of_what_was_heard_but_of_what_was_written() -> None:
    body = b'data: {"type": "transcript.text.delta", "delta": "twelve bytes"}\n\n'
    facts = _facts("openai.audio", HEARD, body, complete=False)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (None, 3)
    assert facts.warnings == ("truncated",)


def test_an_error_among_subtitles_is_an_error() -> None:
    request = RequestFacts(parameters={"response_format": "srt"})
    facts = _facts("openai.audio", HEARD, b'{"error": {"message": "No", "type": "x"}}', complete=True, request=request)
    assert facts.error is not None
    assert facts.error.message == "No"


def test_pictures_that_were_cut_off_are_not_counted_as_none() -> None:
    event = b'event: image_generation.partial_image\ndata: {"type": "image_generation.partial_image"}\n\n'
    facts = _facts("openai.images", CALL, event, complete=False)
    assert (facts.usage.input_tokens, facts.usage.output_tokens) == (2, None)
    assert facts.warnings == ("truncated",)


def test_a_form_that_was_cut_off_still_shows_its_first_fields() -> None:
    body = _form(("prompt", "A cute otter"), ("model", "dall-e-2"))
    conversation = IMAGES.conversation(EDIT, body[: body.index(b"dall-e-2")], None)
    assert [part.text for part in conversation.messages[0].parts] == ["A cute otter"]


APIS = ["openai.embeddings", "openai.moderations", "openai.rerank", "openai.images", "openai.audio", "openai.models",
        "ollama.chat", "ollama.generate", "ollama.embed"]  # fmt: skip
CALLS = (CALL, SPEECH, HEARD)
WORDS = st.sampled_from(
    ["input", "inputs", "query", "documents", "prompt", "image", "image[]", "content", "text", "type", "messages",
     "data", "results", "usage", "meta", "tokens", "billed_units", "message", "tool_calls", "function", "arguments",
     "images", "options", "context", "error", "model", "done_reason", "prompt_eval_count", "choices", "delta", "file"]
)  # fmt: skip
DOCUMENTS = st.dictionaries(WORDS, JSON | st.dictionaries(WORDS, JSON, max_size=3), max_size=5)


@pytest.mark.parametrize("api", APIS)
@given(document=DOCUMENTS | JSON)
@settings(max_examples=80, deadline=None)
def test_any_json_gives_facts_or_a_typed_error_and_never_stops_a_reader(api: str, document: Any) -> None:
    codec, body = CODECS[api], json.dumps(document).encode()
    for call in CALLS:
        with contextlib.suppress(ClientError):
            assert isinstance(codec.request(document, call), RequestFacts)
        for status in (200, 500):
            decoder = codec.response(call=call, status=status, content_type=None, request=RequestFacts())
            decoder.feed(body + b"\n")
            facts = pickle.loads(pickle.dumps(decoder)).finish(complete=True)
            assert facts == decoder.finish(complete=True)
        codec.conversation(call, body, body)
        codec.conversation(call, body[: len(body) // 2], b"data: " + body)


@pytest.mark.parametrize("api", APIS)
@given(body=st.binary(max_size=60), cut=st.integers(0, 60))
@settings(max_examples=80, deadline=None)
def test_any_bytes_give_the_same_facts_whatever_the_chunks(api: str, body: bytes, cut: int) -> None:
    codec = CODECS[api]
    for call in CALLS:
        whole, pieces = (
            codec.response(call=call, status=200, content_type=None, request=RequestFacts()) for _ in range(2)
        )
        whole.feed(body)
        pieces.feed(body[:cut])
        pieces.feed(body[cut:])
        assert whole.finish(complete=True) == pieces.finish(complete=True)
        codec.conversation(call, body, body)


ASKS: tuple[tuple[str, Callable[[openai.OpenAI], Any]], ...] = (
    ("openai.embeddings", lambda client: client.embeddings.create(model="m", input="Hi")),
    ("openai.moderations", lambda client: client.moderations.create(input="Hi")),
    ("openai.images", lambda client: client.images.generate(prompt="Hi")),
    ("openai.images", lambda client: client.images.edit(image=b"x", prompt="Hi")),
    ("openai.audio", lambda client: client.audio.speech.create(model="m", voice="coral", input="Hi")),
    ("openai.audio", lambda client: client.audio.transcriptions.create(model="m", file=b"x")),
)


@pytest.mark.parametrize(("api", "ask"), ASKS)
def test_the_sdk_raises_its_own_exception_for_each_call(api: str, ask: Callable[[openai.OpenAI], Any]) -> None:
    with _answering(_reply(api, 403)) as (url, _):
        client = openai.OpenAI(api_key="x", base_url=f"{url}/v1", max_retries=0)
        with pytest.raises(openai.PermissionDeniedError) as raised, client:
            ask(client)
    assert all(word in raised.value.message for word in (MESSAGE, CODE, EXCHANGE)), api


def test_an_error_is_an_event_among_events_and_never_noise_in_sound() -> None:
    heard = AUDIO.error_event(call=HEARD, status=403, code=CODE, message=MESSAGE, exchange_id=EXCHANGE)
    assert heard.startswith(b"event: error\ndata: {")
    assert AUDIO.error_event(call=SPEECH, status=403, code=CODE, message=MESSAGE, exchange_id=EXCHANGE) == b""


@pytest.mark.parametrize("api", ["ollama.chat", "ollama.generate"])
def test_an_error_in_ollamas_stream_is_a_line_of_its_own(api: str) -> None:
    event = CODECS[api].error_event(call=CALL, status=403, code=CODE, message=MESSAGE, exchange_id=EXCHANGE)
    assert event.endswith(b"}\n")
    assert json.loads(event) == {"error": f"{MESSAGE} ({CODE}, exchange {EXCHANGE})"}
