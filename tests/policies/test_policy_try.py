"""`headgate policy try`: the real codec, detectors and OPA on one request, and what is said of it."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc import cli, policy_tools
from tests.codecs.support import RECORDINGS
from tests.e2e.gate import EXAMPLE
from tests.policies.opa_server import POLICIES

EMAIL = "ada.lovelace@example.org"
KEY = "ghp_16C7e42F292c6912E7710c838347Ae178B4a"
"""The form of a GitHub token, as their documentation shows it."""


@pytest.fixture
def body(tmp_path: Path) -> Any:
    """Writes a chat request that says something."""

    def write(text: str, **more: Any) -> str:
        path = tmp_path / "request.json"
        document = {"model": "gpt-4o", "messages": [{"role": "user", "content": text}], **more}
        path.write_text(json.dumps(document), encoding="utf-8")
        return str(path)

    return write


@pytest.fixture
def tried(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command; gives its exit code and the JSON objects that it printed."""

    def run(*arguments: str, team: str = "search") -> tuple[int, list[dict[str, Any]]]:
        capsys.readouterr()
        code = cli.main(["policy", "try", "--config", str(EXAMPLE), "--team", team, "--format", "json", *arguments])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def with_data(folder: Path, **members: Any) -> Path:
    """A copy of the policies whose data has these members."""
    copy = shutil.copytree(POLICIES, folder / "policies")
    data = yaml.safe_load((copy / "data" / "data.yaml").read_text(encoding="utf-8"))
    (copy / "data" / "data.yaml").write_text(yaml.safe_dump(data | members), encoding="utf-8")
    return copy


def test_an_ordinary_request_is_allowed(tried: Any, body: Any) -> None:
    code, (said,) = tried(body("hello"))
    assert code == 0
    assert (said["action"], said["code"], said["reasons"], said["redacted"]) == ("allow", None, [], [])
    assert (said["api"], said["model"], said["route"]) == ("openai.chat", "gpt-4o", "openai")
    assert (said["team"], said["caller"], said["environment"]) == ("search", "search-ranking", "production")
    assert said["destination"] == "api.openai.com"
    assert said["revision"] == policy_tools.content_revision(POLICIES)
    assert said["obligations"] == {"capture": "redacted", "retention_class": "default"}
    assert "input" not in said


def test_what_would_be_redacted_is_named_by_entity_and_place_never_by_text(
    tried: Any, body: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    code, (said,) = tried(body(f"write to {EMAIL} and {EMAIL}"))
    assert code == 0
    assert said["action"] == "redact"
    assert said["redacted"] == [{"entity": "EMAIL_ADDRESS", "count": 2, "fields": ["/messages/0/content"]}]
    assert EMAIL not in json.dumps(said)
    arguments = ["policy", "try", "--config", str(EXAMPLE), "--team", "search", "--input", body(f"write to {EMAIL}")]
    assert cli.main(arguments) == 0
    printed = capsys.readouterr().out
    assert "redacted   EMAIL_ADDRESS x1 at /messages/0/content" in printed
    assert EMAIL not in printed


def test_a_denial_says_every_rule_that_fired_enforced_or_in_shadow(tried: Any, body: Any) -> None:
    code, (said,) = tried(body(f"{EMAIL} {KEY}"), team="support")
    assert code == 1
    assert (said["action"], said["status"], said["code"]) == ("deny", 403, "access.model_allowlist")
    assert {(reason["rule"], reason["action"], reason["enforced"]) for reason in said["reasons"]} == {
        ("access.model_allowlist", "deny", True),
        ("content.data_classes", "deny", True),
        ("content.data_classes", "redact", True),
        ("limits.max_output_tokens", "deny", False),
    }
    assert said["redacted"] == []  # nothing is sent, so nothing is replaced
    assert said["found"] == {"EMAIL_ADDRESS": 1, "GITHUB_TOKEN": 1}
    assert KEY not in json.dumps(said)


def test_the_input_is_what_opa_was_asked(tried: Any, body: Any) -> None:
    _, (said,) = tried(body(EMAIL), "--input", "--date", "2026-12-31", "--environment", "staging")
    asked = said["input"]
    assert asked["date"] == "2026-12-31"
    assert asked["principal"]["environment"] == "staging"
    assert asked["findings"] == [{"entity": "EMAIL_ADDRESS", "data_class": "pii", "count": 1, "places": ["user"]}]
    assert EMAIL not in json.dumps(asked)


def test_an_exception_is_said_and_ends_on_its_day(tried: Any, body: Any, tmp_path: Path) -> None:
    leave = {
        "rule": "access.model_allowlist", "team": "support", "owner": "ada", "reason": "a trial",
        "expires": "2026-12-31",
    }  # fmt: skip
    policies = ["--policies", str(with_data(tmp_path, exceptions=[leave]))]
    code, (said,) = tried(body("hello"), *policies, "--date", "2026-12-31", team="support")
    assert code == 0
    (reason,) = [reason for reason in said["reasons"] if reason["rule"] == "access.model_allowlist"]
    assert reason["enforced"] is False
    assert reason["message"].startswith("exception of ada until 2026-12-31 (a trial): team support may not use model")
    assert tried(body("hello"), *policies, "--date", "2027-01-01", team="support")[0] == 1


def test_a_bundle_is_tried_like_a_folder(tried: Any, body: Any, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.tar.gz"
    policy_tools.bundle(POLICIES, bundle, revision="release-7")
    code, (said,) = tried(body("hello"), "--policies", str(bundle))
    assert (code, said["revision"]) == (0, "release-7")


def test_a_policy_without_a_decision_denies(tried: Any, body: Any, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "main.rego").write_text("package headgate.main\n\nsomething := 1\n", encoding="utf-8")
    code, (said,) = tried(body("hello"), "--policies", str(tmp_path / "p"))
    assert (code, said["code"], said["status"]) == (1, "opa_undefined", 503)
    assert said["obligations"]["capture"] == "metadata"


def test_a_body_that_could_be_read_in_two_ways_is_denied_whatever_policy_says(tried: Any, tmp_path: Path) -> None:
    path = tmp_path / "twice.json"
    path.write_text('{"model": "gpt-4o", "model": "gpt-4o", "messages": []}', encoding="utf-8")
    code, (said,) = tried(str(path), "--path", "/v1/chat/completions")
    assert (code, said["status"], said["code"]) == (1, 400, "duplicate_key")


def test_a_recording_brings_its_address(tried: Any) -> None:
    code, (said,) = tried(str(RECORDINGS / "anthropic.messages" / "plain_with_cache"), team="research")
    assert code == 0
    assert (said["id"], said["api"], said["route"]) == ("plain_with_cache", "anthropic.messages", "anthropic")


def test_each_recording_of_a_folder_is_tried_and_one_denial_is_told(tried: Any, tmp_path: Path) -> None:
    for name, model in (("a", "gpt-4o"), ("b", "o3")):
        head = {"method": "POST", "authority": "api.openai.com", "path": "/v1/chat/completions", "headers": []}
        (tmp_path / name).mkdir()
        (tmp_path / name / "request.json").write_text(json.dumps(head), encoding="utf-8")
        (tmp_path / name / "request.body").write_text(json.dumps({"model": model, "messages": []}), encoding="utf-8")
    code, said = tried(str(tmp_path))
    assert code == 1
    assert [(one["id"], one["action"]) for one in said] == [("a", "allow"), ("b", "deny")]


def test_a_body_on_stdin_and_a_route_in_shadow(tried: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({"model": "o3", "messages": [{"role": "user", "content": "hello"}]}).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    code, (said,) = tried("--route", "openai-shadow", "-")
    assert (code, said["id"], said["mode"], said["action"]) == (1, "stdin", "shadow", "deny")


@pytest.mark.parametrize(
    ("arguments", "team", "complaint"),
    [
        ([], "nobody", "--team nobody: no caller of the teams file is of that team"),
        (["--caller", "nobody"], "search", "--caller nobody: team search has search-ranking, search-legacy-app"),
        (["--route", "nowhere"], "search", "--route nowhere: there are openai, anthropic"),
    ],
)
def test_a_name_that_is_none_is_a_usage_error_that_lists_them(
    arguments: list[str], team: str, complaint: str, body: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["policy", "try", "--config", str(EXAMPLE), "--team", team, *arguments, body("hello")]
    assert cli.main(command) == 2
    assert complaint in capsys.readouterr().err


def test_a_body_that_does_not_tell_its_api_needs_a_path(tried: Any, tmp_path: Path) -> None:
    path = tmp_path / "request.json"
    path.write_text('{"model": "text-embedding-3-small", "input": "hello"}', encoding="utf-8")
    assert tried(str(path))[0] == 2
    _, (said,) = tried(str(path), "--path", "/v1/embeddings")
    assert said["api"] == "openai.embeddings"


def test_without_opa_it_is_an_unreachable_dependency(
    body: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(policy_tools, "__file__", str(tmp_path / "extproc" / "policy_tools.py"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["policy", "try", "--config", str(EXAMPLE), "--team", "search", body("hello")]) == 3
    assert "make opa" in capsys.readouterr().err
