"""What `doctor` says of the policy that is live: its revision, since when, whether its delivery works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from extproc.errors import DependencyError, HeadgateError

MESSAGE_CHARS_MAX: Final = 200
"""Of OPA's own words about a failed download."""
_NEVER: Final = "0001-01-01"
"""How Go begins the time that never was."""


def policy_health(socket_path: Path) -> tuple[bool, str]:
    """(is it well?, what there is to say). Raises `OSError`, `http.client.HTTPException`, `HeadgateError`, `ValueError`
    when OPA cannot be asked."""
    from extproc.opa.bundle_facts import BUNDLES_PATH, CONFIG_PATH, POLICIES_PATH, examine

    answers = [_get(socket_path, path) for path in (BUNDLES_PATH, POLICIES_PATH, CONFIG_PATH)]
    facts = examine(*answers)
    memory = "decisions are remembered" if facts.bypass is None else f"asked every time: {facts.detail}"
    live = f"revision {facts.revision}" if facts.revision is not None else "a policy without a revision"
    delivery = _delivery(_status(socket_path))
    if delivery is None:
        return facts.revision is not None, f"{live}, loaded at OPA's start; {memory}"
    since, failure = delivery
    if failure is not None:
        return False, f"{live}, {since}; the last download failed: {failure}; {memory}"
    return facts.revision is not None, f"{live}, {since}; {memory}"


def _delivery(status: dict[str, Any]) -> tuple[str, str | None] | None:
    """(since when it is live, why the last download failed); None where OPA downloads nothing."""
    bundles: dict[str, dict[str, Any]] = status.get("bundles") or {}
    if not bundles:
        return None
    activated = [str(bundle.get("last_successful_activation", _NEVER)) for bundle in bundles.values()]
    since = max(activated)
    failures = [str(bundle.get("message") or bundle["code"]) for bundle in bundles.values() if bundle.get("code")]
    return (
        f"live since {since[:19]}Z" if not since.startswith(_NEVER) else "never loaded",
        "; ".join(failures)[:MESSAGE_CHARS_MAX] if failures else None,
    )


def _status(socket_path: Path) -> dict[str, Any]:
    """OPA's own status; empty where it was started without (`headgate opa-config` turns it on)."""
    try:
        status: dict[str, Any] = json.loads(_get(socket_path, "/v1/status"))["result"]
    except (HeadgateError, KeyError):
        return {}
    return status


def _get(socket_path: Path, target: str) -> bytes:
    from extproc.stack.ready import ask

    status, body = ask(socket_path, target)
    if status != 200:
        raise DependencyError("opa_nonsense", f"OPA answers {target} with HTTP status {status}")
    return body
