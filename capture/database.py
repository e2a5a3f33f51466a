"""The archive as a DuckDB database that can be asked, and nothing else: no writes, no files but the archive's.

Views: `facts` and `content` are the two trees; every .sql file in `queries/` is a view of its name over them. Who may
not read `content/` gets an empty `content`; the rest works.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from capture.columns import Tree, schema
from capture.errors import ArchiveUnusable, QueryRefused

_FETCH_ROWS = 1_000
_DT = pa.field("dt", pa.date32())
_READING = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
_WRITES_INSIDE = re.compile("copy|query|serialized", re.IGNORECASE)
"""A SELECT's common table expression may be a COPY, and these functions run SQL that is only put together when they
do. In what has no syntax tree to look at, the words are refused."""
_READING_NODES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_RUNS_SQL = frozenset({"query", "json_execute_serialized_sql"})


@dataclass(frozen=True, slots=True)
class Result:
    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


class Database:
    """Open for reading. Raises `ArchiveUnusable` when there is no archive or no row in it yet."""

    def __init__(self, archive_dir: Path) -> None:
        if not archive_dir.is_dir():
            raise ArchiveUnusable("archive_missing", f"there is no archive at {archive_dir}: is capture running?")
        if not _has_files(archive_dir / Tree.FACTS):
            raise ArchiveUnusable(
                "archive_empty",
                f"the archive at {archive_dir} holds no rows yet: send a request, wait a flush interval",
            )
        self._archive_dir = archive_dir
        self._connection = duckdb.connect(":memory:")
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET enable_progress_bar = false")  # it would be drawn into what programs read
        self._connection.execute("SET temp_directory = ''")  # nothing is spilled beside somebody's current folder
        self._connection.execute("SET python_enable_replacements = false")  # a name in a query is never a variable
        self._create_views(archive_dir)
        # The permission is checked for the pattern and for the files: they differ where a folder's name has brackets.
        paths = dict.fromkeys(path for tree in Tree for path in (str(archive_dir / tree), _escaped(archive_dir / tree)))
        folders = ", ".join(_literal(f"{path}/") for path in paths)
        self._connection.execute(f"SET allowed_directories = [{folders}]")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    def ask(self, query: str, parameters: Sequence[Any] = (), *, fetch_rows: int = _FETCH_ROWS) -> Result:
        """Run one reading statement. Raises `QueryRefused` with one line for anything that cannot be run.

        Rows are handed out as they come, `fetch_rows` of them in memory at once.
        """
        try:
            self._check(query)
            cursor = self._connection.execute(query, list(parameters))
            description = cursor.description or []
            return Result(tuple(column[0] for column in description), self._fetch(cursor, fetch_rows))
        except duckdb.Error as error:
            raise QueryRefused("query_refused", _one_line(error)) from None

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """All rows of a query that is known to be small."""
        result = self.ask(query, parameters)
        return [dict(zip(result.columns, row, strict=True)) for row in result.rows]

    def file_pairs(self, first: date, last: date) -> Iterator[tuple[str, str | None]]:
        """Each file of the facts of these days (UTC) with the file of the same rows' content, as SQL literals for
        `read_parquet`: for work that must not hold a day in memory. None where the content cannot be read."""
        for day in sorted((self._archive_dir / Tree.FACTS).glob("dt=*")):
            if not f"dt={first}" <= day.name <= f"dt={last}":
                continue
            for facts in sorted(day.glob("*.parquet")):
                content = self._archive_dir / Tree.CONTENT / day.name / facts.name
                readable = os.access(content, os.R_OK)
                yield _literal(_escaped(facts)), _literal(_escaped(content)) if readable else None

    def _fetch(self, cursor: duckdb.DuckDBPyConnection, fetch_rows: int) -> Iterator[tuple[Any, ...]]:
        try:
            while rows := cursor.fetchmany(fetch_rows):
                yield from rows
        except duckdb.Error as error:
            raise QueryRefused("query_failed", _one_line(error)) from None

    def _check(self, query: str) -> None:
        """The archive's folders are open to the engine, so what it is asked to do there must be reading."""
        statements = duckdb.extract_statements(query)
        if len(statements) != 1:
            raise QueryRefused("query_refused", f"give exactly one statement, not {len(statements)}")
        kind = statements[0].type
        pivot = kind == duckdb.StatementType.MULTI and query.lstrip().lower().startswith("pivot")
        # EXPLAIN ANALYZE (or ANALYSE) runs what it explains, a COPY too; comments may stand between its words.
        runs = kind == duckdb.StatementType.EXPLAIN and re.search("analy[sz]e", query, re.IGNORECASE) is not None
        if runs or not (kind in _READING or pivot) or not self._only_reads(query):
            raise QueryRefused("query_refused", "the archive can only be read: give a SELECT")

    def _only_reads(self, query: str) -> bool:
        """Is there nothing but reading inside the statement? By its syntax tree; one that cannot be had fails."""
        if _WRITES_INSIDE.search(query) is None:
            return True
        (told,) = self._connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone() or ("{}",)
        try:
            tree = json.loads(told)
        except RecursionError:
            return False
        return tree.get("error") is False and all(map(_node_reads, _nodes(tree)))

    def _create_views(self, archive_dir: Path) -> None:
        for tree in Tree:
            if tree is Tree.CONTENT and not _has_files(archive_dir / tree):
                empty = schema(tree).append(_DT).empty_table()
                self._connection.register(tree.value, empty)
                continue
            pattern = _literal(f"{_escaped(archive_dir / tree)}/*/*.parquet")
            self._connection.execute(
                f"CREATE VIEW {tree.value} AS SELECT * FROM read_parquet({pattern}, "  # noqa: S608 (quoted)
                "hive_partitioning = true, hive_types = {'dt': DATE}, union_by_name = true)"
            )
        # `exchanges` first: other views may build on it.
        for name, query in sorted(views().items(), key=lambda view: view[0] != "exchanges"):
            self._connection.execute(f"CREATE VIEW {name} AS {query}")


def views() -> dict[str, str]:
    """Name and SQL of every view in `queries/`."""
    folder = resources.files("capture.queries")
    return {
        entry.name.removesuffix(".sql"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    }


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _node_reads(node: dict[str, Any]) -> bool:
    """By DuckDB's own names of query nodes (`COPY_QUERY_NODE`) and functions."""
    kind, function = node.get("type"), node.get("function_name")
    is_other_node = isinstance(kind, str) and kind.endswith("_NODE") and kind not in _READING_NODES
    return not is_other_node and not (isinstance(function, str) and function.lower() in _RUNS_SQL)


def _has_files(tree: Path) -> bool:
    try:
        return any(day.is_dir() and any(day.glob("*.parquet")) for day in tree.iterdir() if os.access(day, os.R_OK))
    except OSError:
        return False


def _escaped(path: Path) -> str:
    """A path in which DuckDB's globs see no pattern."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in str(path))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _one_line(error: Exception) -> str:
    """DuckDB's message without its picture of the query."""
    return " ".join(str(error).split("\nLINE ")[0].split())
