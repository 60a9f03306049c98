"""Tables as a run would store them, straight from voxels in float64: maps on the mask's own grid, no interpolation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow

from layer_fast.quantify import map_region_rows
from layer_fast.quantify.bins import MANTISSA_BITS, counts_per_label
from layer_fast.tables import HISTOGRAM_COLUMNS, LAYER_COLUMNS, SLICE_COLUMNS, arrow_schema
from layer_fast.types import REGIONS

KEY = {
    "model": "toy",
    "member": "0",
    "setup": "bmode",
    "method": "gradient",
    "fill": "",
    "target": "margin:case-control",
    "mask": "manual",
    "channel": "",
}
NAMES = ("sum", "sum_sq", "sum_abs", "sum_pos", "min", "max")


def of_voxels(x: np.ndarray) -> tuple[float, ...]:
    """n, sums, minimum and maximum of voxels in float64."""
    x = x.astype(np.float64)
    ends = (x.min(), x.max()) if x.size else (np.nan, np.nan)
    return (x.size, x.sum(), (x * x).sum(), np.abs(x).sum(), np.maximum(x, 0).sum(), *ends)


def tables(
    maps: list[np.ndarray], masks: list[np.ndarray], axis: str = "z", subjects: list[str] | None = None
) -> dict[str, pyarrow.Table]:
    """layers, histograms and slices of float32 maps and uint8 masks (z, y, x); two scans a subject, or by name."""
    rows: dict[str, list[dict[str, Any]]] = {"layers": [], "histograms": [], "slices": []}
    for i, (s, mask) in enumerate(zip(maps, masks, strict=True)):
        subject = subjects[i] if subjects else f"p{i // 2:02d}"
        who = {"scan_id": f"s{i:03d}", "subject": subject, "label": ("case", "control")[i // 2 % 2], **KEY}
        m = np.array([of_voxels(s[mask == k]) for k in range(7)]).T
        found = map_region_rows(m[0].astype(int), **dict(zip(NAMES, m[1:], strict=True)), voxel_mm3=1.0)
        rows["layers"] += [{**who, "exposure": "unseen", "margin": 0.0, **row} for row in found]
        for k, counts in enumerate(counts_per_label(s, mask)):
            label = {**who, "region": REGIONS[k], "label_value": k}
            bins = np.flatnonzero(counts)
            rows["histograms"].append({**label, "mantissa_bits": MANTISSA_BITS, "n_voxels": int(counts.sum()),
                                       "bins": bins.tolist(), "counts": counts[bins].tolist()})  # fmt: skip
            number = "zyx".index(axis)
            parts = zip(np.moveaxis(s, number, 0), np.moveaxis(mask, number, 0), strict=True)
            lists = np.array([of_voxels(x[inside == k]) for x, inside in parts]).T
            one = {"count": lists[0].astype(int).tolist(), **dict(zip(NAMES, lists[1:].tolist(), strict=True))}
            rows["slices"].append({**label, "axis": axis, **one})
    columns = {"layers": LAYER_COLUMNS, "histograms": HISTOGRAM_COLUMNS, "slices": SLICE_COLUMNS}
    return {name: pyarrow.Table.from_pylist(rows[name], schema=arrow_schema(columns[name])) for name in rows}


def random_case(seed: int, scans: int = 4, *, rectified: bool = False) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Maps of several scales with zeros and ties; masks without one label, one scan almost without layers."""
    rng = np.random.default_rng(seed)
    maps, masks = [], []
    for i in range(scans):
        s = rng.normal(0.3 * i, 10.0 ** rng.integers(-3, 3), (5, 8, 6)).astype(np.float32)
        s = np.where(rng.random(s.shape) < 0.1, s.ravel()[0], s)
        maps.append(np.maximum(s, 0) if rectified else s)
        masks.append(rng.choice([0, 1, 2, 3, 5, 6], s.shape, p=[0.3, 0.1, 0.1, 0.02, 0.18, 0.3]).astype(np.uint8))
    masks[-1][masks[-1] > 2] = 0
    return maps, masks
