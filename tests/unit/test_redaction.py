"""Rewriting replaces what was found, and every other byte stays as it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codecs import CODECS
from extproc.detectors import DETECTORS
from extproc.errors import ClientError, HeadgateError
from extproc.framing.json_strings import string_at
from extproc.inspection import inspect_request, rewrite_request
from extproc.model import Call, Finding, Inspection, Limits
from extproc.placeholders import placeholder
from extproc.redaction import redact_text, storable_fields
from extproc.scanner import Scanner

SCANNER = Scanner(DETECTORS)
MAIL = "ann@example.org"


def _inspect(body: bytes, api: str = "openai.chat") -> Inspection:
    return inspect_request(
        CODECS[api],
        Call("POST", "/v1/x", "h"),
        body,
        scanner=SCANNER,
        limits=Limits(),
        budget=lambda: None,
    )


def test_only_the_wanted_entities_are_replaced_and_every_other_byte_stays() -> None:
    body = (
        b'{ "model":"m",\n"messages" : [{"role":"user","content":"\\u00e9 ann@example.org or 4111 1111 1111 1111"}],'
        b'  "n" : 1 }'
    )
    inspection = _inspect(body)
    assert {finding.entity for finding in inspection.findings} == {"EMAIL_ADDRESS", "CREDIT_CARD"}
    assert rewrite_request(body, inspection.findings, {"EMAIL_ADDRESS"}) == (
        b'{ "model":"m",\n"messages" : [{"role":"user","content":"\xc3\xa9 <EMAIL_ADDRESS> or 4111 1111 1111 1111"}],'
        b'  "n" : 1 }'
    )
    assert rewrite_request(body, inspection.findings, {"IBAN_CODE"}) is body
    both = rewrite_request(body, inspection.findings, {"EMAIL_ADDRESS", "CREDIT_CARD"})
    assert _inspect(both).findings == ()
    assert _inspect(both).problem is None


def test_two_keys_with_an_address_do_not_become_one() -> None:
    body = json.dumps(
        {"messages": [], "metadata": {"a@example.org": 1, "<EMAIL_ADDRESS>": 2, "b@example.org": 3}}
    ).encode()
    new = rewrite_request(body, _inspect(body).findings, {"EMAIL_ADDRESS"})
    assert json.loads(new)["metadata"] == {"<EMAIL_ADDRESS>_2": 1, "<EMAIL_ADDRESS>": 2, "<EMAIL_ADDRESS>_3": 3}
    assert _inspect(new).problem is None


def test_raw_findings_rewrite_raw_bytes() -> None:
    for body in (f"to={MAIL}&x=é".encode(), f'{{"a":1,"a":"{MAIL}"}}'.encode()):
        findings = _inspect(body, "opaque").findings
        assert rewrite_request(body, findings, {"EMAIL_ADDRESS"}) == body.replace(MAIL.encode(), b"<EMAIL_ADDRESS>")
    whole = json.dumps(f"\u00e9 {MAIL}").encode()
    assert (
        json.loads(rewrite_request(whole, _inspect(whole, "opaque").findings, {"EMAIL_ADDRESS"})) == "é <EMAIL_ADDRESS>"
    )


@pytest.mark.parametrize(
    "finding",
    [
        Finding("E", "pii", "/nowhere", 0, 1, 1.0),
        Finding("E", "pii", "/n", 0, 1, 1.0),
        Finding("E", "pii", "/t", 1, 2, 1.0),  # in the middle of a character
        Finding("E", "pii", "", 0, 1, 1.0),
    ],
)
def test_findings_of_another_body_are_refused_not_half_applied(finding: Finding) -> None:
    body = '{"n": true, "t": "é"}'.encode()
    if finding.field == "":
        assert rewrite_request(b'"s"', (finding,), {"E"}) == b'"<E>"'
        return
    with pytest.raises(HeadgateError) as failed:
        rewrite_request(body, (finding,), {"E"})
    assert failed.value.code == "rewrite_failed"
    assert not isinstance(failed.value, ClientError)


TEXTS = st.lists(
    st.sampled_from([MAIL, "4111 1111 1111 1111", "é", "\n", '"', "\\", " and ", "\u2028", "192.0.2.7", "x"]),
    max_size=6,
).map("".join)
DOCUMENTS = st.recursive(
    TEXTS | st.integers(0, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)


@given(DOCUMENTS, st.booleans(), st.sampled_from([(",", ":"), (", ", " : ")]))
@settings(max_examples=120, deadline=None)
def test_rewriting_is_the_redaction_of_each_string_and_nothing_else(
    document: Any, ensure_ascii: bool, separators: tuple[str, str]
) -> None:
    body = json.dumps(document, ensure_ascii=ensure_ascii, separators=separators).encode()
    findings = _inspect(body, "opaque").findings
    entities = {finding.entity for finding in findings}
    new = rewrite_request(body, findings, entities)
    if all(finding.field != "" for finding in findings):
        assert json.loads(new) == _redacted(document)
    for finding in findings:
        if finding.field:
            text = string_at(document, finding.field).encode()
            assert 0 <= finding.start < finding.end <= len(text)


def _redacted(value: Any) -> Any:
    """The document as it should become, by plain recursion."""
    if isinstance(value, str):
        return redact_text(value.encode(), SCANNER.scan(value.encode())).decode()
    if isinstance(value, list):
        return [_redacted(item) for item in value]
    if isinstance(value, dict):
        taken = {key.casefold() for key in value}
        new: dict[str, Any] = {}
        for key, item in value.items():
            name = base = _redacted(key)
            number = 1
            while name != key and name.casefold() in taken:
                number += 1
                name = f"{base}_{number}"
            taken.add(name.casefold())
            new[name] = _redacted(item)
        return new
    return value


def _finding(start: int, end: int, entity: str = "E", field: str = "/x") -> Finding:
    return Finding(entity, "pii", field, start, end, 1.0)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], b"0123456789"),
        ([_finding(0, 10)], b"<E>"),
        ([_finding(8, 9), _finding(1, 3)], b"0<E>34567<E>9"),
        ([_finding(1, 3), _finding(3, 5, "F")], b"0<E><F>56789"),
        ([_finding(1, 5), _finding(3, 7, "F")], b"0<E>789"),
        ([_finding(1, 9), _finding(3, 4, "F"), _finding(9, 10, "G")], b"0<E><G>"),
    ],
)
def test_spans_become_placeholders_and_overlaps_one(findings: list[Finding], expected: bytes) -> None:
    assert redact_text(b"0123456789", findings) == expected


def test_no_placeholder_is_found_again() -> None:
    for entity in SCANNER.data_class_of:
        assert SCANNER.scan(placeholder(entity).encode()) == []


def test_a_found_key_is_not_written_down_as_a_fields_name() -> None:
    body = json.dumps({"messages": [], "contacts": {MAIL: {"alt": MAIL}, "x/y": MAIL}}).encode()
    findings = _inspect(body).findings
    told: Mapping[str, str] = storable_fields(findings)
    assert told == {
        f"/contacts/{MAIL}#key": "/contacts/<EMAIL_ADDRESS>#key",
        f"/contacts/{MAIL}/alt": "/contacts/<EMAIL_ADDRESS>/alt",
        "/contacts/x~1y": "/contacts/x~1y",
    }
