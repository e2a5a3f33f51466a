"""`policy new rule`: a rule and its test to begin with."""

from __future__ import annotations

import argparse
from pathlib import Path

from extproc.commands import Subparsers, add_config, load_config


def add_parser(verbs: Subparsers) -> None:
    new = verbs.add_parser(
        "new",
        help="begin a rule: a folder with metadata, rule and test",
        description="Writes rules/CATEGORY/NAME/ with a rule that works and its test: `policy check` finds no fault.",
    )
    new.add_argument("kind", choices=("rule",), help="what to begin")
    new.add_argument("id", metavar="CATEGORY.NAME", help="the rule's id, e.g. access.office_hours")
    new.add_argument(
        "--enforcement",
        choices=("shadow", "enforce"),
        default="shadow",
        help="what it does by default (default: shadow)",
    )
    new.add_argument("--policies", type=Path, metavar="DIR", help="policy folder; default: policy.bundle")
    add_config(new)
    new.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from extproc import policy_scaffold

    folder = arguments.policies or load_config(arguments).policy.bundle
    rule, test = policy_scaffold.new_rule(folder, arguments.id, enforcement=arguments.enforcement)
    print(f"{rule}\n{test}\nNext: headgate policy check --policies {folder}")
    return 0
