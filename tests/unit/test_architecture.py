"""The picture in docs/architecture.md holds: what may import what, and how long things may grow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

CORE = [
    "capture.record",
    "capture.spool.segment",
    "extproc.codecs",
    "extproc.decision",
    "extproc.detectors",
    "extproc.errors",
    "extproc.exchange",
    "extproc.framing.content_encoding",
    "extproc.framing.sse",
    "extproc.framing.strict_json",
    "extproc.inspection",
    "extproc.model",
    "extproc.principal",
    "extproc.redaction",
    "extproc.scanner",
]
FORBIDDEN = ["asyncio", "socket", "random", "threading", "grpc", "google.protobuf", "pyarrow", "duckdb"]
"""`os` and `time` cannot be on this list: the interpreter itself loads them at start-up (see the next test)."""


def _modules_after(*imports: str) -> set[str]:
    code = f"import sys, {', '.join(imports)}; print('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(run.stdout.split())


@pytest.mark.parametrize("name", CORE)
def test_the_core_reaches_no_loop_no_socket_and_no_clock_even_indirectly(name: str) -> None:
    loaded = _modules_after(name)
    assert not [m for m in loaded if any(m == bad or m.startswith(bad + ".") for bad in FORBIDDEN)]


def test_no_core_module_itself_imports_os_or_time() -> None:
    for name in CORE:
        path = ROOT / name.replace(".", "/")
        for file in path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]:
            lines = file.read_text(encoding="utf-8").splitlines()
            assert not [line for line in lines if line.split()[:2] in (["import", "os"], ["import", "time"])], file


def test_the_request_path_never_loads_arrow_or_duckdb() -> None:
    assert not {"pyarrow", "duckdb"} & _modules_after("extproc.server")


def test_capture_never_loads_grpc_or_protobuf() -> None:
    assert not {"grpc", "google.protobuf"} & _modules_after("capture.archive")
