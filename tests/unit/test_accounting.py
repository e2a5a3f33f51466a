"""What is the same for every api's decoder: how the end of a response is judged, and which warnings say so."""

from __future__ import annotations

import struct
import zlib
from dataclasses import fields, replace
from typing import Any

import pytest

from extproc.accounting import AccountingDecoder
from extproc.framing.response_body import StreamFormat
from extproc.framing.stream_event import StreamEvent
from extproc.framing.tolerant_json import loads
from extproc.model import ErrorFacts, RequestFacts, ResponseFacts, Usage, UsageSource


class Texts:
    """An account of an api whose events and documents are `{"text": …, "end": true}`."""

    def __init__(self) -> None:
        self.terminal = False
        self.text = ""
        self.document: Any = None

    def take_event(self, event: StreamEvent) -> None:
        said = loads(event.data)
        self.text += said.get("text", "")
        self.terminal = self.terminal or "end" in said

    def take_document(self, document: Any) -> None:
        self.document = document
        self.text += document.get("text", "")

    def usage_is_final(self, *, complete: bool) -> bool:
        return complete

    def facts(self) -> ResponseFacts:
        return ResponseFacts(text_bytes=len(self.text.encode()), said=Usage())


def message(payload: bytes) -> bytes:
    lengths = struct.pack(">II", 16 + len(payload), 0)
    start = lengths + struct.pack(">I", zlib.crc32(lengths)) + payload
    return start + struct.pack(">I", zlib.crc32(start))


SSE, EVENTSTREAM, NDJSON, JSON_ARRAY = (
    StreamFormat.SSE,
    StreamFormat.EVENTSTREAM,
    StreamFormat.NDJSON,
    StreamFormat.JSON_ARRAY,
)


@pytest.mark.parametrize(
    ("expected", "body", "text", "terminal", "warnings"),
    [
        (SSE, b'{"text":"Hello"}', "Hello", True, ()),
        (SSE, b'{"text":"Hel', "Hel", False, ("truncated",)),
        (SSE, b'{"text":"Hello"} <html>', "Hello", True, ("broken_framing",)),
        (SSE, b"{nothing}", "", False, ("undecodable_body", "truncated")),
        (SSE, b'data: {"text":"a"}\n\ndata: {"text":"Hel', "aHel", False, ("truncated",)),
        (SSE, b'data: {"text":"a","end":1}\n\n', "a", True, ()),
        (SSE, b'data: {"text":"a"\n\ndata: {"text":"b","end":1}\n\n', "b", True, ("undecodable_event",)),
        (SSE, b'{"text":"a"}\n{"text":"b","end":1}\n', "ab", True, ()),
        (EVENTSTREAM, message(b'{"text":"a","end":1}'), "a", True, ()),
        (EVENTSTREAM, message(b'{"text":"a"}') + b"\x00" * 16, "a", False, ("broken_framing", "truncated")),
        (EVENTSTREAM, message(b'{"text":"a"}') + message(b"{}")[:9], "a", False, ("truncated",)),
        (NDJSON, b'{"text":"a"}\n{"text":"b","end":1}\n', "ab", True, ()),
        (JSON_ARRAY, b'[{"text":"a"},{"text":"b"}]', "ab", True, ()),
        (JSON_ARRAY, b'[{"text":"a"},{"text":"b"}', "ab", False, ("truncated",)),
        (JSON_ARRAY, b'[{"text":"a"},{"text":"b', "ab", False, ("truncated",)),
    ],
)
@pytest.mark.parametrize("complete", [True, False])
def test_the_end_of_a_response_is_judged_by_what_was_there(
    expected: StreamFormat, body: bytes, text: str, terminal: bool, warnings: tuple[str, ...], complete: bool
) -> None:
    account = Texts()
    decoder = AccountingDecoder(account, status=200, request=RequestFacts(), stream_format=expected)
    for i in range(len(body)):
        decoder.feed(body[i : i + 1])
    facts = decoder.finish(complete=complete)
    assert (account.text, facts.terminal, facts.warnings) == (text, terminal, warnings)


def test_a_growing_array_is_terminal_with_its_last_bracket() -> None:
    decoder = AccountingDecoder(Texts(), status=200, request=RequestFacts(), stream_format=JSON_ARRAY)
    decoder.feed(b'[{"text":"a"}')
    assert not decoder.terminal
    decoder.feed(b"\n]")
    assert decoder.terminal


def test_nothing_that_an_account_said_is_lost_on_the_way() -> None:
    said = Usage(**{field.name: number for number, field in enumerate(fields(Usage), 1) if field.name != "source"})
    told = ResponseFacts(
        model="m",
        response_id="r",
        finish_reasons=("stop",),
        said=said,
        provider_usage="{}",
        service_tier="default",
        tool_calls=("t",),
        text_bytes=7,
        error=ErrorFacts("kind", "message"),
        warnings=("w",),
    )

    class Telling:
        terminal = True

        def take_event(self, event: StreamEvent) -> None: ...
        def take_document(self, document: object) -> None: ...
        def usage_is_final(self, *, complete: bool) -> bool:
            return True

        def facts(self) -> ResponseFacts:
            return told

    decoder = AccountingDecoder(Telling(), status=200, request=RequestFacts())
    usage = replace(said, source=UsageSource.PROVIDER)
    assert decoder.finish(complete=True) == replace(told, usage=usage, terminal=True)
