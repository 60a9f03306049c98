"""Rows of one scan: closed-form answers for every definition and the rules for absent, zero and constant."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import tolerances
from layer_fast.quantify import PRESETS, REGION_ORDER, definition, derive, map_region_rows, shapley, value_region_rows

SUM = tolerances.FLOAT64_SUM


def of_volume(s: np.ndarray, labels: np.ndarray, **more: object) -> list[dict]:
    """The rows of a map, its statistics taken voxel by voxel."""
    parts = [s[labels == k] for k in range(7)]
    stats = {
        "sum": [p.sum() for p in parts], "sum_sq": [(p**2).sum() for p in parts],
        "sum_abs": [abs(p).sum() for p in parts], "sum_pos": [np.maximum(p, 0).sum() for p in parts],
        "min": [p.min() if p.size else np.nan for p in parts], "max": [p.max() if p.size else np.nan for p in parts],
    }
    return map_region_rows(np.array([p.size for p in parts]), **stats, voxel_mm3=0.5, **more)


def by_name(rows: list[dict]) -> dict[str, dict]:
    return {f"{r['region_kind']}:{r['region']}": r for r in rows}


@pytest.mark.parametrize("signed", [False, True])
def test_every_definition_against_the_voxels(signed: bool) -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 7, 5000)
    s = rng.gamma(1.0, 1.0, 5000) - (0.8 if signed else 0.0)
    pos = np.maximum(s, 0)
    rows = of_volume(s, labels)
    assert [r["region"] for r in rows] == [r.name for r in REGION_ORDER]
    for region, row in zip(REGION_ORDER, rows, strict=True):
        inside = np.isin(labels, region.members)
        expected = {
            "mean": s[inside].mean(), "std": s[inside].std(), "min": s[inside].min(), "max": s[inside].max(),
            "mean_minmax_volume": ((s - s.min()) / (s.max() - s.min()))[inside].mean(),
            "share_of_all": pos[inside].sum() / pos.sum(),
            "share_of_labelled": np.nan if region.kind == "background" else pos[inside].sum() / pos[labels > 0].sum(),
            "enrichment": pos[inside].mean() / pos.mean(), "volume_mm3": inside.sum() * 0.5,
        }
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, abs=SUM, nan_ok=True), (region.name, name)
        assert row["enrichment"] <= labels.size / inside.sum()
        assert row["value"] is None


def test_a_flat_map_has_enrichment_one_and_shares_equal_to_volume() -> None:
    labels = np.repeat(np.arange(7), [10, 20, 30, 40, 50, 60, 70])
    rows = by_name(of_volume(np.ones(280), labels))
    assert rows["layer:deep_fat"]["enrichment"] == 1.0
    assert rows["layer:deep_fat"]["share_of_all"] == pytest.approx(50 / 280, abs=SUM)
    assert rows["group:non_muscle"]["share_of_labelled"] == pytest.approx(200 / 270, abs=SUM)
    assert np.isnan(rows["layer:muscle"]["mean_minmax_volume"])
    assert rows["layer:muscle"]["flags"] == "cam_constant"


def test_all_zero_map_has_no_shares_but_means_of_zero() -> None:
    rows = of_volume(np.zeros(70), np.repeat(np.arange(7), 10))
    for row in rows:
        assert row["flags"] == "cam_all_zero"
        assert row["mean"] == row["std"] == row["sum"] == 0.0
        assert all(np.isnan(row[c]) for c in ("share_of_all", "share_of_labelled", "enrichment", "mean_minmax_volume"))


@pytest.mark.parametrize("pattern", list(product([0, 1], repeat=6)))
def test_every_pattern_of_absent_layers(pattern: tuple[int, ...]) -> None:
    present = np.array([1, *pattern], dtype=bool)
    labels = np.repeat(np.arange(7), np.where(present, 12, 0))
    rows = of_volume(np.linspace(0.1, 1, labels.size), labels, thickness_mm=np.where(present, 2.0, np.nan))
    for region, row in zip(REGION_ORDER, rows, strict=True):
        there = bool(present[list(region.members)].any())
        assert row["present"] is there
        if not there:
            assert row["n_voxels"] == 0
            assert row["volume_mm3"] == 0.0
            assert row["sum"] == row["sum_sq"] == row["sum_abs"] == row["sum_pos"] == 0.0
            numbers = [row[c] for c in ("mean", "std", "min", "max", "mean_minmax_volume", "share_of_labelled")]
            assert np.isnan([*numbers, row["share_of_all"], row["enrichment"]]).all()
        if region.kind == "layer":
            assert row["thickness_mm"] == pytest.approx(2.0 if there else np.nan, nan_ok=True)
        else:
            assert row["thickness_mm"] is None


def test_one_voxel_has_no_spread() -> None:
    labels = np.repeat(np.arange(7), [50, 1, 9, 10, 50, 50, 50])
    rows = by_name(of_volume(np.random.default_rng(0).random(220), labels))
    assert rows["layer:dermis"]["std"] == 0.0
    assert rows["layer:dermis"]["flags"] == rows["layer:superficial_fat"]["flags"] == "low_n"
    assert rows["layer:superficial_fascial_membrane"]["flags"] == ""


def test_thin_layers_are_unresolved() -> None:
    labels = np.repeat(np.arange(7), 10)
    rows = by_name(of_volume(np.ones(70), labels, thickness_mm=[np.nan, 2, 2, 0.5, 2, 1.0, 9], resolution_mm=1.0))
    assert [n for n, r in rows.items() if r["unresolved"]] == ["layer:superficial_fascial_membrane"]


def test_derive_is_what_made_the_rows() -> None:
    rows = of_volume(np.random.default_rng(5).random(700), np.repeat(np.arange(7), 100), flags=("depth_axis_guess",))
    stripped = [{**r, "mean": None, "share_of_all": None, "enrichment": 3.0} for r in rows]
    assert repr(derive(stripped)) == repr(rows)  # repr: NaN equals NaN there
    with pytest.raises(ValueError, match="fixed order"):
        derive(rows[::-1])


def test_value_rows() -> None:
    v = np.random.default_rng(2).normal(size=128)
    count = np.array([5, 5, 0, 5, 5, 5, 5])
    phi = shapley(v)
    rows = by_name(value_region_rows("layer_shapley", v, count=count, voxel_mm3=1.0))
    assert rows["layer:muscle"]["value"] == rows["group:muscle"]["value"] == phi[6]
    assert rows["group:fascia"]["value"] == pytest.approx(phi[3] + phi[5], abs=SUM)
    assert np.isnan(rows["layer:superficial_fat"]["value"])
    assert rows["group:fat"]["value"] == phi[4]  # the absent member is left out
    assert rows["layer:muscle"]["mean"] is rows["layer:muscle"]["sum"] is None
    rows = by_name(value_region_rows("layer_ablation", v, count=count, voxel_mm3=1.0))
    assert rows["group:fascia"]["value"] == v[127] - v[127 & ~0b101000]


def test_refusals_name_the_argument() -> None:
    good = {name: np.ones(7) for name in ("sum", "sum_sq", "sum_abs", "sum_pos", "min", "max")}
    with pytest.raises(ValueError, match="finite sum_sq"):
        map_region_rows(np.ones(7, int), **{**good, "sum_sq": np.full(7, np.nan)}, voxel_mm3=1.0)
    with pytest.raises(ValueError, match="counts >= 0 as integers"):
        map_region_rows(np.ones(7), **good, voxel_mm3=1.0)
    with pytest.raises(ValueError, match="positive voxel_mm3"):
        map_region_rows(np.ones(7, int), **good, voxel_mm3=0.0)
    with pytest.raises(ValueError, match="layer_shapley or layer_ablation"):
        value_region_rows("gradcam", np.zeros(128), count=np.ones(7, int), voxel_mm3=1.0)
    with pytest.raises(KeyError, match="share_of_all"):
        definition("LAYER")


def test_definitions_are_told_apart_by_hash_and_no_one_is_called_layer() -> None:
    assert len({d.sha256_short for d in PRESETS.values()}) == len(PRESETS)
    assert all(d.source and d.formula and d.sign_transform and d.units and d.range for d in PRESETS.values())
    assert "LAYER" not in {name.upper() for name in PRESETS}
    assert PRESETS["enrichment"].cap == "n_V / n_L"
