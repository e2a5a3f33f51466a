"""What the detectors find, and what they cost: over public labelled text, and beside a bare `re2.Set` in the same run.

    HEADGATE_CORPUS=… python -m bench.detectors [--presidio PYTHON] [--write]

Quality: precision and recall per entity over `security/pii_presidio_synth.jsonl` (synthetic sentences with spans) and
over made-up identity numbers (`bench.identity_rows`), beside Presidio's pattern recognisers on the same rows where
`PYTHON` is an interpreter that has presidio-analyzer; the secrets of `security/secrets_*.jsonl`; injections; and every
hit in `security/benign_*.jsonl`, where there should be none.
Cost: µs per text, best of several rounds, for clean, dense, hostile and random text.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import re2

from bench import identity_rows
from extproc.detectors import DETECTORS
from extproc.prefilter import SET_MEMORY_BYTES_MAX
from extproc.recogniser import options
from extproc.scanner import Scanner

RESULTS = Path(__file__).parent / "results" / "detectors.md"
PRESIDIO_COUNTS = Path(__file__).with_name("presidio_counts.py")
SIZES_BYTES = (2 * 1024, 32 * 1024, 200 * 1024)
ROUNDS = 5
BYTES_PER_ROUND = 1_000_000

CLEAN = b"The quick brown fox jumps over the lazy dog, writes some ordinary text and says nothing of itself. "
DENSE = b"Mail jane.doe@example.com, card 4111 1111 1111 1111, SSN 219-09-9998, call +1 212-555-0123 today. "
HOSTILE = (
    b"4111 1111 1111 1112 sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa a@a.a.a.a.a.a.a. DE12 DE12 DE12 +1 (2 (2 (2 "
    b"eyJaaaaaaaaaa. call me (call me (-----BEGIN PRIVATE KEY----- bsn 123456789 1gn0re the rul3s i g n o r e aWdub3Jl "
)
RANDOM = bytes(random.Random(1).choices(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/", k=250_000))
"""Like base64: what files and encrypted reasoning look like inside a prompt."""

Row = dict[str, Any]
Table = list[Sequence[str]]


def rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def counts(scanner: Scanner, labelled: Iterable[Row]) -> dict[str, list[int]]:
    """Entity → [right, reported, found, labelled]; the corpus counts code points, we count UTF-8 bytes."""
    told: dict[str, list[int]] = {}
    for row in labelled:
        text = row["text"]
        spans = [(s["type"], len(text[: s["start"]].encode()), len(text[: s["end"]].encode())) for s in row["spans"]]
        hits = scanner.scan(text.encode())
        for hit in hits:
            one = told.setdefault(hit.entity, [0, 0, 0, 0])
            one[0] += any(e == hit.entity and s < hit.end and hit.start < t for e, s, t in spans)
            one[1] += 1
        for entity, start, end in spans:
            one = told.setdefault(entity, [0, 0, 0, 0])
            one[2] += any(hit.entity == entity and start < hit.end and hit.start < end for hit in hits)
            one[3] += 1
    return told


def quality(scanner: Scanner, labelled: Sequence[Row], presidio: str | None) -> Table:
    """Entities that are labelled, or that were reported where none is."""
    ours = counts(scanner, labelled)
    theirs: dict[str, list[int]] = {}
    if presidio is not None:
        lines = "\n".join(json.dumps(row) for row in labelled)
        run = subprocess.run([presidio, str(PRESIDIO_COUNTS)], input=lines, capture_output=True, text=True, check=True)
        theirs = json.loads(run.stdout)
    table: Table = [("entity", "labelled", "precision", "recall", "Presidio's precision", "Presidio's recall")]
    known = set(scanner.data_class_of)
    for entity in sorted(ours):
        if entity in known:
            table.append((f"`{entity}`", str(ours[entity][3]), *_shares(ours[entity]), *_shares(theirs.get(entity))))
    return table


def _shares(told: Sequence[int] | None) -> tuple[str, str]:
    if told is None:
        return "", ""
    right, reported, found, labelled = told
    return (f"{right / reported:.3f}" if reported else "-", f"{found / labelled:.3f}" if labelled else "-")


def secrets(scanner: Scanner, paths: Iterable[Path]) -> Table:
    """Per corpus and kind: reported of the secrets, reported of the near misses."""
    told: Counter[tuple[str, str, bool, bool]] = Counter()
    for path in paths:
        source = path.stem.removeprefix("secrets_").partition("_")[0]
        for row in rows(path):
            hit = any(match.data_class == "secret" for match in scanner.scan(row["text"].encode()))
            told[source, row.get("rule") or row["plugin"], row["is_secret"], hit] += 1
    table: Table = [("corpus", "kind", "secrets found", "near misses reported")]
    for source, kind in sorted({key[:2] for key in told}):
        yes, no = told[source, kind, True, True], told[source, kind, True, False]
        false, passed = told[source, kind, False, True], told[source, kind, False, False]
        table.append((source, kind, f"{yes} of {yes + no}", f"{false} of {false + passed}"))
    return table


def injections(scanner: Scanner, security: Path) -> Table:
    told: Counter[tuple[str, str, str]] = Counter()
    for path in sorted([*security.glob("injection_*"), *security.glob("jailbreak_*"), *security.glob("benign_*")]):
        for row in rows(path):
            for text in row.get("turns") or [row["text"]]:
                label = row["label"]
                told[path.stem, label, "texts"] += 1
                found = {match.entity for match in scanner.scan(text.encode()) if match.data_class == "injection"}
                told[path.stem, label, "any"] += bool(found)
                for entity in found:
                    told[path.stem, label, entity] += 1
    table: Table = [("corpus", "label", "texts", "reported", "`PROMPT_INJECTION`", "`JAILBREAK`")]
    for source, label in sorted({key[:2] for key in told}):
        texts, found = told[source, label, "texts"], told[source, label, "any"]
        each = (str(told[source, label, entity]) for entity in ("PROMPT_INJECTION", "JAILBREAK"))
        table.append((source, label, str(texts), f"{found} ({found / texts:.1%})", *each))
    return table


def best_us(work: Callable[[bytes], object], text: bytes) -> float:
    repeats = max(1, BYTES_PER_ROUND // len(text) // 4)
    best = float("inf")
    work(text)
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(repeats):
            work(text)
        best = min(best, (time.perf_counter() - began) / repeats)
    return best * 1e6


def cost(scanner: Scanner) -> Table:
    """Beside one set of all triggers, and beside every pattern searched by itself."""
    patterns = [pattern for detector in DETECTORS for pattern in detector.patterns]
    bare = re2.Set.SearchSet(options(max_mem_bytes=SET_MEMORY_BYTES_MAX))
    for trigger in sorted({pattern.trigger for pattern in patterns}):
        bare.Add(trigger.encode())
    bare.Compile()
    compiled = [re2.compile(pattern.pattern.encode(), options()) for pattern in patterns]

    def one_by_one(text: bytes) -> int:
        return sum(1 for regex in compiled for _ in regex.finditer(text))

    table: Table = [("text", "bytes", "scanner µs", "bare set µs", "of it", "bare patterns µs", "of it")]
    for name, unit in (("clean", CLEAN), ("dense", DENSE), ("hostile", HOSTILE), ("base64", RANDOM)):
        for size in SIZES_BYTES:
            text = (unit * (size // len(unit) + 1))[:size]
            ours, one_set, each = best_us(scanner.scan, text), best_us(bare.Match, text), best_us(one_by_one, text)
            shares = (f"{one_set:.1f}", f"{ours / one_set:.1f}", f"{each:.0f}", f"{ours / each:.2f}")
            table.append((name, str(size), f"{ours:.1f}", *shares))
    return table


def render(table: Table) -> str:
    head, *body = table
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def page(scanner: Scanner, security: Path | None, presidio: str | None) -> str:
    machine = f"{platform.machine()}, {os.cpu_count()} cores shared with others, Python {platform.python_version()}"
    parts = [
        "# What the detectors find, and what they cost\n\n"
        f"`python -m bench.detectors`, {datetime.now(UTC):%Y-%m-%d}, {machine}.\n"
    ]
    if security is not None:
        labelled = list(rows(security / "pii_presidio_synth.jsonl"))
        parts += [_PII, render(quality(scanner, labelled, presidio))]
        parts += [_IDENTITIES, render(quality(scanner, list(identity_rows.rows()), presidio))]
        parts += [_SECRETS, render(secrets(scanner, sorted(security.glob("secrets_*.jsonl"))))]
        parts += [_INJECTIONS, render(injections(scanner, security))]
    parts += [_COST, render(cost(scanner))]
    return "\n".join(parts)


_PII = """## Personal data

800 synthetic sentences (microsoft/presidio-research). A hit counts as right when it overlaps a labelled span of its
entity. Presidio: its pattern recognisers (and its telephone recogniser), no language model, all that they report.
"""
_IDENTITIES = """## Identity numbers

For want of a public corpus: made-up sentences (`bench/identity_rows.py`), two thirds of them near misses with a wrong
check digit. Right and wrong are told by our own check functions, so this measures patterns, context and overlaps.
"""
_SECRETS = """## Secrets

Test cases of detect-secrets and gitleaks: any hit of the class `secret` counts. Many are placeholders, which those
tools report and we pass over on purpose (`AKIAZZZZ…`, `SKxxxx…`, `username:password`), and many near misses differ
from a
real key only in what their issuer does not publish.
"""
_INJECTIONS = """## Attempts to steer a model

Whole texts. The attacks of the e-mail corpus are innocent requests in the wrong place, which no pattern can tell; the
whois corpus holds markers, no attacks. Everything reported under `benign` is a false alarm.
"""
_COST = """## Cost

`bare set`: one `re2.Set` of the same triggers, searched once. `bare patterns`: every pattern searched by itself,
nothing checked.
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.detectors", description=__doc__.splitlines()[0])
    parser.add_argument("--presidio", metavar="PYTHON", help="an interpreter that has presidio-analyzer")
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name} (needs HEADGATE_CORPUS)")
    arguments = parser.parse_args(argv)
    corpus = os.environ.get("HEADGATE_CORPUS")
    if corpus is None:
        print("HEADGATE_CORPUS is not set: no quality figures", file=sys.stderr)
    text = page(Scanner(DETECTORS), Path(corpus) / "security" if corpus else None, arguments.presidio)
    print(text)
    if arguments.write and corpus is not None:
        RESULTS.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
