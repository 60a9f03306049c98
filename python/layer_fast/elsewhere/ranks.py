"""Statistics that see the order of the voxels only. t: the voxels of the total; inside: those of the region."""

from __future__ import annotations

import numpy as np

from .field import Bools, Floats


def top_overlap(t: Floats, inside: Bools, k: int) -> tuple[float, bool]:
    """The share of the k largest voxels that lie inside, and whether it is the same for every order of equal ones.

    Of the voxels that tie at the k-th value the expected number is taken, as if their order were random.
    """
    threshold = np.partition(t, t.size - k)[t.size - k]
    above, ties = t > threshold, t == threshold
    left, tied, tied_inside = k - int(above.sum()), int(ties.sum()), int((ties & inside).sum())
    value = (int((above & inside).sum()) + left * tied_inside / tied) / k
    return value, left == tied or tied_inside in (0, tied)


def pointing_game(t: Floats, inside: Bools, weighted: bool) -> float:
    """The share of the voxels at the maximum that lie inside; weighted: a hit counts less in a large region."""
    at_top = t == t.max()
    hit = float((at_top & inside).sum() / at_top.sum())
    return hit * (1.0 - inside.sum() / t.size) if weighted else hit
