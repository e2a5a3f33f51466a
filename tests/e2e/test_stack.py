"""`headgate up`: starts in order, restarts what dies, stops in order, leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from extproc.cli import main
from extproc.errors import DependencyError, OperatorError
from extproc.model import Mode
from extproc.stack import Stack, plan
from tests.e2e.gate import CHAT, EXAMPLE, MESSAGES, SEARCH_KEY, until
from tests.e2e.support import ask, content, process_exists, row, rows

pytestmark = pytest.mark.e2e
SHADOW = {"host": "api.openai.com", "authorization": "Bearer sk-example-search-legacy-app"}


def test_an_allowed_call_is_answered_and_kept(stack: Stack) -> None:
    reply = ask(stack, "POST", "/openai/v1/chat/completions", SEARCH_KEY, CHAT)
    assert reply.status == 200
    kept = row(stack, reply.headers["x-headgate-exchange-id"])
    assert (kept["team"], kept["project"], kept["decision"]) == ("search", "ranking", "allow")
    assert (kept["capture_status"], kept["http_status"]) == ("completed", 200)
    assert content(stack, kept["exchange_id"])["response_body"] == reply.body


def test_a_denied_call_never_reaches_the_provider(stack: Stack) -> None:
    body = CHAT | {"model": "gpt-5"}
    reply = ask(stack, "POST", "/openai/v1/chat/completions", {**SEARCH_KEY, "x-sim-key": "denied"}, body)
    assert reply.status == 403
    assert stack.upstream_requests("denied") == []
    assert row(stack, reply.headers["x-headgate-exchange-id"])["capture_status"] == "denied"


def test_a_caller_with_a_provider_key_of_its_own_is_known_in_shadow(stack: Stack) -> None:
    reply = ask(stack, "POST", "/v1/chat/completions", {**SHADOW, "x-sim-key": "own-key"}, CHAT)
    assert reply.status == 200
    request_id = stack.upstream_requests("own-key")[0]["headers"]["x-request-id"]
    until(lambda: rows(stack, where=f"envoy_request_id = '{request_id}'"))
    (kept,) = rows(stack, where=f"envoy_request_id = '{request_id}'")
    assert (kept["team"], kept["mode"], kept["principal_source"]) == ("search", "shadow", "provider_key")


@pytest.mark.parametrize("name", ["opa", "extproc", "capture", "envoy", "upstream"])
def test_a_process_that_is_killed_is_started_again_and_does_its_work(
    make_stack: Callable[..., Stack], name: str
) -> None:
    lines: list[str] = []
    stack = make_stack(report=lines.append)
    before = stack.pids[name]
    os.kill(before, signal.SIGKILL)
    until(lambda: stack.pids.get(name, before) != before)
    stack.wait_ready(name)
    assert any(line.startswith(f"{name} was killed by SIGKILL") for line in lines), lines

    def answered() -> bool:
        with contextlib.suppress(OSError):
            reply = ask(stack, "POST", "/openai/v1/chat/completions", SEARCH_KEY, CHAT)
            return reply.status == 200 and bool(row(stack, reply.headers["x-headgate-exchange-id"]))
        return False

    until(answered, within_s=20)


def test_stopping_lets_a_running_stream_end_and_publishes_it(make_stack: Callable[..., Stack]) -> None:
    stack = make_stack(settings={"capture": {"flush_interval_s": 600}})
    replies = []
    headers = {**SEARCH_KEY, "x-sim-chunks": "40", "x-sim-chunk-delay-ms": "50", "x-sim-key": "long"}
    client = threading.Thread(
        target=lambda: replies.append(
            ask(stack, "POST", "/openai/v1/chat/completions", headers, CHAT | {"stream": True})
        )
    )
    client.start()
    until(lambda: stack.upstream_requests("long"))
    stack.stop()
    client.join()
    assert replies[0].body.endswith(b"data: [DONE]\n\n")
    (kept,) = rows(stack)
    assert (kept["exchange_id"], kept["capture_status"]) == (
        replies[0].headers["x-headgate-exchange-id"],
        "completed",
    )


def _up(state: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "extproc", "up", "--config", str(EXAMPLE), "--state", str(state), "--port", "0"]
    return subprocess.Popen([*command, *more], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _children(pid: int) -> list[int]:
    """All descendants of a process."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").iterdir():
            for child in (task / "children").read_text(encoding="ascii").split():
                found.append(int(child))
                waiting.append(int(child))
    return found


def _wait_for_line(process: subprocess.Popen[str], text: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"ended without saying {text!r}: {lines}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["SIGINT", "SIGTERM", "SIGHUP"])
def test_up_says_where_things_are_and_stops_clean(tmp_path: Path, number: signal.Signals) -> None:
    with _up(tmp_path) as process:
        said = "".join(_wait_for_line(process, "Ctrl-C stops it"))
        assert str(tmp_path / "archive") in said
        children = _children(process.pid)
        assert len(children) >= 5
        process.send_signal(number)
        rest = process.communicate(timeout=30)[0]
    assert process.returncode == 0
    assert str(tmp_path / "archive") in rest
    assert [pid for pid in children if process_exists(pid)] == []


def test_no_process_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with _up(tmp_path) as process:
        _wait_for_line(process, "Ctrl-C stops it")
        children = _children(process.pid)
        process.kill()
    until(lambda: not [pid for pid in children if process_exists(pid)], within_s=15)


def test_a_state_folder_with_a_long_path_works_all_the_same(tmp_path: Path) -> None:
    state = tmp_path / ("a-long-name-" * 8) / "state"
    with Stack(plan(EXAMPLE, state=state, port=0, concurrency=1), report=lambda _: None) as stack:
        reply = ask(stack, "POST", "/anthropic/v1/messages", {"x-api-key": "example-key-research"}, MESSAGES)
        assert reply.status == 200
        run_dir = stack.plan.run_dir
    assert not run_dir.exists()
    assert len(rows(stack)) == 1


def test_a_policy_that_does_not_compile_stops_the_start_and_leaves_nothing(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "main.rego").write_text("package headgate.main\n\nnot rego\n", encoding="utf-8")
    chosen = plan(EXAMPLE, state=tmp_path / "state", port=0, settings={"policy": {"bundle": str(policies)}})
    stack = Stack(chosen)
    with pytest.raises(OperatorError, match=r"main\.rego"):
        stack.start()
    assert stack.pids == {}


def test_a_process_that_cannot_start_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    taken = plan(EXAMPLE, state=tmp_path / "one", port=0, concurrency=1)
    with Stack(taken, report=lambda _: None):
        port = int(taken.configuration.listener.address.rpartition(":")[2])
        metrics = {"telemetry": {"metrics_address": None}}
        second = Stack(plan(EXAMPLE, state=tmp_path / "two", port=port, settings=metrics), report=lambda _: None)
        with pytest.raises(DependencyError, match=r"(?s)extproc|envoy"):
            second.start()
        assert second.pids == {}


PROVIDER_KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "AWS_BEARER_TOKEN_BEDROCK",
    "CO_API_KEY",
    "AZURE_OPENAI_API_KEY",
)


def test_live_leaves_out_the_routes_whose_key_is_missing_and_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROVIDER_KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "set")
    chosen = plan(EXAMPLE, upstream="live", state=tmp_path)
    enforced = [route.name for route in chosen.configuration.routes if route.mode is Mode.ENFORCE]
    assert enforced == ["openai", "mcp"]
    assert [line.partition(":")[0].removeprefix("route ") for line in chosen.left_out] == [
        "anthropic",
        "gemini",
        "bedrock",
        "cohere",
        "azure",
    ]
    assert "ANTHROPIC_API_KEY" in chosen.left_out[0]


def test_live_without_any_key_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROVIDER_KEYS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(DependencyError, match=r"(?s)ANTHROPIC_API_KEY.*OPENAI_API_KEY"):
        plan(EXAMPLE, upstream="live", state=tmp_path)


def test_a_real_providers_key_is_never_given_to_a_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-real-key")
    chosen = plan(EXAMPLE, state=tmp_path)
    credential = chosen.configuration.providers["openai"].credential
    assert credential is not None
    assert credential.secret.read() == "simulated-provider-key"


def _record(folder: Path, authority: str, path: str, response: object) -> None:
    folder.mkdir(parents=True)
    request = {"method": "POST", "authority": authority, "path": path, "headers": []}
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    (folder / "request.body").write_text(json.dumps(CHAT), encoding="utf-8")
    head = {"status": 200, "headers": [["Content-Type", "application/json"]]}
    (folder / "response.json").write_text(json.dumps(head), encoding="utf-8")
    (folder / "response.body").write_text(json.dumps(response), encoding="utf-8")


def test_any_recording_can_be_replayed_through_the_gate(make_stack: Callable[..., Stack], tmp_path: Path) -> None:
    recordings = tmp_path / "recordings"
    _record(recordings / "one", "api.groq.com", "/openai/v1/chat/completions", {"answer": 1})
    _record(recordings / "two", "llm.example:8443", "/api/anything?x=y", {"answer": 2})
    _record(recordings / "three", "api.openai.com", "/v1/chat/completions", {"answer": 3})
    stack = make_stack(upstream=f"replay:{recordings}")
    expected = {"api.groq.com": "groq", "llm.example": "unknown", "api.openai.com": "openai"}
    calls = (
        ("api.groq.com", "/openai/v1/chat/completions", 1),
        ("llm.example:8443", "/api/anything?x=y", 2),
        ("api.openai.com", "/v1/chat/completions", 3),
    )
    for host, path, answer in calls:
        reply = ask(stack, "POST", path, {"host": host}, json.dumps(CHAT).encode())
        assert (reply.status, reply.json) == (200, {"answer": answer})
    until(lambda: len(rows(stack)) == 3)
    assert {r["host"]: r["gen_ai_provider_name"] for r in rows(stack)} == expected


def _doctor(stack: Stack, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, tuple[bool, str]]]:
    code = main(["doctor", "--config", str(stack.plan.config_path), "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    return code, {entry["what"]: (entry["good"], entry["says"]) for entry in found}


def test_doctor_finds_a_healthy_stack_healthy(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = _doctor(stack, capsys)
    assert [what for what, (good, _) in found.items() if not good] == []
    assert code == 0
    assert "in the path" in found["route openai"][1]


def test_doctor_sees_that_extproc_is_not_in_the_path_although_it_is_up(
    make_stack: Callable[..., Stack], capsys: pytest.CaptureFixture[str]
) -> None:
    """The fault that looks fine from outside: everything runs, and nothing is judged."""
    stack = make_stack()
    stack.child("envoy").hold()
    bootstrap = yaml.safe_load(stack.plan.envoy_path.read_text(encoding="utf-8"))
    chain = bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    chain["http_filters"] = [node for node in chain["http_filters"] if node["name"] != "headgate.decide"]
    for host in chain["route_config"]["virtual_hosts"]:
        for route in host["routes"]:
            route.get("typed_per_filter_config", {}).pop("headgate.decide", None)
    stack.plan.envoy_path.write_text(yaml.safe_dump(bootstrap), encoding="utf-8")
    restarts = stack.child("envoy").restarts
    stack.child("envoy").release()
    until(lambda: stack.child("envoy").restarts > restarts)
    stack.wait_ready("envoy")
    code, found = _doctor(stack, capsys)
    assert code == 1
    assert found["extproc"][0]
    assert not found["route openai"][0]


def test_doctor_names_the_part_that_is_down(
    make_stack: Callable[..., Stack], capsys: pytest.CaptureFixture[str]
) -> None:
    stack = make_stack()
    stack.child("opa").hold()
    code, found = _doctor(stack, capsys)
    assert code == 3
    assert [what for what, (good, _) in found.items() if not good] == ["opa"]


def test_doctor_sees_that_capture_hangs(make_stack: Callable[..., Stack], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else shows it: capture listens nowhere, and no request waits for it."""
    stack = make_stack(settings={"capture": {"flush_interval_s": 0.1}})
    assert _doctor(stack, capsys)[0] == 0
    os.kill(stack.pids["capture"], signal.SIGSTOP)
    try:
        until(lambda: not _doctor(stack, capsys)[1]["capture"][0])
        code, found = _doctor(stack, capsys)
    finally:
        os.kill(stack.pids["capture"], signal.SIGCONT)
    assert code == 3
    assert [what for what, (good, _) in found.items() if not good] == ["capture"]


def test_a_second_stack_in_the_same_folder_is_refused_and_the_first_one_goes_on(tmp_path: Path) -> None:
    first, second = (Stack(plan(EXAMPLE, state=tmp_path, port=0, concurrency=1), report=lambda _: None) for _ in "12")
    with first:
        with pytest.raises(OperatorError, match=r"another `headgate up` runs in .*--state DIR"):
            second.start()
        os.kill(first.pids["envoy"], signal.SIGKILL)  # a new Envoy needs the sockets of all others
        until(lambda: first.child("envoy").restarts == 1)
        first.wait_ready("envoy")
        reply = ask(first, "POST", "/anthropic/v1/messages", {"x-api-key": "example-key-research"}, MESSAGES)
        assert reply.status == 200
    with second:
        assert second.pids
