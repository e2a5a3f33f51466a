"""Placeholders under a key: stable for a team and a period, another elsewhere, and never a finding themselves."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codecs import CODECS, codec_for
from extproc.detectors import DETECTORS
from extproc.events import AskPolicy, Decided, Inspected, Rewrite
from extproc.inspection import inspect_request, rewrite_request
from extproc.judgement import Judgement
from extproc.model import (
    Action,
    Call,
    Credentials,
    Decision,
    Inspection,
    Limits,
    Mode,
    Principal,
    PrincipalSource,
    Route,
)
from extproc.placeholders import PLAIN, PlaceholderKeys, _hkdf, placeholder
from extproc.redaction import redact_text
from extproc.scanner import Scanner
from extproc.workers import inspect_body

SCANNER = Scanner(DETECTORS)
ENTITIES = sorted(SCANNER.data_class_of)
KEYS = PlaceholderKeys(b"an operator's secret", 30)
DAY_NS = 86_400 * 10**9
KEY = KEYS.of("search", 0)
MAIL = "ann.smith@corp-mail.net"
FORM = re.compile(r"<EMAIL_ADDRESS_[a-p]{10}>")


def _inspect(body: bytes) -> Inspection:
    call = Call("POST", "/v1/x", "h")
    return inspect_request(CODECS["openai.chat"], call, body, scanner=SCANNER, limits=Limits(), budget=lambda: None)


def _rewritten(document: Any, key: bytes | None = KEY) -> bytes:
    return _redacted(json.dumps(document).encode(), key)


def _redacted(body: bytes, key: bytes | None = KEY) -> bytes:
    found = _inspect(body).findings
    return rewrite_request(body, found, {finding.entity for finding in found}, key)


def _chat(*texts: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text} for text in texts]}


# ── the name ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_key_is_derived_as_rfc_5869_says() -> None:
    """Its test case 1 (appendix A.1), whose first 32 bytes of output are one step of expand."""
    secret, salt = bytes([0x0B] * 22), bytes(range(13))
    told = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
    assert _hkdf(secret, salt, bytes(range(0xF0, 0xFA))).hex() == told


def test_the_letters_are_the_first_bits_of_an_hmac_over_entity_and_value() -> None:
    assert KEY is not None
    digest = hmac.new(KEY, b"EMAIL_ADDRESS\0ann@example.org", hashlib.sha256).hexdigest()
    letters = digest[:10].translate(str.maketrans("0123456789abcdef", "abcdefghijklmnop"))
    assert placeholder("EMAIL_ADDRESS", b"ann@example.org", KEY) == f"<EMAIL_ADDRESS_{letters}>"


def test_without_a_key_or_a_team_placeholders_are_plain() -> None:
    assert placeholder("EMAIL_ADDRESS", b"ann@example.org", None) == "<EMAIL_ADDRESS>"
    assert PLAIN.of("search", 0) is None
    assert KEYS.of(None, 0) is None


def test_a_key_is_of_one_secret_one_team_and_one_period() -> None:
    others = [
        KEYS.of("support", 0),
        KEYS.of("search", 30 * DAY_NS),
        KEYS.of("", 0),
        PlaceholderKeys(b"another secret", 30).of("search", 0),
        PlaceholderKeys(b"an operator's secret", 31).of("search", 0),
    ]
    assert len({KEY, *others}) == 1 + len(others)


@given(st.integers(1, 400), st.integers(0, 40_000), st.integers(0, DAY_NS - 1))
def test_a_period_begins_at_midnight_in_utc_for_every_replica(days: int, day: int, into_day_ns: int) -> None:
    keys = PlaceholderKeys(b"s", days)
    begins = day - day % days
    now = keys.of("t", day * DAY_NS + into_day_ns)
    assert now == keys.of("t", begins * DAY_NS) == keys.of("t", (begins + days) * DAY_NS - 1)
    assert now != keys.of("t", (begins + days) * DAY_NS)


def test_neither_secret_nor_key_is_printed() -> None:
    assert "secret" not in repr(KEYS).replace("secret=", "").lower()


# ── in a body ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_value_is_the_same_placeholder_and_another_value_another() -> None:
    sent = json.loads(_rewritten(_chat(f"to {MAIL}", f"{MAIL} and bob@corp-mail.net")))
    (first,), (again, other) = (FORM.findall(message["content"]) for message in sent["messages"])
    assert first == again == placeholder("EMAIL_ADDRESS", MAIL.encode(), KEY)
    assert other == placeholder("EMAIL_ADDRESS", b"bob@corp-mail.net", KEY)


def test_keys_of_objects_are_named_alike_and_stay_apart() -> None:
    document = {**_chat("hi"), "metadata": {MAIL: MAIL, "bob@corp-mail.net": "1"}}
    metadata = json.loads(_rewritten(document))["metadata"]
    ann, bob = (placeholder("EMAIL_ADDRESS", value.encode(), KEY) for value in (MAIL, "bob@corp-mail.net"))
    assert metadata == {ann: ann, bob: "1"}
    held = {**_chat("hi"), "metadata": {MAIL: "1", ann: "2"}}
    assert json.loads(_rewritten(held))["metadata"] == {f"{ann}_2": "1", ann: "2"}


PIECES = st.sampled_from([MAIL, "bob@corp-mail.net", "4111 1111 1111 1111", "é", '"', "\n", " and ", "x"])
TURNS = st.lists(st.lists(PIECES, max_size=4).map("".join), min_size=1, max_size=5)


@given(TURNS, st.integers(0, 4))
@settings(max_examples=80, deadline=None)
def test_a_history_that_is_resent_has_the_same_bytes_in_every_turn(turns: list[str], said: int) -> None:
    """A turn's body is the next one's prefix up to the end of its messages, so that the provider's cache holds."""
    before = _rewritten(_chat(*turns[: said + 1]))
    after = _rewritten(_chat(*turns[: said + 1], *turns))
    assert after.startswith(before[: -len(b"]}")])


@given(TURNS)
@settings(max_examples=60, deadline=None)
def test_what_was_replaced_stays_as_it_is_when_it_comes_again(turns: list[str]) -> None:
    once = _rewritten(_chat(*turns))
    assert _redacted(once) == once


def _asked_and_rewritten(keys: PlaceholderKeys, at_ns: int) -> tuple[bytes, Rewrite]:
    """Policy's input, and what is rewritten after its answer, at a time."""
    route = Route("r", "openai", "h", Mode.ENFORCE, Credentials.INJECT, PrincipalSource.API_KEY)
    principal, call = (
        Principal(source=PrincipalSource.API_KEY, team="search"),
        Call("POST", "/v1/chat/completions", "h"),
    )
    judgement = Judgement(
        exchange_id="x", route=route, principal=principal, call=call, codec=codec_for(call), placeholder_keys=keys
    )
    body = json.dumps(_chat(MAIL)).encode()
    judgement.begin(body, body_bytes=len(body), at_ns=at_ns)
    (asked,) = judgement.receive(Inspected(*inspect_body("openai.chat", call, body, Limits())), at_ns)
    entities = frozenset({"EMAIL_ADDRESS"})
    decision = Decision(Action.REDACT, redact_entities=entities, mask_entities=entities)
    (rewrite,) = judgement.receive(Decided(decision), at_ns)
    assert isinstance(asked, AskPolicy)
    assert isinstance(rewrite, Rewrite)
    return asked.document, rewrite


def test_neither_key_nor_period_is_in_what_policy_is_asked() -> None:
    """Else a decision that is remembered would be forgotten with the period, or the period remembered with it."""
    other = PlaceholderKeys(b"another secret", 7)
    asked, rewrite = _asked_and_rewritten(KEYS, 30 * DAY_NS)
    assert asked == _asked_and_rewritten(PLAIN, 30 * DAY_NS)[0] == _asked_and_rewritten(other, 30 * DAY_NS)[0]
    assert rewrite.key == KEYS.of("search", 30 * DAY_NS)
    assert str(rewrite.key) not in repr(rewrite)


# ── to the detectors ─────────────────────────────────────────────────────────────────────────────────────────────────

AROUND = (
    "{}", "{} ", "x{}y", "to: {}, cc: {}", "password={}", 'api_key: "{}"', "token {}", "Authorization: Bearer {}",
    "https://user:{}@host.example.com/", "https://{}@host.example.com/", "card {} exp 12/29", "phone {}", "SSN: {}",
    "iban {}", "{}@corp-mail.net", '{{"secret": "{}"}}', "client_secret = '{}'", "{}{}",
    "export AWS_SECRET_ACCESS_KEY={}",
)  # fmt: skip


@pytest.mark.parametrize("around", AROUND)
@given(st.sampled_from(ENTITIES), st.binary(max_size=40))
@settings(max_examples=40, deadline=None)
def test_no_placeholder_is_taken_for_a_finding(around: str, entity: str, value: bytes) -> None:
    name = placeholder(entity, value, KEY)
    text = around.replace("{}", name).replace("{{", "{").replace("}}", "}").encode()
    at = [(found.start(), found.end()) for found in re.finditer(re.escape(name.encode()), text)]
    hits = [hit for hit in SCANNER.scan(text) if any(hit.start < end and start < hit.end for start, end in at)]
    assert hits == []


@given(st.lists(st.tuples(st.sampled_from(ENTITIES), st.binary(max_size=9)), min_size=1, max_size=4))
@settings(max_examples=80, deadline=None)
def test_a_text_of_placeholders_is_left_alone(named: list[tuple[str, bytes]]) -> None:
    text = " ".join(placeholder(entity, value, KEY) for entity, value in named).encode()
    assert redact_text(text, SCANNER.scan(text), KEY) == text
