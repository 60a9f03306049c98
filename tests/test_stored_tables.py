"""What a run keeps of a map beside its sums: histograms and sums per slice say what the voxels say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tiny
from layer_fast import ops
from layer_fast.cohort import run_cohort
from layer_fast.quantify.bins import NUM_BINS, ZERO, bin_edges, counts_per_label
from layer_fast.steps.stored import half_pixel, histogram_rows, slice_rows

RNG = np.random.default_rng(3)
MAP = RNG.normal(0, 1, (3, 5, 4)).astype(np.float32)
LABELS = RNG.integers(0, 6, (7, 12, 9)).astype(np.uint8)  # no label 6
GRID_MAP = half_pixel(LABELS.shape, MAP.shape)


def test_every_number_lies_in_its_bin() -> None:
    low, high = bin_edges()
    values = np.concatenate([RNG.normal(0, 10.0 ** RNG.integers(-20, 20, 500)), [0.0, -0.0, 1.0, -1.0, 3e38, 1.2e-38]])
    for x in values.astype(np.float32):
        counts = counts_per_label(np.full((1, 1, 1), x, np.float32), np.full((1, 1, 1), 2, np.uint8))
        (b,) = np.flatnonzero(counts[2])
        assert low[b] <= x <= high[b] and counts.sum() == 1
    finite = np.isfinite(low) & np.isfinite(high)
    assert (low[finite][1:] >= high[finite][:-1]).all() and low[ZERO] == high[ZERO] == 0
    wide = finite & (np.abs(low) > 2e-38) & (np.abs(high) > 2e-38)
    width = (high - low)[wide] / np.minimum(np.abs(low), np.abs(high))[wide]
    assert wide.sum() > NUM_BINS - 100 and width.max() <= 1 / 16


def test_what_is_too_small_to_tell_from_zero_is_zero() -> None:
    tiny_values = np.array([1e-45, -1e-45, 0.0, -0.0], np.float32).reshape(1, 2, 2)
    assert counts_per_label(tiny_values, np.zeros((1, 2, 2), np.uint8))[0, ZERO] == 4


def test_histogram_counts_the_interpolated_voxels() -> None:
    low, high = bin_edges()
    voxels = ops.resample(MAP, LABELS.shape)
    for row in histogram_rows(MAP, LABELS, GRID_MAP, 1):
        x = voxels[row["label_value"] == LABELS]
        expected = {b: int(((x >= low[b]) & (x <= high[b])).sum()) for b in row["bins"]}
        assert dict(zip(row["bins"], row["counts"], strict=True)) == expected
        assert sum(row["counts"]) == x.size == row["n_voxels"] and 0 not in row["counts"]


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_slices_hold_what_each_slice_holds(axis: str) -> None:
    voxels = np.moveaxis(ops.resample(MAP, LABELS.shape).astype(np.float64), "zyx".index(axis), 0)
    labels = np.moveaxis(LABELS, "zyx".index(axis), 0)
    rows = slice_rows(MAP, LABELS, GRID_MAP, 1, axis)
    assert [row["label_value"] for row in rows] == list(range(7))
    for row in rows:
        for i, (plane, mask) in enumerate(zip(voxels, labels, strict=True)):
            x = plane[mask == row["label_value"]]
            found = [row[name][i] for name in ("count", "sum", "sum_sq", "sum_abs", "sum_pos", "min", "max")]
            ends = [x.min(), x.max()] if x.size else [np.nan, np.nan]
            expected = [x.size, x.sum(), (x * x).sum(), np.abs(x).sum(), np.maximum(x, 0).sum(), *ends]
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_wrong_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="expected float32 and uint8 of one shape"):
        counts_per_label(MAP, LABELS)
    with pytest.raises(ValueError, match=r"labels 0..6, got 7"):
        counts_per_label(np.zeros((1, 1, 1), np.float32), np.full((1, 1, 1), 7, np.uint8))


def test_a_run_keeps_what_the_options_ask_for(tmp_path: Path) -> None:
    models = tiny.write_models(tmp_path / "models", ("bmode",))
    table = tiny.write_cohort(tmp_path / "c", 2)
    out = tmp_path / "out"
    run_cohort(table, models, out, {"methods": ["gradcam"], "store": ["histograms", "slices"], "slice_axis": "y"})
    layers = {(r["scan_id"], r["region"]): r for r in tiny.rows(out, "layers") if r["region_kind"] != "group"}
    histograms, slices = tiny.rows(out, "histograms"), tiny.rows(out, "slices")
    assert len(histograms) == len(slices) == len(layers) == 2 * 7
    for row, parts in zip(histograms, slices, strict=True):
        layer = layers[row["scan_id"], row["region"]]
        assert sum(row["counts"]) == sum(parts["count"]) == layer["n_voxels"] > 0
        assert sum(parts["sum"]) == pytest.approx(layer["sum"], rel=1e-9)
        assert len(parts["sum"]) == tiny.GRID[1] and parts["axis"] == "y" and row["label"] == layer["label"]
    run_cohort(table, models, out, {"methods": ["gradcam"], "store": []})
    assert not (out / "histograms.parquet").exists() and not (out / "slices.parquet").exists()
