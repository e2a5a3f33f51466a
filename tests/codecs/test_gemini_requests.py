"""Requests to Google's APIs, in all the spellings that Google's JSON parser takes, and in those that nobody should."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codecs import CODECS, codec_for
from extproc.errors import ClientError
from extproc.media import is_encrypted
from extproc.model import Call, RequestFacts

GEMINI = "generativelanguage.googleapis.com"
VERTEX = "aiplatform.googleapis.com"
GENERATE = Call("POST", "/v1beta/models/gemini-x:generateContent", GEMINI)
EMBED = Call("POST", "/v1beta/models/gemini-embedding-x:batchEmbedContents", GEMINI)
INTERACT = Call("POST", "/v1beta/interactions", GEMINI)
ON_VERTEX = "/v1/projects/p/locations/europe-west4"
HI: dict[str, Any] = {"contents": [{"parts": [{"text": "Hi"}]}]}


def _facts(document: Any, call: Call = GENERATE) -> RequestFacts:
    return codec_for(call).request(document, call)


def _refusal(document: Any, call: Call = GENERATE) -> ClientError:
    with pytest.raises(ClientError) as refused:
        _facts(document, call)
    return refused.value


@pytest.mark.parametrize(
    ("method", "path", "host", "api"),
    [
        ("POST", "/v1beta/models/gemini-x:generateContent", GEMINI, "gemini.generate_content"),
        ("POST", "/v1/models/gemini-x:streamGenerateContent", GEMINI, "gemini.generate_content"),
        ("POST", "/v1beta/tunedModels/mine-1:generateContent", GEMINI, "gemini.generate_content"),
        ("POST", "/gemini/v1beta/models/gemini-x:generateContent", "gateway", "gemini.generate_content"),
        ("POST", f"{ON_VERTEX}/publishers/google/models/g-x:generateContent", VERTEX, "gemini.generate_content"),
        ("POST", "/v1/publishers/google/models/gemini-x:generateContent", VERTEX, "gemini.generate_content"),
        ("POST", f"{ON_VERTEX}/endpoints/123:streamGenerateContent", VERTEX, "gemini.generate_content"),
        ("POST", "/v1beta/projects/p/models/g-x:generateContent", "firebase", "gemini.generate_content"),
        ("POST", "/v1internal:streamGenerateContent", "cloudcode", "gemini.generate_content"),
        ("POST", "/v1beta/models/gemini-x:countTokens", GEMINI, "gemini.count_tokens"),
        ("POST", "/v1beta/models/text-embedding-004:embedContent", GEMINI, "gemini.embed_content"),
        ("POST", "/v1beta/models/text-embedding-004:batchEmbedContents", GEMINI, "gemini.embed_content"),
        (
            "POST",
            f"{ON_VERTEX}/publishers/google/models/textembedding-gecko@003:predict",
            VERTEX,
            "gemini.embed_content",
        ),
        ("POST", f"{ON_VERTEX}/publishers/google/models/imagen-4.0-generate:predict", VERTEX, "opaque"),
        ("POST", f"{ON_VERTEX}/endpoints/123:predict", VERTEX, "opaque"),
        ("POST", "/v1beta/models/veo-3:predictLongRunning", GEMINI, "opaque"),
        ("POST", "/v1beta/models/gemini-x:batchGenerateContent", GEMINI, "opaque"),
        ("POST", f"{ON_VERTEX}/publishers/anthropic/models/claude:rawPredict", VERTEX, "anthropic.messages"),
        ("GET", "/v1beta/models", GEMINI, "gemini.models"),
        ("GET", "/v1beta/models/gemini-x", "gateway", "gemini.models"),
        ("GET", "/v1/models", GEMINI, "gemini.models"),
        ("GET", "/v1beta1/publishers/google/models", VERTEX, "gemini.models"),
        ("GET", "/v1/models", "api.openai.com", "openai.models"),
        ("GET", "/v1beta/models/gemini-x:generateContent", GEMINI, "opaque"),
        ("POST", "/v1beta/interactions", GEMINI, "gemini.interactions"),
        ("POST", "/v1beta1/projects/p/locations/global/interactions", VERTEX, "gemini.interactions"),
        ("GET", "/v1beta/interactions/i1", GEMINI, "opaque"),
        ("POST", "/v1beta/models/gemini-x:GenerateContent", GEMINI, "opaque"),
        ("POST", "/v1beta/models/gemini-x:generateContent/", GEMINI, "opaque"),
        ("POST", "/v1beta/models/a/gemini-x:generateContent", GEMINI, "opaque"),
    ],
)
def test_googles_calls_are_told_by_what_stands_behind_the_colon(method: str, path: str, host: str, api: str) -> None:
    assert codec_for(Call(method, path, host)).api == api


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1beta/models/gemini-x:generateContent", "gemini-x"),
        ("/v1beta/models/gemini-x:001:generateContent", "gemini-x:001"),
        ("/v1beta/tunedModels/mine:generateContent", "tunedModels/mine"),
        (f"{ON_VERTEX}/publishers/google/models/gemini-x@001:generateContent", "gemini-x@001"),
        (f"{ON_VERTEX}/endpoints/123:generateContent", "endpoints/123"),
    ],
)
def test_the_path_names_the_model_whatever_the_body_says(path: str, model: str) -> None:
    assert _facts({**HI, "model": "models/another"}, Call("POST", path, GEMINI)).model == model


def test_a_body_at_somebodys_own_address_is_recognised_and_names_its_model_itself() -> None:
    call = Call("POST", "/ask", "gateway")
    codec = CODECS["gemini.generate_content"]
    assert codec.recognises(HI, call)
    assert not codec.recognises({"contents": [{"text": "Hi"}]}, call)
    assert not codec.recognises({"contents": []}, call)
    assert not codec.recognises(HI["contents"], call)
    assert codec.request({**HI, "model": "models/gemini-y"}, call).model == "gemini-y"


# ── spellings ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_both_names_of_each_field_mean_the_same() -> None:
    camel = {
        **HI,
        "systemInstruction": {"parts": [{"text": "S"}]},
        "generationConfig": {"maxOutputTokens": 5, "topK": 2, "candidateCount": 2},
        "tools": [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}],
    }
    snake = {
        **HI,
        "system_instruction": {"parts": [{"text": "S"}]},
        "generation_config": {"max_output_tokens": 5, "top_k": 2, "candidate_count": 2},
        "tools": [{"function_declarations": [{"name": "f"}]}, {"google_search": {}}],
    }
    told, spelled = _facts(camel), _facts(snake)
    assert (told.max_output_tokens, told.choices, told.tools) == (5, 2, ("f", "googleSearch"))
    # The names themselves are text that the model reads, as it is spelled.
    assert spelled.text_bytes - told.text_bytes == len("function_declarations_google_search") - len(
        "functionDeclarationsgoogleSearch_"
    )
    for name in ("max_output_tokens", "choices", "tools", "has_system_text", "parameters", "message_count"):
        assert getattr(told, name) == getattr(spelled, name)


@pytest.mark.parametrize(
    "document",
    [
        {**HI, "systemInstruction": {"parts": []}, "system_instruction": {"parts": [{"text": "other"}]}},
        {**HI, "generationConfig": {"maxOutputTokens": 5, "max_output_tokens": 500}},
        {"contents": [{"parts": [{"inlineData": {}, "inline_data": {}}]}]},
        {**HI, "SystemInstruction": {}},
        {**HI, "systeminstruction": {}},
        {**HI, "system_Instruction": {}},
        {**HI, "_contents": []},
        {**HI, "content_s": []},
        {"contents": [{"parts": [{"Text": "Hi"}]}]},
        {"contents": [{"parts": [{"inlineData": {"Data": "x"}}]}]},
        {**HI, "tools": [{"function_Declarations": []}]},
    ],
)
def test_two_names_for_one_field_and_names_that_are_neither_are_refused(document: Any) -> None:
    refused = _refusal(document)
    assert refused.code == "ambiguous_key"
    assert "other" not in refused.message


def test_an_interaction_too_has_one_name_for_each_field() -> None:
    assert _refusal(
        {"model": "m", "input": "Hi", "system_instruction": "a", "systemInstruction": "b"}, INTERACT
    ).code == ("ambiguous_key")


def test_one_message_stands_for_a_list_of_one_and_its_parts_are_pointed_at_as_they_stand() -> None:
    facts = _facts({"contents": {"parts": {"inline_data": {"mime_type": "image/png", "data": "AA=="}}}})
    assert facts.message_count == 1
    assert [(part.kind, part.field) for part in facts.uninspected_parts] == [("image", "/contents/parts/inline_data")]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"maxOutputTokens": "12", "temperature": "0.5"}, (12, 0.5)),
        ({"maxOutputTokens": 12.0, "temperature": 1}, (12, 1.0)),
        ({"maxOutputTokens": None, "temperature": None}, (None, None)),
    ],
)
def test_numbers_may_be_written_as_strings(config: Any, told: Any) -> None:
    facts = _facts({**HI, "generationConfig": config})
    assert (facts.max_output_tokens, facts.temperature) == told


# ── other shapes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ([], "the body"),
        ({}, "contents"),
        ({"contents": "Hi"}, "contents"),
        ({"contents": ["Hi"]}, "contents[0]"),
        ({"contents": [None]}, "contents[0]"),
        ({"contents": [{"parts": "Hi"}]}, "contents[0].parts"),
        ({"contents": [{"parts": [{"text": ["Hi"]}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"role": 1, "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [{"inlineData": "x"}]}]}, "contents[0].parts[0].inlineData"),
        ({"contents": [{"parts": [{"inline_data": {"data": 1}}]}]}, "contents[0].parts[0].inline_data.data"),
        ({**HI, "systemInstruction": "Be"}, "systemInstruction"),
        ({**HI, "tools": [{"functionDeclarations": [{"name": 1}]}]}, "tools[0].functionDeclarations[0].name"),
        ({**HI, "generationConfig": {"maxOutputTokens": "many"}}, "generationConfig.maxOutputTokens"),
        ({**HI, "generationConfig": {"maxOutputTokens": -1}}, "generationConfig.maxOutputTokens"),
        ({**HI, "generationConfig": {"candidateCount": 0}}, "generationConfig.candidateCount"),
        ({**HI, "generationConfig": {"temperature": True}}, "generationConfig.temperature"),
        ({**HI, "cachedContent": {}}, "cachedContent"),
    ],
)
def test_another_shape_is_refused_by_its_place_and_quoted_nowhere(document: Any, where: str) -> None:
    refused = _refusal(document)
    assert refused.code == "invalid_request"
    assert refused.message.startswith(f"{where} must be ")
    assert "Hi" not in refused.message


@pytest.mark.parametrize(
    ("document", "call"),
    [
        ({"requests": [{"model": "m"}]}, EMBED),
        ({}, EMBED),
        ({}, Call("POST", f"{ON_VERTEX}/publishers/google/models/text-embedding-005:predict", VERTEX)),
        (
            {"instances": ["text"]},
            Call("POST", f"{ON_VERTEX}/publishers/google/models/text-embedding-005:predict", VERTEX),
        ),
        ({"model": "m"}, INTERACT),
        ({"model": "m", "input": 1}, INTERACT),
        ({"model": "m", "input": [{"type": "text", "text": {}}]}, INTERACT),
        ({"model": 1, "input": "Hi"}, INTERACT),
    ],
)
def test_other_calls_have_their_own_shapes(document: Any, call: Call) -> None:
    assert _refusal(document, call).code == "invalid_request"


def test_unknown_fields_pass_and_unknown_parts_are_said_to_be_unread() -> None:
    facts = _facts({**HI, "crystalBall": {"text": 1}, "generationConfig": {"glow": True}})
    assert facts.uninspected_parts == ()
    facts = _facts({"contents": [{"parts": [{"crystal_ball": "x", "text": "Hi"}, {"thought": True, "text": "Hm"}]}]})
    assert [(part.kind, part.field) for part in facts.uninspected_parts] == [
        ("unknown", "/contents/0/parts/0/crystal_ball")
    ]
    assert facts.text_bytes == 4


def test_a_media_type_that_is_none_is_left_out() -> None:
    facts = _facts({"contents": [{"parts": [{"inlineData": {"mimeType": "my card is 4111", "data": "AA=="}}]}]})
    assert [(part.kind, part.media_type, part.size_bytes) for part in facts.uninspected_parts] == [("file", None, 4)]


def test_a_function_that_is_named_like_a_field_of_ours_is_only_a_name() -> None:
    schema = {"type": "object", "properties": {"Text": {}, "inline_data": {}, "inlineData": {}}}
    facts = _facts({**HI, "tools": [{"functionDeclarations": [{"name": "f", "parameters": schema}]}]})
    assert facts.tools == ("f",)
    facts = _facts(
        {"contents": [{"parts": [{"functionCall": {"name": "f", "args": {"Text": "a", "inline_data": "b"}}}]}]}
    )
    assert (facts.text_bytes, facts.uninspected_parts) == (1 + 4 + 1 + 11 + 1, ())


def test_contents_within_results_are_read_to_a_stated_depth() -> None:
    deep: Any = [{"type": "text", "text": "Hi"}]
    for _ in range(9):
        deep = [{"type": "function_result", "result": [{"type": "text", "text": "x"}]}, {"content": deep}]
    facts = _facts({"model": "m", "input": deep}, INTERACT)
    assert "unknown" in {part.kind for part in facts.uninspected_parts}


def test_media_within_a_results_own_data_are_said_to_be_unread() -> None:
    image = {"type": "image", "data": "AA=="}
    facts = _facts({"model": "m", "input": [{"type": "function_result", "result": [image, {"rows": 3}]}]}, INTERACT)
    assert [(part.kind, part.field) for part in facts.uninspected_parts] == [("unknown", "/input/0/result")]
    facts = _facts({"model": "m", "input": [{"type": "function_result", "result": [image]}]}, INTERACT)
    assert [(part.kind, part.field) for part in facts.uninspected_parts] == [("image", "/input/0/result/0")]


def test_a_type_that_is_no_word_is_refused() -> None:
    assert _refusal({"model": "m", "input": {"type": []}}, INTERACT).code == "invalid_request"


# ── signatures ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_signatures_are_the_providers_own_where_they_belong_and_nowhere_else() -> None:
    part = {"text": "Hi", "thoughtSignature": "QUJDREVG", "thought_signature": "QUJDREVG"}
    document = {
        "contents": [{"parts": [part]}],
        "labels": {"thoughtSignature": "QUJDREVG"},
        "input": [{"type": "thought", "signature": "QUJDREVG"}, {"type": "text", "signature": "QUJDREVG"}],
    }
    assert is_encrypted(document, "/contents/0/parts/0/thoughtSignature", "QUJDREVG")
    assert is_encrypted(document, "/contents/0/parts/0/thought_signature", "QUJDREVG")
    assert is_encrypted(document, "/input/0/signature", "QUJDREVG")
    assert not is_encrypted(document, "/input/1/signature", "QUJDREVG")
    assert not is_encrypted(document, "/contents/0/parts/0/text", "QUJDREVG")
    assert not is_encrypted(document, "/contents/0/parts/0/thoughtSignature", "my card is 4111")
    assert not is_encrypted(document, "/labels/thoughtSignature", "QUJDREVG")


# ── another model ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "model", "expected"),
    [
        ("/v1beta/models/gemini-x:generateContent", "gemini-y", "/v1beta/models/gemini-y:generateContent"),
        ("/v1beta/models/gemini-x:generateContent", "models/gemini-y", "/v1beta/models/gemini-y:generateContent"),
        ("/v1beta/tunedModels/mine:generateContent", "gemini-y", "/v1beta/models/gemini-y:generateContent"),
        ("/v1beta/models/gemini-x:generateContent", "tunedModels/m", "/v1beta/tunedModels/m:generateContent"),
        (
            f"{ON_VERTEX}/publishers/google/models/gemini-x:streamGenerateContent",
            "gemini-y",
            f"{ON_VERTEX}/publishers/google/models/gemini-y:streamGenerateContent",
        ),
        (
            f"{ON_VERTEX}/publishers/google/models/gemini-x:generateContent",
            "endpoints/9",
            f"{ON_VERTEX}/endpoints/9:generateContent",
        ),
        (
            f"{ON_VERTEX}/endpoints/9:generateContent",
            "gemini-y",
            f"{ON_VERTEX}/publishers/google/models/gemini-y:generateContent",
        ),
    ],
)
def test_another_model_is_asked_for_in_the_path_and_no_byte_of_the_body_changes(
    path: str, model: str, expected: str
) -> None:
    call = Call("POST", path, GEMINI)
    body = b' {"contents" : [{"parts":[{"text":"models/gemini-x \\u00e9"}]}]}\n'
    assert codec_for(call).with_model(call, body, model) == (expected, body)


def test_a_body_that_names_the_model_too_says_the_same() -> None:
    body = b'{"requests": [{"model": "models/gemini-embedding-x", "content":{"parts":[{"text":"model"}]} }]}'
    path, changed = codec_for(EMBED).with_model(EMBED, body, "gemini-embedding-y")
    assert path == "/v1beta/models/gemini-embedding-y:batchEmbedContents"
    assert changed == body.replace(b"models/gemini-embedding-x", b"models/gemini-embedding-y")
    call = Call("POST", "/v1internal:generateContent", "cloudcode")
    body = b'{"model":"gemini-x", "request": {"contents": []}}'
    assert codec_for(call).with_model(call, body, "gemini-y") == (call.path, body.replace(b"gemini-x", b"gemini-y"))
    body = b'{"model":"gemini-x","input":"gemini-x"}'
    assert codec_for(INTERACT).with_model(INTERACT, body, "gemini-y") == (
        INTERACT.path,
        b'{"model":"gemini-y","input":"gemini-x"}',
    )


@pytest.mark.parametrize("model", ["gemini x", "a/b/../c?d", "", "é", "x%2Fy"])
def test_a_name_that_cannot_stand_in_a_path_is_none(model: str) -> None:
    with pytest.raises(LookupError):
        codec_for(GENERATE).with_model(GENERATE, b"{}", model)


# ── anything at all ──────────────────────────────────────────────────────────────────────────────────────────────────

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats(allow_nan=False) | st.sampled_from(["", "text", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                """contents parts text role inlineData inline_data data functionCall functionResponse name args tools
            functionDeclarations generationConfig maxOutputTokens systemInstruction type content input result summary
            requests instances model request""".split()  # noqa: SIM905 (a text reads better than one line for each word)
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_CALLS = [
    GENERATE,
    EMBED,
    INTERACT,
    Call("POST", "/v1beta/models/gemini-x:countTokens", GEMINI),
    Call("POST", "/v1internal:generateContent", "cloudcode"),
    Call("POST", f"{ON_VERTEX}/publishers/google/models/text-embedding-005:predict", VERTEX),
]


@pytest.mark.parametrize("call", _CALLS, ids=lambda call: call.path)
@given(document=_JSON, held=_JSON)
@settings(max_examples=60, deadline=None)
def test_any_document_gives_facts_or_a_typed_error_and_a_conversation(call: Call, document: Any, held: Any) -> None:
    whole = {"contents": held, "requests": held, "input": held, "instances": held, "request": {"contents": held}}
    for body in (document, whole):
        codec_for(call).conversation(call, json.dumps(body).encode(), None)
        try:
            facts = codec_for(call).request(body, call)
        except ClientError as error:
            assert error.code in ("invalid_request", "ambiguous_key")  # noqa: PT017 (either outcome is right)
        else:
            assert facts.text_bytes >= 0
            got = codec_for(call).conversation(call, json.dumps(body).encode(), None)
            assert got.request_message_count == facts.message_count
