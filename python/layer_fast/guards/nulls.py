"""Nulls for a layer's mean that keep the map's autocorrelation: is the map higher there than elsewhere?

The map itself is never shuffled: voxels of a smooth map are far from independent, and a shuffled one would make every
layer significant. Instead the map or the mask is moved. p = (1 + #{null >= observed}) / (1 + N).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..models.fill import AXES
from ..steps.reduce import same_field_of_view
from ..types import NUM_LAYERS

Float = NDArray[np.float64]
Labels = NDArray[np.uint8]
Map = NDArray[np.float32]
DEPTH_SHIFTS = 39  # p can be as small as 1 / 40
LEVEL = 0.05
ENOUGH_DRAWS = 19  # with fewer no p can reach the level


@dataclass(frozen=True, slots=True)
class NullResult:
    """By label 0..6. observed: the layer's mean; null: (N, 7) means where the layer is moved elsewhere; p: (7,), NaN
    for an absent layer and where a null has no value."""

    observed: Float
    null: Float

    @property
    def p(self) -> Float:
        valid = ~np.isnan(self.null).any(axis=0) & ~np.isnan(self.observed) & (len(self.null) > 0)
        more = (self.null >= self.observed * (1.0 - 1e-12 * np.sign(self.observed))).sum(axis=0)
        return np.asarray(np.where(valid, (1.0 + more) / (1.0 + len(self.null)), np.nan))


def depth_nulls(
    values: Map, labels: Labels, *, depth_axis: str = "y", shifts: int = DEPTH_SHIFTS, threads: int | None = None
) -> NullResult:
    """Thickness-matched pseudo-layers: the mask turned along depth by `shifts` even steps, circularly.

    values: map (z, y, x), coarser than the labels or not; labels: uint8 (z, y, x). Every pseudo-layer has its layer's
    voxels, thickness and shape, at another depth; the map stays. Tests whether the map is higher in the layer than at
    other depths. Exact for a map whose statistics do not change along depth and that closes to a ring.
    """
    axis = AXES[depth_axis]
    n = labels.shape[axis]
    steps = sorted({round(n * i / (shifts + 1)) for i in range(1, shifts + 1)} - {0, n})
    moved = (np.ascontiguousarray(np.roll(labels, step, axis)) for step in steps)
    return other_mask_nulls(values, labels, moved, threads=threads)


def other_mask_nulls(
    values: Map, labels: Labels, others: Iterable[Labels], *, threads: int | None = None
) -> NullResult:
    """The same map under other masks, such as those of other subjects: is the agreement with this one special?

    others: masks of the same shape. An absent layer of an other mask leaves that layer without p.
    Raises ValueError for a mask of another shape.
    """
    found = []
    for i, other in enumerate(others):
        if other.shape != labels.shape:
            raise ValueError(f"[nulls] expected masks of shape {labels.shape}, got {other.shape} (mask {i})")
        found.append(_means(values, other, threads))
    return NullResult(_means(values, labels, threads), np.array(found, np.float64).reshape(-1, NUM_LAYERS + 1))


def in_less_out(stack: NDArray[np.float32], labels: Labels, *, threads: int | None = None) -> Float:
    """(K, 7) mean of each map within each label less its mean over all other voxels; NaN for an absent label, and for
    one that fills the volume. stack: (K, z, y, x), coarser than the labels or not.

    The mean within alone would be as high in any mask that lies inside the layer, as one person's muscle does in
    another's: there the other voxels tell.
    """
    grid_map = same_field_of_view(labels.shape, stack.shape[1:])
    found = ops.layer_reduce(stack, labels, num_layers=NUM_LAYERS, grid_map=grid_map, threads=threads)
    inside, count = np.asarray(found.sum, np.float64), np.asarray(found.count, np.float64)
    total = np.array([fsum(row) for row in inside])[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = inside / count - (total - inside) / (count.sum(axis=1, keepdims=True) - count)
    return np.asarray(np.where(np.isfinite(difference), difference, np.nan))


def lateral_nulls(
    values: Map, labels: Labels, *, depth_axis: str = "y", threads: int | None = None
) -> NullResult:
    """All circular shifts of the map along the two axes across depth, in cells of the map.

    Layers are sheets: a map that only follows depth is unchanged by these shifts, so a large p here says that nothing
    but depth ties the map to the layer's course. Read it beside `depth_nulls`.
    """
    weights = ops.layer_weights(
        labels, values.shape, num_layers=NUM_LAYERS, threads=threads,
        grid_map=same_field_of_view(labels.shape, values.shape),
    )  # fmt: skip
    across = [a for a in range(3) if a != AXES[depth_axis]]
    count = weights.sum(axis=(1, 2, 3))
    field = values.astype(np.float64)
    moves = [(i, j) for i in range(values.shape[across[0]]) for j in range(values.shape[across[1]])]
    sums = [_dot(weights, np.roll(field, move, across)) for move in moves]
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(count > 0, np.array(sums) / count, np.nan)
    return NullResult(means[0], means[1:])


def _dot(weights: Float, field: Float) -> Float:
    return np.asarray((weights * field).sum(axis=(1, 2, 3)))


def _means(values: Map, labels: Labels, threads: int | None) -> Float:
    grid_map = same_field_of_view(labels.shape, values.shape)
    found = ops.layer_reduce(values, labels, num_layers=NUM_LAYERS, grid_map=grid_map, threads=threads)
    count: Sequence[int] = found.count[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(np.asarray(count) > 0, found.sum[0] / count, np.nan), np.float64)
