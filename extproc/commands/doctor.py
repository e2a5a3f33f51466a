"""`doctor`: is everything reachable, writable, and really in the request path?"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from extproc.commands import Subparsers, add_config, load_config
from extproc.errors import HeadgateError

if TYPE_CHECKING:
    from extproc.config import Configuration

PROBE_S_MAX = 5.0
CAPTURE_SILENT_INTERVALS_MAX = 10
"""capture writes its status at least once in a flush interval; after so many without one it is down, or hangs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    good: bool
    says: str
    unreachable: bool = False


def add_parsers(subparsers: Subparsers) -> None:
    doctor = subparsers.add_parser(
        "doctor",
        help="is everything reachable, consistent, and really in the request path?",
        description="Looks at OPA, extproc, capture, Envoy, spool and archive, and sends a probe through Envoy.",
    )
    add_config(doctor)
    doctor.add_argument("--format", choices=("table", "json"), default="table", help="how findings are printed")
    doctor.set_defaults(run=run_doctor)


def run_doctor(arguments: argparse.Namespace) -> int:
    findings = list(examine(load_config(arguments)))
    if arguments.format == "json":
        print(json.dumps([{"what": f.what, "good": f.good, "says": f.says} for f in findings], indent=2))
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            print(f"{'ok  ' if finding.good else 'BAD '} {finding.what:{width}}  {finding.says}")
    if all(finding.good for finding in findings):
        return 0
    return 3 if any(finding.unreachable for finding in findings) else 1


def examine(configuration: Configuration) -> Iterator[Finding]:
    """All checks, each by itself: one that fails does not hide the others."""
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("teams file", lambda: _teams(configuration)),
        ("spool", lambda: _folder("spool", configuration.capture.spool_dir)),
        ("archive", lambda: _folder("archive", configuration.capture.archive_dir)),
        ("opa", lambda: _opa(configuration)),
        ("extproc", lambda: _extproc(configuration)),
        ("capture", lambda: _capture(configuration)),
        ("envoy", lambda: _envoy(configuration)),
    ]
    for what, check in checks:
        try:
            yield check()
        except HeadgateError as error:
            yield Finding(what, good=False, says=error.message)
        except (OSError, http.client.HTTPException, ValueError) as error:
            yield Finding(what, good=False, says=f"not reachable ({type(error).__name__})", unreachable=True)
    yield from _in_the_path(configuration)


def _teams(configuration: Configuration) -> Finding:
    from extproc.teams import load_teams

    teams = load_teams(configuration.teams)
    teams.client_keys()
    return Finding("teams file", good=True, says=f"{len(teams.callers())} callers")


def _folder(what: str, path: Path) -> Finding:
    if not path.is_dir():
        return Finding(what, good=False, says=f"{path} is not a folder: it is made when the stack starts")
    if not os.access(path, os.W_OK | os.X_OK):
        return Finding(what, good=False, says=f"{path} cannot be written by this user")
    space = os.statvfs(path)
    return Finding(what, good=True, says=f"{path} ({space.f_bavail * space.f_frsize >> 20} MiB free)")


def _opa(configuration: Configuration) -> Finding:
    from extproc.commands.policy_health import policy_health
    from extproc.stack.ready import ask

    status, body = ask(
        configuration.opa_socket, "/v1/data/headgate/main/decision?provenance=true", "POST", b'{"input": {}}'
    )
    answer = json.loads(body)
    if status != 200 or "result" not in answer:
        return Finding("opa", good=False, says="it answers, but the policy has no decision: is the bundle loaded?")
    if answer["result"].get("action") != "deny":
        return Finding("opa", good=False, says="the policy does not deny an empty input: it may fail open")
    good, says = policy_health(configuration.opa_socket)
    return Finding("opa", good, f"decides over {configuration.opa_socket}: {says}")


def _extproc(configuration: Configuration) -> Finding:
    from extproc.stack.ready import accepts

    path = configuration.extproc_socket
    good = accepts(path)
    return Finding("extproc", good, f"listens on {path}" if good else f"nobody listens on {path}", unreachable=not good)


def _capture(configuration: Configuration) -> Finding:
    """It listens nowhere: its status file says whether it is alive."""
    from capture.status import STATUS_FOLDER, ArchiveStatus, read_status

    settings = configuration.capture
    status: ArchiveStatus | None = read_status(settings.archive_dir, configuration.replica_id)
    if status is None:
        where = settings.archive_dir / STATUS_FOLDER / f"{configuration.replica_id}.json"
        return Finding("capture", good=False, says=f"there is no {where}: does it run?", unreachable=True)
    silent_s = time.time() - status.at
    if silent_s > CAPTURE_SILENT_INTERVALS_MAX * settings.flush_interval_s:
        return Finding("capture", good=False, says=f"silent for {silent_s:.0f} s: down, or hangs", unreachable=True)
    if status.error is not None:
        return Finding("capture", good=False, says=f"its last round failed: {status.error}")
    if status.missing:
        return Finding("capture", good=False, says=f"{status.missing} rows are missing: the spool was damaged")
    return Finding("capture", good=True, says=f"{status.archived} of {status.opened} exchanges archived")


def _envoy(configuration: Configuration) -> Finding:
    from extproc.stack.ready import ask

    status, body = ask(configuration.admin_socket, "/ready")
    says = body.decode("utf-8", "replace").strip()[:40]
    return Finding("envoy", good=status == 200, says=says)


def _in_the_path(configuration: Configuration) -> Iterator[Finding]:
    """A request without a key on each enforced route: Envoy refuses it, and only the sidecar, if it is really in the
    path, puts an exchange id of its own (a UUIDv7; Envoy's ids are version 4) on the refusal."""
    for route in configuration.routes:
        what = f"route {route.name}"
        if route.mode.value != "enforce":
            yield _observed(configuration, what)
            continue
        host = next((host for host in route.match.hosts if host != "*"), "doctor.invalid")
        try:
            exchange_id = _probe(configuration, route.match.prefix + "/doctor", host)
        except (OSError, http.client.HTTPException) as error:
            yield Finding(what, good=False, says=f"Envoy does not answer ({type(error).__name__})", unreachable=True)
            continue
        judged = _version(exchange_id) == 7
        says = "extproc is in the path" if judged else "answered without extproc: is the filter in the chain, and up?"
        yield Finding(what, judged, says)


def _probe(configuration: Configuration, path: str, host: str) -> str | None:
    address = urlsplit("//" + configuration.listener.address)
    name = address.hostname if address.hostname not in (None, "0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
    connection: http.client.HTTPConnection
    if configuration.listener.tls is not None:
        import ssl

        trust = ssl._create_unverified_context()  # noqa: S323, SLF001 (our own listener, and nothing secret is sent)
        connection = http.client.HTTPSConnection(name or "", address.port, timeout=PROBE_S_MAX, context=trust)
    else:
        connection = http.client.HTTPConnection(name or "", address.port, timeout=PROBE_S_MAX)
    try:
        connection.request("GET", path, headers={"host": host, "user-agent": "headgate-doctor"})
        response = connection.getresponse()
        response.read()
        return response.getheader("x-headgate-exchange-id")
    finally:
        connection.close()


def _version(text: str | None) -> int | None:
    try:
        return uuid.UUID(text or "").version
    except ValueError:
        return None


def _observed(configuration: Configuration, what: str) -> Finding:
    """A shadow route shows nothing to a client; Envoy counts the streams that it opened to the sidecar."""
    from extproc.stack.ready import ask

    try:
        _, body = ask(configuration.admin_socket, "/stats?format=json&filter=ext_proc.observe")
        counts = {entry["name"].rpartition(".")[2]: entry.get("value", 0) for entry in json.loads(body)["stats"]}
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        return Finding(what, good=False, says=f"Envoy's counters: {type(error).__name__}", unreachable=True)
    started, failed = counts.get("streams_started", 0), counts.get("streams_failed", 0)
    if started and failed * 2 > started:
        return Finding(what, good=False, says=f"{failed} of {started} observed streams failed: is extproc up?")
    return Finding(what, good=True, says=f"shadow routes together: {started} streams so far, {failed} failed")
