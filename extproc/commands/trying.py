"""`policy try`: what one request would get, and why, without a stack."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from extproc.commands import Subparsers, add_config, load_config
from extproc.errors import OperatorError

if TYPE_CHECKING:
    from extproc.model import Call, Mode, Principal, Route
    from extproc.policy_try import Outcome

BODY_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of one file."""
PATHS: Final = {
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
    "anthropic.messages": "/v1/messages",
    "cohere.v1.chat": "/v1/chat",
    "mcp": "/mcp",
}
"""Where a body that looks like this api's usually goes, for a file that holds a body and no address."""
_DESCRIPTION: Final = (
    "Judges a request as the gate would (codec, detectors, the real OPA) and prints what would happen and why, never "
    "the text. FILE is a request body, a recording (folder or .har, as `headgate inspect` reads them), or - for a body "
    "on stdin. A shadow route is tried as if it were enforced. Exit codes: 0 it would pass, redacted or not; 1 it "
    "would be denied; 2 usage or configuration; 3 there is no OPA."
)


def add_parser(verbs: Subparsers) -> None:
    parser = verbs.add_parser("try", help="what one request would get, and why", description=_DESCRIPTION)
    parser.add_argument("file", metavar="FILE", help="a request body, a recording folder, a .har file, or -")
    parser.add_argument("--team", required=True, metavar="NAME", help="whose request it is, as in the teams file")
    parser.add_argument("--caller", metavar="ID", help="which of the team's callers; default: its first")
    parser.add_argument("--environment", metavar="NAME", help="default: that of the caller's project")
    parser.add_argument("--route", metavar="NAME", help="default: the first that leads to the recorded host, or api")
    parser.add_argument(
        "--path", metavar="PATH", help="where a body goes; default: the usual path of what it looks like"
    )
    parser.add_argument("--date", type=_day, metavar="DAY", help="for exceptions: 2026-12-31; default: today (UTC)")
    parser.add_argument("--policies", type=Path, metavar="DIR", help="folder or bundle; default: policy.bundle")
    parser.add_argument("--input", action="store_true", help="print the policy input, too")
    parser.add_argument(
        "--format", choices=("table", "json"), default="table", help="how it is printed (default: table)"
    )
    add_config(parser)
    parser.set_defaults(run=run)


def _day(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError("give a day as 2026-12-31") from None


def run(arguments: argparse.Namespace) -> int:
    from extproc.model import Action
    from extproc.policy_try import Attempt, Evaluator, try_request
    from extproc.server import directory
    from extproc.teams import load_teams

    configuration = load_config(arguments)
    principals = directory(load_teams(configuration.teams), None).by_proof.values()
    caller = _caller(list(principals), arguments.team, arguments.caller, arguments.environment)
    routes = list(configuration.route_table().values())
    evaluator = Evaluator(arguments.policies or configuration.policy.bundle)
    at_ns = int((arguments.date or datetime.now(UTC)).timestamp()) * 10**9
    denied = False
    for name, given, body in _requests(arguments.file, arguments.path):
        route = _route(routes, given, arguments.route)
        call = _sent(given, route)
        outcome = try_request(
            Attempt(name, route, caller, call, body, at_ns), evaluator, configuration.exchange_limits()
        )
        denied = denied or outcome.action is Action.DENY
        if arguments.format == "json":
            print(json.dumps(as_json(outcome, evaluator.revision, with_input=arguments.input), ensure_ascii=False))
        else:
            print("\n".join(as_lines(outcome, evaluator.revision, with_input=arguments.input)))
    return 1 if denied else 0


# ── who, where ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _caller(principals: list[Principal], team: str, caller: str | None, environment: str | None) -> Principal:
    from dataclasses import replace

    of_team = [principal for principal in principals if principal.team == team]
    if not of_team:
        teams = ", ".join(sorted({principal.team for principal in principals if principal.team}))
        raise OperatorError(
            "team_unknown", f"--team {team}: no caller of the teams file is of that team; it has {teams}"
        )
    found = next((principal for principal in of_team if caller in (None, principal.caller)), None)
    if found is None:
        callers = ", ".join(principal.caller or "" for principal in of_team)
        raise OperatorError("caller_unknown", f"--caller {caller}: team {team} has {callers}")
    return found if environment is None else replace(found, environment=environment)


def _route(routes: list[Route], call: Call, name: str | None) -> Route:
    """The route of that name; else the first, enforced before others, to the call's host, or that speaks its api."""
    from extproc.codecs import codec_for
    from extproc.model import Mode

    if name is not None:
        found = next((route for route in routes if route.name == name), None)
        if found is None:
            raise OperatorError(
                "route_unknown", f"--route {name}: there are {', '.join(route.name for route in routes)}"
            )
        return found
    ordered = sorted(routes, key=lambda route: route.mode is not Mode.ENFORCE)
    leading = [route for route in ordered if call.host and route.host == call.host]
    speaking = [
        route for route in ordered if not call.host and _family(codec_for(_sent(call, route)).api) == _maker(route)
    ]
    chosen = next(iter(leading or speaking), None)
    if chosen is None:
        raise OperatorError(
            "route_unknown", f"no route leads where this request goes: name one, {', '.join(r.name for r in routes)}"
        )
    return chosen


def _family(api: str) -> str:
    return api.partition(".")[0]


def _maker(route: Route) -> str:
    """The family of apis that a provider is known for, by its name in OpenTelemetry (`aws.bedrock`, `gcp.gemini`)."""
    return route.provider.rpartition(".")[2]


def _sent(call: Call, route: Route) -> Call:
    """As the provider would see it: its host, the route's prefix off."""
    from dataclasses import replace

    path = call.path
    if route.prefix and (path == route.prefix or path.startswith(route.prefix + "/")):
        path = path[len(route.prefix) :] or "/"
    return replace(call, path=path, host=route.host or call.host)


# ── what ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _requests(file: str, path: str | None) -> Iterator[tuple[str, Call, bytes]]:
    """(name, call, body) of each request in FILE. Raises `OperatorError` for one that cannot be read."""
    from dataclasses import replace

    from extproc.commands.recorded import Recorded, recordings

    place = Path(file)
    if file != "-" and (place.is_dir() or place.suffix == ".har"):
        for item in recordings(place):
            if not isinstance(item, Recorded):
                raise OperatorError("recordings_missing", f"{item[0]}: {item[1]}")
            call = item.call if path is None else replace(item.call, path=path)
            yield item.id, call, item.request_body
        return
    body = _body(file)
    yield ("stdin" if file == "-" else place.name), _call_of(body, path), body


def _body(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(BODY_BYTES_MAX)
    try:
        if Path(file).stat().st_size > BODY_BYTES_MAX:
            raise OperatorError("input_too_large", f"{file} is larger than {BODY_BYTES_MAX} bytes")
        return Path(file).read_bytes()
    except OSError as error:
        raise OperatorError("input_unreadable", f"cannot read {file}: {error.strerror}") from None


def _call_of(body: bytes, path: str | None) -> Call:
    from extproc.codecs import recognised
    from extproc.framing import tolerant_json
    from extproc.model import Call

    unplaced = Call(method="POST", path=path or "/", host="", content_type="application/json")
    if path is not None:
        return unplaced
    codec = recognised(tolerant_json.loads_or_none(body), unplaced)
    usual = PATHS.get(codec.api) if codec is not None else None
    if usual is None:
        raise OperatorError("path_missing", "the body does not tell its api: say where it goes, --path /v1/…")
    return Call(method="POST", path=usual, host="", content_type="application/json")


# ── what is printed ──────────────────────────────────────────────────────────────────────────────────────────────────


def as_json(outcome: Outcome, revision: str, *, with_input: bool) -> dict[str, Any]:
    """Everything, as one JSON object."""
    attempt, decision = outcome.attempt, outcome.decision
    document = {"input": json.loads(outcome.document or b"null")} if with_input else {}
    return {
        "id": attempt.name,
        "action": outcome.action.value,
        "code": outcome.code,
        "status": outcome.status,
        "api": outcome.api,
        "model": outcome.model,
        "team": attempt.principal.team,
        "caller": attempt.principal.caller,
        "environment": attempt.principal.environment,
        "route": attempt.route.name,
        "mode": attempt.route.mode.value,
        "destination": attempt.call.host,
        "reasons": [
            {"rule": r.rule, "action": r.action.value, "enforced": r.enforced, "message": r.message}
            for r in outcome.reasons
        ],
        "found": dict(outcome.found),
        "redacted": [{"entity": r.entity, "count": r.count, "fields": list(r.fields)} for r in outcome.redacted],
        "obligations": {
            "capture": decision.obligations.capture.value,
            "retention_class": decision.obligations.retention_class,
        },
        "revision": revision,
        **document,
    }


def as_lines(outcome: Outcome, revision: str, *, with_input: bool) -> list[str]:
    """The same for people."""
    attempt, kept = outcome.attempt, outcome.decision.obligations
    who = f"team {attempt.principal.team}, {attempt.principal.caller}, {attempt.principal.environment}"
    lines = [
        f"{attempt.name}: {_verdict(outcome, attempt.route.mode)}",
        f"  request    {outcome.api} {outcome.model or '(no model)'} by {who}",
        f"  route      {attempt.route.name} to {attempt.call.host} ({attempt.route.mode.value})",
    ]
    for reason in outcome.reasons:
        binds = "enforced" if reason.enforced else "shadow"
        lines.append(f"  {binds:10} {reason.action.value} by {reason.rule}: {reason.message}")
    lines += [f"  redacted   {r.entity} x{r.count} at {', '.join(r.fields)}" for r in outcome.redacted]
    found = ", ".join(f"{entity} x{count}" for entity, count in outcome.found.items())
    lines += [
        f"  found      {found or 'nothing'}",
        f"  archive    capture {kept.capture.value}, retention class {kept.retention_class}",
        f"  revision   {revision or '(none)'}",
    ]
    if with_input:
        lines.append(json.dumps(json.loads(outcome.document or b"null"), indent=2, ensure_ascii=False))
    return lines


def _verdict(outcome: Outcome, mode: Mode) -> str:
    from extproc.model import Action, Mode

    would = "would be " if mode is Mode.SHADOW else ""
    if outcome.action is Action.DENY:
        return f"{would}denied with {outcome.status} {outcome.code}"
    return would + ("redacted" if outcome.action is Action.REDACT else "allowed")
