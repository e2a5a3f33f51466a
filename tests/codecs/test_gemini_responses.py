"""What no recording shows of Google's responses: cuts, sums that differ, hostile paths, growth."""

from __future__ import annotations

import json
import pickle
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codecs import CODECS
from extproc.codecs.gemini.partial_args import PartialArgs
from extproc.codecs.gemini.usage import normalised
from extproc.model import Call, RequestFacts, ResponseFacts, UsageSource

STREAM = Call("POST", "/v1beta/models/gemini-x:streamGenerateContent", "generativelanguage.googleapis.com")
GENERATE = CODECS["gemini.generate_content"]
INTERACTIONS = CODECS["gemini.interactions"]


def _sse(*documents: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(document).encode() + b"\r\n\r\n" for document in documents)


def _said(text: str, **more: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, **more}]}


def _facts(
    body: bytes, *, complete: bool = True, status: int = 200, text_bytes: int = 0, api: str = ""
) -> ResponseFacts:
    codec = CODECS[api] if api else GENERATE
    decoder = codec.response(call=STREAM, status=status, content_type=None, request=RequestFacts(text_bytes=text_bytes))
    decoder.feed(body)
    return decoder.finish(complete=complete)


# ── sums ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("prompt", "tool_use", "candidates", "thoughts", "total", "told"),
    [
        (10, None, 5, 7, 22, (10, 12, 7)),  # as documented
        (10, 4, 5, 7, 26, (14, 12, 7)),  # what tools brought in is input
        (10, None, 12, 7, 22, (10, 12, 7)),  # a gateway that counts thoughts among the candidates
        (10, 4, 12, 7, 26, (14, 12, 7)),  # the same with tools
        (10, None, 5, None, 22, (10, 12, 7)),  # thoughts that nobody names
        (10, None, None, 7, 17, (10, 7, 7)),  # nothing but thoughts (MAX_TOKENS)
        (10, None, None, None, 30, (10, 20, None)),  # only the total knows
        (10, None, None, None, 10, (10, None, None)),  # an early event
        (10, None, 5, 7, None, (10, 12, 7)),  # no referee
        (10, None, 5, 7, 3, (10, 12, 7)),  # a referee who cannot count
        (None, None, 5, None, 15, (None, 5, None)),
        (-1, None, 1.0, True, "9", (None, 1, None)),  # what is no count is not there
    ],
)
def test_the_total_tells_what_the_figures_mean(
    prompt: Any, tool_use: Any, candidates: Any, thoughts: Any, total: Any, told: Any
) -> None:
    names = ("promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    figures = zip((*names, "totalTokenCount"), (prompt, tool_use, candidates, thoughts, total), strict=True)
    usage = normalised({name: figure for name, figure in figures if figure is not None})
    assert (usage.input_tokens, usage.output_tokens, usage.reasoning_output_tokens) == told


# ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}


def test_a_cut_stream_counts_what_was_seen_where_it_is_more_than_what_was_said() -> None:
    body = _sse({**_said("x" * 40), "usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 9}})
    facts = _facts(body, complete=False)
    assert (facts.usage.input_tokens, facts.usage.output_tokens, facts.usage.source) == (9, 10, UsageSource.PARTIAL)
    assert (facts.said.output_tokens, facts.terminal, facts.warnings) == (None, False, ("truncated",))


def test_a_client_that_hangs_up_after_the_last_word_has_had_it_all() -> None:
    body = _sse(_said("x" * 40), {**_said("", finishReason="STOP"), "usageMetadata": USAGE})
    facts = _facts(body, complete=False)
    assert (facts.usage.output_tokens, facts.usage.source) == (2, UsageSource.PROVIDER)
    assert (facts.terminal, facts.warnings) == (True, ())


def test_a_finish_reason_is_no_end_while_another_candidate_goes_on() -> None:
    first = {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "index": 0}]}
    second = {"candidates": [{"content": {"parts": [{"text": "b"}]}, "index": 1}]}
    decoder = GENERATE.response(call=STREAM, status=200, content_type=None, request=RequestFacts())
    seen = []
    for document in (second, first, {"candidates": [{"finishReason": "STOP", "index": 1}]}):
        decoder.feed(_sse(document))
        seen.append(decoder.terminal)
    assert seen == [False, False, True]


def test_a_response_that_goes_on_after_a_finish_reason_is_not_at_its_end() -> None:
    decoder = GENERATE.response(call=STREAM, status=200, content_type=None, request=RequestFacts())
    decoder.feed(_sse(_said("a", finishReason="STOP")))
    assert decoder.terminal
    decoder.feed(_sse(_said("b")))
    assert not decoder.terminal


def test_an_array_is_at_its_end_with_its_bracket() -> None:
    decoder = GENERATE.response(call=STREAM, status=200, content_type=None, request=RequestFacts())
    decoder.feed(b"[" + json.dumps(_said("a")).encode() + b"\n,\n" + json.dumps(_said("b")).encode())
    assert not decoder.terminal
    decoder.feed(b"\n]")
    assert decoder.terminal


def test_an_array_that_was_cut_yields_what_was_there() -> None:
    body = b"[" + json.dumps(_said("Hello")).encode() + b'\n,\n{"candidates": [{"content": {"parts": [{"text": "wor'
    facts = _facts(body, complete=False)
    assert "truncated" in facts.warnings
    assert facts.text_bytes >= 5
    said = GENERATE.conversation(STREAM, None, body).response_text
    assert said is not None
    assert said.startswith("Hello")


def test_a_stream_that_ends_without_a_finish_reason_is_truncated() -> None:
    facts = _facts(_sse({**_said("Hello"), "usageMetadata": USAGE}))
    assert (facts.warnings, facts.usage.source) == (("truncated",), UsageSource.PARTIAL)


@pytest.mark.parametrize("api", ["gemini.count_tokens", "gemini.models"])
def test_what_runs_no_model_uses_no_tokens(api: str) -> None:
    assert _facts(b'{"totalTokens": 9}', text_bytes=400, api=api).usage.source is UsageSource.NONE


def test_a_gateways_own_words_are_kept_as_the_error() -> None:
    facts = _facts(b"upstream connect error", status=503)
    assert facts.error is not None
    assert facts.error.message == "upstream connect error"


# ── arguments in pieces ──────────────────────────────────────────────────────────────────────────────────────────────


def _put_together(*pieces: tuple[str, Any]) -> Any:
    partial = PartialArgs()
    for path, value in pieces:
        kind = "stringValue" if isinstance(value, str) else "boolValue" if isinstance(value, bool) else "numberValue"
        partial.add({"jsonPath": path, kind if value is not None else "nullValue": value})
    return partial.into({})


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([("$.a", "x"), ("$.a", "y"), ("$.b", 1)], {"a": "xy", "b": 1}),
        ([("$.a[0][1].b", "x")], {"a": [[{"b": "x"}]]}),  # no element is invented to fill a list up
        ([("$.a[999999999999]", 1), ("$.a[999999999999]", 2), ("$.a[7]", 3)], {"a": [2, 3]}),
        ([("$['a.b']['c\\'d']", True), ('$["e"]', None)], {"a.b": {"c'd": True}, "e": None}),
        ([("$.a", "x"), ("$.a.b", "y"), ("$.a[0]", "z")], {"a": "x"}),  # what stands there stays
        ([("a", 1), ("$", 1), ("", 1), ("$..a", 1), ("$.a[", 1), ("$[*]", 1)], {}),
        ([("$" + ".a" * 65, 1), ("$.b", 2)], {"b": 2}),
    ],
)
def test_values_go_where_their_paths_lead(pieces: Any, expected: Any) -> None:
    assert _put_together(*pieces) == expected


def test_a_call_that_comes_whole_and_in_pieces_is_one_call() -> None:
    body = _sse(
        {
            "candidates": [
                {"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": 1}, "willContinue": True}}]}}
            ]
        },
        {
            "candidates": [
                {"content": {"parts": [{"functionCall": {"partialArgs": [{"jsonPath": "$.b", "stringValue": "x"}]}}]}}
            ]
        },
    )
    assert _facts(body).tool_calls == ("f",)
    [call] = GENERATE.conversation(STREAM, None, body).tool_calls
    assert (call.tool_name, call.arguments) == ("f", '{"a":1,"b":"x"}')


@given(
    paths=st.lists(
        st.tuples(
            st.lists(st.sampled_from([".a", ".b", "[0]", "[1]", "[9]", "['c']", "$", ".", "[", "é"]), max_size=6),
            st.sampled_from(["x", 1, None, True]),
        ),
        max_size=8,
    )
)
@settings(max_examples=150, deadline=None)
def test_any_paths_give_an_object_and_never_more_values_than_pieces(paths: Any) -> None:
    made = _put_together(*(("$" + "".join(steps), value) for steps, value in paths))
    assert isinstance(made, dict)

    def leaves(value: Any) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return 1 if inner is None else sum(map(leaves, inner))

    assert leaves(made) <= len(paths)


# ── growth ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "chunk",
    [
        _said("x" * 20, index=0),
        {
            "candidates": [
                {"index": 7, "finishReason": "STOP" * 50, "content": {"parts": [{"functionCall": {"name": "f"}}]}}
            ]
        },
    ],
)
def test_state_does_not_grow_with_the_stream(chunk: Any) -> None:
    decoder = GENERATE.response(call=STREAM, status=200, content_type=None, request=RequestFacts())
    data = _sse(*[chunk] * 50)
    for _ in range(40):
        decoder.feed(data)
    size = len(pickle.dumps(decoder))
    for _ in range(100):
        decoder.feed(data)
    assert len(pickle.dumps(decoder)) <= size + 64


def test_candidates_without_end_are_bounded() -> None:
    decoder = GENERATE.response(call=STREAM, status=200, content_type=None, request=RequestFacts())
    for index in range(3_000):
        decoder.feed(_sse({"candidates": [{"index": index, "content": {"parts": [{"text": "a"}]}}]}))
        decoder.feed(_sse({"candidates": [{"index": -index, "finishReason": "STOP"}]}))
    facts = decoder.finish(complete=True)
    assert len(facts.finish_reasons) == 1_024
    assert len(pickle.dumps(decoder)) < 100_000


def test_a_conversation_of_many_pieces_takes_time_in_proportion() -> None:
    def seconds(count: int) -> float:
        body = _sse(*[_said("word ")] * count)
        begun = time.process_time()
        text = GENERATE.conversation(STREAM, None, body).response_text
        assert text == "word " * count
        return time.process_time() - begun

    seconds(500)
    small = min(seconds(1_000) for _ in range(3))
    assert seconds(8_000) < 8 * small * 4


def test_a_path_cannot_ask_for_memory() -> None:
    tracemalloc.start()
    _put_together(*((f"$.a[{index}00000000]", index) for index in range(200)))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 12) | st.sampled_from(["", "STOP", "é", "text", "thought"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                """candidates content parts text functionCall name args partialArgs jsonPath stringValue index
            finishReason usageMetadata promptTokenCount promptFeedback blockReason error response interaction step steps
            delta type summary usage status errors""".split()  # noqa: SIM905 (a text reads better than one line for each word)
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=14,
)


@pytest.mark.parametrize("api", ["gemini.generate_content", "gemini.interactions", "gemini.embed_content"])
@given(documents=st.lists(_ANYTHING, max_size=3), status=st.sampled_from([200, 400]), framing=st.integers(0, 2))
@settings(max_examples=80, deadline=None)
def test_any_json_gives_facts_and_a_conversation(api: str, documents: list[Any], status: int, framing: int) -> None:
    body = (_sse(*documents), json.dumps(documents).encode(), b"".join(json.dumps(d).encode() for d in documents))[
        framing
    ]
    facts = _facts(body, status=status, api=api)
    assert facts.text_bytes >= 0
    CODECS[api].conversation(STREAM, None, body)
