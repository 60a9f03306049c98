"""Which p values are corrected together, and how."""

from __future__ import annotations

import numpy as np

from ..inference import holm
from .resample import Float

FAMILIES = {
    "layer_pairs": "paired contrasts: the 15 pairs of layers of one analysis",
    "group_pairs": "paired contrasts: the 2 pairs of groups of one analysis",
    "class_layers": "class contrasts: the 6 layers of one analysis",
    "class_groups": "class contrasts: the 4 groups of one analysis",
    "class_layer_pairs": "class contrasts of differences: the 15 pairs of layers of one analysis",
    "class_group_pairs": "class contrasts of differences: the 2 pairs of groups of one analysis",
}
NOTE = (
    "An analysis is one definition of one setup, method, model, member, fill, target, mask and channel. Nothing is "
    "corrected over analyses: the members of an ensemble and several definitions of one map are not independent tests "
    "of one question. Strata and calibration have no p values."
)


def adjusted(p: Float) -> tuple[Float, Float]:
    """p of one family -> (Holm 1979, Benjamini and Hochberg 1995). A test without a p counts, as if its p were 1.

    Holm's is the one of claims.json: statsmodels' gives the same numbers and collects all garbage on every call.
    """
    from statsmodels.stats.multitest import fdrcorrection

    missing = np.isnan(p)
    both = holm(p), fdrcorrection(np.where(missing, 1.0, p))[1]
    return np.where(missing, np.nan, both[0]), np.where(missing, np.nan, both[1])
