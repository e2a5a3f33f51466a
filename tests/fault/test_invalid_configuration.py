"""A broken configuration stops start-up: exit code 2, one clear line with file and field, never a traceback."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from extproc.stack.plan import free_port
from tests.e2e.gate import EXAMPLE

pytestmark = pytest.mark.e2e

COMMANDS = {
    "config check": ["config", "check", "--config"],
    "serve": ["serve", "--config"],
    "archive": ["archive", "--config"],
    "up": ["up", "--port", "0", "--config"],
}


def set_(*path: str | int, to: Any) -> Callable[[Any], None]:
    """A change of the example: the value at `path` is `to`."""

    def change(settings: Any) -> None:
        for step in path[:-1]:
            settings = settings.setdefault(step, {}) if isinstance(settings, dict) else settings[step]
        settings[path[-1]] = to

    return change


FIRST_SHADOW = [route["mode"] for route in yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["routes"]].index(
    "shadow"
)
BROKEN: dict[str, tuple[Callable[[Any], None], str]] = {
    "a misspelt section": (set_("polcy", to={}), "polcy"),
    "a misspelt field": (set_("policy", "dedline_ms", to=5), "policy.dedline_ms"),
    "a wrong type": (set_("limits", "workers", to="many"), "limits.workers"),
    "a limit out of range": (set_("limits", "body_bytes_max", to=1), "limits.body_bytes_max"),
    "an unknown mode": (set_("routes", 0, "mode", to="enforced"), "routes.0.mode"),
    "a route to nobody": (set_("routes", 0, "provider", to="nobody"), "routes[openai].provider"),
    "two routes of one name": (set_("routes", 1, "name", to="openai"), "routes: the name 'openai' is used twice"),
    "a key lent to anybody": (set_("routes", 0, "authentication", to="none"), "routes.0"),
    "no address": (set_("listener", "address", to="localhost"), "listener.address"),
    "strict durability in shadow": (
        set_("routes", FIRST_SHADOW, "durability", to="strict"),
        f"routes.{FIRST_SHADOW}",
    ),
    "two places for a secret": (
        set_("providers", "openai", "credential", "secret", to={"env": "A", "value": "hunter2"}),
        "providers.openai.credential.secret",
    ),
    "a provider without an address": (
        set_("providers", "openai", "endpoint", to="openai"),
        "providers.openai.endpoint",
    ),
    "a version of tomorrow": (set_("version", to=2), "version"),
    "a socket path that no kernel takes": (set_("run_dir", to="/tmp/" + "x" * 120), "run_dir"),
}


def run(command: str, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "extproc", *COMMANDS[command], str(config)], capture_output=True, text=True, timeout=30
    )


def broken_config(folder: Path, change: Callable[[Any], None]) -> Path:
    settings = yaml.safe_load(EXAMPLE.read_text())
    settings |= {"run_dir": "run", "policy": {"bundle": str(EXAMPLE.parent / "../policies")}}
    settings["capture"] |= {"spool_dir": "spool", "archive_dir": "archive"}
    (folder / "teams.yaml").write_text((EXAMPLE.parent / "teams.yaml").read_text())
    change(settings)
    path = folder / "headgate.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def said_clearly(done: subprocess.CompletedProcess[str], *told: str) -> None:
    assert done.returncode == 2, done.stderr
    for text in told:
        assert text in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(("change", "field"), BROKEN.values(), ids=BROKEN.keys())
def test_a_fault_in_the_configuration_is_named_by_file_and_field(
    tmp_path: Path, change: Callable[[Any], None], field: str
) -> None:
    config = broken_config(tmp_path, change)
    said_clearly(run("config check", config), str(config), field)


@pytest.mark.parametrize("command", ["serve", "archive", "up"])
def test_no_process_starts_on_a_broken_configuration(tmp_path: Path, command: str) -> None:
    config = broken_config(tmp_path, set_("policy", "dedline_ms", to=5))
    said_clearly(run(command, config), str(config), "policy.dedline_ms")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["headgate.yaml", "teams.yaml"]


@pytest.mark.parametrize("command", ["config check", "serve", "up"])
@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("teams: [{name: search, projects: [{name: a, callers: [{id: b}]}]}]", "teams.0.projects.0.callers.0"),
        ("teams: [{name: search, projcts: []}]", "teams.0.projcts"),
        ("teams: [", "line 1"),
    ],
)
def test_a_fault_in_the_teams_file_is_named_by_file_and_field(
    tmp_path: Path, command: str, text: str, field: str
) -> None:
    config = broken_config(tmp_path, lambda _: None)
    (tmp_path / "teams.yaml").write_text(text)
    said_clearly(run(command, config), str(tmp_path / "teams.yaml"), field)


def test_what_is_no_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "headgate.yaml"
    config.write_text("version: 1\nlistener: {address: [}\n")
    for command in COMMANDS:
        said_clearly(run(command, config), str(config), "line 2")


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    for command in COMMANDS:
        said_clearly(run(command, tmp_path / "nowhere.yaml"), "nowhere.yaml")


@pytest.mark.parametrize(
    ("command", "folder", "field"),
    [
        ("serve", "spool", "capture.spool_dir"),
        ("archive", "spool", "capture.spool_dir"),
        ("archive", "archive", "capture.archive_dir"),
        ("serve", "run", "run_dir"),
        ("up", "spool", "capture.spool_dir"),
        ("up", "archive", "capture.archive_dir"),
        ("up", "run", "run_dir"),
    ],
)
def test_a_folder_that_is_a_file_is_named(tmp_path: Path, command: str, folder: str, field: str) -> None:
    config = broken_config(tmp_path, lambda _: None)
    (tmp_path / folder).write_text("in the way")
    said_clearly(run(command, config), field, str(tmp_path / folder))


@pytest.mark.parametrize("command", ["config check", "up"])
def test_policies_that_are_not_there_are_named(tmp_path: Path, command: str) -> None:
    config = broken_config(tmp_path, set_("policy", "bundle", to="nowhere"))
    said_clearly(run(command, config), "policy.bundle", "nowhere")


@pytest.mark.parametrize("command", ["serve", "up"])
def test_a_metrics_port_that_somebody_else_has_is_named(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = f"127.0.0.1:{somebody.getsockname()[1]}"
        config = broken_config(tmp_path, set_("telemetry", "metrics_address", to=taken))
        done = run("serve", config) if command == "serve" else run_up(config)
    assert done.returncode in (2, 3)
    assert "telemetry.metrics_address" in done.stderr
    assert taken in done.stderr
    assert "Traceback" not in done.stderr


def run_up(config: Path) -> subprocess.CompletedProcess[str]:
    """`--port 0` would take a free port for the metrics too."""
    command = [sys.executable, "-m", "extproc", "up", "--config", str(config), "--port", str(free_port())]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_a_secret_that_is_not_there_is_named_before_anything_listens(tmp_path: Path) -> None:
    config = broken_config(tmp_path, set_("fingerprint_key", to={"file": "no-such-file"}))
    said_clearly(run("serve", config), "no-such-file")
    assert not (tmp_path / "run" / "extproc.sock").exists()
