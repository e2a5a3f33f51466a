"""Rows into Parquet files, a row group at a time, so that memory holds one group whatever a batch decodes to.

Files are written beside the trees, brought to the disk, and renamed: one torn file would fail every query of the whole
glob, and DuckDB's globs include names that begin with `.` or `_`, so nothing else may ever lie inside a tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from capture.columns import Tree, schema
from capture.files import move, sync_file

ZSTD_LEVEL = 3
"""Level 1 collapses on long rows, level 9 costs 2-4 times the CPU for a few per cent."""
_REFUSALS = (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError)


def table(tree: Tree, rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Rows as a table of the tree's schema: absent columns are NULL, values that no column can hold become NULL."""
    wanted = schema(tree)
    try:
        return pa.Table.from_pylist(list(rows), schema=wanted)
    except _REFUSALS:
        return pa.Table.from_pylist([_conform(row, wanted) for row in rows], schema=wanted)


class TreeFile:
    """One Parquet file of one tree and day, until it is published."""

    def __init__(self, tree: Tree, dt: str, name: str, staging: Path, *, group_bytes_max: int) -> None:
        self.tree = tree
        self._target = f"{tree.value}/dt={dt}/{name}.parquet"
        self._staged = staging / f"{name}.{tree.value}.{dt}"
        self._group_bytes_max = group_bytes_max
        self._writer: pq.ParquetWriter | None = None
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def add(self, row: dict[str, Any], size: int) -> None:
        """`size`: roughly what the row takes in memory, bytes."""
        self._rows.append(row)
        self._bytes += size
        if self._bytes >= self._group_bytes_max:
            self._flush()

    def finish(self) -> None:
        """Everything is on the disk; only the name is missing."""
        self._flush()
        assert self._writer is not None, "a file without rows"
        self._writer.close()
        sync_file(self._staged)

    def publish(self, archive: Path) -> None:
        move(self._staged, archive / self._target)

    def _flush(self) -> None:
        if not self._rows:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._staged, schema(self.tree), compression="zstd", compression_level=ZSTD_LEVEL
            )
        self._writer.write_table(table(self.tree, self._rows))
        self._rows = []
        self._bytes = 0


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
        except _REFUSALS:
            dropped.append(field.name)
        else:
            fitting[field.name] = value
    if dropped and "warnings" in wanted.names:
        fitting["warnings"] = [*(fitting.get("warnings") or ()), *(f"unrepresentable:{name}" for name in dropped)]
    return fitting
