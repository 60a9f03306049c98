"""The derived columns of layers.parquet from its own sums and the coalitions: the same arithmetic in the same order as
`map_region_rows` and `value_region_rows`, for all rows of a table at once, and so the same bits."""

from __future__ import annotations

from math import fsum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config import VALUE_METHODS
from ..regions import NUM_LABELS, NUM_REGIONS, REGION_ORDER
from ..rows import DERIVED, SUMS, join_flags
from ..shapley import ablation, shapley
from .games import GAME_KEYS, Games

Floats = NDArray[np.float64]
_GROUPS = range(NUM_LABELS, NUM_REGIONS)


def rederive(table: Any, games: Games) -> Any:
    """layers.parquet (pyarrow, any number of whole blocks of eleven regions) with everything recomputed that follows.

    Recomputed: n_voxels, sums and extremes of groups, mean, std, mean_minmax_volume, shares, enrichment, flags of
    the map itself, values of layer_shapley and layer_ablation. Other columns are kept. Raises ValueError unless regions
    are in their fixed order, and for value rows whose game is not in the coalitions.
    """
    import pyarrow

    _check_regions(table)
    n = _block(table, "n_voxels")
    is_value = np.isin(np.asarray(table.column("method").to_pylist(), dtype=object)[::NUM_REGIONS], VALUE_METHODS)
    n[:, NUM_LABELS:] = np.stack([n[:, list(r.members)].sum(axis=1) for r in REGION_ORDER[NUM_LABELS:]], axis=1)
    found = _maps(table, n, ~is_value)
    found["value"] = _values(table, n, is_value, games)
    out = _set(table, "n_voxels", pyarrow.array(n.ravel().astype(np.int64)))
    absent = np.repeat(is_value, NUM_REGIONS)
    for name, values in found.items():
        hidden = ~absent if name == "value" else absent
        out = _set(out, name, pyarrow.array(values.ravel(), mask=hidden))
    return _set(out, "flags", _flags(table, found, ~is_value))


def _check_regions(table: Any) -> None:
    kinds, names = (table.column(name).to_pylist() for name in ("region_kind", "region"))
    expected = [(r.kind, r.name) for r in REGION_ORDER]
    if list(zip(kinds, names, strict=True)) != expected * (len(names) // NUM_REGIONS):
        raise ValueError(f"[requantify] expected the {NUM_REGIONS} regions of every map in their fixed order")


def _block(table: Any, name: str) -> Floats:
    """A column as (maps, 11) float64; null as NaN."""
    column = table.column(name).cast("float64").fill_null(float("nan"))
    return np.array(column.to_numpy(), dtype=np.float64).reshape(-1, NUM_REGIONS)


def _set(table: Any, name: str, values: Any) -> Any:
    i = table.column_names.index(name)
    return table.set_column(i, table.schema.field(i), values)


def _maps(table: Any, n: Floats, is_map: NDArray[np.bool_]) -> dict[str, Floats]:
    """Sums, extremes and derived columns; rows of other methods hold NaN, which is masked later."""
    found = {name: _block(table, name) for name in (*SUMS, "min", "max")}
    there = n > 0
    for g in _GROUPS:
        members = list(REGION_ORDER[g].members)
        for name in SUMS:
            found[name][:, g] = _exact_sum(found[name][:, members], there[:, members], is_map)
        for name, how, nothing in (("min", np.min, np.inf), ("max", np.max, -np.inf)):
            ends = how(np.where(there[:, members], found[name][:, members], nothing), axis=1)
            found[name][:, g] = np.where(there[:, g], ends, np.nan)
    labels = slice(0, NUM_LABELS)
    low = np.where(there, found["min"], np.inf)[:, labels].min(axis=1, keepdims=True)
    high = np.where(there, found["max"], -np.inf)[:, labels].max(axis=1, keepdims=True)
    every = np.ones((len(n), NUM_LABELS), bool)
    pos_all = _exact_sum(found["sum_pos"][:, labels], every, is_map)[:, None]
    pos_labelled = _exact_sum(found["sum_pos"][:, 1:NUM_LABELS], every[:, 1:], is_map)[:, None]
    n_all = n[:, labels].sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = found["sum"] / n
        variance = found["sum_sq"] / n - mean * mean
        derived = {
            "mean": (mean, True),
            "std": (np.where(n == 1, 0.0, np.sqrt(np.where(variance > 0, variance, 0.0))), True),
            "mean_minmax_volume": ((mean - low) / (high - low), high > low),
            "share_of_labelled": (found["sum_pos"] / pos_labelled, (pos_labelled > 0) & (np.arange(NUM_REGIONS) > 0)),
            "share_of_all": (found["sum_pos"] / pos_all, pos_all > 0),
            "enrichment": ((found["sum_pos"] / n) / (pos_all / n_all), pos_all > 0),
        }
    assert set(derived) == set(DERIVED)  # noqa: S101
    return {**found, **{name: np.where(there & defined, x, np.nan) for name, (x, defined) in derived.items()}}


def _exact_sum(x: Floats, there: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> Floats:
    """math.fsum per row of what is there: correctly rounded, so independent of the order. NaN where not wanted."""
    out = np.full(len(x), np.nan)
    filled = np.where(there, x, 0.0)[wanted]
    out[wanted] = [fsum(row) for row in filled.tolist()]
    return out


def _values(table: Any, n: Floats, is_value: NDArray[np.bool_], games: Games) -> Floats:
    out = np.full(n.shape, np.nan)
    heads = np.flatnonzero(is_value)
    if not heads.size:
        return out
    first = table.take(heads * NUM_REGIONS)
    keys = list(zip(*(first.column(name).to_pylist() for name in GAME_KEYS), strict=True))
    if missing := [key for key in keys if key not in games.row]:
        raise ValueError(f"[requantify] coalitions.parquet has no values of {' / '.join(map(str, missing[0]))}")
    v = np.ascontiguousarray(games.values[[games.row[key] for key in keys]].T).T  # coalitions contiguous: same bits
    methods = np.array(first.column("method").to_pylist())
    is_shapley = methods == "layer_shapley"
    rows = np.flatnonzero(is_shapley)
    phi = shapley(v[rows])
    held = n[heads[rows], :NUM_LABELS] > 0
    for r, region in enumerate(REGION_ORDER):
        members = list(region.members)
        out[heads[rows], r] = _exact_sum(phi[:, members], held[:, members], np.ones(len(rows), bool))
    rows = np.flatnonzero(~is_shapley)
    out[heads[rows]] = ablation(v[rows], [region.members for region in REGION_ORDER])
    return np.where(n > 0, out, np.nan)


def _flags(table: Any, found: dict[str, Floats], is_map: NDArray[np.bool_]) -> Any:
    """The flags of the rows, with those that follow from the map's extremes."""
    import pyarrow

    column = table.column("flags")
    with np.errstate(invalid="ignore"):
        ends = [np.nanmin(found["min"], axis=1, initial=np.inf), np.nanmax(found["max"], axis=1, initial=-np.inf)]
        odd = np.flatnonzero(is_map & ~(ends[1] > ends[0]))
    if not odd.size:
        return column
    texts = column.to_pylist()
    for i in odd:
        own = "mask_empty" if np.isinf(ends[0][i]) else "cam_all_zero" if ends[0][i] == 0 else "cam_constant"
        for row in range(i * NUM_REGIONS, (i + 1) * NUM_REGIONS):
            texts[row] = join_flags([*(texts[row] or "").split(";"), own])
    return pyarrow.array(texts, pyarrow.string())
