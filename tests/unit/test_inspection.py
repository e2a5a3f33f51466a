"""What is inspected is what is forwarded: one reading of a body, every string past the detectors, exact rewriting."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codecs import CODECS
from extproc.detectors import DETECTORS
from extproc.errors import LimitExceeded
from extproc.inspection import inspect_request, rewrite_request
from extproc.model import Call, Inspection, Limits, RequestFacts, UninspectedPart
from extproc.scanner import Scanner

SCANNER = Scanner(DETECTORS)
MAIL = "ann@example.org"
BASE64 = base64.b64encode(bytes(range(256)) * 4).decode()


def _unlimited() -> None:
    return None


def _inspect(
    body: bytes,
    api: str = "openai.chat",
    *,
    content_type: str | None = "application/json",
    content_encoding: str | None = None,
    limits: Limits | None = None,
    budget: Callable[[], None] = _unlimited,
) -> Inspection:
    return inspect_request(
        CODECS[api],
        Call("POST", "/v1/x", "h", content_type, content_encoding),
        body,
        scanner=SCANNER,
        limits=limits or Limits(),
        budget=budget,
    )


def _chat(content: Any = "Hi", **more: Any) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}], **more}).encode()


def _fields(inspection: Inspection) -> list[tuple[str, str]]:
    return [(finding.entity, finding.field) for finding in inspection.findings]


def _problem(body: bytes, api: str = "openai.chat", **more: Any) -> tuple[str, int] | None:
    problem = _inspect(body, api, **more).problem
    return (problem.code, problem.status) if problem else None


# --- one reading ----------------------------------------------------------------------------------------------------


def test_a_good_body_has_facts_and_no_problem() -> None:
    inspection = _inspect(_chat("Hi", temperature=0))
    assert inspection == Inspection(facts=RequestFacts(model="m", temperature=0.0, message_count=1, text_bytes=2))


@pytest.mark.parametrize(
    "content_type",
    [None, "", " ", "application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf8"',
     "application/vnd.api+json", "application/json; version=1"],
)  # fmt: skip
def test_json_by_any_of_its_names_is_read(content_type: str | None) -> None:
    assert _problem(_chat(), content_type=content_type) is None


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/jsonp", "application/json; charset=utf-16", "application/json, text/plain",
     "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "+json",
     "application/json; charset=utf-8; charset=utf-7", "application/json; x=y, multipart/form-data; boundary=z"],
)  # fmt: skip
def test_what_the_provider_might_not_take_for_json_is_a_problem(content_type: str) -> None:
    assert _problem(_chat(), content_type=content_type) == ("unsupported_content_type", 415)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", ("malformed_json", 400)),
        (b"{", ("malformed_json", 400)),
        (b'{"messages":[],"messages":[]}', ("duplicate_key", 400)),
        (b'{"messages":[],"Messages":[]}', ("duplicate_key", 400)),
        (b'{"Messages":[]}', ("ambiguous_key", 400)),
        (b'{"messages":[]} x', ("trailing_data", 400)),
        (b'{"messages":["\xff"]}', ("invalid_utf8", 400)),
        (b'{"messages":[],"seed":1e999}', ("number_out_of_range", 400)),
        (b"[" * 500 + b"]" * 500, ("too_deep", 400)),
        (b'{"messages":"Hi"}', ("invalid_request", 400)),
    ],
)
@pytest.mark.parametrize("api", ["openai.chat", "anthropic.messages"])
def test_a_body_with_two_readings_or_none_is_a_problem(api: str, body: bytes, expected: tuple[str, int]) -> None:
    assert _problem(body, api) == expected


def test_a_content_coding_is_taken_off_and_what_was_read_is_handed_on() -> None:
    body = _chat(f"write to {MAIL}")
    inspection = _inspect(gzip.compress(body, mtime=0), content_encoding="gzip")
    assert inspection.decoded_body == body
    assert _fields(inspection) == [("EMAIL_ADDRESS", "/messages/0/content")]
    assert _inspect(body, content_encoding="identity").decoded_body is None


@pytest.mark.parametrize(
    ("body", "encoding", "expected"),
    [
        (_chat(), "gzip", ("undecodable_content", 400)),
        (gzip.compress(_chat(), mtime=0)[:-4], "gzip", ("undecodable_content", 400)),
        (_chat(), "compress", ("unsupported_content_encoding", 415)),
        (_chat(), "br", ("undecodable_content", 400)),
        (gzip.compress(bytes(30 << 20), mtime=0), "gzip", ("undecodable_content", 400)),
    ],
)
def test_an_undecodable_body_is_a_problem(body: bytes, encoding: str, expected: tuple[str, int]) -> None:
    inspection = _inspect(body, content_encoding=encoding)
    assert inspection.problem is not None
    assert (inspection.problem.code, inspection.problem.status) == expected
    assert inspection.decoded_body is None


def test_a_body_over_the_limit_is_a_problem() -> None:
    limits = Limits(body_bytes_max=100)
    assert _problem(_chat("x" * 100), limits=limits) == ("body_too_large", 413)
    encoded = gzip.compress(_chat("x" * 100), mtime=0)
    assert len(encoded) < 100
    assert _problem(encoded, content_encoding="gzip", limits=limits) == ("decoded_too_large", 413)


# --- every string ---------------------------------------------------------------------------------------------------


def test_text_is_found_wherever_it_stands() -> None:
    document = {
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": f"é {MAIL}"}], "name": MAIL},
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": f'{{"to": "{MAIL}"}}'}}]},
        ],
        "metadata": {MAIL: {"deep": [[MAIL]]}},
        "unheard_of": MAIL,
    }
    inspection = _inspect(json.dumps(document).encode())
    assert [field for _, field in _fields(inspection)] == [
        "/messages/0/content/0/text",
        "/messages/0/name",
        "/messages/1/tool_calls/0/function/arguments",
        f"/metadata/{MAIL}#key",
        f"/metadata/{MAIL}/deep/0/0",
        "/unheard_of",
    ]
    first = inspection.findings[0]
    assert (first.start, first.end) == (3, 18)  # é is two bytes
    assert first.data_class == "pii"


def test_escapes_hide_nothing() -> None:
    body = _chat("PLACE").replace(b"PLACE", b"\\u0061nn\\u0040example.org")
    [finding] = _inspect(body).findings
    assert (finding.start, finding.end) == (0, 15)


def test_the_base64_of_an_unread_part_is_skipped_and_text_in_its_place_is_not() -> None:
    hidden = f"my address is {MAIL} " * 10
    for payload, fields in ((BASE64, []), (hidden, ["/messages/0/content/0/image_url/url"])):
        url = f"data:image/png;base64,{payload}"
        inspection = _inspect(_chat([{"type": "image_url", "image_url": {"url": url}}]))
        assert sorted({field for _, field in _fields(inspection)}) == fields
        assert [part.kind for part in inspection.facts.uninspected_parts] == ["image"]


def test_base64_outside_of_an_unread_part_is_scanned() -> None:
    calls: list[int] = []

    class Counting:
        def scan(self, text: bytes, budget: Callable[[], None], /) -> list[Any]:
            calls.append(len(text))
            return []

    for content in (BASE64, [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}}]):
        inspect_request(
            CODECS["openai.chat"],
            Call("POST", "/v1/x", "h"),
            _chat(content),
            scanner=Counting(),
            limits=Limits(),
            budget=_unlimited,
        )
    assert [size for size in calls if size >= len(BASE64)] == [len(BASE64)]


def test_a_providers_own_encrypted_blob_is_left_alone_where_it_belongs_and_nowhere_else() -> None:
    key = "AKIA" + "QZ3F7XKJ2M5RVW6T"  # the form of an AWS access key id; belongs to nobody
    assert SCANNER.scan(key.encode()), "the test needs a value that a detector knows"
    block = {"type": "thinking", "thinking": "hm", "signature": f"{BASE64[:100]}+{key}+{BASE64[:100]}"}
    in_place = {"model": "m", "messages": [{"role": "assistant", "content": [block]}]}
    elsewhere = {"model": "m", "messages": [{"role": "user", "content": [{"type": "tool_use", "input": block}]}]}
    alone = {"model": "m", "messages": [{"role": "assistant", "content": [{**block, "signature": key}]}]}
    assert _fields(_inspect(json.dumps(in_place).encode(), "anthropic.messages")) == []
    assert [field for _, field in _fields(_inspect(json.dumps(elsewhere).encode(), "anthropic.messages"))] == [
        "/messages/0/content/0/input/signature"
    ]
    assert [field for _, field in _fields(_inspect(json.dumps(alone).encode(), "anthropic.messages"))] == [
        "/messages/0/content/0/signature"
    ], "a key by itself is no blob"


def test_a_body_with_a_problem_is_scanned_as_far_as_it_can_be_read() -> None:
    wrong_shape = json.dumps({"messages": MAIL}).encode()
    assert _fields(_inspect(wrong_shape)) == [("EMAIL_ADDRESS", "/messages")]
    assert _fields(_inspect(_chat(MAIL), content_type="text/plain")) == [("EMAIL_ADDRESS", "/messages/0/content")]
    twice = f'{{"a":"x","a":"{MAIL}"}}'.encode()
    [finding] = _inspect(twice).findings
    assert (finding.field, twice[finding.start : finding.end]) == ("", MAIL.encode())
    assert _inspect(b"\xff " + MAIL.encode()).findings == ()


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":"to ann\\u0040example.org"}',
        b'{"to":"x"}\n{"to":"ann\\u0040example.org"}\n',
        b'"one \\"" "ann\\u0040example.org" "never closed \\"',
    ],
)
def test_escapes_hide_nothing_in_a_body_that_is_not_one_json_document(body: bytes) -> None:
    for api in ("openai.chat", "opaque"):
        findings = _inspect(body, api).findings
        assert "EMAIL_ADDRESS" in {finding.entity for finding in findings}
        assert b"u0040" not in rewrite_request(body, findings, {"EMAIL_ADDRESS"})


def test_what_stands_there_plainly_is_not_found_twice() -> None:
    body = b'{"a":"x","a":"line\\n ann@example.org \\u00e9"}'
    [finding] = _inspect(body).findings
    assert body[finding.start : finding.end] == MAIL.encode()


def test_quotes_that_nothing_closes_cost_no_square() -> None:
    assert _inspect(b'x"' + b'\\"' * 2_000_000, "opaque").findings == ()


def test_opaque_bodies_are_scanned_as_what_they_are_and_never_a_problem() -> None:
    form = f'--b\r\ncontent-disposition: form-data; name="x"\r\n\r\n{MAIL}\r\n--b--'.encode()
    inspection = _inspect(form, "opaque", content_type="multipart/form-data; boundary=b")
    assert _fields(inspection) == [("EMAIL_ADDRESS", "")]
    assert inspection.facts == RequestFacts()
    assert _fields(_inspect(json.dumps({"input": [MAIL]}).encode(), "opaque")) == [("EMAIL_ADDRESS", "/input/0")]
    for body in (b"{", b'{"a":1,"a":2}', b"", b"plain"):
        assert _inspect(body, "opaque").problem is None


@pytest.mark.parametrize(("body", "encoding"), [(b"\xff\xfe\x00", None), (b"not gzip", "gzip"), (b"text", "br")])
def test_an_opaque_body_nobody_can_read_is_one_unread_part(body: bytes, encoding: str | None) -> None:
    inspection = _inspect(body, "opaque", content_type="Audio/MPEG; x=y", content_encoding=encoding)
    assert inspection.problem is None
    assert inspection.facts.uninspected_parts == (UninspectedPart("unknown", "", "audio/mpeg", len(body)),)


# --- limits ---------------------------------------------------------------------------------------------------------


def _stops_after(calls: int) -> Callable[[], None]:
    left = [calls]

    def budget() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise LimitExceeded("inspect_budget", "spent")

    return budget


@pytest.mark.parametrize("api", ["openai.chat", "opaque"])
@pytest.mark.parametrize("content", ["x " * 2_000_000, ["x"] * 5_000])
def test_a_spent_budget_is_a_problem_and_keeps_what_was_found(api: str, content: Any) -> None:
    body = json.dumps({"a": MAIL, "model": "m", "messages": [{"role": "user", "content": content}]}).encode()
    inspection = _inspect(body, api, budget=_stops_after(3))
    assert inspection.problem is not None
    assert (inspection.problem.code, inspection.problem.status) == ("inspect_budget", 413)
    assert inspection.findings_truncated


def test_the_budget_is_asked_while_decoding() -> None:
    body = gzip.compress(os.urandom(1 << 20), mtime=0)
    assert _problem(body, content_encoding="gzip", budget=_stops_after(2)) == ("inspect_budget", 413)


def test_many_findings_are_cut_but_none_hides_another_entity() -> None:
    secret = "AKIA" + "QZ3F7XKJ2M5RVW6T"
    text = " ".join(f"user{i}@example.org" for i in range(50)) + f" {secret}"
    inspection = _inspect(_chat(text), limits=Limits(findings_max=10))
    assert inspection.findings_truncated
    assert len(inspection.findings) == 11
    assert inspection.findings[-1].data_class == "secret"


def test_a_finding_at_a_place_too_long_to_name_is_a_problem() -> None:
    assert _problem(json.dumps({"k" * 5_000: MAIL, "messages": []}).encode()) == ("inspect_budget", 413)


def test_one_long_key_above_many_strings_costs_no_square() -> None:
    """A pointer written out for each of 100,000 strings below a 1 MB key would be 100 GB."""
    body = json.dumps({"messages": [], "k" * 1_000_000: ["x"] * 100_000}).encode()
    assert _problem(body) is None


@given(st.binary(max_size=80), st.sampled_from(list(CODECS)), st.sampled_from([None, "gzip", "br", "application/json"]))
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_are_inspected_without_an_exception(body: bytes, api: str, word: str | None) -> None:
    inspection = _inspect(body, api, content_type=word, content_encoding=word)
    assert isinstance(inspection, Inspection)


# --- an api that only the body tells --------------------------------------------------------------------------------


def _dressed_as(api: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.inspection.recognised", lambda document, call: CODECS[api])


def test_an_opaque_body_that_is_one_of_ours_is_read_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    _dressed_as("openai.chat", monkeypatch)
    inspection = _inspect(_chat(f"to {MAIL}"), "opaque")
    assert (inspection.api, inspection.facts.model) == ("openai.chat", "m")
    assert _fields(inspection) == [("EMAIL_ADDRESS", "/messages/0/content")]


def test_a_body_that_only_looks_like_one_of_ours_stays_opaque_and_is_no_problem(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _dressed_as("openai.chat", monkeypatch)
    inspection = _inspect(b'{"model": 5, "messages": "none"}', "opaque")
    assert inspection == Inspection()


def test_a_body_is_recognised_only_where_the_path_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _dressed_as("openai.chat", monkeypatch)
    body = json.dumps({"model": "c", "max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]}).encode()
    assert _inspect(body, "anthropic.messages").api is None
    assert _inspect(b"no json", "opaque").api is None


# --- names that are told on -----------------------------------------------------------------------------------------


def test_names_and_ids_in_which_something_was_found_are_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    told = RequestFacts(
        model="other",
        tools=("a",),
        called_tools=(MAIL, "look_up"),
        rpc_methods=("tools/call",),
        previous_response_id="resp_1",
        conversation_id=MAIL,
        parameters={"effort": "high", "user": MAIL},
    )
    monkeypatch.setattr(type(CODECS["openai.chat"]), "request", lambda self, document, call: told)
    facts = _inspect(json.dumps({"where": {"ever": MAIL}}).encode()).facts
    assert facts.called_tools == ("(withheld)", "(withheld)")
    assert facts.conversation_id is None
    assert facts.parameters == {"effort": "high"}
    assert (facts.tools, facts.rpc_methods) == (("a",), ("tools/call",))
    assert (facts.model, facts.previous_response_id) == ("other", "resp_1")


def test_a_called_tool_whose_name_is_too_long_for_one_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    told = RequestFacts(called_tools=("x" * 257,), rpc_methods=("y" * 256,))
    monkeypatch.setattr(type(CODECS["openai.chat"]), "request", lambda self, document, call: told)
    facts = _inspect(b"{}").facts
    assert (facts.called_tools, facts.rpc_methods) == (("(overlong)",), ("y" * 256,))


# --- forms ----------------------------------------------------------------------------------------------------------

FORM = "multipart/form-data; boundary=cut"


def _form(*parts: tuple[str, bytes]) -> bytes:
    """`parts`: what follows `form-data; ` in the disposition (and further headers), and the data."""
    pieces = [b"--cut\r\nContent-Disposition: form-data; " + h.encode() + b"\r\n\r\n" + d + b"\r\n" for h, d in parts]
    return b"".join(pieces) + b"--cut--\r\n"


AUDIO = ('name="file"; filename="a.wav"\r\nContent-Type: audio/wav', b"RIFF\x00\xff\xfe")


@pytest.fixture
def forms(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The documents that a codec which takes forms was given."""
    given: list[Any] = []

    def request(self: object, document: Any, call: Call) -> RequestFacts:
        given.append(document)
        return RequestFacts(model=document["model"])

    codec = type(CODECS["openai.chat"])
    monkeypatch.setattr(codec, "takes_forms", True)
    monkeypatch.setattr(codec, "request", request)
    return given


def test_a_form_is_read_as_an_object_of_fields(forms: list[Any]) -> None:
    inspection = _inspect(_form(('name="model"', b"whisper-1"), AUDIO), content_type=FORM)
    assert inspection.problem is None
    assert inspection.facts.model == "whisper-1"
    assert inspection.facts.uninspected_parts == (UninspectedPart("file", "/file", "audio/wav", 7),)
    assert not inspection.hides_findings
    assert forms[0]["model"] == "whisper-1"


def test_what_is_found_in_a_form_cannot_be_replaced(forms: list[Any]) -> None:
    body = _form(('name="model"', b"whisper-1"), ('name="prompt"', f"to {MAIL}".encode()), AUDIO)
    inspection = _inspect(body, content_type=FORM)
    assert _fields(inspection) == [("EMAIL_ADDRESS", "/prompt")]
    assert inspection.hides_findings


def test_text_in_a_file_of_a_form_is_scanned_and_needs_no_leave(forms: list[Any]) -> None:
    file = ('name="doc"; filename="a.txt"\r\nContent-Type: text/plain', MAIL.encode())
    inspection = _inspect(_form(('name="model"', b"m"), file), content_type=FORM)
    assert _fields(inspection) == [("EMAIL_ADDRESS", "/doc/text")]
    assert inspection.facts.uninspected_parts == ()


def test_a_list_of_files_is_reported_file_by_file(forms: list[Any]) -> None:
    image = ('name="image[]"; filename="a.png"\r\nContent-Type: image/png', b"\x89PNG\xff")
    inspection = _inspect(_form(('name="model"', b"m"), image, image), content_type=FORM.upper().replace("CUT", "cut"))
    assert [part.field for part in inspection.facts.uninspected_parts] == ["/image[]/0", "/image[]/1"]


def test_a_form_that_can_be_read_in_two_ways_is_refused_and_searched_all_the_same(forms: list[Any]) -> None:
    twice = _form(('name="model"', b"a"), ('name="model"', MAIL.encode()))
    inspection = _inspect(twice, content_type=FORM)
    assert inspection.problem is not None
    assert (inspection.problem.code, inspection.problem.status) == ("invalid_form", 400)
    assert [finding.entity for finding in inspection.findings] == ["EMAIL_ADDRESS"]


def test_an_api_that_takes_no_forms_refuses_them() -> None:
    assert _problem(_form(('name="model"', b"m")), content_type=FORM) == ("unsupported_content_type", 415)


def test_an_api_that_takes_forms_takes_json_too(forms: list[Any]) -> None:
    assert _inspect(_chat()).facts.model == "m"
