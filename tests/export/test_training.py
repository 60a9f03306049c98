"""What the training scans give: the fill profile, the spread of the margin, who was seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import tiny
import tolerances
from export import small
from layer_fast.errors import ConfigError
from layer_fast.export import export_onnx


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_cohort(tmp_path_factory.mktemp("cohort") / "c", 6, masks=True)


def test_profile_spread_and_subjects(tmp_path: Path, cohort: Path) -> None:
    ticks: list[tuple[int, int]] = []
    stated = small.fields(profile_bins=4)
    package = export_onnx(
        small.classifier(), stated, tmp_path / "out", cohort=cohort, tick=lambda *n: ticks.append(n)
    )
    images = np.stack([tiny.bmode(i) for i in range(6)])[:, None].astype(np.float32) / 255
    session = onnxruntime.InferenceSession(small.classifier().SerializeToString(), providers=["CPUExecutionProvider"])
    logits = session.run(None, {"image": images})[0].astype(np.float64)
    spread = np.std(logits[:, 1] - logits[:, 0], ddof=1)
    assert package.manifest.logit_sd_train == pytest.approx(spread, rel=tolerances.EXPORT_SPREAD)
    assert package.fill_profile is not None and package.fill_profile.shape == (1, 7, 4)
    # Layers are four voxels deep in the whole cohort, so bin k of label l is the mean of row 4 l + k.
    rows = images.mean((0, 1, 2, 4)).reshape(7, 4)
    np.testing.assert_allclose(package.fill_profile[0], rows, atol=tolerances.EXPORT_PROFILE)
    assert [package.exposure(s) for s in ("p00", "p02", "p03")] == ["seen", "seen", "unseen"]
    assert ticks == [(i, 6) for i in range(1, 7)]


def test_a_slice_model_keeps_the_scans_own_slices(tmp_path: Path, cohort: Path) -> None:
    model = small.classifier(sizes=small.GRID[1:])
    package = export_onnx(model, small.fields_2d(profile_bins=4), tmp_path / "out", cohort=cohort)
    images = np.stack([tiny.bmode(i) for i in range(6)]).astype(np.float64) / 255
    assert package.fill_profile is not None
    np.testing.assert_allclose(
        package.fill_profile[0], images.mean((0, 1, 3)).reshape(7, 4), atol=tolerances.EXPORT_PROFILE
    )


def test_bad_scans_are_named_and_stop_the_export(tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "c", 6, masks=True)
    (table.parent / "b4.nii.gz").write_bytes(b"damaged")
    (table.parent / "m1.nii.gz").unlink()
    with pytest.raises(ConfigError, match=r"2 bad training scan\(s\)(.|\n)*s001: (.|\n)*s004: "):
        export_onnx(small.classifier(), small.fields(), tmp_path / "out", cohort=table)
    assert not (tmp_path / "out").exists()
    said: list[str] = []
    package = export_onnx(
        small.classifier(), small.fields(), tmp_path / "out", cohort=table, skip_bad=True, say=said.append
    )
    assert any("left out 2 of 6 scans" in line for line in said)
    assert package.exposure("p02") == "seen", "a scan that was left out here was still trained on"


def test_what_the_scans_lack_is_said(tmp_path: Path, cohort: Path) -> None:
    without = tiny.write_cohort(tmp_path / "c", 2)
    with pytest.raises(ConfigError, match="expected a column mask"):
        export_onnx(small.classifier(), small.fields(), tmp_path / "out", cohort=without)
    said: list[str] = []
    wrong = small.fields(channels=[{"modality": "bmode", "window": [0, 10000]}])
    export_onnx(small.classifier(), wrong, tmp_path / "out", cohort=cohort, say=said.append)
    assert any("6 of 6 training scans are not what the fields state" in line for line in said)


def test_a_segmenter_takes_only_the_subjects(tmp_path: Path) -> None:
    table = tiny.write_cohort(tmp_path / "c", 2)
    stated = small.fields(role="segmenter", classes=None, target=None)
    package = export_onnx(small.segmenter(), stated, tmp_path / "out", cohort=table)
    assert package.exposure("p00") == "seen" and package.fill_profile is None
