"""What a run keeps of a map beside its volume sums: histograms with bins that no data chose, and sums per slice.

Both are rows per map and label, the rows of histograms.parquet and slices.parquet without the scan's own columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..models.fill import AXES
from ..quantify.bins import MANTISSA_BITS, counts_per_label
from ..quantify.tables import CELL_KEYS
from ..types import NUM_LAYERS, REGIONS

Row = dict[str, Any]
GridMap = NDArray[np.float64]
_MOMENTS = ("sum", "sum_sq", "sum_abs", "sum_pos", "min", "max")


class Kept:
    """Collects the rows of one scan. store: which of "histograms" and "slices" are kept."""

    def __init__(self, store: tuple[str, ...], axis: str, threads: int) -> None:
        self.histograms: list[Row] = []
        self.slices: list[Row] = []
        self._store, self._axis, self._threads = store, axis, threads

    def add(self, found: NDArray[np.float32], labels: NDArray[np.uint8], layer_row: Row) -> None:
        """One map (z, y, x) over labels (z, y, x); layer_row: a row of layers.parquet of the same map."""
        keys = {name: layer_row[name] for name in CELL_KEYS}
        grid_map = half_pixel(labels.shape, found.shape)
        if "histograms" in self._store:
            self.histograms += [{**keys, **r} for r in histogram_rows(found, labels, grid_map, self._threads)]
        if "slices" in self._store:
            rows = slice_rows(found, labels, grid_map, self._threads, self._axis)
            self.slices += [{**keys, **row} for row in rows]


def histogram_rows(found: NDArray[np.float32], labels: NDArray[np.uint8], grid_map: GridMap, threads: int) -> list[Row]:
    """Counts of the map's voxels per label and bin of `quantify.bins`; empty bins are left out.

    found: one map (z, y, x) float32. labels: uint8 (z, y, x). grid_map: 4 x 4, label index -> map index. The voxels are
    those of `ops.resample`, which interpolates as `layer_reduce` does to 1e-6 of the map's largest value.
    """
    on_grid = ops.resample(found, labels.shape, grid_map=grid_map, threads=threads)
    rows = []
    for value, counts in enumerate(counts_per_label(on_grid, labels)):
        bins = np.flatnonzero(counts)
        rows.append({**_label(value), "mantissa_bits": MANTISSA_BITS, "n_voxels": int(counts.sum()),
                     "bins": bins.tolist(), "counts": counts[bins].tolist()})  # fmt: skip
    return rows


def slice_rows(
    found: NDArray[np.float32], labels: NDArray[np.uint8], grid_map: GridMap, threads: int, axis: str
) -> list[Row]:
    """Sums, minimum and maximum of the map per label and slice along `axis` ("z", "y" or "x"); arguments as above.

    Lists run over the slices in their order: 0 and NaN where the slice does not hold the label.
    """
    number = AXES[axis]
    parts = [_one_slice(found, labels, grid_map, threads, number, i) for i in range(labels.shape[number])]
    rows = []
    for value in range(len(REGIONS)):
        lists = {name: [float(getattr(part, name)[0, value]) for part in parts] for name in _MOMENTS}
        count = [int(part.count[0, value]) for part in parts]
        rows.append({**_label(value), "axis": axis, "count": count, **lists})
    return rows


def half_pixel(labels: tuple[int, ...], grid: tuple[int, ...]) -> GridMap:
    """The half-pixel rule as a matrix, label index -> map index: both fill one field of view."""
    scale = np.array(grid, np.float64) / np.array(labels, np.float64)
    out = np.diag([*scale, 1.0])
    out[:3, 3] = 0.5 * scale - 0.5
    return out


def _label(value: int) -> Row:
    return {"region": REGIONS[value], "label_value": value}


def _one_slice(
    found: NDArray[np.float32], labels: NDArray[np.uint8], grid_map: GridMap, threads: int, axis: int, i: int
) -> Any:
    """layer_reduce of a slab one voxel thick: its index 0 is index i of the whole."""
    slab = np.ascontiguousarray(np.take(labels, [i], axis=axis))
    shifted = grid_map.copy()
    shifted[:3, 3] += grid_map[:3, axis] * i
    return ops.layer_reduce(found, slab, num_layers=NUM_LAYERS, grid_map=shifted, threads=threads)
