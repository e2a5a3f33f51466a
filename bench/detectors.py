"""What the detectors find, and what they cost: over public labelled text, and beside a bare `re2.Set` in the same run.

    HEADGATE_CORPUS=… python -m bench.detectors

Quality: precision and recall per entity over `security/pii_presidio_synth.jsonl` (synthetic sentences with spans), the
share of secrets found and of near misses passed over in `security/secrets_*.jsonl` (for the kinds we have a detector
for), and every hit in `security/benign_*.jsonl`, where there should be next to none.
Cost: µs per text, best of several rounds, for clean, dense and hostile text.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import re2

from extproc.detectors import DETECTORS
from extproc.recogniser import options
from extproc.scanner import SET_MEMORY_BYTES_MAX, Scanner

SIZES_BYTES = (2 * 1024, 32 * 1024, 200 * 1024)
ROUNDS = 5
BYTES_PER_ROUND = 1_000_000

CLEAN = b"The quick brown fox jumps over the lazy dog, writes some ordinary text and says nothing of itself. "
DENSE = b"Mail jane.doe@example.com, card 4111 1111 1111 1111, SSN 219-09-9998, call +1 212-555-0123 today. "
HOSTILE = (
    b"4111 1111 1111 1112 sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa a@a.a.a.a.a.a.a. DE12 DE12 DE12 +1 (2 (2 (2 "
    b"eyJaaaaaaaaaa. call me (call me (-----BEGIN PRIVATE KEY----- "
)

RANDOM = bytes(random.Random(1).choices(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/", k=250_000))
"""Like base64: what files and encrypted reasoning look like inside a prompt."""

# Which kinds of the two secret corpora a detector of ours exists for.
OUR_SECRETS = {
    "aws_key", "github_token", "jwt", "openai", "stripe_key", "basic_auth", "gitlab_token", "anthropic-api-key",
    "aws-access-token", "github-pat", "slack-bot-token", "private-key", "generic-api-key",
}  # fmt: skip


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def byte_spans(row: dict[str, Any]) -> set[tuple[str, int, int]]:
    """The corpus counts code points, we count UTF-8 bytes."""
    text = row["text"]
    return {
        (span["type"], len(text[: span["start"]].encode()), len(text[: span["end"]].encode())) for span in row["spans"]
    }


def pii_quality(scanner: Scanner, path: Path) -> None:
    entities = sorted(e for e, data_class in scanner.data_class_of.items() if data_class == "pii")
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for row in rows(path):
        spans = byte_spans(row)
        for entity, _, _ in spans:
            wanted[entity] += 1
        for hit in scanner.scan(row["text"].encode()):
            found[hit.entity] += 1
            right[hit.entity] += any(e == hit.entity and s < hit.end and hit.start < t for e, s, t in spans)
    print(f"{path.name}: {'entity':<20} {'precision':>9} {'recall':>7} {'spans':>6}")
    for entity in entities:
        precision = right[entity] / found[entity] if found[entity] else float("nan")
        recall = right[entity] / wanted[entity] if wanted[entity] else float("nan")
        print(f"{'':<{len(path.name) + 1}} {entity:<20} {precision:>9.2f} {recall:>7.2f} {wanted[entity]:>6}")


def secrets_quality(scanner: Scanner, path: Path) -> None:
    counts: Counter[tuple[str, bool, bool]] = Counter()
    for row in rows(path):
        kind = row.get("rule") or row.get("plugin")
        if kind in OUR_SECRETS:
            hit = any(m.data_class == "secret" for m in scanner.scan(row["text"].encode()))
            counts[kind, row["is_secret"], hit] += 1
    print(f"{path.name}: found of secrets, reported of near misses")
    for kind in sorted({kind for kind, _, _ in counts}):
        yes, no = counts[kind, True, True], counts[kind, True, False]
        false, passed = counts[kind, False, True], counts[kind, False, False]
        print(f"  {kind:<20} {yes:>3}/{yes + no:<3}   {false:>3}/{false + passed:<3}")


def benign(scanner: Scanner, path: Path) -> None:
    hits: Counter[str] = Counter()
    texts = 0
    for row in rows(path):
        for text in row.get("turns") or [row["text"]]:
            texts += 1
            hits.update(m.entity for m in scanner.scan(text.encode()))
    print(f"{path.name}: {texts} texts, hits: {dict(hits) or 'none'}")


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


def cost(scanner: Scanner) -> None:
    bare = re2.Set.SearchSet(options(max_mem_bytes=SET_MEMORY_BYTES_MAX))
    for detector in DETECTORS:
        for pattern in detector.patterns:
            bare.Add(pattern.pattern.encode())
    bare.Compile()
    print(f"µs per text {'':>8} {'bytes':>8} {'scanner':>10} {'bare set':>10}")
    for name, unit in (("clean", CLEAN), ("dense", DENSE), ("hostile", HOSTILE), ("base64", RANDOM)):
        for size in SIZES_BYTES:
            text = (unit * (size // len(unit) + 1))[:size]
            print(f"  {name:<18} {size:>8} {best_us(scanner.scan, text):>10.1f} {best_us(bare.Match, text):>10.1f}")


def main() -> int:
    scanner = Scanner(DETECTORS)
    corpus = os.environ.get("HEADGATE_CORPUS")
    if corpus is None:
        print("HEADGATE_CORPUS is not set: no quality figures", file=sys.stderr)
    else:
        security = Path(corpus) / "security"
        pii_quality(scanner, security / "pii_presidio_synth.jsonl")
        for path in sorted(security.glob("secrets_*.jsonl")):
            secrets_quality(scanner, path)
        for path in sorted(security.glob("benign_*.jsonl")):
            benign(scanner, path)
    cost(scanner)
    return 0


if __name__ == "__main__":
    sys.exit(main())
