"""`headgate policy test|check|bundle`: thin wrappers that run the `opa` binary over a policy folder.

    test(folder)              opa test, with coverage         → opa's exit code, its output as it comes
    check(folder)             opa fmt, opa check, opa test    → 0 fine, 1 something was found
    bundle(folder, out)       opa build without the tests     → the revision that the bundle carries

Errors are typed: `OperatorError` for a folder or a policy that is wrong, `DependencyError` when there is no `opa`.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from extproc.errors import DependencyError, OperatorError

COVERAGE_PERCENT_MIN: Final = 95
OPA_SECONDS_MAX: Final = 120
"""Longest run of opa; then it is killed and the command fails."""
TEST_TIMEOUT: Final = "--timeout=60s"
"""Of one test: with opa's own 5 s a test over many requests fails on a busy machine."""
REVISION_CHARS: Final = 16
TESTS: Final = "*_test.rego"
_POLICY_SUFFIXES: Final = (".rego", ".json", ".yaml", ".yml")


def find_opa(opa: Path | None = None) -> Path:
    """The `opa` binary: the given one, `bin/opa` beside this package (a checkout), or the one on PATH.

    Raises `DependencyError` when there is none.
    """
    if opa is not None:
        if opa.is_file():
            return opa
        raise DependencyError("opa_missing", f"there is no opa at {opa}")
    beside = Path(sys.modules[__name__].__file__ or ".").resolve().parent.parent / "bin" / "opa"
    if beside.is_file():
        return beside
    found = shutil.which("opa")
    if found is None:
        raise DependencyError("opa_missing", "no opa on PATH and no bin/opa: `make opa` builds the pinned version")
    return Path(found)


def test(folder: Path, opa: Path | None = None) -> int:  # noqa: PT028 (the command's name, no pytest test)
    """Run the folder's Rego tests; failures are printed. Returns 0, or 1 for a failed test or too little coverage."""
    _must_be_policy(folder)
    tested = _run(opa, ["test", "--bundle", TEST_TIMEOUT, "--format=pretty", "."], folder)
    if tested != 0:
        return 1
    # With --threshold opa prints the whole coverage report: only what is missing is worth reading.
    covered = _output(
        opa,
        ["test", "--bundle", TEST_TIMEOUT, "--coverage", "--format=json", f"--threshold={COVERAGE_PERCENT_MIN}", "."],
        folder,
    )
    if covered.returncode != 0:
        print(f"policy: test coverage is below {COVERAGE_PERCENT_MIN} %", file=sys.stderr)
        return 1
    return 0


def check(folder: Path, opa: Path | None = None) -> int:
    """Format, strict types against the input schema, then the tests. Returns 0, or 1 when anything was found."""
    _must_be_policy(folder)
    schemas = ["--schema", "schemas"] if (folder / "schemas").is_dir() else []
    unformatted = _output(opa, ["fmt", "--list", "."], folder).stdout.split()
    if unformatted:
        print(f"policy: not formatted (opa fmt --write puts it right): {', '.join(unformatted)}", file=sys.stderr)
    mistyped = _run(opa, ["check", "--strict", "--bundle", *schemas, "."], folder) != 0
    return 1 if unformatted or mistyped or test(folder, opa) != 0 else 0


def bundle(
    folder: Path,
    out: Path,
    revision: str | None = None,
    opa: Path | None = None,
    *,
    sign_key: Path | None = None,
    sign_algorithm: str = "RS256",
) -> str:
    """Build `out` (a `.tar.gz` that OPA serves) from the folder, tests left out. Returns the revision it carries.

    `sign_key` is a PEM file with the private key that signs it (`sign_algorithm`: RFC 7518 §3.1). The revision defaults
    to a hash of the policy files, so that equal policies have equal revisions anywhere. `out` is replaced in one step.
    Raises `OperatorError` (`policy_invalid`) when opa refuses the policy.
    """
    _must_be_policy(folder)
    chosen = revision if revision is not None else content_revision(folder)
    target = out.resolve()
    partial = target.with_name(f".{target.name}.partial")
    signing: list[str] = []
    if sign_key is not None:
        if not sign_key.is_file():
            raise OperatorError("key_unreadable", f"--sign-key {sign_key}: there is no such file")
        signing = ["--signing-key", str(sign_key.resolve()), "--signing-alg", sign_algorithm]
    arguments = ["build", "--bundle", "--ignore", TESTS, "--revision", chosen, *signing, "--output", str(partial), "."]
    built = _output(opa, arguments, folder)
    if built.returncode != 0:
        partial.unlink(missing_ok=True)
        raise OperatorError("policy_invalid", f"{folder}: opa build failed:\n{(built.stderr + built.stdout).strip()}")
    partial.replace(target)
    return chosen


def content_revision(folder: Path) -> str:
    """The first hex digits of a SHA-256 over names and contents of the policy files, tests left out."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix not in _POLICY_SUFFIXES or path.match(TESTS) or not path.is_file():
            continue
        name, content = path.relative_to(folder).as_posix().encode(), path.read_bytes()
        digest.update(b"%d %d\n%b%b" % (len(name), len(content), name, content))
    return digest.hexdigest()[:REVISION_CHARS]


def _must_be_policy(folder: Path) -> None:
    if not (folder / "main.rego").is_file():
        raise OperatorError("policy_missing", f"{folder}: no main.rego there: give the folder of a policy bundle")


def _command(opa: Path | None, arguments: Sequence[str]) -> list[str]:
    return [str(find_opa(opa)), *arguments]


def _run(opa: Path | None, arguments: Sequence[str], folder: Path) -> int:
    """Run opa with its output going where ours goes."""
    sys.stdout.flush()
    try:
        return subprocess.run(_command(opa, arguments), cwd=folder, timeout=OPA_SECONDS_MAX, check=False).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_run(arguments, error) from None


def _output(opa: Path | None, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            _command(opa, arguments), cwd=folder, timeout=OPA_SECONDS_MAX, check=False, capture_output=True, text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_run(arguments, error) from None


def _not_run(arguments: Sequence[str], error: Exception) -> DependencyError:
    what = "took too long" if isinstance(error, subprocess.TimeoutExpired) else "could not be started"
    return DependencyError("opa_failed", f"opa {arguments[0]} {what}")
