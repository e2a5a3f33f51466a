"""SQL that hides a write inside a reading statement: the engine may write there, so it must not pass."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from capture.columns import Tree, schema
from capture.database import Database
from capture.errors import QueryRefused

ID = "01989d3e-0000-7000-8000-000000000001"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for tree in Tree:
        folder = tmp_path / tree.value / "dt=2026-11-21"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist([{"exchange_id": ID}], schema=schema(tree)), folder / "a.parquet")
    return tmp_path


@pytest.mark.parametrize(
    "query",
    [
        "WITH x AS (COPY (SELECT 1) TO '{target}') SELECT 1",
        "with x as (/**/copy/**/(SELECT 1) TO '{target}') SELECT * FROM facts",
        "WITH y AS (SELECT 1), x AS (COPY (SELECT 1) TO '{target}') SELECT * FROM y",
        "EXPLAIN (WITH x AS (COPY (SELECT 1) TO '{target}') SELECT 1)",
        "SELECT * FROM json_execute_serialized_sql("
        "json_serialize_sql('WITH x AS (CO' || 'PY (SELECT 1) TO ''{target}'') SELECT 1'))",
        "SELECT * FROM \"JSON_EXECUTE_SERIALIZED_SQL\"('{{}}')",
        "PIVOT (SELECT * FROM json_execute_serialized_sql('{{}}')) ON team USING count(*)",
        "SELECT * FROM query('SELECT * FROM json_execute_' || 'serialized_sql(''{{}}'')')",
        "SELECT * FROM system.main.query('SELECT 1')",
    ],
)
def test_a_write_inside_of_a_reading_statement_is_refused(archive: Path, query: str) -> None:
    target = archive / "facts" / "dt=2026-11-21" / "b.parquet"
    with pytest.raises(QueryRefused, match="can only be read"):
        Database(archive).ask(query.format(target=target))
    assert not target.exists()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT exchange_id, 'copy' AS query FROM facts",
        "WITH copies AS (SELECT * FROM facts) SELECT exchange_id, 'query' FROM copies",
        "SELECT exchange_id, 'serialized' FROM facts WHERE path IS NULL OR path LIKE '%/query%'",
        "SELECT exchange_id, 'copy' FROM facts UNION SELECT exchange_id, 'copy' FROM content",
    ],
)
def test_the_words_alone_are_no_write(archive: Path, query: str) -> None:
    ((first, _),) = Database(archive).ask(query).rows
    assert first == ID
