"""`policy test|check|bundle|replay`: work on Rego."""

from __future__ import annotations

import argparse
from pathlib import Path

from extproc.commands import Subparsers, add_config, load_config, replaying


def add_parsers(subparsers: Subparsers) -> None:
    policy = subparsers.add_parser("policy", help="test, check or bundle the Rego policy")
    verbs = policy.add_subparsers(dest="verb", metavar="test|check|bundle|replay", required=True)
    for verb, text, handler in (
        ("test", "run the policy's tests, with coverage", run_test),
        ("check", "format, strict types against the input schema, and the tests", run_check),
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
    replaying.add_parser(verbs)


def _folder(arguments: argparse.Namespace) -> Path:
    if arguments.policies is not None:
        return Path(arguments.policies)
    return load_config(arguments).policy.bundle


def run_test(arguments: argparse.Namespace) -> int:
    from extproc import policy_tools

    return policy_tools.test(_folder(arguments))


def run_check(arguments: argparse.Namespace) -> int:
    from extproc import policy_tools

    return policy_tools.check(_folder(arguments))


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
