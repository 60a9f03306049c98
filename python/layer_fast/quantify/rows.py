"""Rows of layers.parquet for one scan: eleven regions in fixed order, from counts and sufficient statistics.

Rules: an absent layer keeps its row (present false, n 0, sums 0, all else NaN); an all-zero map has NaN shares and
the flag `cam_all_zero`; no ratio has an epsilon; null (None) means "not computed", NaN means "has no value".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum, isnan, nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .regions import NUM_LABELS, NUM_REGIONS, REGION_ORDER
from .shapley import ablation, shapley

Row = dict[str, Any]
SUMS = ("sum", "sum_sq", "sum_abs", "sum_pos")
LOW_N = 10  # fewer voxels than this: the row carries the flag low_n
DERIVED = ("mean", "std", "mean_minmax_volume", "share_of_labelled", "share_of_all", "enrichment")


def map_region_rows(
    count: ArrayLike,
    *,
    sum: ArrayLike,
    sum_sq: ArrayLike,
    sum_abs: ArrayLike,
    sum_pos: ArrayLike,
    min: ArrayLike,
    max: ArrayLike,
    voxel_mm3: float,
    thickness_mm: ArrayLike | None = None,
    resolution_mm: float | None = None,
    flags: Iterable[str] = (),
) -> list[Row]:
    """Eleven rows of one map. Every array has shape (7,): background and the six layers, as layer_reduce gives them.

    voxel_mm3 is the volume of a voxel; thickness_mm the mean thickness per label (None: not computed);
    a layer thinner than resolution_mm is `unresolved` (None: not judged). Group rows pool the union of voxels.
    Raises ValueError for wrong shapes, negative counts and non-finite sums.
    """
    n = _counts(count)
    given = dict(zip(SUMS, (sum, sum_sq, sum_abs, sum_pos), strict=True))
    stats = {name: _seven(name, values) for name, values in given.items()}
    low, high = _seven("min", min), _seven("max", max)
    for name, values in {**stats, "min": low, "max": high}.items():
        if not np.isfinite(values[n > 0]).all():
            raise ValueError(f"[map_region_rows] expected finite {name} where present, got {values.tolist()}")
    rows = _base_rows(n, voxel_mm3, thickness_mm, resolution_mm, flags)
    for region, row in zip(REGION_ORDER, rows, strict=True):
        there = [k for k in region.members if n[k] > 0]
        for name in SUMS:
            row[name] = fsum(float(stats[name][k]) for k in there)
        row["min"] = float(low[there].min()) if there else nan
        row["max"] = float(high[there].max()) if there else nan
        row["value"] = None
    return derive(rows)


def value_region_rows(
    method: str,
    values: ArrayLike,
    *,
    count: ArrayLike,
    voxel_mm3: float,
    thickness_mm: ArrayLike | None = None,
    resolution_mm: float | None = None,
    flags: Iterable[str] = (),
) -> list[Row]:
    """Eleven rows of "layer_shapley" or "layer_ablation" from the 128 coalition values of the target (logits).

    A group's Shapley value is the sum of its members' values; a group's ablation removes its layers together.
    The value of an absent region is NaN. For ablation only the coalitions it needs must be there (others NaN).
    """
    n = _counts(count)
    v = np.asarray(values, dtype=np.float64)
    if v.shape != (1 << NUM_LABELS,):
        raise ValueError(f"[value_region_rows] expected {1 << NUM_LABELS} coalition values, got shape {v.shape}")
    if method == "layer_shapley":
        phi = shapley(v)
        numbers = [fsum(float(phi[k]) for k in r.members if n[k] > 0) for r in REGION_ORDER]
    elif method == "layer_ablation":
        numbers = [float(x) for x in ablation(v, [r.members for r in REGION_ORDER])]
    else:
        raise ValueError(f"[value_region_rows] expected layer_shapley or layer_ablation, got {method!r}")
    rows = _base_rows(n, voxel_mm3, thickness_mm, resolution_mm, flags)
    for row, number in zip(rows, numbers, strict=True):
        row.update(dict.fromkeys((*SUMS, "min", "max", *DERIVED)))
        row["value"] = number if row["present"] else nan
    return rows


def derive(rows: Sequence[Row]) -> list[Row]:
    """The eleven rows of one map with mean, std, mean_minmax_volume, shares and enrichment computed anew from n_voxels,
    the sums, min and max. Other columns are kept. ValueError unless the rows are in the fixed region order."""
    found = [(row["region_kind"], row["region"]) for row in rows]
    if found != [(r.kind, r.name) for r in REGION_ORDER]:
        raise ValueError(f"[derive] expected the {NUM_REGIONS} regions in their fixed order, got {found}")
    labels = rows[:NUM_LABELS]
    n_all = int(np.sum([row["n_voxels"] for row in labels]))
    pos_all = fsum(row["sum_pos"] for row in labels)
    pos_labelled = fsum(row["sum_pos"] for row in labels[1:])
    lows = [row["min"] for row in labels if row["present"]]
    highs = [row["max"] for row in labels if row["present"]]
    low, high = (min(lows), max(highs)) if lows else (nan, nan)
    extra = _map_flags(low, high)
    out = []
    for row in rows:
        new = {**row, **dict.fromkeys(DERIVED, nan), "flags": join_flags([*row["flags"].split(";"), *extra])}
        if row["present"]:
            n = row["n_voxels"]
            mean = row["sum"] / n
            new["mean"] = mean
            new["std"] = 0.0 if n == 1 else sqrt(max(0.0, row["sum_sq"] / n - mean * mean))
            new["mean_minmax_volume"] = (mean - low) / (high - low) if high > low else nan
            new["share_of_all"] = row["sum_pos"] / pos_all if pos_all > 0 else nan
            if row["region_kind"] != "background":
                new["share_of_labelled"] = row["sum_pos"] / pos_labelled if pos_labelled > 0 else nan
            new["enrichment"] = (row["sum_pos"] / n) / (pos_all / n_all) if pos_all > 0 else nan
        out.append(new)
    return out


def join_flags(flags: Iterable[str]) -> str:
    """Unique flags, sorted, joined by ";"."""
    return ";".join(sorted({flag for flag in flags if flag}))


def _map_flags(low: float, high: float) -> list[str]:
    if isnan(low):
        return ["mask_empty"]
    if low == high == 0.0:
        return ["cam_all_zero"]
    return ["cam_constant"] if low == high else []


def _base_rows(
    n: np.ndarray, voxel_mm3: float, thickness_mm: ArrayLike | None, resolution_mm: float | None, flags: Iterable[str]
) -> list[Row]:
    if not (np.isfinite(voxel_mm3) and voxel_mm3 > 0):
        raise ValueError(f"[region rows] expected a positive voxel_mm3, got {voxel_mm3}")
    thick = None if thickness_mm is None else _seven("thickness_mm", thickness_mm)
    common = list(flags)
    rows = []
    for region in REGION_ORDER:
        voxels = int(n[list(region.members)].sum())
        mm: float | None = None
        if thick is not None and region.kind == "layer":
            mm = float(thick[region.members[0]]) if voxels else nan
        unresolved = resolution_mm is not None and mm is not None and mm < resolution_mm
        rows.append(
            {
                "region": region.name,
                "region_kind": region.kind,
                "label_value": region.label_value,
                "present": voxels > 0,
                "n_voxels": voxels,
                "volume_mm3": voxels * float(voxel_mm3),
                "thickness_mm": mm,
                "unresolved": bool(unresolved),
                "flags": join_flags([*common, *(["low_n"] if 0 < voxels < LOW_N else [])]),
            }
        )
    return rows


def _seven(name: str, values: ArrayLike) -> np.ndarray:
    out = np.asarray(values, dtype=np.float64)
    if out.shape != (NUM_LABELS,):
        raise ValueError(f"[region rows] expected {name} of shape ({NUM_LABELS},), got {out.shape}")
    return out


def _counts(count: ArrayLike) -> np.ndarray:
    n = np.asarray(count)
    if n.shape != (NUM_LABELS,) or not np.issubdtype(n.dtype, np.integer) or (n < 0).any():
        raise ValueError(f"[region rows] expected {NUM_LABELS} counts >= 0 as integers, got {n.tolist()} ({n.dtype})")
    return n.astype(np.int64)
