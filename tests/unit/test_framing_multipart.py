"""A form has one reading or none (RFC 7578), as a JSON body has."""

from __future__ import annotations

import email.parser
import email.policy
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.errors import ClientError
from extproc.framing.multipart import PARTS_MAX, parse, replace_field
from tests.forms import AMBIGUOUS_FORMS, BOUNDARY, TYPE, UNPLAIN_TYPES, field_part, file_part, form_of


def _refused(body: bytes, content_type: str = TYPE) -> str:
    with pytest.raises(ClientError) as refused:
        parse(body, content_type)
    return refused.value.code


def test_fields_are_text_and_files_are_described() -> None:
    body = form_of(
        field_part("model", b"whisper-1"),
        file_part("file", "a.wav", b"RIFF\r\n\x00\xff--"),
        field_part("prompt", "é".encode()),
    )
    assert parse(body, TYPE) == {
        "model": "whisper-1",
        "file": {"filename": "a.wav", "media_type": "audio/wav", "size_bytes": 10},
        "prompt": "é",
    }


@pytest.mark.parametrize("charset", [b"utf-16", b"iso-8859-1", b"", b"x"])
def test_a_form_in_another_charset_by_its_own_word_is_refused(charset: bytes) -> None:
    assert _refused(form_of(field_part("_charset_", charset), field_part("prompt", b"Hi"))) == "invalid_form"
    assert parse(form_of(field_part("_charset_", b"UTF-8"), field_part("prompt", b"Hi")), TYPE)["prompt"] == "Hi"


def test_a_name_in_brackets_is_a_list_however_often_it_comes() -> None:
    body = form_of(
        field_part("include[]", b"a"),
        field_part("x", b"1"),
        field_part("include[]", b"b"),
        file_part("image[]", "i.png", b"1"),
    )
    form = parse(body, TYPE)
    assert (form["include[]"], form["x"], len(form["image[]"])) == (["a", "b"], "1", 1)


@pytest.mark.parametrize(
    ("filename", "media_type", "data", "text"),
    [
        ("a.bin", b"text/plain; charset=utf-8", "grün".encode(), "grün"),
        ("a.jsonl", None, b"{}\n", "{}\n"),
        ("a.jsonl", b"application/octet-stream", b"{}\n", "{}\n"),
        ("a", b"application/problem+json", b"{}", "{}"),
        ("a.txt", b"text/plain", b"\xff\xfe", None),
        ("a.wav", b"audio/wav", b"text all the same", None),
    ],
)
def test_a_text_file_is_given_with_its_text(
    filename: str, media_type: bytes | None, data: bytes, text: str | None
) -> None:
    file = parse(form_of(file_part("file", filename, data, media_type)), TYPE)["file"]
    assert (file.get("text"), file["size_bytes"]) == (text, len(data))


def test_json_in_a_field_stays_a_string() -> None:
    body = form_of(field_part("chunking_strategy", b'{"type":"auto"}', b"Content-Type: application/json"))
    assert parse(body, TYPE) == {"chunking_strategy": '{"type":"auto"}'}


@pytest.mark.parametrize(
    "content_type",
    [
        f'Multipart/Form-Data; boundary="{BOUNDARY}"',
        f"multipart/form-data;boundary={BOUNDARY}; charset=UTF-8",
        f"multipart/form-data ; BOUNDARY={BOUNDARY} ",
    ],
)
def test_a_content_type_may_be_written_in_its_legal_ways(content_type: str) -> None:
    assert parse(form_of(field_part("a", b"1"), end=b"--"), content_type) == {"a": "1"}


@pytest.mark.parametrize(
    "content_type",
    UNPLAIN_TYPES,
)
def test_a_content_type_without_one_plain_boundary_is_refused(content_type: str) -> None:
    assert _refused(form_of(field_part("a", b"1")), content_type) == "invalid_form"


@pytest.mark.parametrize(
    "body",
    AMBIGUOUS_FORMS,
)
def test_what_two_parsers_could_read_in_two_ways_is_refused(body: bytes) -> None:
    assert _refused(body) == "invalid_form"


def test_what_other_clients_add_is_taken() -> None:
    """OkHttp states each part's length, Apache's client that its bytes are bytes, .NET leaves the quotes out."""
    body = form_of(
        field_part("a", b"12", b"Content-Length: 2", b"Content-Transfer-Encoding: 8bit"),
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=b\r\n\r\nx",
    )
    assert parse(body, TYPE) == {"a": "12", "b": "x"}


def test_a_form_of_very_many_parts_is_refused() -> None:
    parts = [field_part("x[]", b"")] * PARTS_MAX
    assert len(parse(form_of(*parts), TYPE)["x[]"]) == PARTS_MAX
    assert _refused(form_of(*parts, field_part("x[]", b""))) == "body_too_large"


def test_a_refusal_never_quotes_the_form() -> None:
    for body in (
        form_of(field_part("hunter2", b"1"), field_part("hunter2", b"2")),
        form_of(b"hunter2: 1\r\n\r\nhunter2"),
    ):
        with pytest.raises(ClientError) as refused:
            parse(body, TYPE)
        assert "hunter2" not in refused.value.message


def test_one_field_is_replaced_and_every_other_byte_stays() -> None:
    body = form_of(
        file_part("file", "a.wav", b"RIFF\x00\xff"), field_part("model", b"whisper-1"), field_part("language", b"de")
    )
    edited = replace_field(body, TYPE, "model", "gpt-4o-transcribe")
    assert edited == body.replace(b"whisper-1", b"gpt-4o-transcribe")
    for name, text in (("none", "x"), ("file", "x"), ("model", f"\r\n--{BOUNDARY}--")):
        with pytest.raises(LookupError):
            replace_field(body, TYPE, name, text)


def test_a_field_whose_length_is_stated_is_not_replaced() -> None:
    with pytest.raises(LookupError):
        replace_field(form_of(field_part("model", b"ab", b"Content-Length: 2")), TYPE, "model", "abc")


FIELD_TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(
    st.dictionaries(st.text("abcxyz_", min_size=1, max_size=6), FIELD_TEXTS, max_size=4),
    st.binary(max_size=60),
)
@settings(max_examples=80, deadline=None)
def test_what_a_common_client_writes_is_read_as_another_parser_reads_it(fields: dict[str, str], data: bytes) -> None:
    request = httpx.Request("POST", "http://x/", data=fields, files={"file": ("a.bin", data, "audio/mpeg")})
    body, content_type = request.read(), request.headers["content-type"]
    got = parse(body, content_type)
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    )
    names = [part.get_param("name", header="content-disposition") for part in message.iter_parts()]
    assert list(got) == names
    assert got == {**fields, "file": {"filename": "a.bin", "media_type": "audio/mpeg", "size_bytes": len(data)}}


PIECES = st.lists(
    st.sampled_from(
        [b"--", BOUNDARY.encode(), b"\r\n", b"\n", b"\r", b'Content-Disposition: form-data; name="a"', b"; filename=x",
         b"Content-Type: text/plain", b";", b'"', b"\\", b"\0", b"x", b": ", b"\xff", b"name=b", b"\t "]
    ),
    max_size=24,
).map(b"".join)  # fmt: skip


def _known(value: Any) -> bool:
    return type(value) is str or (type(value) is dict and value.keys() >= {"filename", "media_type", "size_bytes"})


@given(PIECES | st.binary(max_size=60), st.booleans())
@settings(max_examples=400, deadline=None)
def test_arbitrary_bytes_give_a_form_or_a_typed_error(data: bytes, framed: bool) -> None:
    code = None
    form: dict[str, Any] = {}
    try:
        form = parse(form_of(data) if framed else data, TYPE)
    except ClientError as error:
        code = error.code
    assert code == (None if form else "invalid_form")
    assert all(map(_known, form.values()))


@given(
    st.text('multipart/form-data;boundary="=\\ \t,*%é\r\n', max_size=60).map(lambda end: TYPE + end)
    | st.text(max_size=40)
)
@settings(max_examples=200, deadline=None)
def test_an_arbitrary_content_type_gives_a_form_or_a_typed_error(content_type: str) -> None:
    try:
        form = parse(form_of(field_part("a", b"1")), content_type)
    except ClientError:
        return
    assert form == {"a": "1"}
