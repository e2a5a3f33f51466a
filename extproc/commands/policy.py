"""`policy test|check|bundle|try|new|replay`: work on Rego."""

from __future__ import annotations

import argparse
from pathlib import Path

from extproc.commands import Subparsers, add_config, load_config, replaying, scaffolding, trying


def add_parsers(subparsers: Subparsers) -> None:
    policy = subparsers.add_parser("policy", help="test, check, bundle, try or rehearse the Rego policy")
    verbs = policy.add_subparsers(dest="verb", metavar="test|check|bundle|try|new|replay", required=True)
    for verb, text, handler in (
        ("test", "run the policy's tests, with coverage", run_test),
        (
            "check",
            "format, strict types against the input schema, the tests, the data, and Regal where it is built",
            run_check,
        ),
        ("bundle", "build the bundle that OPA serves", run_bundle),
    ):
        parser = verbs.add_parser(verb, help=text, description=text)
        parser.add_argument("--policies", type=Path, metavar="DIR", help="policy folder; default: policy.bundle")
        add_config(parser)
        parser.set_defaults(run=handler)
        if verb == "bundle":
            parser.add_argument(
                "--out", type=Path, default=Path("bundle.tar.gz"), metavar="FILE", help="where the bundle goes"
            )
            parser.add_argument("--revision", metavar="TEXT", help="default: a hash of the policy's files")
            parser.add_argument(
                "--sign-key", type=Path, metavar="FILE", help="PEM file of the private key that signs it"
            )
            parser.add_argument(
                "--sign-algorithm", default="RS256", metavar="ALG", help="RS256 (default), ES256, … (RFC 7518)"
            )
    trying.add_parser(verbs)
    scaffolding.add_parser(verbs)
    replaying.add_parser(verbs)


def _folder(arguments: argparse.Namespace) -> Path:
    if arguments.policies is not None:
        return Path(arguments.policies)
    return load_config(arguments).policy.bundle


def run_test(arguments: argparse.Namespace) -> int:
    from extproc import policy_tools

    return policy_tools.test(_folder(arguments))


def run_check(arguments: argparse.Namespace) -> int:
    import sys
    from datetime import UTC, datetime

    from extproc import policy_check, policy_tools

    folder = _folder(arguments)
    code = policy_tools.check(folder)
    faults = policy_check.data_faults(folder)
    for fault in faults:
        print(f"policy: {fault}", file=sys.stderr)
    for note in policy_check.expired(folder, datetime.now(UTC).date().isoformat()):
        print(f"policy: {note}: take it out", file=sys.stderr)
    regal = policy_check.find_regal()
    if regal is None:
        print("policy: not linted, for there is no regal: `make tools` builds it", file=sys.stderr)
    linted = 0 if regal is None else policy_check.lint(folder, regal)
    return 1 if faults or code != 0 or linted != 0 else 0


def run_bundle(arguments: argparse.Namespace) -> int:
    from extproc import policy_tools

    revision = policy_tools.bundle(
        _folder(arguments),
        arguments.out,
        revision=arguments.revision,
        sign_key=arguments.sign_key,
        sign_algorithm=arguments.sign_algorithm,
    )
    print(f"{arguments.out}: revision {revision}")
    return 0
