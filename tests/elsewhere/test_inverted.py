"""Maps that were turned over: told by their ceiling, said in the facts, silent where the caller says so."""

from __future__ import annotations

import numpy as np
import pytest

import layer_fast as lf
from layer_fast.elsewhere.inverted import inversion

LABELS = np.broadcast_to(np.repeat(np.arange(7), 4)[None, :, None], (4, 28, 6)).astype(np.uint8)


def test_inverted_maps_are_told_by_their_ceiling() -> None:
    rng = np.random.default_rng(0)
    cam = np.maximum(rng.normal(size=(4, 12, 6)), 0.0)
    scaled = cam / cam.max()
    assert not inversion(scaled).fires and inversion(scaled).judged
    assert inversion(1.0 - scaled).fires
    assert inversion(-5.0 * cam + 3.0).fires
    assert not inversion(rng.normal(size=(4, 12, 6))).judged
    assert not inversion(np.zeros((2, 2, 2))).fires
    with pytest.raises(ValueError, match="finite"):
        inversion(np.array([1.0, np.nan]))


def cam() -> np.ndarray:
    values = np.maximum(np.random.default_rng(1).normal(size=LABELS.shape), 0.0)
    return (values / values.max()).astype(np.float32)


def test_quantify_map_says_it() -> None:
    sound, turned = lf.quantify_map(cam(), LABELS), lf.quantify_map(1.0 - cam(), LABELS)
    assert "looks_inverted" not in sound.facts["flags"]
    assert "looks_inverted" in turned.facts["flags"]
    assert turned.facts["inversion"][0]["at_max"] == pytest.approx(sound.facts["inversion"][0]["at_min"], abs=0.01)
    known = lf.quantify_map(1.0 - cam(), LABELS, definitions=["mean_minmax_volume"], invert="one_minus")
    assert "looks_inverted" not in known.facts["flags"]


def test_constant_and_signed_maps_are_not_judged() -> None:
    for values in (np.zeros(LABELS.shape, np.float32), np.random.default_rng(2).normal(size=LABELS.shape)):
        assert "looks_inverted" not in lf.quantify_map(values, LABELS, definitions=["mean"]).facts["flags"]
