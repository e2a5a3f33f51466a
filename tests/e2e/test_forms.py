"""`multipart/form-data` through the gate: as the OpenAI SDK sends a recording."""

from __future__ import annotations

import pytest

from extproc.stack import Stack
from tests.e2e.traffic import OPENAI, Delivery, deliver, received_body

pytestmark = pytest.mark.e2e

BOUNDARY = "f00dcafe"
CONTENT_TYPE = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
DATA = b"\x00\xff\xfe no text"


def _form(filename: str = "a.wav", media_type: str = "audio/wav", name: str = "file", **fields: str) -> bytes:
    """A file, then its fields."""
    head = b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
    mark = BOUNDARY.encode()
    about = f'; filename="{filename}"\r\nContent-Type: {media_type}'.encode()
    rest = (head % (mark, field.encode(), b"", value.encode()) for field, value in fields.items())
    return head % (mark, name.encode(), about, DATA) + b"".join(rest) + b"--%b--\r\n" % mark


def _send(stack: Stack, key: str, body: bytes, path: str = "/openai/v1/audio/transcriptions") -> Delivery:
    headers = {**CONTENT_TYPE, "authorization": f"Bearer example-key-{key}"}
    return deliver(stack, OPENAI, body, path=path, headers=headers)


def test_a_recording_passes_byte_for_byte_where_the_team_may_send_one(stack: Stack) -> None:
    body = _form(model="gpt-4o-transcribe", prompt="names: Ann")
    done = _send(stack, "research", body)
    assert done.reply.status == 200
    assert received_body(done.received[0]) == body
    row = done.facts
    assert (row["api"], row["gen_ai_request_model"], row["decision"]) == ("openai.audio", "gpt-4o-transcribe", "allow")
    (part,) = row["uninspected_parts"]
    assert (part["kind"], part["field"], part["media_type"]) == ("audio", "/file", "audio/wav")
    assert (row["request_body"], row["request_content_state"]) == (body, "exact")


def test_a_recording_is_denied_where_the_team_may_send_none(stack: Stack) -> None:
    done = _send(stack, "search", _form(model="gpt-4o-transcribe"))
    assert (done.reply.status, done.received) == (403, [])
    assert done.facts["rules"] == ["content.uninspected_parts"]
    assert done.facts["problem"] is None


def test_a_form_whose_text_had_to_be_redacted_is_refused_and_not_kept(stack: Stack) -> None:
    body = _form("a.png", "image/png", "image", model="gpt-4o-image", prompt="a card for ann.smith@corp-mail.net")
    done = _send(stack, "search", body, "/openai/v1/images/edits")
    assert (done.reply.status, done.reply.json["error"]["code"], done.received) == (422, "redaction_failed", [])
    row = done.facts
    assert [(found["type"], found["field"]) for found in row["findings"]] == [("EMAIL_ADDRESS", "/prompt")]
    assert (row["request_body"], row["request_content_state"]) == (None, "undecodable")


def test_a_form_that_two_parsers_could_read_in_two_ways_is_refused(stack: Stack) -> None:
    twice = _form(model="gpt-4o-transcribe").replace(
        f"--{BOUNDARY}--".encode(),
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="model"\r\n\r\nother\r\n--{BOUNDARY}--'.encode(),
    )
    done = _send(stack, "search", twice)
    assert (done.reply.status, done.reply.json["error"]["code"], done.received) == (400, "invalid_form", [])


def test_an_api_that_takes_no_forms_refuses_them(stack: Stack) -> None:
    done = _send(stack, "search", _form(model="gpt-4o-mini"), OPENAI.path)
    assert (done.reply.status, done.reply.json["error"]["code"], done.received) == (415, "unsupported_content_type", [])
