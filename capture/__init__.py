"""Headgate's archive: from the spool that the request path writes to Parquet trees that DuckDB reads."""
