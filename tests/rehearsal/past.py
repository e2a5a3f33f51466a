"""A past to rehearse on: requests judged by the request path's own machine, and archived by capture."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from capture import record
from capture.archive import Archiver, ArchiveSettings
from capture.record import Closed
from capture.spool.writer import SpoolWriter
from extproc import frames, policy_tools
from extproc.codecs import codec_for
from extproc.errors import DependencyError
from extproc.events import (
    Append,
    Appended,
    AskPolicy,
    Decided,
    Event,
    Inspect,
    Inspected,
    PolicyFailed,
    Rewrite,
    RewriteFailed,
    Rewritten,
)
from extproc.judgement import Judgement
from extproc.model import Call, Credentials, Decision, Limits, Mode, Principal, PrincipalSource, Route
from extproc.opa import OpaClient
from extproc.workers import inspect_body, rewrite_body
from tests.capture.story import INCARNATION, SECOND_NS, START_NS, exchange_id
from tests.policies.opa_server import opa_server

CHAT = Call("POST", "/v1/chat/completions", "api.openai.com", content_type="application/json")
Decide = Callable[[bytes], Decision]

MAIN = """package headgate.main

decision := {"action": action, "status": 403, "reasons": reasons, "redact": redact, "mask": redact, "obligations": {
	"capture": capture, "retention_class": "default"}}

default capture := "full"

default action := "allow"

default redact := []

default reasons := []

"""
"""The least that is a decision; a test adds what its policy says."""


def denies(rule: str, condition: str) -> str:
    reason = {"rule": rule, "message": "no", "action": "deny", "enforced": True}
    return f'action := "deny" if {{ {condition} }}\n\nreasons := [{json.dumps(reason)}] if {{ {condition} }}\n'


def redacts(rule: str, *entities: str) -> str:
    reason = {"rule": rule, "message": "hidden", "action": "redact", "enforced": True}
    condition = f"some found in input.findings; found.entity in {json.dumps(entities)}"
    hidden = f"[found.entity | some found in input.findings; found.entity in {json.dumps(entities)}]"
    return (
        f'action := "redact" if {{ {condition} }}\n\nreasons := [{json.dumps(reason)}] if {{ {condition} }}\n\n'
        f"redact := {hidden} if {{ {condition} }}\n"
    )


def policy(folder: Path, *says: str) -> Path:
    """A policy folder of these rules."""
    folder.mkdir(parents=True)
    (folder / "main.rego").write_text(MAIN + "\n".join(says), encoding="utf-8")
    return folder


def chat(text: str = "hello", model: str = "gpt-4o-mini", **more: Any) -> bytes:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode()


@dataclass
class Asked:
    """One request, as it came."""

    body: bytes = field(default_factory=chat)
    team: str | None = "search"
    mode: Mode = Mode.ENFORCE
    call: Call = CHAT
    at_ns: int = START_NS
    fails_to_redact: bool = False

    @property
    def route(self) -> Route:
        return Route(
            name="openai", provider="openai", host=self.call.host, mode=self.mode, credentials=Credentials.INJECT,
            authentication=PrincipalSource.API_KEY,
        )  # fmt: skip

    @property
    def principal(self) -> Principal:
        return Principal(
            PrincipalSource.API_KEY, "search-ranking", self.team, "ranking", "CC-1001", "production", "ada", "indexer"
        )


def judged(asked: Asked, number: int, decide: Decide) -> tuple[list[record.AnyFrame], bytes]:
    """The exchange's frames and the input document, by the request path's own judgement."""
    codec = codec_for(asked.call)
    at_ns = asked.at_ns + number * SECOND_NS
    opened = frames.opened(
        exchange_id=exchange_id(number), at_ns=at_ns, seq=number, replica_id="replica-1", incarnation=INCARNATION,
        route=asked.route, principal=asked.principal, call=asked.call, codec=codec, envoy_request_id=None,
        traceparent=None,
    )  # fmt: skip
    judgement = Judgement(
        exchange_id=exchange_id(number), route=asked.route, principal=asked.principal, call=asked.call, codec=codec
    )
    told: list[record.AnyFrame] = [opened]
    document = b""
    waiting = list(judgement.begin(asked.body, body_bytes=len(asked.body), at_ns=at_ns))
    while waiting:
        effect = waiting.pop(0)
        answer: Event
        match effect:
            case Inspect():
                answer = Inspected(*inspect_body(effect.codec.api, effect.call, effect.body, Limits()))
            case AskPolicy():
                document = effect.document
                try:
                    answer = Decided(decide(document))
                except DependencyError as error:
                    answer = PolicyFailed(error.code)
            case Rewrite() if asked.fails_to_redact:
                answer = RewriteFailed("rewrite_failed")
            case Rewrite():
                bodies, asking = rewrite_body(
                    effect.body, effect.findings, effect.entity_sets, effect.asking, effect.forwarded
                )
                answer = Rewritten(bodies, asking)
            case Append():
                told.append(effect.frame)
                answer = Appended(type(effect.frame))
        waiting += judgement.receive(answer, at_ns)
    told.append(Closed(exchange_id=exchange_id(number), at_ns=at_ns + 1, capture_status="completed"))
    return told, document


def archive(folder: Path, told: Sequence[Sequence[record.AnyFrame]]) -> Path:
    """An archive of these exchanges."""
    writer = SpoolWriter(folder / "spool", replica_id="replica-1", incarnation=INCARNATION)
    for frames_ in told:
        for frame in frames_:
            writer.append(record.encode(frame))
    writer.close()
    archiver = Archiver(ArchiveSettings(folder / "spool", folder / "archive"))
    archiver.drain()
    archiver.close()
    return folder / "archive"


def past(folder: Path, rules: Path, *asked: Asked) -> Path:
    """An archive of these requests, numbered from 1, judged by this policy in a real OPA."""
    bundle = folder / "past.tar.gz"
    folder.mkdir(parents=True, exist_ok=True)
    policy_tools.bundle(rules, bundle)
    with opa_server("-b", str(bundle)) as opa:

        def decide(document: bytes) -> Decision:
            async def ask() -> Decision:
                async with OpaClient(opa.socket_path, deadline_ms=20_000) as client:
                    return await client.decide(document)

            return asyncio.run(ask())

        told = [judged(one, number, decide)[0] for number, one in enumerate(asked, start=1)]
    return archive(folder, told)
