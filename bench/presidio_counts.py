"""What Presidio's recognisers make of labelled rows: run by an interpreter that has presidio-analyzer.

    PYTHON bench/presidio_counts.py < rows.jsonl        # {"text", "spans": [{"start", "end", "type"}]} a line

Prints one JSON object: entity → [right, reported, found, labelled]. Only patterns and checksums: no language model.
"""

from __future__ import annotations

import inspect
import json
import logging
import sys
from collections import Counter

from presidio_analyzer import PatternRecognizer, predefined_recognizers


def main() -> int:
    logging.disable(logging.CRITICAL)
    rows = [json.loads(line) for line in sys.stdin]
    wanted = Counter(span["type"] for row in rows for span in row["spans"])
    recognisers = {}
    for _, kind in inspect.getmembers(predefined_recognizers, inspect.isclass):
        if (
            issubclass(kind, PatternRecognizer) and kind is not PatternRecognizer
        ) or kind.__name__ == "PhoneRecognizer":
            one = kind()
            if one.supported_entities[0] in wanted:
                recognisers[one.supported_entities[0]] = one
    counts = {}
    for entity, recogniser in recognisers.items():
        right = reported = found = 0
        for row in rows:
            spans = [(s["start"], s["end"]) for s in row["spans"] if s["type"] == entity]
            hits = [(h.start, h.end) for h in recogniser.analyze(row["text"], [entity], None)]
            reported += len(hits)
            right += sum(any(a < d and c < b for c, d in spans) for a, b in hits)
            found += sum(any(a < d and c < b for a, b in hits) for c, d in spans)
        counts[entity] = [right, reported, found, wanted[entity]]
    print(json.dumps(counts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
