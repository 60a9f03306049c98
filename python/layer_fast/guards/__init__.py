"""Checks of maps and masks that need volumes or engines: does a layer's number say something of that layer?"""

from .leakage import Leakage, leakage
from .nulls import NullResult, depth_nulls, in_less_out, lateral_nulls, other_mask_nulls
from .perturb import LEAST_DICE, PERTURBATIONS, label_dice, perturbed
from .randomisation import Randomisation, randomisation, randomised

__all__ = [
    "LEAST_DICE", "PERTURBATIONS", "Leakage", "NullResult", "Randomisation", "depth_nulls", "in_less_out", "label_dice",
    "lateral_nulls", "leakage", "other_mask_nulls", "perturbed", "randomisation", "randomised",
]  # fmt: skip
