"""The units of a hierarchy in one cell, and numbers of scans joined step by step to numbers of subjects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from .cohort import Subjects
from .hierarchy import LEVELS, Hierarchy, Level, Unit

Float = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Nesting:
    """used: the scans of the cell that count, by subject. steps: for scans, then each level: how the units are joined,
    and for each unit the number of the one that holds it (of the last step: the subject). empty: level -> used scans
    without a value there; those of a subject, or of one unit above, are a unit of their own."""

    used: Codes
    subject: Codes  # of each used scan
    steps: tuple[tuple[str, Codes], ...]
    empty: dict[Level, int]

    def reduce(self, x: Float) -> Float:
        """(scans of the cell, C) -> (subjects, C); NaN left out at every step, NaN where nothing is left."""
        x = x[self.used]
        for how, parent in self.steps:
            x = joined(x, parent, how)
        return x

    def every(self, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(scans of the cell, C) -> (subjects, C): whether it holds for all scans that count."""
        out = np.ones((int(self.subject.max(initial=-1)) + 1, known.shape[1]), bool)
        np.logical_and.at(out, self.subject, known[self.used])
        return out

    def total(self, x: Float) -> Float:
        """(scans of the cell, C) -> (subjects, C): sums over the scans that count."""
        out = np.zeros((int(self.subject.max(initial=-1)) + 1, x.shape[1]))
        np.add.at(out, self.subject, x[self.used])
        return out


def nesting_of(hierarchy: Hierarchy, scan_ids: Sequence[str], subjects: Subjects, where: str) -> Nesting:
    """The units of a cell's scans. scan_ids: of the cell, which `subjects` was made of.

    Raises ConfigError, beginning with `where`, for a level whose column is not in the table of the scans or holds no
    value for any scan that counts.
    """
    used = [i for group in subjects.scans for i in group]
    owner = [s for s, group in enumerate(subjects.scans) for _ in group]
    rows = subjects.rows or {}
    there = [rows[scan_ids[i]] for i in used]
    outwards = {level: _values(level, there, where) for level in hierarchy.levels}
    paths = list(zip(owner, *(outwards[level] for level in reversed(hierarchy.levels)), strict=True))
    units: list[Unit] = ["scan", *hierarchy.levels]
    steps = []
    for unit in units:
        above = paths if unit == "scan" else [path[:-1] for path in paths]
        number = {path: i for i, path in enumerate(sorted(set(above)))}
        steps.append((hierarchy.over[unit], np.array([number[path] for path in above], dtype=np.int64)))
        paths = list(number)
    empty = {level: values.count("") for level, values in outwards.items()}
    return Nesting(np.array(used, dtype=np.int64), np.array(owner, dtype=np.int64), tuple(steps), empty)


def _values(level: str, rows: Sequence[Mapping[str, Any]], where: str) -> list[str]:
    """The column of each scan as text, "" where it has no value."""
    if not rows:
        return []  # nobody to ask: a cell of which no scan counts
    if not any(level in row for row in rows):
        found = [name for name in LEVELS if any(name in row for row in rows)]
        raise ConfigError(f"{where}: hierarchy level {level!r} needs the column {level!r} of the cohort table, found "
                          f"of these levels: {', '.join(found) or 'none'}")  # fmt: skip
    given = [row.get(level) for row in rows]
    texts = ["" if value is None or value != value else str(value) for value in given]
    if not any(texts):
        raise ConfigError(f"{where}: hierarchy level {level!r}: expected values in the column {level!r} of the cohort "
                          "table, found none in any scan that counts")  # fmt: skip
    return texts


def joined(x: Float, parent: Codes, how: str) -> Float:
    """Mean or median over the rows of each parent, NaN left out: (rows, C), (rows,) 0..P-1, each there -> (P, C).

    Sums run row after row, as in `Subjects.mean`, whose bits the plain hierarchy has.
    """
    many, width = int(parent.max(initial=-1)) + 1, x.shape[1]
    if many == len(x):
        return np.asarray(x[np.argsort(parent)])
    place = (parent[:, None] * width + np.arange(width)).ravel()
    y = np.ascontiguousarray(x).ravel()
    there = ~np.isnan(y)
    n = np.bincount(place[there], minlength=many * width)
    if how == "mean":
        total = np.bincount(place, np.where(there, y, 0.0), many * width)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((total / n).reshape(many, width))
    ordered = y[np.lexsort((y, place))]  # NaN last in its place
    size = np.repeat(np.bincount(parent, minlength=many), width)
    start = np.cumsum(size) - size
    low, high = start + np.maximum(n - 1, 0) // 2, start + np.minimum(n // 2, size - 1)
    return np.where(n > 0, (ordered[low] + ordered[high]) / 2.0, np.nan).reshape(many, width)
