"""Which members of a request are told as what steers the model."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.steering import Steering

STEERING = Steering("seed top_p tool_choice tool_choice.type text.format.type")


@pytest.mark.parametrize("value", [0, -1, 7, 0.5, True, False, "auto", "json_schema"])
def test_numbers_flags_and_words_are_told(value: Any) -> None:
    assert STEERING.of({"model": "m", "seed": value}) == {"seed": value}


@pytest.mark.parametrize(
    "value", [None, "", "Hello there", "sk-live-1234", "HIGH", "x" * 30, [], ["auto"], [1], {}, {"seed": 1}]
)
def test_what_could_be_text_is_not(value: Any) -> None:
    assert STEERING.of({"seed": value}) == {}


def test_members_of_objects_are_told_by_their_path_and_only_there() -> None:
    assert STEERING.of({"text": {"format": {"type": "json_object", "name": "auto"}}}) == {
        "text.format.type": "json_object"
    }
    assert STEERING.of({"text": "format", "format": {"type": "text"}, "type": "text"}) == {}
    assert STEERING.of({"text": {"format": "type"}}) == {}


def test_a_member_may_be_a_word_or_an_object() -> None:
    assert STEERING.of({"tool_choice": "required"}) == {"tool_choice": "required"}
    assert STEERING.of({"tool_choice": {"type": "any"}}) == {"tool_choice.type": "any"}


@pytest.mark.parametrize("names", ["a a.b", "a.b a"])
def test_the_order_of_the_names_does_not_matter(names: str) -> None:
    both = Steering(names)
    assert both.of({"a": 1}) == {"a": 1}
    assert both.of({"a": {"b": 2}}) == {"a.b": 2}


def test_an_api_may_have_words_of_its_own() -> None:
    cohere = Steering("mode", frozenset({"FAST", "OFF"}))
    assert cohere.of({"mode": "FAST"}) == {"mode": "FAST"}
    assert cohere.of({"mode": "fast"}) == {}
    assert cohere.of({"mode": 3}) == {"mode": 3}


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["auto", "low"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "format", "b"]), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["seed", "top_p", "tool_choice", "text", "other"]), _VALUES))
@settings(max_examples=100, deadline=None)
def test_whatever_is_told_stands_in_the_request_under_that_name(members: dict[str, Any]) -> None:
    for name, value in STEERING.of(members).items():
        held: Any = members
        for key in name.split("."):
            held = held[key]
        assert held is value
        assert type(value) in (int, float, bool, str)
