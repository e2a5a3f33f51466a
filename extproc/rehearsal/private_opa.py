"""An OPA of our own on a Unix socket in a private folder, which serves one bundle and ends with us.

The running OPA of a pod is left alone: it serves callers, and another bundle. Signatures are not checked here, since
nothing that this OPA says is enforced.
"""

from __future__ import annotations

import http.client
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from extproc import policy_tools
from extproc.errors import DependencyError, OperatorError
from extproc.opa import bundle_facts
from extproc.opa.bundle_facts import BundleFacts
from extproc.stack.ready import answers, ask
from extproc.stack.watchdog import Watchdog

START_S_MAX: Final = 30.0
STOP_S_MAX: Final = 5.0
_POLL_S: Final = 0.02
_LOG_CHARS_MAX: Final = 2_000


@dataclass(frozen=True, slots=True)
class PrivateOpa:
    socket: Path
    facts: BundleFacts
    """What the bundle reads, and whether equal inputs have equal answers."""
    revision: str | None


@contextmanager
def private_opa(bundle: Path, opa: Path | None = None) -> Iterator[PrivateOpa]:
    """Serve a bundle: a folder with `main.rego`, of which one is built, or a `.tar.gz`.

    Raises `DependencyError`: `opa_missing`, or `bundle_unusable` with the path and OPA's reason.
    """
    binary = policy_tools.find_opa(opa)
    with tempfile.TemporaryDirectory(prefix="hg-") as name:
        folder = Path(name)
        served = _built(bundle, folder, binary)
        socket = folder / "opa.sock"
        command = [str(binary), "run", "--server", f"--addr=unix://{socket}", "--log-level=error"]
        command += ["--skip-verify", "--skip-version-check", "--bundle", str(served)]
        with (folder / "opa.log").open("wb") as log, closing(Watchdog()) as watchdog:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            watchdog.guard(process.pid)
            try:
                _wait(process, socket, folder / "opa.log", bundle)
                yield PrivateOpa(socket, *_examined(socket, bundle))
            finally:
                _end(process)
                watchdog.release(process.pid)


def _built(bundle: Path, folder: Path, binary: Path) -> Path:
    """The bundle's file. A folder is built in ours, without its tests."""
    if not bundle.exists():
        raise DependencyError("bundle_unusable", f"{bundle}: there is no such bundle")
    if bundle.is_file():
        return bundle.resolve()
    built = folder / "bundle.tar.gz"
    try:
        policy_tools.bundle(bundle, built, opa=binary)
    except DependencyError:
        raise
    except OperatorError as error:
        raise DependencyError("bundle_unusable", error.message) from None
    return built


def _wait(process: subprocess.Popen[bytes], socket: Path, log: Path, bundle: Path) -> None:
    deadline = time.monotonic() + START_S_MAX
    while not answers(socket, "/health?bundles=true"):
        if process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace")[:_LOG_CHARS_MAX].strip()
            raise DependencyError("bundle_unusable", f"{bundle}: OPA cannot serve it:\n{said}")
        if time.monotonic() > deadline:
            raise DependencyError("bundle_unusable", f"{bundle}: OPA was not ready within {START_S_MAX:g} s")
        time.sleep(_POLL_S)


def _examined(socket: Path, bundle: Path) -> tuple[BundleFacts, str | None]:
    paths = (bundle_facts.BUNDLES_PATH, bundle_facts.POLICIES_PATH, bundle_facts.CONFIG_PATH)
    try:
        bundles, policies, config = (ask(socket, path)[1] for path in paths)
        packages = [_package(module) for module in msgspec.json.decode(policies)["result"]]
    except (OSError, http.client.HTTPException, msgspec.DecodeError, LookupError, TypeError) as error:
        raise DependencyError("bundle_unusable", f"{bundle}: OPA does not tell its policy: {error}") from None
    if "data.headgate.main" not in packages:
        raise DependencyError("bundle_unusable", f"{bundle}: there is no package headgate.main in it")
    facts = bundle_facts.examine(bundles, policies, config)
    return facts, facts.revision


def _package(module: dict[str, object]) -> str:
    ast = module["ast"]
    assert isinstance(ast, dict)
    return ".".join(str(term["value"]) for term in ast["package"]["path"])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
