"""`make demo`: three teams talk to two providers through a real Envoy, a real OPA decides, and SQL tells what happened.

Each call says what should come of it. When anything else does, the demo says so and exits with 1.
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import duckdb
import openai

from extproc.errors import HeadgateError
from extproc.stack import Stack, plan

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / "var" / "demo"
ROWS_S_MAX = 30.0

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "Name of the city"}},
    "required": ["city"],
}


class Unexpected(Exception):
    """The demo saw something that it should not have."""


@dataclass(frozen=True)
class Gate:
    """Real SDK clients, pointed at the gate instead of at the provider."""

    base_url: str
    stack: Stack

    def openai(self, key: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.base_url}/openai/v1", api_key=key, max_retries=0)

    def anthropic(self, key: str) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=f"{self.base_url}/anthropic", api_key=key, max_retries=0)

    def legacy_openai(self, key: str) -> openai.OpenAI:
        """An application with a provider key of its own: only its traffic's way has changed, not its code."""
        headers = {"Host": "api.openai.com"}
        return openai.OpenAI(base_url=f"{self.base_url}/v1", api_key=key, default_headers=headers, max_retries=0)


def ask(*text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": line} for line in text]


def expect(fact: object, what: str) -> None:
    if not fact:
        raise Unexpected(what)


@contextlib.contextmanager
def refused(kind: type[Exception], *words: str) -> Iterator[None]:
    """The call inside must be refused, with the SDK's own exception and a reason that names `words`."""
    try:
        yield
    except kind as error:
        missing = [word for word in words if word not in str(error)]
        expect(not missing, f"the refusal does not say {missing}: {error}")
        print(f"      {type(error).__name__}: {_message(error)}")
        return
    raise Unexpected(f"the call was not refused with {kind.__name__}")


def _message(error: Exception) -> str:
    body = getattr(error, "body", None)
    detail = body.get("error", body) if isinstance(body, dict) else None
    return str(detail.get("message") if isinstance(detail, dict) else error)


# --- what the three teams do -----------------------------------------------------------------------------------------


def search_asks(gate: Gate) -> None:
    client = gate.openai("example-key-search")
    reply = client.chat.completions.create(model="gpt-4o-mini", messages=ask("Which of our cities has the best parks?"))
    expect(reply.choices[0].message.content, "no answer came")


def search_streams(gate: Gate) -> None:
    client = gate.openai("example-key-search")
    stream = client.chat.completions.create(
        model="gpt-4o",
        messages=ask("Tell me about ranking, at some length."),
        stream=True,
        stream_options={"include_usage": True},
        extra_headers={"x-sim-chunks": "60"},
    )
    chunks = list(stream)
    expect(chunks[-1].usage is not None, "the stream's last chunk has no usage")


def search_calls_a_tool(gate: Gate) -> None:
    """A conversation of two turns; the model calls a tool in between."""
    client = gate.anthropic("example-key-search")
    tools: Any = [{"name": "get_weather", "description": "The weather now", "input_schema": WEATHER}]
    messages: Any = ask("What is the weather in Lisbon? Use the tool.")
    first = client.messages.create(model="claude-sonnet-4-5", max_tokens=256, tools=tools, messages=messages)
    expect(first.stop_reason == "tool_use", "the model called no tool")
    call = next(block for block in first.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees, sunny"}
    messages += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    second = client.messages.create(model="claude-sonnet-4-5", max_tokens=256, tools=tools, messages=messages)
    expect(second.stop_reason == "end_turn", "the model did not answer after the tool's result")


def support_is_redacted(gate: Gate) -> None:
    client = gate.openai("example-key-support")
    text = "Answer this customer: maria.lopez@example.com, card 4111 1111 1111 1111, who lost her parcel."
    client.chat.completions.create(model="gpt-4o-mini", messages=ask(text), extra_headers={"x-sim-key": "redacted"})
    (received,) = gate.stack.upstream_requests("redacted")
    forwarded = json.dumps(_body(received))
    expect("maria.lopez" not in forwarded and "4111" not in forwarded, "personal data reached the provider")
    expect("lost her parcel" in forwarded, "more than the personal data was taken out")
    print(f"      the provider saw: {_body(received)['messages'][0]['content']}")


def support_streams(gate: Gate) -> None:
    client = gate.anthropic("example-key-support")
    with client.messages.stream(
        model="claude-haiku-4-5", max_tokens=256, messages=ask("Write a kind answer about a late parcel.")
    ) as stream:
        expect(stream.get_final_message().usage.output_tokens > 0, "the stream has no usage")


def support_asks_for_a_model_it_may_not_use(gate: Gate) -> None:
    with refused(openai.PermissionDeniedError, "gpt-4o", "support"):
        gate.openai("example-key-support").chat.completions.create(
            model="gpt-4o", messages=ask("Hello"), extra_headers={"x-sim-key": "denied"}
        )
    expect(gate.stack.upstream_requests("denied") == [], "a denied prompt reached the provider")


def research_pastes_a_secret(gate: Gate) -> None:
    key = "AKIA" + "Z7Q4M2X9K3W8R5TB"  # looks real to a detector; belongs to nobody
    with refused(anthropic.PermissionDeniedError):
        gate.anthropic("example-key-research").messages.create(
            model="claude-sonnet-4-5",
            max_tokens=64,
            messages=ask(f"Why does aws_access_key_id={key} not work?"),
            extra_headers={"x-sim-key": "secret"},
        )
    expect(gate.stack.upstream_requests("secret") == [], "a secret reached the provider")


def research_hangs_up(gate: Gate) -> None:
    client = gate.openai("example-key-research")
    stream = client.chat.completions.create(
        model="gpt-4o",
        messages=ask("Write a very long poem."),
        stream=True,
        extra_headers={"x-sim-chunks": "400", "x-sim-chunk-delay-ms": "20"},
    )
    for _, _chunk in zip(range(5), stream, strict=False):
        pass
    stream.close()


def research_uses_any_model(gate: Gate) -> None:
    gate.openai("example-key-research").chat.completions.create(
        model="an-experimental-model", messages=ask("Do you exist?")
    )


def somebody_has_no_key(gate: Gate) -> None:
    with refused(openai.AuthenticationError):
        gate.openai("stolen-or-guessed").chat.completions.create(model="gpt-4o-mini", messages=ask("Hello"))


def an_old_application_is_only_watched(gate: Gate) -> None:
    client = gate.legacy_openai("sk-example-search-legacy-app")
    client.chat.completions.create(model="gpt-4o-mini", messages=ask("Mail jo@example.com, says a prompt in shadow."))
    client.chat.completions.create(model="gpt-5", messages=ask("A model that policy would not allow."))


def nobodys_application_is_seen(gate: Gate) -> None:
    gate.legacy_openai("sk-example-nobody-claimed").chat.completions.create(
        model="gpt-4o-mini", messages=ask("Who am I?")
    )


STEPS: tuple[tuple[str, Callable[[Gate], None], int], ...] = (
    ("search     asks OpenAI", search_asks, 1),
    ("search     streams a long answer", search_streams, 1),
    ("search     lets Claude call a tool, two turns", search_calls_a_tool, 2),
    ("support    sends personal data: redacted on the way", support_is_redacted, 1),
    ("support    streams from Claude", support_streams, 1),
    ("support    asks for a model it may not use: denied", support_asks_for_a_model_it_may_not_use, 1),
    ("research   pastes a secret: denied", research_pastes_a_secret, 1),
    ("research   hangs up in mid-stream", research_hangs_up, 1),
    ("research   uses a model nobody has a price for", research_uses_any_model, 1),
    ("(nobody)   shows a wrong key: refused by Envoy", somebody_has_no_key, 1),
    ("search     an old application, in shadow: watched, untouched", an_old_application_is_only_watched, 2),
    ("(unknown)  an application that no team has claimed, in shadow", nobodys_application_is_seen, 1),
)
"""What is said, what is done, how many rows it leaves."""


def _body(received: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(received["body_base64"]))


# --- what the archive says -------------------------------------------------------------------------------------------

EXPECTED = {
    ("search", "allow", "completed"): 4,
    ("support", "redact", "completed"): 1,
    ("support", "allow", "completed"): 1,
    ("support", "deny", "denied"): 1,
    ("research", "deny", "denied"): 1,
    ("research", "allow", "client_aborted"): 1,
    ("research", "allow", "completed"): 1,
}
"""Rows of the enforced routes: (team, decision, capture_status) → how many."""


def _query(archive: Path, query: str) -> list[tuple[Any, ...]]:
    """Plain DuckDB over the paths alone, as any tool would."""
    if not any((archive / "facts").rglob("*.parquet")):
        return []
    with duckdb.connect() as connection:
        source = f"read_parquet('{archive}/facts/**/*.parquet', hive_partitioning = true)"
        return connection.execute(query.format(facts=source)).fetchall()


def wait_for_rows(archive: Path, count: int) -> None:
    deadline = time.monotonic() + ROWS_S_MAX
    while (found := len(_query(archive, "SELECT 1 FROM {facts}"))) < count:
        expect(time.monotonic() < deadline, f"{found} rows in the archive after {ROWS_S_MAX:g} s, expected {count}")
        time.sleep(0.1)
    expect(found == count, f"{found} rows in the archive, expected {count}")


def check_rows(archive: Path) -> None:
    """The archive tells what was seen to happen."""
    query = (
        "SELECT team, decision, capture_status, count(*) FROM {facts} "
        "WHERE mode = 'enforce' AND team IS NOT NULL GROUP BY ALL"
    )
    found = {(team, decision, status): count for team, decision, status, count in _query(archive, query)}
    expect(found == EXPECTED, f"the archive says {found}, expected {EXPECTED}")
    query = "SELECT team, would_decision, count(*) FROM {facts} WHERE mode = 'shadow' GROUP BY ALL"
    shadow = {(team, would): count for team, would, count in _query(archive, query)}
    expected = {("search", "redact"): 1, ("search", "deny"): 1, (None, "deny"): 1}
    expect(shadow == expected, f"the archive says of shadow traffic {shadow}, expected {expected}")
    (unknown,) = _query(archive, "SELECT count(*) FROM {facts} WHERE billed_cost = 0")
    expect(unknown == (0,), "an unknown price is recorded as 0")


def show(archive: Path, title: str, *command: str) -> None:
    """Run a command that the reader could type, and show both."""
    shown = " ".join(f'"{word}"' if " " in word else word for word in command)
    print(f"\n── {title}\n$ headgate {shown} --archive {_short(archive)}\n", flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "extproc", *command, "--archive", str(archive)], check=False, timeout=60
    )
    expect(done.returncode == 0, f"headgate {command[0]} ended with exit code {done.returncode}")


def report(archive: Path) -> None:
    show(
        archive,
        "Requests, tokens and money by team and model",
        "sql",
        "SELECT team, model, requests, input_tokens, output_tokens, billed_cost, cost_unknown "
        "FROM spend ORDER BY team NULLS LAST, model",
    )
    show(
        archive,
        "Every decision with its reason (would_decision: what would have been done in shadow)",
        "sql",
        "SELECT team, mode, gen_ai_request_model AS model, decision, would_decision, rule, message "
        "FROM decisions ORDER BY ts",
    )
    query = "SELECT session_id FROM {facts} WHERE turn = 2 AND team = 'search' ORDER BY ts LIMIT 1"
    sessions = _query(archive, query)
    expect(sessions, "the two turns of the tool call are not one session")
    show(archive, "One conversation in full", "show", sessions[0][0])


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def main() -> int:
    started = time.monotonic()
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # the SDKs' advice on models; nobody calls them here
    shutil.rmtree(STATE, ignore_errors=True)
    try:
        print("starting Envoy, OPA, extproc and capture …", flush=True)
        chosen = plan(
            ROOT / "envoy" / "headgate.yaml", state=STATE, port=0, settings={"capture": {"flush_interval_s": 1}}
        )
        archive = chosen.configuration.capture.archive_dir
        with Stack(chosen) as stack:
            gate = Gate(stack.base_url, stack)
            for said, act, _ in STEPS:
                print(f"  {said}", flush=True)
                act(gate)
            print("waiting for the archive …", flush=True)
            wait_for_rows(archive, sum(rows for _, _, rows in STEPS))
            check_rows(archive)
            report(archive)
    except (Unexpected, HeadgateError, openai.OpenAIError, anthropic.AnthropicError) as error:
        print(f"\ndemo: FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"\nDone in {time.monotonic() - started:.0f} s; everything is stopped again.")
    print(f"The archive is in {_short(archive)}: facts/ and content/, plain Parquet under dt=. Next:")
    print(f"  .venv/bin/headgate sessions --archive {_short(archive)}")
    print(f'  .venv/bin/headgate sql --archive {_short(archive)} "SELECT * FROM exchanges LIMIT 5"')
    print("  make up            # keep the stack running, and point your own client at it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
