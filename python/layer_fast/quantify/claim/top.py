"""Which layer is the candidate of a cell: the one with the largest class contrast."""

from __future__ import annotations

import numpy as np

from ..cohort import CellStatistics
from ..regions import LAYER_ROWS


def top_layer(stats: CellStatistics) -> int | None:
    """Label value 1..6 of the layer with the largest D; None where no layer has one."""
    estimate = stats.contrast.estimate[list(LAYER_ROWS)]
    return None if np.isnan(estimate).all() else LAYER_ROWS[int(np.nanargmax(estimate))]
