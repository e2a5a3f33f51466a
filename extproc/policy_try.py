"""`headgate policy try`: what one request would get, and why. The request path's own parts, without a request path.

    Attempt ─► Judgement (codec, detectors) ─► the real OPA (`opa eval`) ─► Judgement ─► Outcome

The judgement is the one of `extproc.judgement`, so what is said here is what the gate would do. A shadow route is tried
as if it were enforced: what would bind is the question.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import orjson

from capture.record import Request
from extproc import policy_tools
from extproc.codecs import codec_for
from extproc.decision import failed, parse_decision
from extproc.errors import DependencyError, OperatorError
from extproc.events import (
    Append,
    Appended,
    AskPolicy,
    Decided,
    Effect,
    Event,
    Inspect,
    Inspected,
    PolicyFailed,
    Rewrite,
)
from extproc.judgement import Judgement
from extproc.model import Action, Call, Decision, Limits, Mode, Principal, Reason, Route
from extproc.redaction import storable_fields
from extproc.workers import Workers

MAIN: Final = "data.headgate.main.decision"
EXCHANGE_ID: Final = "00000000-0000-7000-8000-000000000000"
"""Nothing is recorded, so nobody can look it up."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request as it would come, and who sends it."""

    name: str
    route: Route
    principal: Principal
    call: Call
    body: bytes = field(repr=False)
    at_ns: int
    """Unix time: exceptions hold until a day."""


@dataclass(frozen=True, slots=True)
class Redacted:
    entity: str
    fields: tuple[str, ...]
    """Places in the body; a key in which something was found is redacted itself."""
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    attempt: Attempt
    api: str
    model: str | None
    action: Action
    """What is done in the end, whatever policy said: a body with a problem is denied."""
    code: str | None
    """The code that the client gets with a denial."""
    status: int | None
    decision: Decision
    redacted: tuple[Redacted, ...]
    found: Mapping[str, int]
    """How often each entity was found."""
    document: bytes = field(repr=False)
    """The policy input."""

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return self.decision.reasons


class Evaluator:
    """Asks a policy folder, or a bundle (`.tar.gz`), through `opa eval`. Nothing listens, nothing stays."""

    def __init__(self, policies: Path, opa: Path | None = None) -> None:
        """Raises `OperatorError` when there is no policy, `DependencyError` when there is no OPA."""
        self._opa = policy_tools.find_opa(opa)
        self._policies = policies.resolve()
        if policies.is_dir() and not (policies / "main.rego").is_file():
            raise OperatorError("policy_missing", f"{policies}: no main.rego there: give the folder of a policy bundle")
        self.revision = policy_tools.content_revision(policies) if policies.is_dir() else _revision_of(policies)

    def ask(self, document: bytes) -> Decision:
        """The decision for an input. Raises `DependencyError` (`opa_undefined`, `opa_nonsense`, `opa_failed`) and
        `OperatorError` (`policy_invalid`) for a policy that OPA does not load."""
        command = [
            str(self._opa), "eval", "--format", "json", "--bundle", str(self._policies),
            "--ignore", policy_tools.TESTS, "--stdin-input", MAIN,
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, input=document, timeout=policy_tools.OPA_SECONDS_MAX, check=False, capture_output=True
            )
            answer = orjson.loads(done.stdout)
        except (OSError, subprocess.TimeoutExpired, orjson.JSONDecodeError):
            raise DependencyError("opa_failed", "opa eval could not be run") from None
        if answer.get("errors"):
            raise OperatorError("policy_invalid", f"{self._policies}: {answer['errors'][0].get('message')}")
        results = answer.get("result")
        result = {"result": results[0]["expressions"][0]["value"]} if results else {}
        result["provenance"] = {"revision": self.revision}
        return parse_decision(orjson.dumps(result))


def try_request(attempt: Attempt, evaluator: Evaluator, limits: Limits) -> Outcome:
    """Judge one request. Raises as `Evaluator.ask`, but for an answer that is no decision: that is a denial, as it is
    on the way of a request."""
    run = _Run(attempt, evaluator, limits)
    run.judge()
    return run.outcome()


class _Run:
    """Performs the effects of one judgement, as the shell does."""

    def __init__(self, attempt: Attempt, evaluator: Evaluator, limits: Limits) -> None:
        self._attempt = attempt
        self._evaluator = evaluator
        self._workers = Workers(limits, processes=1, inline_bytes_max=limits.body_bytes_max)
        self._document = b""
        self._decision: Decision | None = None
        self._frame: Request | None = None
        self._judgement = Judgement(
            exchange_id=EXCHANGE_ID,
            route=replace(attempt.route, mode=Mode.ENFORCE),
            principal=attempt.principal,
            call=attempt.call,
            codec=codec_for(attempt.call),
        )

    def judge(self) -> None:
        at_ns = self._attempt.at_ns
        effects = self._judgement.begin(self._attempt.body, body_bytes=len(self._attempt.body), at_ns=at_ns)
        while effects:
            (effect,) = effects
            effects = self._judgement.receive(self._performed(effect), at_ns)

    def _performed(self, effect: Effect) -> Event:
        match effect:
            case Inspect():
                inspected: Inspected = self._workers.inspect_now(effect)
                return inspected
            case AskPolicy():
                return self._asked(effect.document)
            case Rewrite():
                return self._workers.rewrite_now(effect)
            case Append():
                assert isinstance(effect.frame, Request)
                self._frame = effect.frame
                return Appended(Request)
        raise AssertionError(f"a judgement asks for no {type(effect).__name__}")

    def _asked(self, document: bytes) -> Decided | PolicyFailed:
        self._document = document
        try:
            decision = self._evaluator.ask(document)
        except DependencyError as error:
            if error.code not in ("opa_undefined", "opa_nonsense"):
                raise
            return PolicyFailed(error.code)
        self._decision = decision
        return Decided(decision)

    def outcome(self) -> Outcome:
        judgement, verdict = self._judgement, self._judgement.verdict
        assert verdict is not None
        decision = self._decision or failed(verdict.deny_code or "opa_undefined")
        inspection = judgement.inspection
        redacts = verdict.deny is None and decision.action is Action.REDACT
        return Outcome(
            attempt=self._attempt,
            api=judgement.codec.api,
            model=inspection.facts.model,
            action=Action.DENY if verdict.deny is not None else decision.action,
            code=verdict.deny_code,
            status=verdict.deny.status if verdict.deny is not None else None,
            decision=decision,
            redacted=_redacted(judgement, decision.redact_entities) if redacts else (),
            found=dict(sorted(Counter(finding.entity for finding in inspection.findings).items())),
            document=self._document,
        )


def _redacted(judgement: Judgement, entities: frozenset[str]) -> tuple[Redacted, ...]:
    findings = [finding for finding in judgement.inspection.findings if finding.entity in entities]
    fields = storable_fields(judgement.inspection.findings)
    return tuple(
        Redacted(
            entity,
            tuple(dict.fromkeys(fields[finding.field] for finding in findings if finding.entity == entity)),
            sum(1 for finding in findings if finding.entity == entity),
        )
        for entity in sorted({finding.entity for finding in findings})
    )


def _revision_of(bundle: Path) -> str:
    """What a bundle's manifest says; empty for one that says nothing."""
    try:
        with tarfile.open(bundle) as archive:
            for name in ("/.manifest", ".manifest"):
                if name in archive.getnames():
                    manifest: Any = json.load(archive.extractfile(name) or io.BytesIO(b"{}"))
                    return str(manifest.get("revision", ""))
    except (OSError, tarfile.TarError, ValueError):
        raise OperatorError("policy_missing", f"{bundle} is neither a policy folder nor a bundle") from None
    return ""
