"""If only one test file is run, then this one: one scan through all steps, held against numbers computed by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

import layer_fast as lf
import tiny
import tolerances
from layer_fast.types import REGIONS


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_models(tmp_path_factory.mktemp("models") / "tiny", ("bmode",))


@pytest.fixture(scope="module")
def record(models: Path) -> lf.ScanRecord:
    affine = np.diag([*tiny.SPACING, 1.0])
    volume = lf.Volume(tiny.bmode(0), affine, tiny.SPACING, "bmode")
    scan = lf.Scan(lf.ScanRef("one", "p1", label="case"), {"bmode": volume}, {}, {"bmode": "0" * 64})
    return lf.Pipeline(models, {"fills": ("cohort_profile",)}).process(scan)


def features(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tiny classifier's activation in float64: correlation, stride (1, 2, 2), ReLU."""
    w = {name: value.astype(np.float32).astype(np.float64) for name, value in tiny.classifier_weights(1).items()}
    maps = [ndimage.correlate(image, k[0], mode="constant") + b for k, b in zip(w["w"], w["b"], strict=True)]
    return np.maximum(np.stack(maps)[:, :, ::2, ::2], 0)


def margin_weights() -> NDArray[np.float64]:
    fc = tiny.classifier_weights(1)["fc"].astype(np.float32).astype(np.float64)
    return fc[:, 1] - fc[:, 0]


def rows(record: lf.ScanRecord, method: str) -> dict[str, dict[str, object]]:
    return {f"{r['region_kind']}:{r['region']}": r for r in record.layers if r["method"] == method}


def test_the_scan_is_ok_and_every_region_has_its_row(record: lf.ScanRecord) -> None:
    assert (record.status, record.code, record.message) == ("ok", "", "")
    for method in ("gradcam", "layer_ablation", "layer_shapley"):
        found = [(r["region_kind"], r["region"]) for r in record.layers if r["method"] == method]
        assert found[:7] == [("background", "background"), *(("layer", name) for name in lf.LAYERS)]
        assert found[7:] == [("group", name) for name in lf.GROUPS]


def test_margin_is_the_models(record: lf.ScanRecord) -> None:
    expected = features(tiny.bmode(0) / 255.0).mean(axis=(1, 2, 3)) @ margin_weights()
    assert record.scan["margin_bmode"] == pytest.approx(expected, rel=tolerances.ENGINE_RTOL)


def test_layers_have_their_size_in_mm(record: lf.ScanRecord) -> None:
    for name in lf.LAYERS:
        row = rows(record, "gradcam")[f"layer:{name}"]
        assert row["n_voxels"] == 4 * 4 * 8
        assert row["thickness_mm"] == pytest.approx(4 * tiny.SPACING[1])
        assert row["volume_mm3"] == pytest.approx(4 * 4 * 8 * np.prod(tiny.SPACING))


def test_gradcam_rows_are_those_of_the_map_interpolated(record: lf.ScanRecord) -> None:
    activation = features(tiny.bmode(0) / 255.0)
    cam = np.maximum(np.tensordot(margin_weights() / activation[0].size, activation, 1), 0)
    at = [np.clip((np.arange(n) + 0.5) * m / n - 0.5, 0, m - 1) for n, m in zip(tiny.GRID, cam.shape, strict=True)]
    full = ndimage.map_coordinates(cam, np.meshgrid(*at, indexing="ij"), order=1)
    for k, name in enumerate(REGIONS):
        row = rows(record, "gradcam")[f"{'layer' if k else 'background'}:{name}"]
        inside = full[tiny.labels() == k]
        for column, value in {"sum": inside.sum(), "mean": inside.mean(), "max": inside.max()}.items():
            expected = pytest.approx(value, rel=tolerances.ENGINE_RTOL, abs=tolerances.ENGINE_ATOL)
            assert row[column] == expected, (name, column)


def test_shapley_sums_to_all_minus_none_and_groups_to_their_members(record: lf.ScanRecord) -> None:
    logits = {c["output"]: np.array(c["values"]) for c in record.coalitions}
    margin = logits["logit:case"] - logits["logit:control"]
    assert margin[127] == pytest.approx(record.scan["margin_bmode"], rel=tolerances.ENGINE_RTOL)
    phi = rows(record, "layer_shapley")
    total = sum(phi[f"{'layer' if k else 'background'}:{name}"]["value"] for k, name in enumerate(REGIONS))  # type: ignore[misc]
    assert total == pytest.approx(margin[127] - margin[0], abs=tolerances.ROUNDING)
    for group, members in lf.GROUPS.items():
        parts = sum(phi[f"layer:{REGIONS[k]}"]["value"] for k in members)  # type: ignore[misc]
        assert phi[f"group:{group}"]["value"] == pytest.approx(parts, abs=tolerances.ROUNDING)


def test_ablation_is_the_drop_when_one_layer_is_replaced(record: lf.ScanRecord, models: Path) -> None:
    """The composed input is made here by hand from the definition of the fill."""
    profile = lf.load_models(models).classifiers["bmode"][0].fill_profile
    assert profile is not None
    image, labels = tiny.bmode(0) / 255.0, tiny.labels()
    for k in (1, 6):
        composed = image.copy()
        for rank in range(4):  # the four voxels of a layer lie at 1/8, 3/8, 5/8, 7/8 of its depth
            composed[:, 4 * k + rank, :] = profile[0, k, int(16 * (rank + 0.5) / 4)]
        assert (labels[:, 4 * k : 4 * k + 4] == k).all()
        drop = (features(image) - features(composed)).mean(axis=(1, 2, 3)) @ margin_weights()
        found = rows(record, "layer_ablation")[f"layer:{REGIONS[k]}"]["value"]
        assert found == pytest.approx(drop, abs=tolerances.ENGINE_ATOL)
