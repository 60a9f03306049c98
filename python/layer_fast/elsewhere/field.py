"""One transformed map over one mask: sufficient statistics per label where they are enough, voxels where not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..quantify import Reduction
from .erode import kept_voxels
from .inputs import Case
from .transform import check_invertible, transform

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Moments:
    """Per code of a mask. A code is a label value, or one of two rims that erosion took: of layers, of background."""

    count: NDArray[np.int64]
    weight: Floats
    sum: Floats
    min: Floats
    max: Floats


class Masked:
    """The mask under one handling. codes: (z, y, x) uint8, None for a soft mask."""

    def __init__(self, case: Case, definition: Reduction) -> None:
        self.case = case
        self.top = max(case.names)
        self.eroded = definition.mask.kind == "eroded"
        self.codes = case.labels
        if definition.mask.mm is not None and case.labels is not None and case.spacing_mm is not None:
            kept = kept_voxels(case.labels, case.spacing_mm, definition.mask.mm, case.names)
            rim = np.where(case.labels > 0, self.top + 1, self.top + 2).astype(np.uint8)
            self.codes = np.where(kept, case.labels, rim)

    @property
    def num_codes(self) -> int:
        return self.top + 1 + (2 if self.eroded else 0)

    def codes_of(self, total: str) -> list[int]:
        """The codes whose voxels are all of the volume, or all that the given mask labels, rims included."""
        if total == "all":
            return list(range(self.num_codes))
        return [*range(1, self.top + 1), *([self.top + 1] if self.eroded else [])]

    @cached_property
    def labelled(self) -> Bools | None:
        return None if self.case.labels is None else self.case.labels > 0

    def given(self, labels: tuple[int, ...]) -> bool:
        """Whether the mask as it was given holds one of the labels."""
        assert self.case.labels is not None  # noqa: S101
        return bool(np.isin(self.case.labels, labels).any())

    def voxels(self, codes: tuple[int, ...] | list[int]) -> Bools:
        """Flat, True where the voxel has one of the codes."""
        assert self.codes is not None  # noqa: S101
        table = np.zeros(256, bool)
        table[list(codes)] = True
        return np.asarray(table[self.codes].ravel())


class Field:
    """One channel of the map after a definition's transforms, over its mask."""

    def __init__(self, masked: Masked, source: NDArray[np.float32], definition: Reduction, threads: int | None) -> None:
        self._case, self._source, self._definition, self._threads = masked.case, source, definition, threads
        self.mask = masked
        check_invertible(source, definition)

    @property
    def plain(self) -> bool:
        """The statistic sees the map's own values: its sums come from one pass over the coarse map."""
        d = self._definition
        return d.invert == "none" and d.sign == "none" and d.clip is None and d.normalise.kind == "none"

    @cached_property
    def _on_grid(self) -> Floats:
        """The untransformed map on the mask's grid: linear interpolation, edges clamped."""
        if not self._case.interpolated:
            return self._source.astype(np.float64)
        on_grid = ops.resample(self._source, self._case.shape, grid_map=self._case.grid_map, threads=self._threads)
        return np.asarray(on_grid, np.float64)

    @cached_property
    def _transformed(self) -> tuple[Floats, tuple[str, ...]]:
        return transform(self._on_grid, self.mask.labelled, self._definition)

    @property
    def t(self) -> Floats:
        """The transformed map, flat."""
        return self._transformed[0].ravel()

    @cached_property
    def flags(self) -> tuple[str, ...]:
        """What is to be said of the map itself, before and after the transforms."""
        found = [*(() if self.plain else self._transformed[1])]
        low, high = float(self._source.min()), float(self._source.max())
        if low == high:
            found.append("map_all_zero" if low == 0 else "map_constant")
        elif not self.plain and not self._transformed[0].any():
            found.append("transformed_all_zero")
        return tuple(found)

    @cached_property
    def moments(self) -> Moments:
        if self.plain:
            return self._reduced()
        return self._weighted() if self.mask.codes is None else self._counted()

    def _reduced(self) -> Moments:
        weights = self._case.weights if self.mask.codes is None else None
        m = ops.layer_reduce(
            self._source, self.mask.codes, num_layers=self.mask.num_codes - 1, weights=weights,
            grid_map=self._case.grid_map, threads=self._threads,
        )  # fmt: skip
        return Moments(m.count[0], m.weight[0], m.sum[0], m.min[0].astype(np.float64), m.max[0].astype(np.float64))

    def _counted(self) -> Moments:
        n = self.mask.num_codes
        count, sums, low, high = np.zeros(n, np.int64), np.zeros(n), np.full(n, np.nan), np.full(n, np.nan)
        for code in range(n):
            x = self.t[self.mask.voxels([code])]
            count[code] = x.size
            if x.size:
                sums[code], low[code], high[code] = x.sum(), x.min(), x.max()
        return Moments(count, count.astype(np.float64), sums, low, high)

    def _weighted(self) -> Moments:
        assert self._case.weights is not None  # noqa: S101
        rows = []
        for weights in self._case.weights.reshape(self.mask.num_codes, -1):
            inside = weights > 0
            w, x = weights[inside].astype(np.float64), self.t[inside]
            rows.append((x.size, w.sum(), (w * x).sum(), *((x.min(), x.max()) if x.size else (np.nan, np.nan))))
        columns = np.array(rows, np.float64).T
        return Moments(columns[0].astype(np.int64), *columns[1:])

    def extent(self, codes: list[int]) -> tuple[float, float]:
        """The smallest and largest value at the voxels of the codes, those without a value left out; NaN of none."""
        if self.plain:
            low, high = self.moments.min[codes], self.moments.max[codes]
        else:
            weight = self.weight_of(tuple(codes))
            low = high = self.t[self.mask.voxels(codes) if weight is None else weight > 0]
        found = ~np.isnan(low)
        return (float(low[found].min()), float(high[found].max())) if found.any() else (np.nan, np.nan)

    def weight_of(self, codes: tuple[int, ...]) -> Floats | None:
        """Flat weights of a region of a soft mask; None for labels."""
        if self._case.weights is None:
            return None
        return np.asarray(self._case.weights[list(codes)].sum(axis=0, dtype=np.float64).ravel())
