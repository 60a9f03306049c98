"""Masks that a second annotator might have drawn: borders one voxel off, by no more than masks are known to be wrong.

Of the moves that a variant proposes, a layer takes in each column those that change it most while its Dice coefficient
with itself stays at `LEAST_DICE` or above; a border moves where both its layers take it.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..models.fill import AXES
from ..types import NUM_LAYERS

Labels = NDArray[np.uint8]
Whole = NDArray[np.int64]
PERTURBATIONS = ("erode", "dilate", "shallower", "deeper")
# The lowest Dice coefficient published for masks of these layers (superficial fat, InterSliceBoost, arXiv 2503.19735).
LEAST_DICE = 0.61
_FREE = 4  # from here on every pair of moves of one voxel leaves a Dice of 2/3 or more


def perturbed(labels: Labels, how: str, depth_axis: str = "y") -> Labels:
    """A mask (z, y, x) whose layer borders lie up to one voxel elsewhere along depth; the same dtype and shape.

    shallower, deeper: every border moves one way. dilate: each layer grows by one voxel at both sides, a rarer one over
    a commoner one (by voxel count), all over the background; erode: the commoner one grows, the background most. No
    layer's Dice in a column falls below `LEAST_DICE`: it keeps half of its voxels, at most doubles, and is shifted
    from three voxels on; of two it loses the one at the end that is left, one grows towards the other end. Where only
    one of two equal moves is left, it is that towards the commoner neighbour, else the deeper. Raises ValueError for
    another name.
    """
    if how not in PERTURBATIONS:
        raise ValueError(f"[perturbed] expected one of {', '.join(PERTURBATIONS)}, got {how!r}")
    axis = AXES[depth_axis]
    columns = np.array(np.moveaxis(labels, axis, -1), np.uint8, order="C")  # a copy: the moves are written into it
    _move_borders(columns.reshape(-1, labels.shape[axis]), how)
    return np.ascontiguousarray(np.moveaxis(columns, -1, axis))


def label_dice(first: Labels, second: Labels) -> NDArray[np.float64]:
    """Dice coefficient 2 |A and B| / (|A| + |B|) of each label 0..6 of two masks of one shape, (7,); NaN for a label
    in neither (Dice 1945, Ecology 26:297). Raises ValueError for masks of two shapes."""
    if first.shape != second.shape:
        raise ValueError(f"[label_dice] expected masks of one shape, got {first.shape} and {second.shape}")
    found = []
    for k in range(NUM_LAYERS + 1):  # label by label: np.bincount would widen each voxel to eight bytes
        one, other = first == k, second == k
        sizes = np.count_nonzero(one) + np.count_nonzero(other)
        found.append(2.0 * np.count_nonzero(one & other) / sizes if sizes else np.nan)
    return np.array(found, np.float64)


def _move_borders(columns: Labels, how: str) -> None:
    """Rewrite columns (M, depth) in place. Borders are few, so each is one entry of flat arrays: `at`, the first voxel
    below it, and `move`, by how many voxels it goes down."""
    depth = columns.shape[1]
    column, at = np.nonzero(columns[:, 1:] != columns[:, :-1])
    at = at + 1
    above, below = columns[column, at - 1], columns[column, at]
    new = np.diff(column, prepend=-1) != 0  # the first border of its column
    last = np.diff(column, append=-1) != 0
    upper = at - np.where(new, 0, np.roll(at, 1))  # voxels of the layer above the border, and of the one below
    lower = np.where(last, depth, np.roll(at, -1)) - at
    size = _sizes(columns)
    move = _proposed(above, below, size, how)
    earlier, later = np.where(new, 0, np.roll(move, 1)), np.where(last, 0, np.roll(move, -1))
    # The neighbours of a layer's two ends: beyond the volume there is none, and no move either.
    over, under = size[np.roll(above, 1)], size[np.roll(below, -1)]
    takes_upper = _TAKES[np.minimum(upper, _FREE), earlier + 1, move + 1, (size[below] >= over).astype(int), 1]
    takes_lower = _TAKES[np.minimum(lower, _FREE), move + 1, later + 1, (under >= size[above]).astype(int), 0]
    move = np.where(takes_upper & takes_lower, move, 0)
    down, up = move > 0, move < 0
    columns[column[down], at[down]] = above[down]
    columns[column[up], at[up] - 1] = below[up]


def _sizes(columns: Labels) -> Whole:
    """Voxels of each label; the background counts as more than all, so that every layer is rarer."""
    size = [columns.size + 1, *(np.count_nonzero(columns == k) for k in range(1, NUM_LAYERS + 1))]
    return np.array(size, np.int64)


def _proposed(above: Labels, below: Labels, size: Whole, how: str) -> Whole:
    """-1 or 1 for each border: up or down by one voxel. Of two labels with the same count the lower one is rarer."""
    if how in ("shallower", "deeper"):
        return np.full(above.shape, -1 if how == "shallower" else 1)
    rank = np.argsort(np.argsort(size, kind="stable"))  # 0: the rarest
    rarer_above = rank[above] < rank[below]
    return np.where(rarer_above == (how == "dilate"), 1, -1)


def _dice(n: int, first: int, last: int) -> float:
    """Dice of n voxels with themselves after their first border has moved by `first` and their last by `last`."""
    both, now = min(n, n + last) - max(0, first), n - first + last
    return 2.0 * max(0, both) / (n + now) if now > 0 else 0.0


def _takes() -> NDArray[np.bool_]:
    """[voxels up to `_FREE`, first border's move + 1, last border's + 1, is the last one preferred, which border] ->
    whether the layer takes the move of its first (0) or last (1) border."""
    out = np.zeros((_FREE + 1, 3, 3, 2, 2), np.bool_)
    for n, first, last, prefer_last in product(range(1, _FREE + 1), (-1, 0, 1), (-1, 0, 1), (0, 1)):
        possible = [(f, g) for f in (True, False) for g in (True, False) if _dice(n, f * first, g * last) >= LEAST_DICE]
        kept = min(possible, key=lambda p: (_dice(n, p[0] * first, p[1] * last), p[1] != bool(prefer_last)))
        out[n, first + 1, last + 1, prefer_last] = kept
    return out


_TAKES = _takes()
