"""An exported package runs through the pipeline, with every method its manifest allows."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from export import small
from layer_fast.config import METHODS
from layer_fast.errors import LayerFastError
from layer_fast.export import export_onnx
from layer_fast.io import load_table
from layer_fast.pipeline import Pipeline
from layer_fast.types import ScanRecord

COMMON = {"mask": "given", "setups": ("bmode",), "ig_steps": 4, "smoothgrad_samples": 2, "lanes": 1}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_cohort(tmp_path_factory.mktemp("cohort") / "c", 4, masks=True)


def first_record(package: Path, table: Path, methods: tuple[str, ...]) -> ScanRecord:
    return Pipeline(package, {**COMMON, "methods": methods}).process(load_table(table)[0])


@pytest.mark.parametrize("dims", [2, 3])
def test_every_method(tmp_path: Path, cohort: Path, dims: int) -> None:
    model = small.classifier(sizes=small.GRID[3 - dims :])
    stated = small.fields() if dims == 3 else small.fields_2d()
    package = export_onnx(model, stated, tmp_path / "out", cohort=cohort)
    record = first_record(package.path, cohort, METHODS)
    assert record.status == "ok", record.message
    assert {row["method"] for row in record.layers} >= set(METHODS)
    assert record.scan["exposure"] == "seen"


def test_without_training_scans_only_maps(tmp_path: Path, cohort: Path) -> None:
    package = export_onnx(small.classifier(), small.fields(), tmp_path / "out")
    record = first_record(package.path, cohort, ("gradcam", "gradient"))
    assert record.status == "ok" and record.scan["exposure"] == "unknown"
    with pytest.raises(LayerFastError, match="fill profile"):
        first_record(package.path, cohort, ("layer_shapley",))
