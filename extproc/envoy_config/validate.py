"""Asks Envoy itself whether a rendered bootstrap is right."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from extproc.errors import DependencyError, OperatorError

VALIDATE_S_MAX = 60


def validate(path: Path, envoy: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run `envoy --mode validate`. Raises `OperatorError` with Envoy's own reason, or `DependencyError`.

    Envoy reads the files and environment variables that the bootstrap names, so they have to be there.
    """
    command = [str(envoy), "--mode", "validate", "--disable-hot-restart", "-l", "error", "-c", str(path)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=VALIDATE_S_MAX,
            check=False,
            env={**os.environ, **(environment or {})},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DependencyError("envoy_not_runnable", f"cannot run {envoy}: {type(error).__name__}") from None
    if done.returncode != 0:
        raise OperatorError("envoy_config_invalid", f"Envoy refuses {path}: {_reason(done.stderr)}")


def _reason(stderr: str) -> str:
    """The line that names the fault; Envoy prints others around it. A key in a quoted message is not repeated."""
    lines = [line for line in stderr.splitlines() if "error initializing configuration" in line] or stderr.splitlines()
    text = lines[-1] if lines else "it gave no reason"
    return re.sub(r'(key: ?)"[^"]*"', r'\1"…"', text)[-2000:]
