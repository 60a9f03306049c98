"""A planted effect acts where it is planted, by the size it states, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

import tolerances
from layer_fast.errors import ConfigError
from layer_fast.phantom import Effect, PhantomScan, ScanSpec, plan_cohort, render
from layer_fast.types import LAYERS

SHAPE, SPACING = (6, 128, 20), (2.0, 0.3125, 1.0)
REACH_MM = 2.5  # beyond the reach of the beam and of the shear-wave kernel, cut at 2.5 sigma


def spec(*effects: Effect) -> ScanSpec:
    return plan_cohort(subjects=1, scans_per_subject=1, effects=effects, seed=7, shape=SHAPE, spacing_mm=SPACING)[0]


def twins(*effects: Effect) -> tuple[PhantomScan, PhantomScan]:
    scan = spec(*effects)
    return render(scan.twin(is_case=True)), render(scan.twin(is_case=False))


def rows_away(labels: np.ndarray, layer: str) -> np.ndarray:
    """Voxels of columns further than REACH_MM from any depth at which the layer is found."""
    value = LAYERS.index(layer) + 1
    rows = np.flatnonzero((labels == value).any(axis=(0, 2)))
    depth, reach = np.arange(labels.shape[1]), int(np.ceil(REACH_MM / SPACING[1]))
    return (depth < rows[0] - reach) | (depth > rows[-1] + reach)


def test_without_effects_case_and_control_are_the_same() -> None:
    case, control = twins()
    np.testing.assert_array_equal(case.bmode, control.bmode)
    np.testing.assert_array_equal(case.swe, control.swe)
    np.testing.assert_array_equal(case.labels, control.labels)


@pytest.mark.parametrize("layer", ["superficial_fat", "deep_fascial_membrane", "muscle"])
def test_echo_effect_stays_in_its_layer_and_modality(layer: str) -> None:
    case, control = twins(Effect(layer, "bmode", "mean", 6.0))
    np.testing.assert_array_equal(case.labels, control.labels)
    np.testing.assert_array_equal(case.swe, control.swe)
    away = rows_away(control.labels, layer)
    np.testing.assert_array_equal(case.bmode[:, away], control.bmode[:, away])
    inside = control.labels == LAYERS.index(layer) + 1
    gained = (case.bmode.astype(float) - control.bmode)[inside].mean() * 60.0 / 255.0
    assert abs(gained - 6.0) < tolerances.PHANTOM_EFFECT_DB


def test_speed_effect_stays_in_its_layer_and_modality() -> None:
    case, control = twins(Effect("deep_fat", "swe", "mean", 0.3))
    np.testing.assert_array_equal(case.bmode, control.bmode)
    np.testing.assert_array_equal(np.isnan(case.swe), np.isnan(control.swe))
    away = rows_away(control.labels, "deep_fat")
    np.testing.assert_array_equal(case.swe[:, away], control.swe[:, away])
    ratio = (case.swe / control.swe)[control.labels == 4]
    assert 1.2 < np.nanmean(ratio) < 1.3  # the kernel mixes in the neighbours at both edges


def test_both_modalities_move_by_the_same_relative_change() -> None:
    case, control = twins(Effect("muscle", "both", "mean", 0.25))
    inside = control.labels == 6
    gained = (case.bmode.astype(float) - control.bmode)[inside].mean() * 60.0 / 255.0
    assert abs(gained - 20.0 * np.log10(1.25)) < tolerances.PHANTOM_EFFECT_DB
    assert 1.2 < np.nanmean((case.swe / control.swe)[inside]) < 1.26


@pytest.mark.parametrize("modality", ["bmode", "swe"])
def test_texture_effect_raises_the_contrast_at_the_same_level(modality: str) -> None:
    case, control = twins(Effect("muscle", modality, "texture", 2.0))
    inside = control.labels == 6
    before, after = (getattr(scan, modality)[inside].astype(float) for scan in (control, case))
    assert np.nanstd(after) > 1.1 * np.nanstd(before)
    assert abs(np.nanmean(after) / np.nanmean(before) - 1.0) < 0.12
    other = "swe" if modality == "bmode" else "bmode"
    np.testing.assert_array_equal(getattr(case, other), getattr(control, other))


def test_thickness_effect_thickens_one_layer() -> None:
    case, control = twins(Effect("deep_fat", "both", "thickness", 0.4))
    count = [[(scan.labels == k).sum() for k in range(6)] for scan in (case, control)]
    assert abs(count[0][4] / count[1][4] - 1.4) < 0.02
    np.testing.assert_array_equal(count[0][:4], count[1][:4])
    above = control.labels < 4
    np.testing.assert_array_equal(case.labels[above], control.labels[above])


def test_effects_add_up() -> None:
    one = render(spec(Effect("muscle", "bmode", "mean", 5.0)).twin(is_case=True))
    two = render(
        spec(Effect("muscle", "bmode", "mean", 2.0), Effect("muscle", "bmode", "mean", 3.0)).twin(is_case=True)
    )
    np.testing.assert_array_equal(one.bmode, two.bmode)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"layer": "bone"}, "layer"),
        ({"modality": "doppler"}, "modality"),
        ({"kind": "colour"}, "kind"),
        ({"size": float("nan")}, "size"),
        ({"modality": "swe", "size": 30.0}, "relative change"),
        ({"modality": "bmode", "kind": "thickness", "size": 0.3}, "modality"),
    ],
)
def test_wrong_effects_are_refused(arguments: dict, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Effect(**arguments)


def test_thickness_that_leaves_no_muscle_is_refused() -> None:
    with pytest.raises(ConfigError, match="muscle"):
        plan_cohort(subjects=4, effects=[Effect("deep_fat", "both", "thickness", 3.0)], shape=SHAPE, spacing_mm=SPACING)
