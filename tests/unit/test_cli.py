"""The command: exit codes that scripts can trust, one clear line instead of a traceback, nothing loaded in vain."""

from __future__ import annotations

import hmac
import io
import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.cli import ARCHIVE_COMMANDS, OTHER_COMMANDS, main

EXAMPLE = Path(__file__).parents[2] / "envoy" / "headgate.yaml"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration is found by accident."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEADGATE_CONFIG", raising=False)


def test_every_command_and_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for command in (
        "up", "serve", "archive", "config", "envoy-config", "opa-config", "doctor", "policy", "key", "inspect", "scan",
        "sql", "sessions", "show", "verify",
    ):  # fmt: skip
        assert f"\n    {command}" in said
        assert main([command, "--help"]) == 0
        assert "usage: headgate " + command in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["up", "--nonsense"], ["policy"], ["key", "nonsense"], ["scan"]]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: headgate" in capsys.readouterr().err


def test_an_unknown_command_is_answered_with_all_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shwo"]) == 2
    said = capsys.readouterr().err
    assert all(f"'{command}'" in said for command in (*OTHER_COMMANDS, *ARCHIVE_COMMANDS))
    assert said.count("'") == 2 * len((*OTHER_COMMANDS, *ARCHIVE_COMMANDS)) + 2  # and no others


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((EXAMPLE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"headgate {project['version']}\n"


def test_without_a_configuration_it_says_how_to_give_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("headgate: ")
    assert "--config" in said
    assert "HEADGATE_CONFIG" in said


def test_the_configuration_is_found_where_it_is_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, place in (("one", "envoy/headgate.yaml"), ("two", "headgate.yaml")):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(f"replica_id: IS {name}", encoding="utf-8")
        assert main(["config", "check"]) == 2
        assert place in capsys.readouterr().err
    monkeypatch.setenv("HEADGATE_CONFIG", str(EXAMPLE))
    assert main(["config", "check"]) == 0
    assert main(["config", "check", "--config", "headgate.yaml"]) == 2


def test_a_fault_in_the_configuration_is_a_line_with_file_and_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    document["limits"] = {"findings_max": 0}
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    assert main(["serve", "--config", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"headgate: {path}: limits.findings_max: ")


def test_a_dependency_of_another_version_is_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("extproc.stack.tools.OPA_VERSION", "0.1.0")
    assert main(["up", "--config", str(EXAMPLE), "--state", str(tmp_path / "state")]) == 3
    said = capsys.readouterr().err
    assert "1.22.0, and 0.1.0 is needed" in said
    assert said.count("\n") == 1


def test_a_bug_shows_no_traceback_and_nothing_of_what_it_held(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Any) -> int:
        raise RuntimeError("a prompt that must not be seen")

    monkeypatch.setattr("extproc.commands.configuration.load_config", broken)
    monkeypatch.delenv("HEADGATE_DEBUG", raising=False)
    assert main(["config", "check", "--config", str(EXAMPLE)]) == 70
    said = capsys.readouterr().err
    assert "RuntimeError" in said
    assert "prompt" not in said
    assert "Traceback" not in said


def test_up_refuses_an_upstream_that_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    for upstream in ("nonsense", "replay", "replay:", "replay:/no/such/folder", "simulated:x"):
        assert main(["up", "--config", str(EXAMPLE), "--upstream", upstream]) == 2
        assert "--upstream" in capsys.readouterr().err


def test_the_schema_is_json_and_names_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    assert {"routes", "providers"} <= set(json.loads(capsys.readouterr().out)["properties"])
    assert main(["config", "schema", "--teams"]) == 0
    assert set(json.loads(capsys.readouterr().out)["properties"]) == {"teams"}


def test_the_rendered_file_is_its_owners_alone_and_envoy_accepts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    out = tmp_path / "envoy.yaml"
    out.write_text("old", encoding="utf-8")
    out.chmod(0o644)
    command = ["envoy-config", "--config", str(EXAMPLE), "--run-dir", str(tmp_path), "--out", str(out)]
    assert main([*command, "--validate"]) == 0
    assert "accepts" in capsys.readouterr().out
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert main(["envoy-config", "--config", str(EXAMPLE), "--run-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == out.read_text(encoding="utf-8")


def test_a_fingerprint_is_made_of_stdin_and_the_key_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("sk-example-search-legacy-app\n"))
    assert main(["key", "fingerprint", "--config", str(EXAMPLE)]) == 0
    expected = hmac.new(b"example-fingerprint-key", b"sk-example-search-legacy-app", "sha256").hexdigest()[:32]
    said = capsys.readouterr()
    assert said.out == expected + "\n"
    assert "sk-example" not in said.out + said.err
    teams = yaml.safe_load((EXAMPLE.parent / "teams.yaml").read_text(encoding="utf-8"))
    callers = [c for team in teams["teams"] for project in team["projects"] for c in project["callers"]]
    assert expected in {caller.get("provider_key") for caller in callers}
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["key", "fingerprint", "--config", str(EXAMPLE)]) == 2


def test_scan_gives_offsets_in_code_points_and_one_object_an_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address = "jo@example.com"
    lines = [{"text": f"żółw 🐢 {address}"}, {"text": "nothing here"}]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n", encoding="utf-8")
    assert main(["scan", str(path)]) == 1
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    (finding,) = first["findings"]
    assert (first["index"], finding["entity"]) == (0, "EMAIL_ADDRESS")
    assert lines[0]["text"][finding["start"] : finding["end"]] == address
    assert second == {"index": 1, "findings": []}
    (tmp_path / "plain.txt").write_text("nothing here", encoding="utf-8")
    assert main(["scan", str(tmp_path / "plain.txt")]) == 0


@pytest.mark.parametrize(("name", "content"), [("a.jsonl", b"{"), ("a.json", b'{"no": 1}'), ("a.txt", b"\xff\xfe")])
def test_scan_names_an_input_that_it_cannot_read(
    tmp_path: Path, name: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert main(["scan", str(tmp_path / name)]) == 2
    assert name in capsys.readouterr().err
    assert main(["scan", str(tmp_path / "missing")]) == 2


def test_inspect_prints_a_line_a_recording_and_goes_on_after_a_broken_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a-broken").mkdir()
    folder = tmp_path / "b-good"
    folder.mkdir()
    request = {"method": "POST", "authority": "api.openai.com", "path": "/v1/chat/completions"}
    (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "mail jo@example.com"}]}
    (folder / "request.body").write_text(json.dumps(body), encoding="utf-8")
    head = {"status": 200, "headers": [["content-type", "application/json"]]}
    (folder / "response.json").write_text(json.dumps(head), encoding="utf-8")
    answer = {
        "id": "x",
        "object": "chat.completion",
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
    (folder / "response.body").write_text(json.dumps(answer), encoding="utf-8")
    assert main(["inspect", str(tmp_path)]) == 1
    broken, good = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert "request.json" in broken["unreadable"]
    assert (good["api"], good["request_model"]) == ("openai.chat", "gpt-4o")
    assert [finding["entity"] for finding in good["request"]["findings"]] == ["EMAIL_ADDRESS"]
    assert good["usage"]["input_tokens"] == 3
    assert main(["inspect", str(folder)]) == 0
    assert main(["inspect", str(tmp_path / "missing")]) == 2


def test_doctor_of_a_stack_that_is_down_names_each_part_and_is_exit_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    document |= {"run_dir": str(tmp_path / "run"), "teams": str(EXAMPLE.parent / "teams.yaml")}
    document["capture"] = {"archive_dir": str(tmp_path / "archive"), "spool_dir": str(tmp_path / "spool")}
    document["listener"] = {"address": "127.0.0.1:9"}  # the discard port: nobody listens
    (tmp_path / "headgate.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    assert main(["doctor", "--format", "json"]) == 3
    found = {entry["what"]: entry["good"] for entry in json.loads(capsys.readouterr().out)}
    assert found["teams file"] is True
    assert not any(found[what] for what in ("opa", "extproc", "capture", "envoy", "route openai"))


def _modules(*arguments: str) -> set[str]:
    code = (
        "import sys; from extproc.cli import main; main(sys.argv[1:]); print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, env={**os.environ}
    )
    return set(done.stderr.split())


def test_a_command_loads_only_what_it_needs() -> None:
    heavy = {"duckdb", "pyarrow", "grpc", "envoy_data_plane", "genai_prices", "re2"}
    assert not heavy & _modules("serve", "--help")
    assert not heavy & _modules("envoy-config", "--config", str(EXAMPLE), "--run-dir", "/run/headgate")
