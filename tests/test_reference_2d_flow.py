"""The shipped 2D models through the whole flow: scans of different numbers of slices, alone and together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import layer_fast as lf
import tolerances
from layer_fast.phantom import Effect, plan_cohort, render
from layer_fast.phantom.spec import ScanSpec
from layer_fast.phantom.train.data import model_image
from layer_fast.types import LAYERS, REGIONS

SEED = 70_500  # neither of the training's seeds nor of the card's
METHODS = ("gradcam", "gradient", "layer_shapley")
SLICES = {"control": 6, "case": 6, "thick": 9, "thin": 3}


@pytest.fixture(scope="module")
def pipeline() -> lf.Pipeline:
    return lf.Pipeline("reference_2d", {"setups": ["bmode"], "methods": list(METHODS), "scan_batch": 4, "lanes": 1})


@pytest.fixture(scope="module")
def scans() -> dict[str, lf.Scan]:
    """Two twins, the case with an effect in the muscle, and two more subjects."""
    effects = (Effect("muscle", "bmode", "mean", 6.0),)
    plan = plan_cohort(subjects=3, scans_per_subject=1, seed=SEED, effects=effects, case_fraction=0.34)
    specs = dict(zip(SLICES, (plan[0].twin(is_case=False), plan[0].twin(is_case=True), *plan[1:]), strict=True))
    return {name: in_memory(name, replace(spec, shape=(SLICES[name], 160, 64))) for name, spec in specs.items()}


def in_memory(name: str, spec: ScanSpec) -> lf.Scan:
    made = render(spec)
    volume = lf.Volume(made.bmode, made.affine, made.spacing_mm, "bmode")
    ref = lf.ScanRef(name, spec.subject.subject_id, label=spec.label)
    return lf.Scan(ref, {"bmode": volume}, {}, {"bmode": f"{sum(map(ord, name)):064x}"})


@pytest.fixture(scope="module")
def together(pipeline: lf.Pipeline, scans: dict[str, lf.Scan]) -> dict[str, lf.ScanRecord]:
    records = {record.scan_id: record for record in pipeline.stream(scans.values())}
    for record in records.values():
        assert (record.status, record.flags) == ("ok", ()), f"{record.scan_id}: {record.message} {record.flags}"
    return records


def layer_rows(record: lf.ScanRecord, method: str) -> dict[str, dict[str, Any]]:
    """Rows of the background and of each layer, by name."""
    kinds = ("layer", "background")
    return {r["region"]: r for r in record.layers if r["method"] == method and r["region_kind"] in kinds}


def shapley(record: lf.ScanRecord) -> np.ndarray:
    rows = layer_rows(record, "layer_shapley")
    return np.array([rows[name]["value"] for name in REGIONS])


def test_result_does_not_depend_on_company(
    pipeline: lf.Pipeline, scans: dict[str, lf.Scan], together: dict[str, lf.ScanRecord]
) -> None:
    for name in ("thin", "case"):
        alone = pipeline.process(scans[name])
        for part in ("key", "flags", "scan", "layers", "coalitions"):
            assert repr(getattr(alone, part)) == repr(getattr(together[name], part)), f"{name}: {part}"


def test_margin_is_the_mean_over_the_scans_own_slices(
    pipeline: lf.Pipeline, scans: dict[str, lf.Scan], together: dict[str, lf.ScanRecord]
) -> None:
    """The slice model by itself, slice by slice, on slices that nothing interpolated along z."""
    import onnxruntime

    package = pipeline.models.classifiers["bmode"][0]
    session = onnxruntime.InferenceSession(package.model_bytes, providers=["CPUExecutionProvider"])
    for name, slices in SLICES.items():
        volume = scans[name].grid.array
        planes = [model_image(volume[k : k + 1], "bmode", (1, 160, 32)) for k in range(slices)]
        logits = [session.run(["logits"], {"image": plane[None]})[0][0].astype(np.float64) for plane in planes]
        margin = np.mean([found[1] - found[0] for found in logits])
        tabled = {row["margin"] for row in together[name].layers}
        assert len(tabled) == 1
        assert abs(tabled.pop() - margin) < tolerances.SLICE_POOLING


@pytest.mark.parametrize("name", SLICES)
def test_rows_are_sane(together: dict[str, lf.ScanRecord], name: str) -> None:
    voxels = SLICES[name] * 160 * 64
    for method in METHODS:
        rows = layer_rows(together[name], method)
        assert set(rows) == set(REGIONS)
        assert sum(row["n_voxels"] for row in rows.values()) == voxels
    assert all(row["min"] >= 0 for row in layer_rows(together[name], "gradcam").values())
    assert any(row["min"] < 0 < row["max"] for row in layer_rows(together[name], "gradient").values())
    assert sum(row["sum_abs"] for row in layer_rows(together[name], "gradcam").values()) > 0
    values = shapley(together[name])
    assert np.isfinite(values).all()


def test_the_planted_layer_makes_the_difference(together: dict[str, lf.ScanRecord]) -> None:
    gap = shapley(together["case"]) - shapley(together["control"])
    assert REGIONS[int(gap.argmax())] == "muscle" == LAYERS[-1]
    maps = [layer_rows(together[name], "gradcam")["muscle"]["sum"] for name in ("case", "control")]
    assert maps[0] > maps[1]


def test_slices_beyond_the_memory_budget_cost_that_scan_only(scans: dict[str, lf.Scan]) -> None:
    """A scan's slices are one batch of the gradient graph, which cannot be cut: the budget holds, and is named."""
    few = scans["thin"]
    deep = replace(few.grid, array=np.concatenate([few.grid.array] * 64))
    large = replace(few, volumes={"bmode": deep}, input_sha256={"bmode": "0" * 64})
    small = lf.Pipeline("reference_2d", {"methods": ("gradient",), "gradient_memory_mb": 16})
    assert small.process(few).status in ("ok", "ok_degraded")
    record = small.process(large)
    assert (record.status, record.code, record.step) == ("failed", "gradient_memory", "explain")
    assert "slices at once need about" in record.message and "gradient_memory_mb is 16" in record.message
