"""`scan`: what the detectors see, without a stack."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from capture.output import FORMATS, output
from extproc.commands import Subparsers
from extproc.detector import Detector
from extproc.errors import OperatorError

INPUT_BYTES_MAX = 256 * 1024 * 1024
"""Of one file."""


def add_parsers(subparsers: Subparsers) -> None:
    scan = subparsers.add_parser(
        "scan",
        help="run the detectors over text, JSON or JSONL, one JSON object per input",
        description="Runs the detectors. JSONL: each line's `text` is one input; JSON: the `text` of the object or of "
        "each in a list; anything else, or - for stdin: one input. Offsets are Unicode code points. With --list: every "
        "entity that can be found, what it is, and what a hit of it looks like.",
    )
    what = scan.add_mutually_exclusive_group(required=True)
    what.add_argument("paths", nargs="*", default=[], metavar="PATH", help="a text, .json or .jsonl file; - is stdin")
    what.add_argument("--list", action="store_true", help="list the entities instead")
    scan.add_argument("--config", type=Path, metavar="FILE", help="headgate.yaml, for the patterns that it adds")
    scan.add_argument("--format", choices=FORMATS, default="table", help="of --list")
    scan.set_defaults(run=run_scan)


def run_scan(arguments: argparse.Namespace) -> int:
    from extproc.scanner import Scanner

    detectors = _detectors(arguments.config)
    if arguments.list:
        return _list(detectors, arguments.format)
    scanner = Scanner(detectors)
    index, hits = 0, 0
    for path in arguments.paths:
        for text in _texts(path):
            data = text.encode("utf-8", "surrogatepass")
            findings = [
                {
                    "entity": match.entity,
                    "start": _code_points(data, match.start),
                    "end": _code_points(data, match.end),
                    "score": match.score,
                }
                for match in scanner.scan(data)
            ]
            print(json.dumps({"index": index, "findings": findings}))
            index, hits = index + 1, hits + len(findings)
    return 1 if hits else 0


def _detectors(config: Path | None) -> Sequence[Detector]:
    from extproc.config import load
    from extproc.custom_patterns import all_detectors, load_patterns

    patterns_file = load(config).detectors.patterns_file if config is not None else None
    return all_detectors(load_patterns(patterns_file) if patterns_file is not None else ())


def _list(detectors: Sequence[Detector], format_: str) -> int:
    rows = sorted(
        (detector.data_class, note.name, note.what, note.form, note.presidio)
        for detector in detectors
        for note in detector.notes
    )
    output(format_).rows(("data_class", "entity", "what", "form", "presidio"), rows)
    return 0


def _code_points(data: bytes, offset: int) -> int:
    """Code points before a byte offset: bytes that do not continue one."""
    return sum(1 for byte in data[:offset] if byte & 0xC0 != 0x80)


def _texts(path: str) -> Iterator[str]:
    if path == "-":
        yield sys.stdin.read(INPUT_BYTES_MAX)
        return
    file = Path(path)
    try:
        if file.stat().st_size > INPUT_BYTES_MAX:
            raise OperatorError("input_too_large", f"{file} is larger than {INPUT_BYTES_MAX} bytes")
        content = file.read_text(encoding="utf-8")
    except OSError as error:
        raise OperatorError("input_unreadable", f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise OperatorError("input_unreadable", f"{file} is not UTF-8 text") from None
    if file.suffix == ".jsonl":
        for number, line in enumerate(content.split("\n"), 1):
            if line.strip():
                yield _text_field(_parsed(line, f"{file}, line {number}"), f"{file}, line {number}")
    elif file.suffix == ".json":
        document = _parsed(content, str(file))
        for entry in document if isinstance(document, list) else [document]:
            yield _text_field(entry, str(file))
    else:
        yield content


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise OperatorError("input_unreadable", f"{where}: not valid JSON") from None


def _text_field(entry: object, where: str) -> str:
    text = entry.get("text") if isinstance(entry, dict) else entry
    if not isinstance(text, str):
        raise OperatorError("input_unreadable", f"{where}: expected an object with a `text` string")
    return text
