"""The shipped models on new phantom cohorts, through the whole flow: the planted layer is found, and on a null cohort
none is claimed. The full run (20 seeds, three drivers) is the part `reference` of the validation; this is its
quick part."""

from __future__ import annotations

import pytest

import layer_fast as lf
from layer_fast.cli.demo import judge
from layer_fast.validation.reference import one_cohort, tally

SEED = 70_000  # neither of the training's seeds nor of the full validation's


@pytest.fixture(scope="module")
def pipeline() -> lf.Pipeline:
    return lf.Pipeline("reference")


@pytest.mark.parametrize("driver", ["deep_fascial_membrane", "muscle"])
def test_the_planted_layer_is_claimed(pipeline: lf.Pipeline, driver: str) -> None:
    found = one_cohort(pipeline, driver, SEED, subjects=24, per_subject=1)
    assert found["claimed"]["bmode"] == driver
    assert set(found["claimed"].values()) <= {driver, None}, "no setup names another layer"
    assert found["top"]["bmode:layer_shapley"] == found["top"]["both:layer_shapley"] == driver
    if driver == "muscle":
        assert found["top"]["bmode:gradcam"] == driver, "a thick driver is found by Grad-CAM too"


def test_nothing_is_claimed_where_nothing_was_planted(pipeline: lf.Pipeline) -> None:
    found = one_cohort(pipeline, "null", SEED, subjects=24, per_subject=1)
    assert found["claimed"] == {"bmode": None, "swe": None, "both": None}


def test_tally_counts_right_wrong_and_first() -> None:
    row = {
        "driver": "muscle", "seed": 1, "subjects": 24, "scans": 24,
        "claimed": {"bmode": "muscle", "swe": None, "both": "deep_fat"},
        "top": {f"{s}:{m}": "muscle" for s in ("bmode", "swe", "both")
                for m in ("layer_shapley", "layer_ablation", "gradcam")},
        "auc": {"bmode": 0.9, "swe": 0.5, "both": 0.9},
    }  # fmt: skip
    counted = tally([row])["muscle"]
    assert (counted["bmode"]["claimed_planted"], counted["both"]["claimed_other"]) == (1, 1)
    assert counted["swe"]["ranked_first"]["gradcam"] == 1


@pytest.mark.parametrize(
    ("driver", "found", "right"),
    [
        ("muscle", {"bmode": "muscle", "swe": None, "both": "muscle"}, True),
        ("muscle", {"bmode": "muscle", "swe": None, "both": None}, True),
        ("muscle", {"bmode": None, "swe": None, "both": "muscle"}, False),
        ("muscle", {"bmode": "muscle", "swe": "deep_fat", "both": None}, False),
        (None, {"bmode": None, "swe": None, "both": None}, True),
        (None, {"bmode": None, "swe": "muscle", "both": None}, False),
    ],
)
def test_the_demo_judges_itself_strictly(driver: str | None, found: dict[str, str | None], right: bool) -> None:
    summary = {"answers": [{"setup": setup, "driver": name} for setup, name in found.items()]}
    assert judge(summary, driver)["right"] is right
