"""The commands of `headgate`, a module for each group: `add_parsers` says what there is, a handler a command runs it.

A handler takes the parsed arguments and returns the exit code. It imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from extproc.errors import OperatorError

if TYPE_CHECKING:
    from extproc.config import Configuration

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (argparse gives it no public name)
else:
    Subparsers = Any

CONFIG_PLACES: Final = (Path("headgate.yaml"), Path("envoy/headgate.yaml"))
CONFIG_VARIABLE: Final = "HEADGATE_CONFIG"


def add_config(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    places = ", ".join(f"./{path}" for path in CONFIG_PLACES)
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"headgate.yaml; default: ${CONFIG_VARIABLE}, then {places}"
    )


def find_config(given: Path | None) -> Path:
    """The configuration file: the one named, that of the environment, or one of the usual places.

    Raises `OperatorError` when there is none.
    """
    if given is not None:
        return given
    named = os.environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    for path in CONFIG_PLACES:
        if path.is_file():
            return path
    places = ", ".join(f"./{path}" for path in CONFIG_PLACES)
    raise OperatorError(
        "config_missing", f"no configuration: give --config FILE, set {CONFIG_VARIABLE}, or have {places}"
    )


def load_config(arguments: argparse.Namespace) -> Configuration:
    from extproc.config import load

    return load(find_config(arguments.config))
