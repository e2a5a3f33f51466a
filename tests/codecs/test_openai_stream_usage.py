"""Usage is asked for in a stream, and what only came because of that is taken out again, to the byte."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.codec import ResponseEditor
from extproc.codecs import CODECS
from extproc.codecs.openai.stream_usage import EXTRA_CHUNK_BYTES_MAX

CODEC = CODECS["openai.chat"]
EXTRA = b'data: {"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"total_tokens":9}}'
TEXT = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hi"}}],"usage":null}'
LAST = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":9}}'
AZURE = b'data: {"choices":[],"id":"","model":"","prompt_filter_results":[{"prompt_index":0}],"usage":null}'
FAILED = b'data: {"choices":[],"usage":{"prompt_tokens":9},"error":{"message":"Cut"}}'
DONE = b"data: [DONE]"


def _remover() -> ResponseEditor:
    remover = CODEC.usage_remover()
    assert remover is not None
    return remover


def _edited(*pieces: bytes) -> bytes:
    remover = _remover()
    return b"".join([*map(remover.feed, pieces), remover.flush()])


def _asked(body: Any) -> bytes | None:
    return CODEC.asking_for_usage(body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize("api", ["openai.chat", "openai.completions"])
def test_a_stream_is_asked_for_its_usage_and_nothing_else_changes(api: str) -> None:
    asking = CODECS[api].asking_for_usage
    assert asking(b'{"stream" : true, "n":1}') == b'{"stream" : true, "n":1,"stream_options":{"include_usage":true}}'
    assert asking(b'{"stream":true,"stream_options": {"x": 1}}') == (
        b'{"stream":true,"stream_options": {"x": 1,"include_usage":true}}'
    )
    assert asking(b'{"stream":true,"stream_options":{"include_usage":false}}') == (
        b'{"stream":true,"stream_options":{"include_usage":true}}'
    )
    assert json.loads(asking(b'{"stream":true,"stream_options":null}') or b"") == {
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"stream": False},
        {"stream": None},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"stream": True, "stream_options": "all"},
        {"stream": True, "stream_options": {"Include_Usage": False}},
        [],
        b"{",
        b"",
    ],
)
def test_nothing_is_asked_where_nothing_streams_or_usage_comes_anyway(body: Any) -> None:
    assert _asked(body) is None


def test_the_responses_api_tells_usage_anyway() -> None:
    assert CODECS["openai.responses"].asking_for_usage(b'{"stream":true}') is None
    assert CODECS["openai.responses"].usage_remover() is None


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_exactly_the_extra_chunk_is_taken_out(end: bytes) -> None:
    blank = end + end
    stream = blank.join([b": hello", TEXT, LAST, AZURE, EXTRA, FAILED, DONE]) + blank
    assert _edited(stream) == stream.replace(EXTRA + blank, b"")


@pytest.mark.parametrize("tail", [b"", b"\n", b"\n\n"])
def test_an_extra_chunk_at_the_end_is_taken_out_whatever_follows_it(tail: bytes) -> None:
    assert _edited(TEXT + b"\n\n" + EXTRA + tail) == TEXT + b"\n\n"


def test_no_choices_may_be_said_by_null() -> None:
    assert _edited(TEXT + b"\n\n" + EXTRA.replace(b"[]", b"null") + b"\n\n") == TEXT + b"\n\n"


def test_an_extra_chunk_behind_a_byte_order_mark_is_taken_out() -> None:
    assert _edited(b"\xef\xbb\xbf" + EXTRA + b"\n\n" + DONE) == DONE


def test_comments_of_the_same_event_stay() -> None:
    assert _edited(b": PROCESSING\n" + EXTRA + b"\n\n" + DONE + b"\n\n") == b": PROCESSING\n" + DONE + b"\n\n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"error": {"message": "no"}}',
        b'{\n\n"choices": [],\n\n"usage": {"prompt_tokens": 1}}',
        b'{"choices": [], "usage": {"prompt_tokens": 1}}',  # a plain answer to a streamed request
        b'{"choices":\n[],\n"usage": {"prompt_tokens": 1}}\n\n',
        b'\xef\xbb\xbf{"choices": [], "usage": {"prompt_tokens": 1}}',
        b'data: {"x":{"choices":null},"usage":{"prompt_tokens":9}}\n\n',
        b"data: {broken\n\ndata: ",
        b'data: {"choices":[],"usage":{"prompt_tokens":9}',
        b'data: {"choices":[],"usage":{}}\n\n',
        b'data: {"choices":[],"usage":[1]}\n\n',
        b'data: {"usage":{"prompt_tokens":9},"x":"\xff"}\n\ntail \xff',
        b"\n\n\n" + TEXT,
        b"event: x\n\n",
    ],
)
def test_what_is_no_extra_chunk_passes_unchanged(body: bytes) -> None:
    assert _edited(body) == body
    assert _edited(*(body[i : i + 1] for i in range(len(body)))) == body


def test_a_chunk_goes_on_as_soon_as_it_is_complete() -> None:
    remover = _remover()
    assert remover.feed(TEXT + b"\n") == b""
    assert remover.feed(b"\n" + EXTRA) == TEXT + b"\n\n"
    assert remover.feed(b"\n\n" + DONE[:4]) == b""
    assert remover.feed(DONE[4:] + b"\n\n") == DONE + b"\n\n"
    assert remover.flush() == b""


def test_an_event_too_long_to_be_the_chunk_is_not_held() -> None:
    remover = _remover()
    long = b'data: {"choices":[],"usage":{"x":"' + b"y" * EXTRA_CHUNK_BYTES_MAX
    assert remover.feed(long) == long
    assert remover.feed(b"more") == b"more"
    assert remover.feed(b'"}}\n\n' + EXTRA + b"\n\n" + DONE) == b'"}}\n\n'
    assert remover.flush() == DONE


EVENTS = st.lists(
    st.sampled_from([TEXT, LAST, AZURE, FAILED, DONE, b": ping", b"event: x\ndata: y", b"data: {broken", b"", b"\xff"]),
    max_size=6,
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(EVENTS, EVENTS, ENDS, st.booleans(), st.data())
@settings(max_examples=200, deadline=None)
def test_any_chunks_give_the_same_bytes_and_without_an_extra_chunk_all_of_them(
    before: list[bytes], after: list[bytes], end: bytes, has_extra: bool, data: st.DataObject
) -> None:
    def joined(events: list[bytes]) -> bytes:
        return b"".join(event.replace(b"\n", end) + end + end for event in events)

    extra = joined([EXTRA]) if has_extra else b""
    stream = joined(before) + extra + joined(after)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]
    assert _edited(*pieces) == joined(before) + joined(after)
    assert _edited(*(stream[i : i + 1] for i in range(len(stream)))) == joined(before) + joined(after)


@given(st.binary(max_size=60), st.integers(0, 60))
@settings(max_examples=200, deadline=None)
def test_bytes_that_are_no_stream_come_out_as_they_went_in(body: bytes, cut: int) -> None:
    assert _edited(body[:cut], body[cut:]) == body
