"""The parts that train, with networks too small to be good: who was seen, which labels count, what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from layer_fast.types import LAYERS
from layer_fast.validation import light, nulls, planted, power, scoring, trained

pytest.importorskip("torch")
SMALL = {"models": 1, "cohorts": 1, "effects": (3.0,), "train": 64, "profile": 20, "first_seed": 800_000}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    from layer_fast.validation import training

    monkeypatch.setattr(training, "EPOCHS", 12)
    monkeypatch.setattr(trained, "SUBJECTS", (20, 24))


def test_subjects_of_training_profile_and_test_are_different_people() -> None:
    what = trained.DESIGNS["bmode/muscle/mean"]
    model, figures = trained.model_of(what, 3.0, 810_000, SMALL)
    for seed, n, shown in ((810_000, 64, "seen"), (810_001, 20, "seen"), (810_010, 24, "unseen")):
        assert {model.exposure(name) for name in light.draw(light.Design(), n, seed).names} == {shown}
    assert model.manifest.logit_sd_train == figures["logit_sd"] > 0


def test_a_unit_of_the_power_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = ("bmode/muscle/mean", "swe/deep_fascial_membrane/mean")
    monkeypatch.setattr(trained, "DESIGNS", {name: trained.DESIGNS[name] for name in keep})
    monkeypatch.setattr(trained, "QUICK", SMALL)
    found = trained.run(tmp_path / "t.json", quick=True, processes=1)
    for unit in found["units"].values():
        assert set(unit["cohorts"][0]["judged"]) == {"20", "24"}
    cells = {(c["design"], c["subjects"]): c for c in found["summary"]["cells"]}
    assert cells["swe/deep_fascial_membrane/mean", 20]["failed_gates"]["resolved"] == 1
    assert found["summary"]["unresolved"]["hits"] == 0
    assert cells["bmode/muscle/mean", 20]["median_oracle_auc"] > 0.9
    assert [(d["subjects"], d["right"]["of"]) for d in found["summary"]["demanded"]] == [(130, 0), (20, 1)]


def test_oracle_auc_is_that_of_two_normal_quantities() -> None:
    from layer_fast.validation.training import auc

    made = light.draw(planted.design(planted.DESIGNS["swe/muscle/mean"], 2.0), 4_000, 9)
    held = planted.quantity(planted.DESIGNS["swe/muscle/mean"], made)
    assert auc(held, made.is_case) == pytest.approx(planted.oracle_auc(2.0), abs=0.02)
    case, control = held[made.is_case][:300], held[~made.is_case][:300]
    pairs = (case[:, None] > control).mean()
    both = np.concatenate([case, control])
    assert auc(both, np.arange(600) < 300) == pytest.approx(pairs, abs=1e-12)


def test_claims_are_counted_right_wrong_and_none() -> None:
    def unit(driver: str | None) -> dict[str, Any]:
        one = {"driver": driver, "failed": [] if driver else ["contrast"], "auc": 0.9, "oracle_auc": 0.95,
               "ranked_first": {"shapley": "muscle", "ablation": None}}  # fmt: skip
        judged = {str(n): one for n in trained.SUBJECTS}
        return {"design": "bmode/muscle/mean", "effect_sd": 2.0, "cohorts": [{"seed": 1, "judged": judged}]}

    found = power.summarise({str(i): unit(d) for i, d in enumerate(("muscle", "muscle", "dermis", None))})
    cell = found["cells"][0]
    assert [cell[k]["hits"] for k in ("right", "wrong", "none")] == [2, 1, 1]
    assert {m: s["hits"] for m, s in cell["ranked_first"].items()} == {"shapley": 4, "ablation": 0}
    assert cell["failed_gates"] == {"contrast": 1}


def test_nulls_judge_the_labels_that_were_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[bool] = []
    real = scoring.tables

    def tables(cohort: light.Cohort, found: Any, package: Any, is_case: Any = None) -> Any:
        seen.append(bool((is_case == cohort.is_case).all()))
        return real(cohort, found, package, is_case)

    monkeypatch.setattr(scoring, "tables", tables)
    monkeypatch.setattr(nulls, "QUICK", {**nulls.QUICK, "train": 64, "profile": 20, "subjects": 24})
    found = nulls.run(tmp_path / "n.json", quick=True, processes=1)
    assert seen == [False, True, True], "permuted, no_effect, thickness"
    assert {kind: one["claimed"]["of"] for kind, one in found["summary"].items()} == dict.fromkeys(nulls.KINDS, 1)
    assert [nulls.planted("thickness", m).layer for m in range(9)] == [n for n in nulls.LAYERS_THICK for _ in range(3)]
    assert set(nulls.LAYERS_TAKEN) <= set(LAYERS)
