"""What end-to-end tests ask of a running stack."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from extproc.stack import Stack
from tests.e2e.gate import Reply, send, until


def ask(
    stack: Stack, method: str, path: str, headers: Mapping[str, str] | None = None, body: Any = None, **more: Any
) -> Reply:
    """One request through the stack's Envoy."""
    return send(stack.plan.configuration.listener.address, method, path, headers, body, **more)


def rows(stack: Stack, tree: str = "facts", where: str = "true") -> list[dict[str, Any]]:
    """Rows of one tree of the archive, oldest first, read by plain DuckDB from the paths alone."""
    folder = stack.plan.configuration.capture.archive_dir / tree
    if not any(folder.rglob("*.parquet")):
        return []
    with duckdb.connect() as connection:
        query = f"SELECT * FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true) WHERE {where}"
        cursor = connection.execute(f"{query} ORDER BY exchange_id")
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def row(stack: Stack, exchange_id: str, within_s: float = 15.0) -> dict[str, Any]:
    """The facts of one exchange, waited for; exactly one row."""
    until(lambda: rows(stack, where=f"exchange_id = '{exchange_id}'"), within_s)
    (only,) = rows(stack, where=f"exchange_id = '{exchange_id}'")
    return only


def content(stack: Stack, exchange_id: str) -> dict[str, Any]:
    """The content of one exchange whose facts are there."""
    (only,) = rows(stack, "content", f"exchange_id = '{exchange_id}'")
    return only


def process_exists(pid: int) -> bool:
    """A zombie is no process any more."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
