"""Recorded bodies are framed as other readers frame them: AWS' own SDK, the standard library, or a naive split."""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path

import pytest
from botocore.eventstream import EventStreamBuffer

from extproc.framing.response_body import ResponseBody, StreamFormat
from extproc.framing.tolerant_json import loads, loads_prefix

ROOT = os.environ.get("HEADGATE_CORPUS")
BODIES = sorted(Path(ROOT).glob("*/*/response.body")) if ROOT else []
FILES = sorted((Path(ROOT) / "security" / "json_parsing").glob("*.json")) if ROOT else []

needs_corpus = pytest.mark.skipif(not BODIES, reason="HEADGATE_CORPUS names no corpus")


def _read(expected: StreamFormat, *chunks: bytes) -> tuple[list[bytes], object, bool]:
    body = ResponseBody(expected)
    events = [event for chunk in chunks for event in body.feed(chunk)] + body.flush()
    document = body.document() if body.is_json else None
    return [event.data for event in events], document, body.is_cut or body.is_broken


def _naive_sse(data: bytes) -> list[bytes]:
    """Blocks between blank lines; of each its data lines, or all of it where it is JSON without them."""
    events = []
    for block in re.split(rb"\n\n+", re.sub(rb"\r\n?", b"\n", data).strip(b"\n")):
        lines = block.split(b"\n")
        if block.startswith((b"{", b"[")):
            events.append(block)
            continue
        said = [re.sub(rb"^data: ?", b"", line) for line in lines if re.match(rb"data:", line)]
        if said:
            events.append(b"\n".join(said))
    return events


def _formats(data: bytes) -> list[tuple[StreamFormat, list[bytes], object]]:
    """Which formats a codec may expect here, with what each must give."""
    text = data.lstrip()
    if data[:1] == b"\0":
        buffer = EventStreamBuffer()
        buffer.add_data(data)
        payloads = [message.payload for message in buffer]
        return [(expected, payloads, None) for expected in StreamFormat]
    lines = [line for line in text.split(b"\n") if line.strip()]
    if text.startswith(b"{") and len(lines) > 1 and all(line[:1] == b"{" for line in lines):
        return [(StreamFormat.NDJSON, lines, None), (StreamFormat.SSE, lines, None)]
    if text.startswith((b"{", b"[")):
        document = json.loads(text)
        whole: list[tuple[StreamFormat, list[bytes], object]] = [(StreamFormat.SSE, [], document)]
        if type(document) is dict:
            return [*whole, (StreamFormat.EVENTSTREAM, [], document), (StreamFormat.JSON_ARRAY, [], document)]
        return [*whole, (StreamFormat.NDJSON, [], document)]
    if text.startswith((b"data:", b"event:", b":", b"id:")):
        return [(expected, _naive_sse(data), None) for expected in StreamFormat]
    return []


@needs_corpus
def test_every_recorded_body_is_framed_as_another_reader_frames_it() -> None:
    chooser = random.Random(4)
    seen: dict[str, int] = {}
    for path in BODIES:
        data = path.read_bytes()
        for expected, events, document in _formats(data):
            result = (events, document, False)
            got = _read(expected, data)
            assert (*map(_stripped, got[0]),) == (*map(_stripped, events),), (path.parent.name, expected)
            assert got[1:] == result[1:], (path.parent.name, expected)
            cuts = sorted(chooser.randrange(len(data) + 1) for _ in range(5))
            chunks = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
            assert _read(expected, *chunks) == got, (path.parent.name, expected)
            kind = "document" if document is not None else "events"
            seen[kind] = seen.get(kind, 0) + 1
    assert seen["document"] > 200
    assert seen["events"] > 200


def _stripped(event: bytes) -> bytes:
    return event.strip()


@needs_corpus
def test_recorded_arrays_give_their_elements() -> None:
    seen = 0
    for path in BODIES:
        data = path.read_bytes()
        if data[:1] != b"[" or type(elements := json.loads(data)) is not list:
            continue
        seen += 1
        got = _read(StreamFormat.JSON_ARRAY, data)
        assert list(map(json.loads, got[0])) == elements, path.parent.name
        assert got[1:] == (None, False), path.parent.name
        assert _read(StreamFormat.JSON_ARRAY, *(data[i : i + 1] for i in range(len(data)))) == got, path.parent.name
    assert seen >= 6


@needs_corpus
def test_the_tolerant_reader_reads_or_says_value_error() -> None:
    """nst/JSONTestSuite: `y_` must be read as the standard library reads it, `n_` may not raise anything but this."""
    assert len(FILES) > 200
    for file in FILES:
        data = file.read_bytes()
        try:
            whole, is_whole = loads_prefix(data)
        except ValueError:
            assert file.name[0] != "y", file.name
            with pytest.raises(ValueError, match=r"."):
                loads(data)
            continue
        if file.name[0] == "y":
            assert (whole, is_whole) == (json.loads(data), True), file.name
