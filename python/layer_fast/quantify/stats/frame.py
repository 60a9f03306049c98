"""The tables of a run as one array: usable scans x analyses x eleven regions, with who and what each scan is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cohort import USED, is_margin, region_values
from ..definitions import PRESETS
from ..folds import margins_per_sd, sd_of
from ..regions import NUM_REGIONS
from ..tables import Cell
from .resample import Float

SITE_COLUMNS = ("site", "centre", "center")
Codes = NDArray[np.int64]
Scans = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Analysis:
    """One definition of one cell. scale: what the values were divided by (the logit SD, else 1). by_fold: whether each
    scan's were divided by the logit SD of its own fold's model."""

    key: dict[str, str]
    definition: str
    scale: float
    positive: str
    negative: str | None
    by_fold: bool = False

    @property
    def units(self) -> str:
        d = PRESETS[self.definition]
        if d.kind != "value" or not self.key["target"].startswith("margin:"):
            return f"{d.units} / SD of the model's logit" if self.by_fold and d.units != "1" else d.units
        return "SD of the model's logit" if self.by_fold or self.scale != 1.0 else "logits of the target"


@dataclass(frozen=True, slots=True)
class Frame:
    """Scans are sorted by subject, unit and scan_id, so that a subject's and a unit's scans are neighbours."""

    scan_ids: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]  # of scans.parquet, in that order
    label: NDArray[np.object_]  # (scans,), "" where there is none
    subjects: tuple[str, ...]
    subject: Codes  # (scans,)
    unit: Codes  # (scans,) what the label belongs to
    site: Codes  # (scans,) of the subject; all 0 without a site column
    site_column: str | None
    units: dict[str, int]  # how many units of each kind: scan, side, subject
    not_usable: int  # scans left out for their status
    analyses: tuple[Analysis, ...]
    values: Float  # (scans, analyses, regions)
    margins: Float  # (scans, analyses): of the analysis's own classifier, in logits
    ranked: Float  # the same, where folds have models of their own in SDs of their logits


def make_frame(found: Sequence[Cell], by_scan: Scans, how: Sequence[Sequence[Analysis]], site: str | None) -> Frame:
    """how: the analyses of every cell. site: a column of the scans, None for the first of `SITE_COLUMNS` that holds
    two values, "" for none. ValueError for a site column that is not there."""
    ok = {name: row for name, row in by_scan.items() if row.get("status") in USED}
    order = sorted(ok, key=lambda name: (str(ok[name]["subject"]), _unit(name, ok[name]), name))
    rows = tuple(ok[name] for name in order)
    subjects, subject = _codes([str(row["subject"]) for row in rows])
    names = [(str(row["subject"]), *_unit(name, row)) for name, row in zip(order, rows, strict=True)]
    label = np.array([row.get("label") or "" for row in rows], dtype=object)
    kinds = Counter(name[1] for name in set(names))
    column = _site_column(rows, site)
    analyses = tuple(one for some in how for one in some)
    values = np.full((len(order), len(analyses), NUM_REGIONS), np.nan)
    margins = np.full((len(order), len(analyses)), np.nan)
    ranked = margins.copy()
    place = {name: i for i, name in enumerate(order)}
    at = 0
    for cell, some in zip(found, how, strict=True):
        there = [(i, place[name]) for i, name in enumerate(cell.scan_ids) if name in place]
        source, target = np.array(there, dtype=np.int64).reshape(-1, 2).T
        margin = np.array(cell.per_scan("margin"), dtype=np.float64)
        for one in some:
            values[target, at] = region_values(cell, one.definition)[source] / one.scale
            margins[target, at], ranked[target, at] = margin[source], margins_per_sd(cell, margin)[source]
            at += 1
    return Frame(
        tuple(order), rows, label, subjects, subject, _codes(names)[1], _sites(rows, subject, column), column,
        dict(sorted(kinds.items())), len(by_scan) - len(ok), analyses, values, margins, ranked,
    )  # fmt: skip


def analyses_of(
    cell: Cell, classes: tuple[str, str | None], sd: float | None, map_definitions: Sequence[str]
) -> list[Analysis]:
    """A value method by itself, in units of the logit SD as in claims.json; a map by each definition."""
    method, by_fold = cell.key["method"], sd_of(cell) is not None
    if method in PRESETS and PRESETS[method].kind == "value":
        return [Analysis(cell.key, method, sd if sd is not None and is_margin(cell) else 1.0, *classes, by_fold)]
    return [Analysis(cell.key, name, 1.0, *classes, by_fold) for name in map_definitions]


def grouped_mean(x: Float, group: Codes, many: int) -> Float:
    """Mean over the rows of each group, NaN left out: (rows, C), (rows,) sorted codes -> (many, C)."""
    out = np.full((many, x.shape[1]), np.nan)
    if not len(group):
        return out
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    there = ~np.isnan(x)
    n = np.add.reduceat(there, starts, axis=0, dtype=np.int64)
    total = np.add.reduceat(np.where(there, x, 0.0), starts, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        out[group[starts]] = total / n
    return out


def _unit(name: str, row: Mapping[str, Any]) -> tuple[str, str]:
    """What the scan's label belongs to: ("scan", id), ("side", side) or ("subject", "")."""
    kind = row.get("label_unit") or "subject"
    return kind, {"scan": name, "side": str(row.get("side") or "")}.get(kind, "")


def _codes(names: Sequence[Any]) -> tuple[tuple[Any, ...], Codes]:
    known = {name: i for i, name in enumerate(sorted(set(names)))}
    return tuple(known), np.array([known[name] for name in names], dtype=np.int64)


def _site_column(rows: Sequence[Mapping[str, Any]], site: str | None) -> str | None:
    if site == "":
        return None
    if site is not None:
        if rows and site not in rows[0]:
            raise ValueError(f"[stats] site: expected a column of the scans, got {site!r}")
        return site
    return next((name for name in SITE_COLUMNS if len({row.get(name) for row in rows}) > 1), None)


def _sites(rows: Sequence[Mapping[str, Any]], subject: Codes, column: str | None) -> Codes:
    """A subject seen at several sites has all of them for a site of its own."""
    if column is None:
        return np.zeros(len(rows), dtype=np.int64)
    seen: dict[int, set[str]] = {}
    for code, row in zip(subject.tolist(), rows, strict=True):
        seen.setdefault(code, set()).add(str(row.get(column) or ""))
    return _codes([tuple(sorted(seen[code])) for code in subject.tolist()])[1]
