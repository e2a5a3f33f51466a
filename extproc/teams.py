"""The teams file: who calls, and how each caller is proved. Read here, with the models and errors of `config`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pydantic import Field, field_validator, model_validator

from extproc.config import Identifier, Secret, Settings, load_settings
from extproc.errors import OperatorError

_FINGERPRINT: Final = "^[0-9a-f]{32}$"


class Caller(Settings):
    """One app, person or workload, with exactly one proof."""

    id: Identifier = Field(description="Unique; `caller` of the rows")
    api_key: Secret | None = Field(None, description="Client key that Envoy's api_key_auth filter checks")
    jwt_subject: str | None = Field(None, description="`sub` of a token that Envoy's jwt_authn filter verified")
    certificate: str | None = Field(None, description="URI SAN of the client certificate, e.g. spiffe://…")
    provider_key: str | None = Field(
        None,
        description="Fingerprint of the provider key (`headgate key fingerprint`)",
        json_schema_extra={"pattern": _FINGERPRINT},  # for editors; the validator has the better words
    )
    user: str | None = Field(None, description="Person behind the caller; `user_id` of the rows")
    workload: str | None = Field(None, description="Application behind the caller")

    @field_validator("provider_key")
    @classmethod
    def _a_fingerprint(cls, value: str | None) -> str | None:
        if value is not None and re.fullmatch(_FINGERPRINT, value) is None:
            raise ValueError("expected a fingerprint, 32 hexadecimal digits: `headgate key fingerprint` prints it")
        return value

    @model_validator(mode="after")
    def _one_proof(self) -> Caller:
        proofs = (self.api_key, self.jwt_subject, self.certificate, self.provider_key)
        if sum(x is not None for x in proofs) != 1:
            raise ValueError("give exactly one of api_key, jwt_subject, certificate, provider_key")
        return self


class Project(Settings):
    name: Identifier = Field(description="`project` of the rows")
    environment: Identifier = Field("production", description="`environment` of the rows, and input to policy")
    cost_center: str | None = Field(None, description="Who pays; default: the team's")
    callers: tuple[Caller, ...] = Field((), description="Apps, people and workloads of the project")


class Team(Settings):
    name: Identifier = Field(description="`team` of the rows, and the key of its settings in policies/data/data.yaml")
    cost_center: str | None = Field(None, description="Who pays for projects without a cost centre of their own")
    projects: tuple[Project, ...] = Field(description="What the team works on")


class Teams(Settings):
    """The teams file."""

    teams: tuple[Team, ...] = Field(description="Every team that may call")

    @model_validator(mode="after")
    def _unique(self) -> Teams:
        seen: set[tuple[str, str]] = set()
        for _, _, caller in self.callers():
            for kind, value in (
                ("id", caller.id),
                ("jwt_subject", caller.jwt_subject),
                ("certificate", caller.certificate),
                ("provider_key", caller.provider_key),
            ):
                if value is None:
                    continue
                if (kind, value) in seen:
                    raise ValueError(f"callers: {kind} {value!r} is used twice")
                seen.add((kind, value))
        return self

    @model_validator(mode="after")
    def _one_caller_a_key(self) -> Teams:
        """As far as it can be seen without reading secrets; `client_keys` sees the rest. Never names the key."""
        seen: dict[Secret, str] = {}
        for _, _, caller in self.callers():
            if caller.api_key is not None:
                other = seen.setdefault(caller.api_key, caller.id)
                if other != caller.id:
                    raise ValueError(f"callers: {other} and {caller.id} have the same api_key: give each its own")
        return self

    def client_keys(self) -> dict[str, str]:
        """Client keys by caller id, read where they lie.

        Raises `OperatorError` when one is not there, or when two callers share one: nobody could say who called. Envoy
        would refuse that too, but with the key in its message.
        """
        keys: dict[str, str] = {}
        owners: dict[str, str] = {}
        for _, _, caller in self.callers():
            if caller.api_key is not None:
                key = keys[caller.id] = caller.api_key.read()
                other = owners.setdefault(key, caller.id)
                if other != caller.id:
                    message = f"teams file: {other} and {caller.id} have the same api_key: give each its own"
                    raise OperatorError("client_key_shared", message)
        return keys

    def callers(self) -> list[tuple[Team, Project, Caller]]:
        return [
            (team, project, caller) for team in self.teams for project in team.projects for caller in project.callers
        ]


def load_teams(path: Path) -> Teams:
    """Read and check the teams file. Raises `OperatorError` likewise."""
    return load_settings(Teams, path)
