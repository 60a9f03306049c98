"""The short way of the validation gives the numbers of a run: bit for bit those of the pipeline."""

from __future__ import annotations

import numpy as np
import pytest

from layer_fast import quantify
from layer_fast.config import RunConfig
from layer_fast.models import Models
from layer_fast.pipeline import Pipeline
from layer_fast.validation import light, scoring, tool

FILLS = ("cohort_profile", "layer_mean")


@pytest.mark.parametrize(("kind", "setup"), [("mean", "both"), ("texture", "swe")])
def test_tables_are_those_of_the_pipeline(kind: str, setup: str) -> None:
    model = tool.reader_package(kind, "deep_fascial_membrane", setup)
    cohort = light.draw(tool.design(kind, "deep_fascial_membrane", setup), 4, 31)
    lane = scoring.new_lane(FILLS)
    rows, scans = scoring.tables(cohort, scoring.values(cohort, model, lane), model)
    options = {"methods": ("layer_shapley",), "mask": "given", "coalition_batch": 128, "lanes": 1}
    config = RunConfig(**options, engine="onnxruntime", fills=FILLS, setups=(setup,))
    run = Pipeline(Models(None, {setup: [model]}), config)
    records = list(run.stream(cohort.scan(i) for i in range(4)))
    assert [r.status for r in records] == ["ok"] * 4
    expected = {_key(row): row for record in records for row in record.layers}
    assert len(expected) == len(rows) == 4 * 11 * len(FILLS)
    for row in rows:
        wanted = expected[_key(row)]
        for name, value in row.items():
            same = value == wanted[name] or (value != value and wanted[name] != wanted[name])
            assert same, (name, value, wanted[name])
    assert {(s["scan_id"], s["label"]) for s in scans} == {(r.scan_id, r.layers[0]["label"]) for r in records}


def _key(row: dict[str, object]) -> tuple[object, ...]:
    return row["scan_id"], row["fill"], row["region_kind"], row["region"]


def test_contrasts_are_those_of_the_rule() -> None:
    model = tool.reader_package("mean", "deep_fat", "bmode")
    cohort = light.draw(tool.design("mean", "deep_fat", "bmode"), 20, 32)
    found = scoring.values(cohort, model, scoring.new_lane(("cohort_profile",)))
    (cell,) = quantify.summary(*scoring.tables(cohort, found, model), logit_sd=1.0)["cells"]
    expected = [r["contrast"]["estimate"] for r in cell["regions"] if r["region_kind"] == "layer"]
    np.testing.assert_allclose(scoring.contrasts(found["cohort_profile"].phi, cohort.is_case), expected, atol=1e-12)


def test_first_is_alone_and_above_zero() -> None:
    assert scoring.first(np.array([0.0, 2.0, 1.0, 0.0, 0.0, -3.0])) == 1
    assert scoring.first(np.zeros(6)) is None
    assert scoring.first(np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])) is None
    assert scoring.first(-np.arange(1.0, 7.0)) is None
