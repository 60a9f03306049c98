"""What is planted for the trained networks: in which layer and modality, how large, and what an oracle would see."""

from __future__ import annotations

from math import erf
from typing import NamedTuple

import numpy as np

from ..types import LAYERS
from . import light


class Planted(NamedTuple):
    """setup: of the network; modalities: in which the effect is planted. claim: whether the rule should name the layer
    where the effect is large; False where the modality cannot resolve it."""

    setup: str
    layer: str
    modalities: tuple[str, ...]
    kind: str
    claim: bool = True


DESIGNS = {
    "bmode/superficial_fat/mean": Planted("bmode", "superficial_fat", ("bmode",), "mean"),
    "bmode/muscle/mean": Planted("bmode", "muscle", ("bmode",), "mean"),
    "bmode/deep_fascial_membrane/mean": Planted("bmode", "deep_fascial_membrane", ("bmode",), "mean"),
    "bmode/deep_fat/texture": Planted("bmode", "deep_fat", ("bmode",), "texture"),
    "swe/muscle/mean": Planted("swe", "muscle", ("swe",), "mean"),
    "swe/deep_fat/mean": Planted("swe", "deep_fat", ("swe",), "mean"),
    "both/muscle/mean": Planted("both", "muscle", ("bmode", "swe"), "mean"),
    "both/superficial_fat/mean in bmode": Planted("both", "superficial_fat", ("bmode",), "mean"),
    "swe/deep_fascial_membrane/mean": Planted("swe", "deep_fascial_membrane", ("swe",), "mean", False),
}
EFFECTS_SD = (1.0, 1.5, 2.0, 3.0)  # oracle AUC 0.760, 0.856, 0.921, 0.983
SUBJECTS = (20, 40, 80, 130)


def oracle_auc(effect_sd: float) -> float:
    """AUC of a normal quantity that is `effect_sd` standard deviations higher in cases: Phi(d / sqrt 2)."""
    return 0.5 * (1.0 + erf(effect_sd / 2.0))


def design(planted: Planted, effect_sd: float) -> light.Design:
    shifts = {(m, planted.layer): effect_sd for m in planted.modalities}
    if planted.kind == "thickness":
        return light.Design(thickness={("", planted.layer): effect_sd})
    mean, texture = (shifts if planted.kind == kind else {} for kind in ("mean", "texture"))
    return light.Design(mean, texture, shared=len(planted.modalities) > 1)


def quantity(planted: Planted, cohort: light.Cohort) -> np.ndarray:
    """(n,) the planted quantity of each subject."""
    label = LAYERS.index(planted.layer) + 1
    if planted.kind == "thickness":
        return cohort.thickness[:, label]
    held = {"mean": cohort.mean, "texture": cohort.texture}[planted.kind]
    return held[:, light.MODALITIES.index(planted.modalities[0]), label]
