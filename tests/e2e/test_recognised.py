"""A body in an api of ours at a path that says nothing: read, told to policy as what it looks like, and not trusted."""

from __future__ import annotations

import uuid

import pytest

from extproc.stack import Stack
from tests.e2e.traffic import ANTHROPIC, OPENAI, OPENAI_SHADOW, deliver, refused

pytestmark = pytest.mark.e2e

NOBODYS_PATH = "/v1/our-own/assistant"


def test_without_leave_for_the_path_it_is_refused_in_the_format_of_the_api_it_looks_like(stack: Stack) -> None:
    said = f"hello {uuid.uuid4()}"  # of a conversation of its own: what a session said before is not said again
    document = {**OPENAI.document, "messages": [{"role": "user", "content": said}]}
    row = refused(deliver(stack, OPENAI, document, path=f"/openai{NOBODYS_PATH}"), "access.opaque_calls")
    assert (row["api"], row["gen_ai_operation_name"]) == ("openai.chat", "chat")
    assert row["gen_ai_request_model"] == OPENAI.document["model"]
    assert row["prompt_text"] == said


def test_in_shadow_it_passes_and_its_row_tells_what_it_was(stack: Stack) -> None:
    done = deliver(stack, OPENAI_SHADOW, dict(OPENAI.document), path=NOBODYS_PATH)
    assert done.reply.status == 404
    row = done.facts
    assert (row["api"], row["gen_ai_request_model"]) == ("openai.chat", "gpt-4o-mini")
    assert (row["decision"], row["would_decision"]) == ("allow", "deny")
    assert "access.opaque_calls" in row["rules"]


def test_what_looks_like_nothing_of_ours_stays_opaque(stack: Stack) -> None:
    done = deliver(stack, ANTHROPIC, {"question": "hello"}, path="/anthropic/v1/our-own")
    assert (done.reply.status, done.received) == (403, [])
    assert done.facts["api"] == "opaque"
