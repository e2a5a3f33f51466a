"""How rows are printed: one interface, three formats, and nothing from the archive that could drive a terminal.

Archived text is hostile: escape sequences, carriage returns and bidirectional overrides are shown as escapes. JSON
keeps them exactly (as `\\uXXXX`), tables and CSV show `\\x1b`.
"""

from __future__ import annotations

import csv
import math
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol, TextIO

import msgspec

FORMATS = ("table", "json", "csv")
CELL_CHARS_MAX = 60
"""A longer cell of a table is cut; JSON and CSV show it whole."""
_TABLE_ROWS_MAX = 10_000
"""A table needs all its rows before the first line; more are not shown, and a last line says so."""

_DANGEROUS = [
    *range(0x20),
    *range(0x7F, 0xA0),
    0x061C,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2066, 0x206A),
    0xFEFF,
]
_AS_ESCAPE = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _DANGEROUS}
_AS_ESCAPE |= {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
_IN_TEXT = {code: escape for code, escape in _AS_ESCAPE.items() if code not in (0x09, 0x0A)}
_IN_JSON = {code: f"\\u{code:04x}" for code in _DANGEROUS if code >= 0x7F}


class Output(Protocol):
    def rows(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Print rows; returns how many there were."""


def output(format_: str, stream: TextIO | None = None) -> Output:
    """The output of a `--format`."""
    target = stream if stream is not None else sys.stdout
    kinds: dict[str, Callable[[TextIO], Output]] = {"table": _Table, "json": _Json, "csv": _Csv}
    return kinds[format_](target)


def safe_text(text: str) -> str:
    """For showing text as it reads: lines stay lines, everything that moves a cursor or reorders text is escaped."""
    return text.translate(_IN_TEXT)


def cell(value: Any) -> str:
    """One value on one line."""
    return _plain(value).translate(_AS_ESCAPE)


def _plain(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value.normalize():f}"
        case datetime():
            return value.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case bytes():
            return _bytes(value)
        case float():
            return f"{value:.6g}"
        case list() | dict():
            return _JSON.encode(_jsonable(value)).decode()
        case _:
            return str(value)


def _bytes(value: bytes) -> str:
    """UTF-8 as text, anything else as hexadecimal digits."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return "0x" + value.hex()


def _jsonable(value: Any) -> Any:
    match value:
        case bytes():
            return _bytes(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case float() if not math.isfinite(value):
            return None
        case list() | tuple():
            return [_jsonable(item) for item in value]
        case dict():
            return {str(key): _jsonable(item) for key, item in value.items()}
        case _:
            return value


_JSON = msgspec.json.Encoder(decimal_format="number", enc_hook=str)


class _Json:
    """An array with one object per line: readable as a whole, and line by line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def rows(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        count = 0
        for count, row in enumerate(rows, start=1):
            line = _JSON.encode({name: _jsonable(value) for name, value in zip(columns, row, strict=True)}).decode()
            self._stream.write(("[" if count == 1 else ",\n") + line.translate(_IN_JSON))
        self._stream.write("]\n" if count else "[]\n")
        return count


class _Csv:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def rows(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        writer = csv.writer(self._stream, lineterminator="\n")
        writer.writerow(columns)
        count = 0
        for row in rows:
            writer.writerow([safe_text(_plain(value)) for value in row])
            count += 1
        return count


class _Table:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def rows(self, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        cells: list[list[str]] = []
        numeric = [True] * len(columns)
        count = 0
        for row in rows:
            count += 1
            if count > _TABLE_ROWS_MAX:
                continue
            cells.append([_cut(cell(value)) for value in row])
            for index, value in enumerate(row):
                if value is not None and (isinstance(value, bool) or not isinstance(value, int | float | Decimal)):
                    numeric[index] = False
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        self._line(columns, widths, [False] * len(columns))
        self._line(["─" * width for width in widths], widths, [False] * len(columns))
        for row_cells in cells:
            self._line(row_cells, widths, numeric)
        hidden = f", {count - len(cells)} not shown: use --format csv" if count > len(cells) else ""
        self._stream.write(f"({count} row{'' if count == 1 else 's'}{hidden})\n")
        return count

    def _line(self, texts: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> None:
        padded = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(texts, widths, numeric, strict=True)
        ]
        self._stream.write("  ".join(padded).rstrip() + "\n")


def _cut(text: str) -> str:
    return text if len(text) <= CELL_CHARS_MAX else text[: CELL_CHARS_MAX - 1] + "…"


def terminal_columns() -> int:
    """Width to wrap prose at."""
    return min(shutil.get_terminal_size((100, 24)).columns, 120)
