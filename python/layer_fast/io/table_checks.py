"""The rules of the cohort table. Functions return sentences and never raise: all faults are listed at once."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable

from .values import SWE_UNITS

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
LABEL_TYPES = ("binary", "ordinal", "multiclass")
LABEL_UNITS = ("scan", "side", "subject")
NOT_READ = ("swe_validity", "swe_to_bmode")  # carrying them along unread would give wrong numbers without a word

Row = dict[str, str]


def is_mask(column: str) -> bool:
    """True for "mask" and "mask:RATER"."""
    return column == "mask" or column.startswith("mask:")


def of_header(header: list[str]) -> list[str]:
    """Faults of the column names."""
    problems = [f"column {c!r} is named {n} times" for c, n in Counter(header).items() if n > 1]
    problems += ["a column has no name"] if "" in header else []
    problems += [f"no column {c!r} (columns: {', '.join(header)})" for c in ("scan_id", "subject") if c not in header]
    if not {"bmode", "swe"} & set(header):
        problems.append(f"no column 'bmode' or 'swe' (columns: {', '.join(header)})")
    for column in header:
        if column.startswith("mask:") and not ID.fullmatch(column.removeprefix("mask:")):
            problems.append(f"column {column!r}: the rater must match {ID.pattern}")
    return problems


def of_row(row: Row) -> list[str]:
    """Faults of one row by itself."""
    problems: list[str] = []
    for column in ("scan_id", "subject"):
        if not row[column]:
            problems.append(f"{column} is empty")
        elif not ID.fullmatch(row[column]):
            problems.append(f"{column} {row[column]!r} does not match {ID.pattern}")
    if not row.get("bmode") and not row.get("swe"):
        problems.append("neither bmode nor swe names a file")
    unit = row.get("swe_unit", "")
    if row.get("swe") and not unit:
        problems.append(f"swe is given without swe_unit, expected one of {', '.join(SWE_UNITS)}")
    elif unit and unit not in SWE_UNITS:
        problems.append(f"swe_unit {unit!r}, expected one of {', '.join(SWE_UNITS)}")
    for column, value in row.items():
        if (column in ("bmode", "swe") or is_mask(column)) and ("\0" in value or "://" in value):
            problems.append(f"{column} {value!r} is not a file path")
    for column in NOT_READ:
        if row.get(column):
            problems.append(f"{column} is not read by this version: holes are NaN in the file, grids lie in affines")
    return problems + _label(row)


def _label(row: Row) -> list[str]:
    problems = []
    kind, unit = row.get("label_type", ""), row.get("label_unit", "")
    if kind and kind not in LABEL_TYPES:
        problems.append(f"label_type {kind!r}, expected one of {', '.join(LABEL_TYPES)}")
    if unit and unit not in LABEL_UNITS:
        problems.append(f"label_unit {unit!r}, expected one of {', '.join(LABEL_UNITS)}")
    if (kind or unit) and "label" not in row:
        problems.append("label_type or label_unit is given, but the table has no column label")
    if row.get("label") and unit == "side" and not row.get("side"):
        problems.append("label_unit is 'side', but side is empty")
    return problems


def across_rows(rows: list[tuple[int, Row]]) -> list[str]:
    """Faults that show only between rows: ids used twice, labels that contradict each other."""
    problems = _twins(rows)
    by_unit: dict[tuple[str, ...], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    binary: dict[str, list[int]] = defaultdict(list)
    for number, row in rows:
        label, unit = row.get("label", ""), row.get("label_unit") or "subject"
        if not label:
            continue
        if unit in ("subject", "side"):
            key = (unit, row["subject"], row.get("side", "") if unit == "side" else "")
            by_unit[key][label].append(number)
        if (row.get("label_type") or "binary") == "binary":
            binary[label].append(number)
    for (unit, subject, side), labels in by_unit.items():
        if len(labels) > 1:
            where = f"subject {subject!r}" + (f" side {side!r}" if side else "")
            rows_of = _rows(n for ns in labels.values() for n in ns)
            problems.append(f"{rows_of}: {where} has the labels {_list(labels)}, expected one per {unit}")
    if len(binary) > 2:
        problems.append(f"label_type is binary, but {len(binary)} labels are used: {_list(binary)}")
    return problems


def _twins(rows: list[tuple[int, Row]]) -> list[str]:
    problems: list[str] = []
    scans: dict[str, list[int]] = defaultdict(list)
    spellings: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, row in rows:
        scans[_fold(row["scan_id"])].append(number)
        spellings[_fold(row["subject"])][row["subject"]].append(number)
    for key, numbers in scans.items():
        if key and len(numbers) > 1:
            problems.append(f"{_rows(numbers)}: the same scan_id {key!r} (upper and lower case do not differ)")
    for spelled in spellings.values():
        if len(spelled) > 1:
            problems.append(f"{_rows(n for ns in spelled.values() for n in ns)}: one subject spelled {_list(spelled)}")
    return problems


def _fold(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _rows(numbers: Iterable[int]) -> str:
    return "rows " + ", ".join(map(str, sorted(numbers)))


def _list(values: Iterable[str]) -> str:
    return ", ".join(repr(v) for v in sorted(values))
