"""`key fingerprint`: claim a caller that brings a provider key of its own."""

from __future__ import annotations

import argparse
import sys

from extproc.commands import Subparsers, add_config, load_config
from extproc.errors import OperatorError

KEY_CHARS_MAX = 16_384


def add_parsers(subparsers: Subparsers) -> None:
    key = subparsers.add_parser("key", help="fingerprints of provider keys")
    verbs = key.add_subparsers(dest="verb", metavar="fingerprint", required=True)
    fingerprint = verbs.add_parser(
        "fingerprint",
        help="print the fingerprint of a provider key read from stdin",
        description="Reads a provider key from stdin (never from the command line, where others could see it) and "
        "prints its keyed fingerprint, to be written as `provider_key` of a caller in the teams file.",
    )
    add_config(fingerprint)
    fingerprint.set_defaults(run=run_fingerprint)


def run_fingerprint(arguments: argparse.Namespace) -> int:
    from extproc.principal import fingerprint

    settings = load_config(arguments)
    if settings.fingerprint_key is None:
        raise OperatorError("fingerprint_key_missing", "headgate.yaml: fingerprint_key is not set")
    if sys.stdin.isatty():
        print("provider key, then Enter: ", end="", file=sys.stderr, flush=True)
    key = sys.stdin.readline(KEY_CHARS_MAX).strip()
    if not key:
        raise OperatorError("usage", "no key came on stdin")
    print(fingerprint(settings.fingerprint_key.read(), key))
    return 0
