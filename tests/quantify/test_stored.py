"""Definitions on stored statistics against the same definitions on voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from layer_fast import quantify_map
from layer_fast.errors import ConfigError
from layer_fast.quantify import REDUCTIONS, Reduction, make_reduction
from layer_fast.quantify.stored import EXACT, HISTOGRAM, NEEDS_VOLUMES, Evaluated, evaluate, stored_maps
from stored_maps_tables import random_case, tables

GROUPS = {
    "muscle": {"members": ["muscle"]},
    "means": {"members": ["dermis", "deep_fat", "muscle"], "pooling": "mean_of_means"},
    "weights": {"members": ["dermis", "group:means"], "pooling": "weights", "weights": [1.0, 3.0]},
    "largest": {"members": ["dermis", "muscle"], "pooling": "max"},
}


def one(statistic: Any, **fields: Any) -> Reduction:
    return make_reduction({"name": "it", "statistic": statistic, "groups": GROUPS, **fields})


def stored(maps: list[np.ndarray], masks: list[np.ndarray], definition: Reduction, *kept: str) -> Evaluated:
    found = tables(maps, masks, definition.normalise.axis or "z")
    (cell,) = stored_maps(found["layers"], **{name: found[name] for name in kept})
    return evaluate(cell, definition)


def voxels(maps: list[np.ndarray], masks: list[np.ndarray], definition: Reduction) -> np.ndarray:
    out = [quantify_map(s, m, definitions=definition).rows for s, m in zip(maps, masks, strict=True)]
    return np.array([[row["value"] for row in rows] for rows in out])


def scaled(kind: str, scope: str = "volume", **more: Any) -> dict[str, Any]:
    return {"normalise": {"kind": kind, "scope": scope, **more}}


EXACT_ONES = {
    "mean": one("mean"),
    "sum": one("sum"),
    "std": one("std"),
    "variance": one("variance"),
    "min": one("min"),
    "max": one("max"),
    "pointing": one("pointing_game"),
    "part": one({"name": "part_of_total_mean", "total": "labelled"}),
    "share": one("share", sign="positive"),
    "share_labelled": one({"name": "share", "total": "labelled"}, sign="absolute"),
    "enrichment": one("enrichment", sign="negative"),
    "energy": one("energy_pointing_game", sign="absolute"),
    "ratio": one({"name": "inside_total_ratio", "weighted": True}, sign="positive"),
    "negated": one("share", invert="negate", sign="positive"),
    "negated_std": one("std", invert="negate"),
    "min_max": one("mean", **scaled("min_max")),
    "min_max_std": one("std", **scaled("min_max")),
    "min_max_share": one("share", **scaled("min_max")),
    "labelled": one("mean", **scaled("min_max", voxels="labelled")),
    "max_norm": one("mean", **scaled("max")),
    "sum_norm": one("mean", sign="absolute", **scaled("sum")),
    "z": one("mean", **scaled("z_score")),
    "z_max": one("max", invert="negate", **scaled("z_score", voxels="labelled")),
    "slice_z": one("mean", **scaled("min_max", "slice", axis="z")),
    "slice_y": one("mean", **scaled("max", "slice", axis="y")),
    "slice_x_z": one("std", **scaled("z_score", "slice", axis="x")),
    "shares": make_reduction(
        {
            "name": "it",
            "statistic": "share",
            "sign": "positive",
            "groups": {"both": {"members": ["dermis", "muscle"], "pooling": "sum_of_shares"}},
        }
    ),
}


@pytest.mark.parametrize("name", EXACT_ONES)
@pytest.mark.parametrize("seed", [0, 1])
def test_what_follows_from_sums_is_what_the_voxels_say(name: str, seed: int) -> None:
    maps, masks = random_case(seed)
    definition = EXACT_ONES[name]
    found = stored(maps, masks, definition, "slices")
    expected = voxels(maps, masks, definition)
    assert (found.how == EXACT).all() and found.why == "" and not found.error_bound.any()
    np.testing.assert_allclose(found.value, expected, rtol=1e-7 if "std" in name or "z" in name else 1e-9, atol=1e-9)
    assert np.isfinite(expected).sum() > 10


BOUNDED = {
    "median": one("median"),
    "q90": one({"name": "quantile", "q": 0.9}, sign="absolute"),
    "rank_overlap": one("rank_overlap"),
    "rank_labelled": one({"name": "rank_overlap", "total": "labelled"}, sign="positive"),
    "top": one({"name": "top_k_intersection", "fraction": 0.05}),
    "top_abs": one({"name": "top_k_intersection", "k": 7}, sign="absolute"),
    "influence": one({"name": "concept_influence", "fraction": 0.2}, sign="positive"),
    "auc_iou": one("auc_iou", sign="positive", **scaled("max")),
    "auc_iou_unit": one("auc_iou", **scaled("min_max")),
    "auc_iou_labelled": one({"name": "auc_iou", "total": "labelled"}, **scaled("min_max", voxels="labelled")),
    "heat": one("effective_heat_ratio", sign="positive", **scaled("max")),
    "heat_weighted": one({"name": "effective_heat_ratio", "weighted": True}, **scaled("min_max")),
    "heat_clipped": one("effective_heat_ratio", clip={"percentiles": [5.0, 80.0]}, **scaled("min_max")),
    "rank_mean": one("mean", **scaled("rank")),
    "rank_set": one("mean", **scaled("rank", voxels="labelled")),
    "clipped": one("mean", clip={"percentiles": [1.0, 99.0]}),
    "clipped_std": one("std", clip={"percentiles": [10.0, 90.0]}),
    "clipped_unit": one("mean", clip={"percentiles": [1.0, 99.0], "voxels": "labelled"}, **scaled("min_max")),
    "clipped_z": one("mean", clip={"percentiles": [1.0, 99.0]}, **scaled("z_score")),
    "clipped_top": one("rank_overlap", clip={"percentiles": [5.0, 70.0]}),
    "clipped_share": one("share", sign="positive", clip={"percentiles": [0.0, 95.0]}),
    "abs_unit": one("mean", sign="absolute", **scaled("min_max")),
    "positive_std": one("std", sign="positive"),
    "abs_min": one("min", sign="absolute"),
    "negated_median": one("median", invert="negate", sign="positive"),
    "median_z": one("median", **scaled("z_score")),
    "sum_clipped": one("mean", sign="absolute", clip={"percentiles": [0.0, 90.0]}, **scaled("sum")),
}


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("seed", range(6))
def test_the_voxels_lie_inside_the_bounds(name: str, seed: int) -> None:
    maps, masks = random_case(seed, rectified=seed % 3 == 2)
    if name == "top_abs":
        masks[-1][0] = 3
    definition = BOUNDED[name]
    found = stored(maps, masks, definition, "histograms")
    expected = voxels(maps, masks, definition)
    bounded = found.how != NEEDS_VOLUMES
    assert bounded.mean() >= 0.25 and (seed % 3 == 2 or (found.how == HISTOGRAM).any())
    nothing = np.isnan(expected)
    assert (np.isnan(found.value) == nothing)[bounded].all()
    room = 1e-9 * np.nanmax(np.abs(expected), initial=1.0) + 1e-6 * np.abs(expected)
    inside = np.abs(found.value - expected) <= found.error_bound + room
    assert (inside | nothing)[bounded].all()


def test_bounds_are_not_vacuous() -> None:
    maps, masks = random_case(1)
    for name, most in {"median": 0.1, "rank_mean": 0.1, "heat": 0.3, "auc_iou": 0.1, "rank_overlap": 0.35}.items():
        found = stored(maps, masks, BOUNDED[name], "histograms")
        wide = found.error_bound / np.maximum(np.abs(found.value), 0.05 * np.nanmax(np.abs(found.value)))
        assert np.nanmedian(wide) < most, (name, np.nanmedian(wide))


def by_hand(kind: str, s: np.ndarray, x: np.ndarray) -> np.ndarray:
    """s normalised by the values x."""
    if kind == "min_max":
        return np.asarray((s - x.min()) / (x.max() - x.min()))
    if kind == "z_score":
        return np.asarray((s - x.mean()) / x.std())
    scale = x.max() if kind == "max" else x.sum()
    return s / scale if scale > 0 else s * np.nan


@pytest.mark.parametrize("scope", ["subject", "cohort"])
@pytest.mark.parametrize("kind", ["min_max", "max", "sum", "z_score"])
def test_a_subject_and_a_cohort_share_one_scale(scope: str, kind: str) -> None:
    maps, masks = random_case(5)
    found = stored(maps, masks, one("mean", **scaled(kind, scope)))
    pools = [(0, 1), (2, 3)] if scope == "subject" else [(0, 1, 2, 3)]
    for pool in pools:
        x = np.concatenate([maps[i].astype(np.float64).ravel() for i in pool])
        for i in pool:
            s = maps[i].astype(np.float64)
            t = by_hand(kind, s, x)
            expected = [t[masks[i] == k].mean() if (masks[i] == k).any() else np.nan for k in range(7)]
            np.testing.assert_allclose(found.value[i, :7], expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        (one("mean", mask={"kind": "eroded", "mm": 1.0}), "eroded"),
        (one("mean", **scaled("min_max", "slice", axis="y")), "slice along y"),
        (one("median"), "no histograms"),
        (one("rank_accuracy"), "tie decides"),
        (one("intersection_over_attention"), "Otsu"),
        (one("mean", **scaled("rank", "slice", axis="z")), "of volumes, not of slices"),
    ],
)
def test_what_needs_volumes_says_why(definition: Reduction, why: str) -> None:
    maps, masks = random_case(0)
    found = stored(maps, masks, definition)
    assert (found.how == NEEDS_VOLUMES).any() and why in found.why and np.isnan(found.value[found.how == 2]).all()


def test_a_share_of_signed_values_is_refused() -> None:
    maps, masks = random_case(0)
    with pytest.raises(ConfigError, match="share needs t >= 0, found values from -"):
        stored(maps, masks, one("share"))
    with pytest.raises(ConfigError, match=r"expects maps in 0\.\.1"):
        stored(maps, masks, one("mean", invert="one_minus"))


def test_the_presets_for_maps_are_exact_or_bounded() -> None:
    maps, masks = random_case(2)
    how = {name: stored(maps, masks, r, "histograms", "slices") for name, r in REDUCTIONS.items()}
    needs = {name for name, found in how.items() if (found.how == NEEDS_VOLUMES).any()}
    assert needs == {"intersection_over_attention"}
    for name, found in how.items():
        if (found.how == EXACT).all():
            np.testing.assert_allclose(found.value, voxels(maps, masks, REDUCTIONS[name]), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_a_scaled_map_is_not_refused_for_the_rounding_of_its_scale(seed: int) -> None:
    """(max - min) / (max - min) as a line, scale * max - scale * min, is 1 but for the last bit."""
    maps, masks = random_case(seed)
    far = [s + np.float32(7.3) for s in maps]
    definition = one("auc_iou", **scaled("min_max"))
    found = stored(far, masks, definition, "histograms")
    expected = voxels(far, masks, definition)
    there = found.how == HISTOGRAM
    assert (np.abs(found.value - expected)[there] <= found.error_bound[there] + 1e-9).all()
    with pytest.raises(ConfigError, match="needs 0 <= t <= 1"):
        stored([s + np.float32(7.3) for s in maps], masks, one("auc_iou"))
