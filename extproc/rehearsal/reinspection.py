"""What policy would be asked about an archived exchange today: its kept text past today's codec and detectors.

The caller, the route and the day are those of the row. Only a body that was kept exactly as it came can be looked at
again; where something was replaced or left out, the row's own findings are all that is known.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from extproc.codecs import CODECS
from extproc.decision import build_input
from extproc.model import Call, Credentials, Inspection, Limits, Mode, Principal, PrincipalSource, Route
from extproc.rehearsal.archived import Archived
from extproc.rehearsal.changes import Question
from extproc.workers import inspect_body

UNREADABLE: Final = "text_unreadable"
OTHER_API: Final = "other_api"
PATH_UNKNOWN: Final = "path_unknown"
TOO_LARGE: Final = "text_too_large"
UNSEEN: Final = {
    "text_redacted": "something in the kept text was replaced: judged by the findings of the row",
    "text_encoded": "the text is kept in a coding that is not read",
    "text_policy": "the obligations kept no text",
    "text_over_limit": "the text was over a limit and is not kept",
    "text_undecodable": "the text could not be masked, so it is not kept",
    "text_partial": "not all of the text came",
    UNREADABLE: "the content tree cannot be read, or the row's text is not in it",
    TOO_LARGE: "more text is kept than is looked at again (1 MiB)",
    OTHER_API: "an api that this version does not speak",
    PATH_UNKNOWN: "the path was overlong, and apis are told by it",
}
"""Why today's detectors cannot say anything of a row, in words. What its own findings say still counts."""


def asked_today(row: Archived, limits: Limits) -> Question | str:
    """The question of today, or why there is none (a key of `UNSEEN`)."""
    text, recorded, asked = row.text, row.question, row.parsed
    assert recorded is not None
    if text is not None and text.state == "none":
        return recorded  # there was no body: nothing to look at
    if text is None or text.state in (None, "exact"):
        if text is None or text.size_bytes is None:
            return UNREADABLE
        if text.body is None:
            return TOO_LARGE
    else:
        return f"text_{text.state}"
    request = asked["request"]
    api = "opaque" if request["api_source"] == "body" else request["api"]
    if api not in CODECS:
        return OTHER_API
    if "path" not in request:
        return PATH_UNKNOWN
    call = Call(request["method"], request["path"], text.host, content_type=text.content_type, hints=text.hints)
    inspection, _ = inspect_body(api, call, text.body, limits)
    spoken = CODECS[inspection.api or api]
    document = build_input(
        route=route_of(asked["route"], asked["mode"]),
        principal=principal_of(asked["principal"]),
        call=call,
        api=spoken.api,
        api_source="path" if inspection.api is None else "body",
        operation=spoken.operation,
        inspection=inspection,
        body_bytes=request["body_bytes"],
        at_ns=_midnight_ns(asked.get("date")),
    )
    return _question(document, inspection)


def _question(document: bytes, inspection: Inspection) -> Question:
    return Question(
        document,
        frozenset(finding.entity for finding in inspection.findings),
        inspection.problem.code if inspection.problem is not None else None,
        inspection.hides_findings or inspection.findings_truncated,
    )


def route_of(route: dict[str, Any], mode: str) -> Route:
    """The route as policy was told it."""
    return Route(
        name=route["name"],
        provider=route["provider"],
        host=route["destination"],
        mode=Mode(mode),
        credentials=Credentials(route["credentials"]),
        authentication=PrincipalSource(route["authentication"]),
    )


def principal_of(principal: dict[str, Any]) -> Principal:
    """The caller as policy was told it."""
    return Principal(
        source=PrincipalSource(principal["source"]),
        caller=principal.get("caller"),
        team=principal.get("team"),
        project=principal.get("project"),
        cost_center=principal.get("cost_center"),
        environment=principal.get("environment"),
        user_id=principal.get("user"),
        workload=principal.get("workload"),
    )


def _midnight_ns(day: str | None) -> int | None:
    return None if day is None else int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 10**9
