"""`config check`, `config schema`, `envoy-config`, `opa-config`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from extproc.commands import Subparsers, add_config, find_config, load_config
from extproc.errors import OperatorError

if TYPE_CHECKING:
    from extproc.config import Configuration


def add_parsers(subparsers: Subparsers) -> None:
    config = subparsers.add_parser("config", help="check headgate.yaml, or print its schema")
    verbs = config.add_subparsers(dest="verb", metavar="check|schema", required=True)
    check = verbs.add_parser("check", help="read headgate.yaml and the teams file, name every fault")
    add_config(check)
    check.set_defaults(run=run_check)
    schema = verbs.add_parser("schema", help="print the JSON Schema of headgate.yaml or of the teams file")
    schema.add_argument("--teams", action="store_true", help="that of the teams file")
    schema.set_defaults(run=run_schema)

    envoy = subparsers.add_parser(
        "envoy-config",
        help="render Envoy's bootstrap from headgate.yaml",
        description="Renders Envoy's bootstrap. Clients' keys stand in it (Envoy takes them no other way): --out makes "
        "a file that only its owner can read. Providers' keys never do.",
    )
    add_config(envoy)
    envoy.add_argument("--out", type=Path, metavar="FILE", help="write here instead of to stdout")
    envoy.add_argument("--run-dir", type=Path, metavar="DIR", help="render for this run folder instead of run_dir")
    envoy.add_argument("--ca-file", type=Path, metavar="FILE", help="CA bundle for https providers")
    envoy.add_argument("--validate", action="store_true", help="ask Envoy whether it is right (envoy --mode validate)")
    envoy.set_defaults(run=run_envoy_config)

    opa = subparsers.add_parser(
        "opa-config",
        help="render OPA's configuration from headgate.yaml",
        description="Renders OPA's configuration: where its bundle comes from, how it is verified, what is logged. OPA "
        "reads it with --config-file; without policy.bundle_url it also needs --bundle FILE.",
    )
    add_config(opa)
    opa.add_argument("--out", type=Path, metavar="FILE", help="write here instead of to stdout")
    opa.set_defaults(run=run_opa_config)


def run_check(arguments: argparse.Namespace) -> int:
    from extproc.custom_patterns import load_patterns
    from extproc.teams import load_teams

    path = find_config(arguments.config)
    settings = load_config(arguments)
    teams = load_teams(settings.teams)
    print(f"{path}: fine: {len(settings.routes)} routes, {len(settings.providers)} providers")
    print(f"{settings.teams}: fine: {len(teams.teams)} teams, {len(teams.callers())} callers")
    if settings.detectors.patterns_file is not None:
        patterns = load_patterns(settings.detectors.patterns_file)
        print(f"{settings.detectors.patterns_file}: fine: {len(patterns)} patterns")
    if settings.policy.bundle_url is None and not settings.policy.bundle.exists():
        raise OperatorError("policy_missing", f"{path}: policy.bundle: there is no {settings.policy.bundle}")
    return 0


def run_schema(arguments: argparse.Namespace) -> int:
    from extproc.config import Configuration
    from extproc.teams import Teams

    model = Teams if arguments.teams else Configuration
    print(json.dumps(model.model_json_schema(), indent=2))
    return 0


def run_envoy_config(arguments: argparse.Namespace) -> int:
    from extproc.envoy_config import RenderOptions, render, to_yaml, validate
    from extproc.teams import load_teams

    settings = load_config(arguments)
    if arguments.run_dir is not None:
        settings = settings.model_copy(update={"run_dir": arguments.run_dir})
    text = to_yaml(render(settings, load_teams(settings.teams), RenderOptions(ca_file=arguments.ca_file)))
    if arguments.out is None:
        if arguments.validate:
            raise OperatorError("usage", "envoy-config --validate needs --out FILE: Envoy reads a file")
        sys.stdout.write(text)
        return 0
    _write_private(arguments.out, text)
    if arguments.validate:
        from extproc.stack.tools import find_envoy

        validate(arguments.out, find_envoy(), _placeholders(settings))
        print(f"{arguments.out}: Envoy accepts it")
    return 0


def run_opa_config(arguments: argparse.Namespace) -> int:
    from extproc.stack.opa_config import render_opa, to_yaml

    text = to_yaml(render_opa(load_config(arguments)))
    if arguments.out is None:
        sys.stdout.write(text)
    else:
        _write_private(arguments.out, text)
    return 0


def _write_private(path: Path, text: str) -> None:
    """For the owner's eyes: keys stand in it, or may."""
    try:
        path.unlink(missing_ok=True)
        path.touch(0o600)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OperatorError("unwritable", f"cannot write {path}: {error.strerror}") from None


def _placeholders(settings: Configuration) -> dict[str, str]:
    """For providers' keys that are not in this environment: Envoy wants them set even to look at a configuration."""
    secrets = [
        provider.credential.secret for provider in settings.providers.values() if provider.credential is not None
    ]
    return {secret.env: "placeholder" for secret in secrets if secret.env is not None and secret.env not in os.environ}
