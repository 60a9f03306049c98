"""Rows of a table as text, whatever the file is. No judgement of their content here."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from ..errors import ReadError, TableError
from .files import RegularFile

Row = dict[str, str]
_MAX_BYTES = 1 << 28
_DELIMITERS = (",", ";", "\t")


def read_rows(table: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    """Column names and (row number, row) pairs; the header is row 1. Cells are stripped text, "" where empty."""
    suffix = table.suffix.lower()
    if suffix not in (".csv", ".tsv", ".txt", ".parquet"):
        raise TableError(f"[{table.name}] expected a .csv, .tsv, .txt or .parquet table")
    try:
        with RegularFile(table) as file:
            data = file.read(max_bytes=_MAX_BYTES)
    except ReadError as error:
        raise TableError(f"[{table.name}] {error}") from None
    if suffix == ".parquet":
        return _from_parquet(data, table.name)
    try:
        text = str(data, "utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"[{table.name}] expected UTF-8 text, found something else at byte {error.start}") from None
    if "\0" in text:
        raise TableError(f"[{table.name}] holds NUL characters")
    return _from_text(text, table.name)


def _from_text(text: str, name: str) -> tuple[list[str], list[tuple[int, Row]]]:
    first = text.split("\n", 1)[0]
    # Told by the header alone: data cells may hold any of the three.
    delimiter = max(_DELIMITERS, key=first.count)
    rows: list[tuple[int, Row]] = []
    wrong: list[str] = []
    header: list[str] = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        for number, cells in enumerate(reader, start=1):
            values = [cell.strip() for cell in cells]
            if number == 1:
                header = values
            elif not any(values):
                continue
            elif len(values) != len(header):
                wrong.append(f"row {number}: {len(values)} cells, the header has {len(header)}")
            else:
                rows.append((number, dict(zip(header, values, strict=True))))
    except csv.Error as error:
        raise TableError(f"[{name}] is not a readable table: {error}") from None
    if wrong:
        raise TableError(f"[{name}] {len(wrong)} problem(s):\n  " + "\n  ".join(wrong))
    return header, rows


def _from_parquet(data: memoryview, name: str) -> tuple[list[str], list[tuple[int, Row]]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise TableError(f"[{name}] reading Parquet needs pyarrow: pip install pyarrow") from None
    try:
        table = pq.read_table(pa.BufferReader(pa.py_buffer(data)))
        header = [str(column) for column in table.column_names]
        rows = [(n, {str(k): _text(v) for k, v in row.items()}) for n, row in enumerate(table.to_pylist(), start=2)]
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"[{name}] is not a readable Parquet table ({type(error).__name__})") from None
    return header, rows


def _text(value: Any) -> str:
    if value is None or value != value:  # null, NaN
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # pandas turns a whole-number column with one gap into floats
    return str(value).strip()
