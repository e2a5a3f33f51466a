"""Queries that say another request than method and body do."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.overrides import BODY_PARAMETERS, HEADERS, METHOD_PARAMETERS, PARAMETERS_MAX, overriding_parameters


@pytest.mark.parametrize(
    "target",
    ["/v1/chat", "/v1/chat?", "/v1/model?api-version=2024-10-21", "/x?alt=sse&key=model", "/x?remodel=1", "/x?a=model"],
)
def test_an_ordinary_query_says_nothing(target: str) -> None:
    assert overriding_parameters(target) == frozenset()


@pytest.mark.parametrize(
    "query",
    ["model=x", "MODEL", "a=1&model=x", "a=1;model=x", "model[]=x", "model.name=x", "%6dodel=x", "%256dodel=x",
     "+model=x", "a=1%26model=x", "a?model=x", "=&&model"],
)  # fmt: skip
def test_a_parameter_is_seen_however_it_is_written(query: str) -> None:
    assert overriding_parameters(f"/v1/chat?{query}") == {"model"}


def test_a_method_is_told_from_a_model() -> None:
    assert overriding_parameters("/x?_METHOD=delete&x-http-method-override=PUT") == {
        "_method",
        "x-http-method-override",
    }
    assert METHOD_PARAMETERS.isdisjoint(BODY_PARAMETERS)


def test_a_query_that_is_too_long_to_look_through_counts_as_saying_anything() -> None:
    assert overriding_parameters("/x?" + "&".join(["a=1"] * PARAMETERS_MAX)) == frozenset()
    assert (
        overriding_parameters("/x?" + "&".join(["a=1"] * (PARAMETERS_MAX + 1))) == METHOD_PARAMETERS | BODY_PARAMETERS
    )


@given(st.sampled_from(sorted(BODY_PARAMETERS | METHOD_PARAMETERS)), st.data())
def test_no_escape_and_no_case_hides_a_name(name: str, data: st.DataObject) -> None:
    written = "".join(
        data.draw(st.sampled_from([char, char.upper(), f"%{ord(char):02x}", f"%{ord(char):02X}", quote(char, safe="")]))
        for char in name
    )
    assert overriding_parameters(f"/v1/chat?{written}=1") == {name}


def test_headers_are_named_as_envoy_names_them() -> None:
    assert all(name == name.lower() for name in HEADERS)
    assert len(set(HEADERS)) == len(HEADERS)
