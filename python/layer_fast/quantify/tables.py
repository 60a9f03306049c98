"""From long tables to matrices: one cell per model x member x setup x method x fill x target x mask x channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .regions import NUM_REGIONS, ROW_OF

CELL_KEYS = ("setup", "method", "model", "member", "fill", "target", "mask", "channel")
TEXTS = (*CELL_KEYS, "scan_id", "subject", "label", "region", "region_kind", "exposure", "flags")
NUMBERS = (
    "n_voxels", "present", "unresolved", "sum", "sum_sq", "sum_abs", "sum_pos", "min", "max", "value", "mean",
    "mean_minmax_volume", "share_of_labelled", "share_of_all", "enrichment", "margin", "thickness_mm", "volume_mm3",
)  # fmt: skip
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


def read_layers(path: Any) -> Any:
    """layers.parquet as a pyarrow Table with the columns that statistics read, texts as dictionaries: a quarter of the
    memory of the whole table."""
    import pyarrow.parquet as parquet

    with parquet.ParquetFile(path, read_dictionary=list(TEXTS)) as file:
        names = [name for name in file.schema_arrow.names if name in TEXTS or name in NUMBERS]
        return file.read(columns=names)


def _arrow_texts(column: Any) -> NDArray[Any]:
    if str(column.type).startswith("dictionary") and not column.null_count and column.num_chunks:
        coded = column.unify_dictionaries().combine_chunks()
    else:
        coded = column.cast("string").fill_null("").combine_chunks().dictionary_encode()
    names = np.empty(len(coded.dictionary), dtype=object)
    names[:] = coded.dictionary.to_pylist()
    return np.asarray(names[coded.indices.to_numpy(zero_copy_only=False)])


def _arrow_numbers(column: Any) -> NDArray[np.float64]:
    kind = str(column.type)
    whole = column.cast("uint8") if kind == "bool" else column
    return np.asarray(whole.cast("float64").fill_null(float("nan")).to_numpy(), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Folds:
    """Of one cell whose scans were explained by several models. names: fold of every scan. logit_sd: of every fold's
    model on its training subjects, by fold; None where the packages state none. sd: the same per scan, (scans,), None
    where there is none."""

    names: tuple[str, ...]
    logit_sd: dict[str, float | None]
    sd: NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class Cell:
    """The rows of one cell as matrices over scans (sorted by subject, then scan) and the eleven regions."""

    key: dict[str, str]
    scan_ids: tuple[str, ...]
    positions: NDArray[np.int64]  # (scans, regions) -> row of the table
    table: dict[str, NDArray[Any]]
    folds: Folds | None = None  # where several models, one for each fold, explained the scans

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
    """The cells of a layer table, sorted by their key; a list of cells as it is. ValueError for a scan without exactly
    its eleven regions."""
    if isinstance(layers, list) and layers and all(isinstance(one, Cell) for one in layers):
        return layers
    table = layer_arrays(layers)
    if not table or not len(next(iter(table.values()))):
        return []
    missing = [n for n in (*CELL_KEYS, "scan_id", "subject", "region", "region_kind") if n not in table]
    if missing:
        raise ValueError(f"[layers] expected the columns of docs/tables.md, missing: {', '.join(missing)}")
    coded = {n: _coded(table[n]) for n in (*CELL_KEYS, "subject", "scan_id", "region_kind", "region")}
    cell, scan = _together(coded, CELL_KEYS), _together(coded, ("subject", "scan_id"))
    place = _places(coded, table)
    order = np.lexsort((place, scan, cell))
    cell, scan, place = cell[order], scan[order], place[order]
    again = (np.diff(cell) == 0) & (np.diff(scan) == 0) & (np.diff(place) == 0)
    if again.any():
        raise _bad_row("two rows of one region", table, int(order[1 + int(again.argmax())]))
    heads = np.flatnonzero(np.diff(cell, prepend=-1) | np.diff(scan, prepend=-1))
    short = np.diff(np.append(heads, len(order))) != NUM_REGIONS
    if short.any():
        row = int(order[heads[int(short.argmax())]])
        scan_id, key = table["scan_id"][row], _key(table, row)
        raise ValueError(f"[layers] expected {NUM_REGIONS} regions for scan {scan_id} in {key}, some are missing")
    positions = order.reshape(-1, NUM_REGIONS)
    starts = np.flatnonzero(np.diff(cell[heads], prepend=-1))
    return [_cell(rows, table) for rows in np.split(positions, starts[1:])]


def _cell(rows: NDArray[np.int64], table: dict[str, NDArray[Any]]) -> Cell:
    key = dict(zip(CELL_KEYS, _key(table, int(rows[0, 0])), strict=True))
    return Cell(key, tuple(table["scan_id"][rows[:, 0]].tolist()), rows, table)


def _key(table: dict[str, NDArray[Any]], row: int) -> tuple[str, ...]:
    return tuple(table[n][row] for n in CELL_KEYS)


def _bad_row(problem: str, table: dict[str, NDArray[Any]], i: int) -> ValueError:
    kind, region, scan = (table[n][i] for n in ("region_kind", "region", "scan_id"))
    return ValueError(f"[layers] {problem}: {kind}:{region} of scan {scan} in {_key(table, i)}")


def _coded(texts: NDArray[Any]) -> tuple[NDArray[np.int64], list[str]]:
    """The rank of each text among the sorted different ones, and these."""
    import pyarrow

    coded = pyarrow.array(texts, pyarrow.string()).dictionary_encode()
    names = coded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    return rank[coded.indices.to_numpy(zero_copy_only=False)], [names[i] for i in order]


def _together(coded: dict[str, tuple[NDArray[np.int64], list[str]]], names: Sequence[str]) -> NDArray[np.int64]:
    """One number per row for several columns, in the order of their texts."""
    out = np.zeros(len(coded[names[0]][0]), np.int64)
    for name in names:
        codes, different = coded[name]
        _, out = np.unique(out * len(different) + codes, return_inverse=True)
    return out


def _places(
    coded: dict[str, tuple[NDArray[np.int64], list[str]]], table: dict[str, NDArray[Any]]
) -> NDArray[np.int64]:
    """The row of each region in REGION_ORDER. ValueError for a region that is none."""
    (kind, kinds), (region, regions) = coded["region_kind"], coded["region"]
    place_of = np.array([[ROW_OF.get((k, r), -1) for r in regions] for k in kinds], np.int64)
    place = np.asarray(place_of[kind, region])
    if (place < 0).any():
        raise _bad_row("an unknown region", table, int((place < 0).argmax()))
    return place
