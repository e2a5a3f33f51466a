"""Rows into Parquet files, so that a file is either whole and durable in its place or not there at all.

Files are written beside the trees, brought to the disk, and renamed: one torn file would fail every query of the whole
glob, and DuckDB's globs include names that begin with `.` or `_`, so nothing else may ever lie inside a tree.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capture.columns import Tree, schema

ZSTD_LEVEL = 3
"""Level 1 collapses on long rows, level 9 costs 2-4 times the CPU for a few per cent."""


def table(tree: Tree, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as a table of the tree's schema: absent columns are NULL, values that no column can hold become NULL."""
    wanted = schema(tree)
    try:
        return pa.Table.from_pylist(list(rows), schema=wanted)
    except (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError):
        return pa.Table.from_pylist([_conform(row, wanted) for row in rows], schema=wanted)


def write(path: Path, content: pa.Table) -> None:
    """Write a file and bring it to the disk; its name still needs `publish`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content, path, compression="zstd", compression_level=ZSTD_LEVEL)
    sync_file(path)


def publish(staged: Path, target: Path) -> None:
    """Give a written file its name in the tree, durably. The same name again replaces the file."""
    make_directory(target.parent)
    staged.rename(target)
    sync_directory(target.parent)


def make_directory(path: Path) -> None:
    """Like `mkdir -p`, with every new name brought to the disk."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)


def sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _conform(row: dict[str, Any], wanted: pa.Schema) -> dict[str, Any]:
    """A row that Arrow refused, value by value: what does not fit is NULL and named among the warnings."""
    fitting: dict[str, Any] = {}
    dropped: list[str] = []
    for field in wanted:
        value = row.get(field.name)
        if value is None:
            continue
        try:
            pa.array([value], type=field.type)
        except (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError):
            dropped.append(field.name)
        else:
            fitting[field.name] = value
    if dropped and "warnings" in wanted.names:
        fitting["warnings"] = [*(fitting.get("warnings") or ()), *(f"unrepresentable:{name}" for name in dropped)]
    return fitting
