"""Every recorded exchange through the gate, and the archive compared with the recordings row by row.

The recordings lie outside the repository: set HEADGATE_CORPUS to the folder that holds `exchanges/`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.stack import Stack, plan
from tests.e2e.gate import EXAMPLE, Reply
from tests.e2e.recorded import Recorded, recordings
from tests.e2e.recorded_usage import NOTHING, model_and_usage
from tests.e2e.support import ask
from tests.e2e.traffic import wait_for_rows

CORPUS = os.environ.get("HEADGATE_CORPUS")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CORPUS, reason="HEADGATE_CORPUS is not set: there are no recordings to replay"),
]
USAGE_COLUMNS = (
    "gen_ai_usage_input_tokens",
    "gen_ai_usage_output_tokens",
    "gen_ai_usage_cache_read_input_tokens",
    "gen_ai_usage_cache_creation_input_tokens",
    "gen_ai_usage_reasoning_output_tokens",
)
PROBLEMS = {
    "bedrock-converse-n-200-pydantic-ai-ca754a02": "malformed_json",  # the recording lost the request's last bytes
}
"""Requests that an enforced route would have refused as they came; in shadow they pass, and their rows say so."""
VECTORS = {"openai.embeddings", "openai.rerank", "gemini.embed_content", "cohere.v2.embed", "ollama.embed"}
"""What they answer is no text: there is no output to count."""
UNMETERED = {
    *("opaque", "mcp", "openai.images", "anthropic.count_tokens", "gemini.count_tokens", "gemini.models"),
}
"""They tell no tokens that were spent, and none are estimated."""


@dataclass(frozen=True)
class Replayed:
    """A recording, what the client got for it, and its row."""

    recorded: Recorded
    reply: Reply
    row: Mapping[str, Any]


def _configuration(folder: Path) -> Path:
    """The example, watching only: recordings were made of providers, not of our own prefixes. All text is kept."""
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    document["routes"] = [route for route in document["routes"] if route["mode"] == "shadow"]
    document["teams"] = str(EXAMPLE.parent / "teams.yaml")
    document["policy"]["bundle"] = str(folder / "policies")
    shutil.copytree(EXAMPLE.parents[1] / "policies", folder / "policies")
    settings = folder / "policies" / "data" / "data.yaml"
    data = yaml.safe_load(settings.read_text(encoding="utf-8"))
    data["default"]["capture"] = "full"
    settings.write_text(yaml.safe_dump(data), encoding="utf-8")
    path = folder / "headgate.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def _send(stack: Stack, recorded: Recorded, trace_id: str) -> Reply:
    headers = {
        "host": recorded.authority,
        "authorization": "Bearer sk-example-search-legacy-app",
        "traceparent": f"00-{trace_id}-{1:016x}-01",  # finds the row: W3C Trace Context §3.2
        "x-replay-id": recorded.id,
    }
    if recorded.content_type is not None:
        headers["content-type"] = recorded.content_type
    return ask(stack, recorded.method, recorded.path, headers, recorded.request_body or None)


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Replayed]]:
    exchanges = Path(str(CORPUS)) / "exchanges"
    found = recordings(exchanges)
    assert found, f"{exchanges} holds no recording"
    chosen = plan(
        _configuration(tmp_path_factory.mktemp("replay")),
        upstream=f"replay:{exchanges}",
        state=tmp_path_factory.mktemp("state"),
        port=0,
        concurrency=1,
        settings={"capture": {"flush_interval_s": 0.3}, "policy": {"deadline_ms": 5_000}},  # a busy machine judges too
    )
    with Stack(chosen, report=lambda _: None) as stack:
        sent = {f"{number:032x}": recorded for number, recorded in enumerate(found, start=1)}
        replies = {trace_id: _send(stack, recorded, trace_id) for trace_id, recorded in sent.items()}
        rows = {row["trace_id"]: row for row in wait_for_rows(stack, count=len(found))}
        assert rows.keys() == sent.keys()
        yield [Replayed(recorded, replies[trace_id], rows[trace_id]) for trace_id, recorded in sent.items()]


def _differing(replayed: list[Replayed], of: Any) -> dict[str, tuple[Any, Any]]:
    """Id → (got, expected) wherever `of(one)` gives two things that differ: all of them are shown at once."""
    pairs = {one.recorded.id: of(one) for one in replayed}
    return {name: (got, expected) for name, (got, expected) in pairs.items() if got != expected}


def _digest(body: bytes) -> bytes | None:
    return hashlib.sha256(body).digest() if body else None


def test_the_client_gets_each_recording_byte_for_byte(replayed: list[Replayed]) -> None:
    assert _differing(replayed, lambda r: (r.reply.status, r.recorded.status)) == {}
    assert _differing(replayed, lambda r: (_digest(r.reply.body), _digest(r.recorded.served))) == {}


def test_the_archive_holds_each_request_body_byte_for_byte(replayed: list[Replayed]) -> None:
    assert _differing(replayed, lambda r: (_digest(r.row["request_body"]), _digest(r.recorded.request_body))) == {}
    assert _differing(replayed, lambda r: (r.row["request_sha256"], _digest(r.recorded.request_body))) == {}
    assert _differing(replayed, lambda r: (r.row["request_bytes"], len(r.recorded.request_body))) == {}


def test_the_archive_holds_each_response_body_without_its_coding(replayed: list[Replayed]) -> None:
    assert _differing(replayed, lambda r: (_digest(r.row["response_body"]), _digest(r.recorded.response_body))) == {}
    assert _differing(replayed, lambda r: (r.row["response_sha256"], _digest(r.recorded.served))) == {}
    assert _differing(replayed, lambda r: (r.row["response_bytes"], len(r.recorded.served))) == {}


def test_each_row_tells_the_call_and_its_end(replayed: list[Replayed]) -> None:
    columns = ("method", "path", "host", "http_status", "capture_status", "answered_by", "mode", "decision", "problem")

    def told(one: Replayed) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        recorded = one.recorded
        host = recorded.authority.partition(":")[0]
        path = recorded.path.partition("?")[0]
        expected = (
            recorded.method,
            path,
            host,
            recorded.status,
            "completed",
            "upstream",
            "shadow",
            "allow",
            PROBLEMS.get(recorded.id),
        )
        return tuple(one.row[column] for column in columns), expected

    assert _differing(replayed, told) == {}


def test_each_row_names_the_api_by_method_and_path(replayed: list[Replayed]) -> None:
    assert _differing(replayed, lambda r: (r.row["api"], r.recorded.api)) == {}
    assert len({one.row["api"] for one in replayed}) >= 26
    assert [one.recorded.method for one in replayed if one.row["api"] == "opaque"] == ["GET"]  # a thread of Assistants


def test_models_are_those_of_request_and_response(replayed: list[Replayed]) -> None:
    read = [one for one in replayed if one.recorded.api != "opaque" and one.recorded.id not in PROBLEMS]
    asked = [one for one in read if one.recorded.request_body]  # without a body there is nothing to judge or to price
    assert _differing(asked, lambda r: (r.row["gen_ai_request_model"], r.recorded.requested_model)) == {}
    assert _differing(read, lambda r: (r.row["gen_ai_response_model"], model_and_usage(r.recorded)[0])) == {}


def test_usage_is_the_providers_or_marked_as_not(replayed: list[Replayed]) -> None:
    """Every figure that the provider said stands in the row; the source says whether others stand beside it."""

    def usage(one: Replayed) -> tuple[Any, Any]:
        said = model_and_usage(one.recorded)[1]
        row = tuple(one.row[column] for column in USAGE_COLUMNS)
        kept = tuple(None if value is None else stood for value, stood in zip(said, row, strict=True))
        return (one.row["usage_source"], kept), (_source(one.recorded, said[:2]), said)

    assert _differing(replayed, usage) == {}
    nothing = [one for one in replayed if one.row["usage_source"] == "none"]
    assert _differing(nothing, lambda r: (tuple(r.row[c] for c in USAGE_COLUMNS), NOTHING)) == {}


def _source(recorded: Recorded, said: tuple[int | None, ...]) -> str:
    """Nothing but an error costs nothing: all else that the provider did not count has to be estimated."""
    documents = recorded.documents
    waits = any(document.get("status") == "queued" for document in documents)  # a later call fetches what it cost
    if recorded.api in UNMETERED or waits:
        return "none"
    told = [value is not None for value in said]
    if all(told) or (told[0] and recorded.api in VECTORS):
        return "provider"
    if any(told):
        return "partial"
    answered = any(document.get("choices") or document.get("content") for document in documents)
    refused = recorded.status >= 400 or any(document.get("error") for document in documents)
    return "none" if refused and not answered else "estimated"


def test_money_is_known_or_says_why_not(replayed: list[Replayed]) -> None:
    for one in replayed:
        cost, reason = one.row["billed_cost"], one.row["cost_unknown_reason"]
        assert (cost is None) == (reason is not None), one.recorded.id
        assert cost is None or (cost > 0 and one.row["billing_currency"] == "USD"), one.recorded.id
