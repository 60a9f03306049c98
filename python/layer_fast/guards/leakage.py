"""What a coarse map's grid alone does to the layers: how much of a layer's mean comes from its neighbours.

A cell of the map sees every layer it covers. Push the indicator of layer j through that (the share of each cell that
layer j fills) and read it back as a layer's mean is read (linear interpolation, mean over layer k): A[j, k] is what a
unit response of layer j shows in layer k. Each column sums to 1, so 1 - A[k, k] of a layer's mean is its neighbours'
where all respond alike. This is a lower bound: a network's receptive field is wider than a cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..steps.reduce import same_field_of_view
from ..types import NUM_LAYERS

Float = NDArray[np.float64]
LEAKY = 1 / 3  # so much of what a layer shows may be its neighbours'
BORDER_DRIVEN = 0.5  # the core's mean is less than so much of the layer's
_PURE = 1.0 - 1e-6  # fractions are float32


@dataclass(frozen=True, slots=True)
class Leakage:
    """Of one mask on one map grid; rows and columns by label, 0 background to 6.

    matrix: (7, 7), A[j, k] as above; a column is NaN where layer k is absent. weights: (7, z, y, x), what a cell
    counts in each layer's sum. core: (7, z, y, x) bool, cells that hold the layer and nothing else.
    """

    matrix: Float
    weights: Float
    core: NDArray[np.bool_]

    @property
    def into(self) -> Float:
        """(7,) share of each layer's mean that comes from other labels, 1 - A[k, k]."""
        return np.asarray(1.0 - np.diag(self.matrix))

    @property
    def source(self) -> NDArray[np.int64]:
        """(7,) the other label that gives most to each layer, -1 for an absent layer."""
        others = np.where(np.eye(len(self.matrix), dtype=bool), -np.inf, self.matrix)
        absent = np.isnan(self.matrix).any(axis=0)
        return np.asarray(np.where(absent, -1, np.argmax(np.where(absent, 0.0, others), axis=0)))

    @property
    def border_share(self) -> Float:
        """(7,) share of a layer's voxels that is read from cells which hold other labels too; NaN for absent ones."""
        core = (self.weights * self.core).sum(axis=(1, 2, 3))
        return _ratio(self.weights.sum(axis=(1, 2, 3)) - core, self.weights.sum(axis=(1, 2, 3)))

    def bands(self, values: NDArray[np.float32]) -> tuple[Float, Float, Float]:
        """Mean of a map (z, y, x) in each layer, in its core and in its border band, (7,) each; NaN where empty.

        core and border are what the layer reads from cells of its own and from shared cells: within one cell of the
        map of its border. mean = border_share * border + (1 - border_share) * core.
        """
        weighted = self.weights * values.astype(np.float64)
        inside = np.where(self.core, weighted, 0.0).sum(axis=(1, 2, 3))
        total, n = weighted.sum(axis=(1, 2, 3)), self.weights.sum(axis=(1, 2, 3))
        n_core = np.where(self.core, self.weights, 0.0).sum(axis=(1, 2, 3))
        return _ratio(total, n), _ratio(inside, n_core), _ratio(total - inside, n - n_core, of=n)

    def flags(self, values: NDArray[np.float32]) -> list[tuple[str, ...]]:
        """Per label: `leaky`: more than a third may be its neighbours'; `border_only`: no cell is the layer's own;
        `border_driven`: the map's mean in the core is less than half of the layer's mean (maps whose mean is > 0)."""
        mean, core, _ = self.bands(values)
        alone = self.core.any(axis=(1, 2, 3)) & ~np.isnan(core)
        out = []
        for k, share in enumerate(self.into):
            driven = bool(alone[k] and mean[k] > 0 and core[k] < BORDER_DRIVEN * mean[k])
            there = not np.isnan(share)
            found = {"leaky": bool(share > LEAKY), "border_only": there and not bool(alone[k]), "border_driven": driven}
            out.append(tuple(name for name, fires in found.items() if fires))
        return out


def leakage(labels: NDArray[np.uint8], grid: tuple[int, int, int], *, threads: int | None = None) -> Leakage:
    """Leakage of a mask (z, y, x), uint8 labels 0..6, through a map grid (mz, my, mx) of the same field of view.

    Raises ValueError for labels above 6.
    """
    if labels.size and (highest := int(labels.max())) > NUM_LAYERS:
        raise ValueError(f"[leakage] expected labels 0..{NUM_LAYERS}, got {highest}")
    held = ops.resample_labels(labels, grid, mode="fraction", num_labels=NUM_LAYERS + 1, threads=threads)
    grid_map = same_field_of_view(labels.shape, grid)
    weights = ops.layer_weights(labels, grid, num_layers=NUM_LAYERS, grid_map=grid_map, threads=threads)
    flat, read = held.reshape(len(held), -1), weights.reshape(len(weights), -1)
    count = read.sum(axis=1)
    matrix = np.array([[(share * own).sum() for own in read] for share in flat])  # one product at a time: memory
    return Leakage(_ratio(matrix, np.broadcast_to(count, matrix.shape)), weights, held >= _PURE)


def _ratio(top: Float, below: Float, of: Float | None = None) -> Float:
    """top / below, NaN where below is 0 (to rounding of what it is the rest `of`)."""
    least = 0.0 if of is None else 1e-9 * of
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below > least, top / below, np.nan))
