"""What `layer_reduce` and `intensity_stats` return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LayerMoments:
    """Statistics of K maps inside the layers of a mask; every array is (K, num_layers + 1), row 0 is the background.
    Of a batch of N scans every array has N in front.

    Only finite map values count: NaN and Inf are counted in `nonfinite` and are in no other field. Of an empty row
    the counts and sums are 0, `argmax` is -1 and the rest is NaN.

    count: voxels used. nonfinite: voxels of the layer left out. weight: the sum of their weights (= count for hard
    labels). sum, sum_sq, sum_abs, sum_pos: float64 sums of x, x^2, |x| and of the x > 0, each times the weight.
    min, max: float32. argmax: the first voxel that holds the maximum, as a flat index on the labels' grid.
    quantiles: (K, num_layers + 1, Q) or None. top_share: see `layer_reduce`, or None. histogram: int64
    (K, num_layers + 1, bins) or None, with `underflow` and `overflow` and the bins' edges in `edges` (bins + 1).
    """

    count: Counts
    nonfinite: Counts
    weight: Floats
    sum: Floats
    sum_sq: Floats
    sum_abs: Floats
    sum_pos: Floats
    min: NDArray[np.float32]
    max: NDArray[np.float32]
    argmax: Counts
    weighted: bool = False
    quantiles: Floats | None = None
    top_share: Floats | None = None
    histogram: Counts | None = None
    underflow: Counts | None = None
    overflow: Counts | None = None
    edges: Floats | None = None

    def mean(self) -> Floats:
        """sum / weight; NaN where the layer has no voxel."""
        return _ratio(self.sum, self.weight)

    def std(self, ddof: int = 0) -> Floats:
        """Standard deviation from sum and sum_sq; NaN where count <= ddof. One voxel with ddof=0: 0.

        Where the mean is 10^6 times the deviation or more, the difference of the two sums has few digits left.
        ddof other than 0 needs hard labels (ValueError).
        """
        if ddof != 0 and self.weighted:
            raise ValueError(f"[LayerMoments.std] expected ddof=0 with weights, got {ddof}")
        if ddof < 0:
            raise ValueError(f"[LayerMoments.std] expected ddof of 0 or more, got {ddof}")
        mean = self.mean()
        spread = np.maximum(self.sum_sq - self.sum * mean, 0.0)
        return np.sqrt(_ratio(spread, np.maximum(self.weight - ddof, 0.0)))


def _ratio(top: Floats, bottom: Floats) -> Floats:
    out = np.full(top.shape, np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out


@dataclass(frozen=True, slots=True)
class IntensityStats:
    """Statistics of one volume. Of no voxel at all: count and sum 0, the rest NaN.

    count: voxels used. nonfinite: chosen voxels that are NaN or Inf; they are in no other field. std: ddof 0.
    percentiles: float64, one per asked percentile, NumPy's linear definition, exact. histogram: int64 counts of all
    256 or 65,536 values of an integer volume, the first of them `histogram_low`; None for float32.
    """

    count: int
    nonfinite: int
    sum: float
    min: float
    max: float
    mean: float
    std: float
    percentiles: Floats
    histogram: Counts | None = None
    histogram_low: int = 0
