"""What of other people's words may stand where no text may."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc import storable

KEYS = st.text(string.ascii_lowercase + "_", min_size=1, max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=12,
)


def test_parameters_are_canonical_json_of_figures_flags_and_words() -> None:
    given_ = {"top_p": 0.5, "seed": 7, "store": True, "reasoning.effort": "high"}
    assert storable.parameters(given_) == '{"reasoning.effort":"high","seed":7,"store":true,"top_p":0.5}'


@pytest.mark.parametrize(
    "value", ["two words", "ann@example.org", "sk-1234", "", "x" * 40, float("nan"), float("inf"), 2**64]
)
def test_a_parameter_that_could_be_text_or_fits_no_column_is_left_out(value: Any) -> None:
    assert storable.parameters({"seed": 1, "user": value}) == '{"seed":1}'
    assert storable.parameters({"user": value}) is None


def test_no_parameters_are_none_and_very_many_are_cut() -> None:
    assert storable.parameters({}) is None
    many = {f"p{n:04}": n for n in range(1_000)}
    assert len(json.loads(storable.parameters(many) or "")) == storable.PARAMETERS_MAX


@pytest.mark.parametrize(
    "verbatim",
    [
        '{"prompt_tokens": 7, "completion_tokens_details":{"reasoning_tokens":0}}',
        '{"promptTokensDetails":[{"modality":"TEXT","tokenCount":4}],"trafficType":"ON_DEMAND"}',
        '{"iterations":[{"type":"message","model":"claude-opus-4-5@20251101"}],"cost":1.5e-05,"is_byok":false}',
        '{"service_tier":"standard","inference_geo":"not_available","cache":null}',
    ],
)
def test_usage_without_text_is_kept_to_the_letter(verbatim: str) -> None:
    assert storable.provider_usage(verbatim) == verbatim


@pytest.mark.parametrize(
    ("verbatim", "kept"),
    [
        ('{"total": 3, "note": "as you asked: ann@example.org"}', {"total": 3}),
        ('{"total": 3, "ann@example.org": 1}', {"total": 3}),
        ('{"a": [1, "two words", {"b": "sk-123", "c": 2}]}', {"a": [1, {"c": 2}]}),
        ('{"model": "a model called Ann", "n": 1}', {"n": 1}),
    ],
)
def test_what_could_be_text_is_taken_out_of_usage(verbatim: str, kept: Any) -> None:
    assert json.loads(storable.provider_usage(verbatim) or "") == kept


@pytest.mark.parametrize("verbatim", [None, "", "{", '"text"', '{"say": "hello there"}', "[]"])
def test_usage_that_is_none_is_not_kept(verbatim: str | None) -> None:
    assert storable.provider_usage(verbatim) is None


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, JSON, max_size=5))
def test_no_sentence_ever_stays_in_usage(usage: dict[str, Any]) -> None:
    kept = storable.provider_usage(json.dumps(usage))
    spaced = json.dumps(json.loads(kept)) if kept is not None else ""
    strings = spaced.split('"')[1::2]
    assert all(char in "@+/:._-" or (char.isascii() and char.isalnum()) for text in strings for char in text)


def test_ids_are_ids_and_words_are_words() -> None:
    assert storable.identifier("resp_68f0c0de/abc:1") == "resp_68f0c0de/abc:1"
    assert storable.identifier("tell me of Ann") is None
    assert storable.identifier("x" * 257) is None
    assert storable.word("on_demand") == "on_demand"
    assert storable.word("tier 1") is None
    assert storable.word("sk-abc123") is None
    assert storable.identifier(None) is storable.word(None) is None
