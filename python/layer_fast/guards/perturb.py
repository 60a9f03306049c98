"""Masks that a second annotator might have drawn: every border one voxel off."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..models.fill import AXES
from ..types import NUM_LAYERS

Labels = NDArray[np.uint8]
PERTURBATIONS = ("erode", "dilate", "shallower", "deeper")


def perturbed(labels: Labels, how: str, depth_axis: str = "y") -> Labels:
    """A mask (z, y, x) whose layer borders lie one voxel elsewhere along depth; the same dtype and shape.

    shallower, deeper: the whole mask shifted by one voxel; the plane at the end is repeated. dilate: each layer grows
    by one voxel at both sides, a thinner one over a thicker one (by voxel count), all over the background. erode: a
    thicker layer grows over a thinner one instead, but never over the last voxels of a layer in a column, so that a
    layer of one or two voxels stays. Raises ValueError for another name.
    """
    if how not in PERTURBATIONS:
        raise ValueError(f"[perturbed] expected one of {', '.join(PERTURBATIONS)}, got {how!r}")
    columns = np.moveaxis(labels, AXES[depth_axis], 0)
    out = _shifted(columns, -1 if how == "shallower" else 1) if how in ("shallower", "deeper") else _grown(columns, how)
    return np.ascontiguousarray(np.moveaxis(out, 0, AXES[depth_axis]))


def _shifted(columns: Labels, by: int) -> Labels:
    """Each plane moved `by` voxels down, the first or last one repeated."""
    n = len(columns)
    return np.asarray(columns[np.clip(np.arange(n) - by, 0, n - 1)])


def _grown(columns: Labels, how: str) -> Labels:
    """The winner of every voxel and its two neighbours along depth: the rarer label, or the commoner one."""
    size = np.bincount(columns.ravel(), minlength=NUM_LAYERS + 1)
    size[0] = columns.size + 1  # every layer grows over the background, which takes from every layer
    rarest_first = np.argsort(size, kind="stable").astype(np.uint8)
    order = rarest_first if how == "dilate" else rarest_first[::-1]
    rank = np.argsort(order).astype(np.uint8)
    ranks = rank[columns]
    best = np.minimum(np.minimum(ranks, _shifted(ranks, 1)), _shifted(ranks, -1))
    if how == "erode":  # what would vanish from a column keeps its voxels
        winner = order[best]
        for k in range(1, NUM_LAYERS + 1):
            own = columns == k
            gone = own.any(axis=0) & ~(own & (winner == k)).any(axis=0)
            winner = np.where(own & gone[None], np.uint8(k), winner)
        return np.asarray(winner, np.uint8)
    return np.asarray(order[best], np.uint8)
