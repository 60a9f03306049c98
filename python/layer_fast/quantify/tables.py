"""From long tables to matrices: one cell per model x member x setup x method x fill x target x mask x channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .regions import NUM_REGIONS, ROW_OF

CELL_KEYS = ("setup", "method", "model", "member", "fill", "target", "mask", "channel")
TEXTS = (*CELL_KEYS, "scan_id", "subject", "region", "region_kind", "exposure", "flags")
NUMBERS = ("n_voxels", "present", "unresolved", "sum", "sum_abs", "value", "mean", "mean_minmax_volume",
           "share_of_labelled", "share_of_all", "enrichment", "margin", "thickness_mm", "volume_mm3")  # fmt: skip
Columns = dict[str, Sequence[Any]]


def columns(table: Any) -> Columns:
    """A pyarrow Table, a list of dicts or a mapping of columns, as a mapping of columns of equal length."""
    if hasattr(table, "column_names") and hasattr(table, "column"):
        return {name: table.column(name).to_pylist() for name in table.column_names}
    if isinstance(table, Mapping):
        out: Columns = {str(name): list(values) for name, values in table.items()}
    elif isinstance(table, Iterable):
        rows = list(table)
        names = list(dict.fromkeys(name for row in rows for name in row))
        out = {name: [row.get(name) for row in rows] for name in names}
    else:
        raise TypeError(f"[columns] expected a pyarrow Table, rows or columns, got {type(table).__name__}")
    if len({len(values) for values in out.values()}) > 1:
        raise ValueError(f"[columns] expected columns of equal length, got { {k: len(v) for k, v in out.items()} }")
    return out


def layer_arrays(table: Any) -> dict[str, NDArray[Any]]:
    """The columns of a layer table that statistics read: texts as objects (null as ""), numbers as float64 (null NaN).

    A pyarrow Table of a large cohort is not turned into Python objects: equal texts share one.
    """
    if hasattr(table, "column_names") and hasattr(table, "column"):
        names = set(table.column_names)
        out = {name: _arrow_texts(table.column(name)) for name in TEXTS if name in names}
        return {**out, **{name: _arrow_numbers(table.column(name)) for name in NUMBERS if name in names}}
    given = columns(table)
    texts = {n: np.array([v if v is not None else "" for v in given[n]], dtype=object) for n in TEXTS if n in given}
    return {**texts, **{n: to_float(given[n]) for n in NUMBERS if n in given}}


def to_float(values: Sequence[Any]) -> NDArray[np.float64]:
    """None becomes NaN."""
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _arrow_texts(column: Any) -> NDArray[Any]:
    coded = column.cast("string").fill_null("").combine_chunks().dictionary_encode()
    names = np.empty(len(coded.dictionary), dtype=object)
    names[:] = coded.dictionary.to_pylist()
    return np.asarray(names[coded.indices.to_numpy(zero_copy_only=False)])


def _arrow_numbers(column: Any) -> NDArray[np.float64]:
    kind = str(column.type)
    whole = column.cast("uint8") if kind == "bool" else column
    return np.asarray(whole.cast("float64").fill_null(float("nan")).to_numpy(), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Cell:
    """The rows of one cell as matrices over scans (sorted by subject, then scan) and the eleven regions."""

    key: dict[str, str]
    scan_ids: tuple[str, ...]
    positions: NDArray[np.int64]  # (scans, regions) -> row of the table
    table: dict[str, NDArray[Any]]

    @property
    def words(self) -> list[str]:
        """What seeds the draws of this cell; a channel counts only where there is one."""
        return [self.key[k] for k in sorted(self.key) if k != "channel" or self.key[k]]

    def matrix(self, name: str) -> NDArray[np.float64]:
        """Column `name` as (scans, regions), null as NaN; ValueError if the table has no such column."""
        return np.asarray(self._column(name)[self.positions])

    def per_scan(self, name: str) -> list[Any]:
        """Column `name` of each scan's first row; ValueError if the table has no such column."""
        return list(self._column(name)[self.positions[:, 0]])

    def _column(self, name: str) -> NDArray[Any]:
        if name not in self.table:
            raise ValueError(f"[layers] expected the column {name!r} of docs/tables.md for method {self.key['method']}")
        return self.table[name]


def cells(layers: Any) -> list[Cell]:
    """The cells of a layer table, sorted by their key. ValueError for a scan without exactly its eleven regions."""
    table = layer_arrays(layers)
    if not table or not len(next(iter(table.values()))):
        return []
    missing = [n for n in (*CELL_KEYS, "scan_id", "subject", "region", "region_kind") if n not in table]
    if missing:
        raise ValueError(f"[layers] expected the columns of docs/tables.md, missing: {', '.join(missing)}")
    found: dict[tuple[str, ...], dict[tuple[str, str], list[int]]] = {}
    keys = zip(*(table[n].tolist() for n in CELL_KEYS), strict=True)
    where = zip(*(table[n].tolist() for n in ("region_kind", "region", "subject", "scan_id")), strict=True)
    for i, (key, (kind, region, subject, scan)) in enumerate(zip(keys, where, strict=True)):
        scan_rows = found.setdefault(key, {}).setdefault((subject, scan), [-1] * NUM_REGIONS)
        position = ROW_OF.get((kind, region))
        if position is None or scan_rows[position] != -1:
            problem = "an unknown region" if position is None else "two rows of one region"
            raise ValueError(f"[layers] {problem}: {kind}:{region} of scan {scan} in {key}")
        scan_rows[position] = i
    return [_cell(key, found[key], table) for key in sorted(found)]


def _cell(key: tuple[str, ...], scans: dict[tuple[str, str], list[int]], table: dict[str, NDArray[Any]]) -> Cell:
    order = sorted(scans)
    positions = np.array([scans[s] for s in order], dtype=np.int64)
    if (positions < 0).any():
        scan = order[int((positions < 0).any(axis=1).argmax())][1]
        raise ValueError(f"[layers] expected {NUM_REGIONS} regions for scan {scan} in {key}, some are missing")
    return Cell(dict(zip(CELL_KEYS, key, strict=True)), tuple(s[1] for s in order), positions, table)
