"""A body that is redacted and asked for usage in one go, off the loop or on it."""

from __future__ import annotations

import json

import pytest

from extproc.codecs import CODECS
from extproc.events import Rewrite
from extproc.model import Finding, Limits
from extproc.workers import Workers, rewrite_body

BODY = json.dumps({"messages": [{"role": "user", "content": "ann@example.org"}], "stream": True}).encode()
EMAIL = Finding("EMAIL_ADDRESS", "pii", "/messages/0/content", 0, 15, 1.0)
ENTITIES = frozenset({"EMAIL_ADDRESS"})


@pytest.fixture
def chat_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(CODECS["openai.chat"]), "asking_for_usage", lambda self, body: body + b" ?", raising=False)


@pytest.mark.usefixtures("chat_asks")
def test_the_redacted_body_asks() -> None:
    (masked,), asking = rewrite_body(BODY, (EMAIL,), (ENTITIES,), "openai.chat", ENTITIES)
    assert masked == BODY.replace(b"ann@example.org", b"<EMAIL_ADDRESS>")
    assert asking == masked + b" ?"


@pytest.mark.usefixtures("chat_asks")
def test_what_is_only_masked_in_the_archive_asks_as_it_came() -> None:
    (masked,), asking = rewrite_body(BODY, (EMAIL,), (ENTITIES,), "openai.chat", frozenset())
    assert b"ann@" not in masked
    assert asking == BODY + b" ?"


@pytest.mark.usefixtures("chat_asks")
def test_nothing_asks_that_was_not_told_to() -> None:
    assert rewrite_body(BODY, (), ()) == ((), None)


@pytest.mark.usefixtures("chat_asks")
def test_the_answer_carries_the_body_that_asks() -> None:
    workers = Workers(Limits(), processes=1, inline_bytes_max=1 << 16)
    told = workers.rewrite_now(Rewrite(BODY, (EMAIL,), (ENTITIES,), asking="openai.chat", forwarded=ENTITIES))
    assert (told.bodies[0] + b" ?", len(told.bodies)) == (told.asking, 1)  # type: ignore[union-attr]
