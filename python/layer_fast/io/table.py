"""The cohort table: CSV, TSV or Parquet in, one ScanRef per row out, or one error that lists all that is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import TableError
from ..types import ScanRef
from . import table_checks as checks
from .table_rows import Row, read_rows

_OWN = ("scan_id", "subject", "bmode", "swe", "swe_unit", "mask", "label", "label_type", "label_unit", "fold")


def load_table(path: str | os.PathLike[str], *, columns: Mapping[str, str] | None = None) -> list[ScanRef]:
    """Read a cohort table (.csv, .tsv, .txt, .parquet); file paths in it are relative to the table's folder.

    columns: our name -> the table's name, e.g. {"bmode": "path_us"}. Understood: scan_id, subject, bmode, swe,
    swe_unit, mask, mask:RATER, label, label_type, label_unit, fold; every other column is carried as text in `strata`.
    Whether the files exist is found out when they are read: a missing one costs its scan, not the run.
    Raises TableError with every row at fault (row 1 is the header).
    """
    table = Path(path)
    header, rows = read_rows(table)
    header, rows = _renamed(header, rows, columns or {}, table.name)
    problems = checks.of_header(header)
    if not rows:
        problems.append("the table has no rows")
    if not problems:
        for number, row in rows:
            problems += [f"row {number}: {problem}" for problem in checks.of_row(row)]
        problems += checks.across_rows(rows)
    if problems:
        raise TableError(f"[{table.name}] {len(problems)} problem(s):\n  " + "\n  ".join(problems))
    folder = table.resolve().parent
    return [_ref(row, folder) for _, row in rows]


def _renamed(
    header: list[str], rows: list[tuple[int, Row]], columns: Mapping[str, str], name: str
) -> tuple[list[str], list[tuple[int, Row]]]:
    absent = sorted(theirs for theirs in columns.values() if theirs not in header)
    taken = sorted(ours for ours, theirs in columns.items() if ours in header and ours != theirs)
    if absent or taken:
        parts = [f"no column {c!r} (columns: {', '.join(header)})" for c in absent]
        parts += [f"column {c!r} exists already and would be replaced" for c in taken]
        raise TableError(f"[{name}] columns=: " + "; ".join(parts))
    ours_by_theirs = {theirs: ours for ours, theirs in columns.items()}
    if len(ours_by_theirs) != len(columns):
        raise TableError(f"[{name}] columns=: one column of the table is named for two of ours")
    new = [ours_by_theirs.get(c, c) for c in header]
    return new, [(number, {ours_by_theirs.get(k, k): v for k, v in row.items()}) for number, row in rows]


def _ref(row: Row, folder: Path) -> ScanRef:
    def file(column: str) -> Path | None:
        text = row.get(column, "")
        return Path(os.path.normpath(folder / text)) if text else None

    masks: dict[str, Path] = {}
    for column in row:
        path = file(column) if checks.is_mask(column) else None
        if path is not None:
            masks["manual" + column.removeprefix("mask")] = path
    return ScanRef(
        scan_id=row["scan_id"],
        subject=row["subject"],
        bmode=file("bmode"),
        swe=file("swe"),
        swe_unit=row.get("swe_unit") or None,
        masks=masks,
        label=row.get("label") or None,
        label_type=row.get("label_type") or "binary",
        label_unit=row.get("label_unit") or "subject",
        fold=row.get("fold") or None,
        strata={k: v for k, v in row.items() if k not in _OWN and not checks.is_mask(k)},
    )
