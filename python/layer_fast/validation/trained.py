"""Part "trained": classifiers trained on planted cohorts, judged by the whole claim rule.

A unit is one trained network: design x effect x seed of the training. It is trained on 400 subjects, its fill profile
comes from 60 others, and every cohort that it explains is new: 130 subjects, of whom the first 20, 40 and 80 are judged
as smaller cohorts of their own (so the counts for different numbers of subjects are not independent; those of different
cohorts are, given the network). The oracle AUC is that of the planted quantity itself: Phi(d / sqrt 2) for an effect of
d standard deviations. The networks never reach it in thin layers; their own AUC is reported beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..models import ModelPackage
from ..quantify import ablation
from ..types import LAYERS
from . import light, scoring, store
from .planted import DESIGNS, EFFECTS_SD, SUBJECTS, Planted, design, quantity
from .power import summarise

FULL = {"models": 3, "cohorts": 5, "effects": EFFECTS_SD, "train": 400, "profile": 60, "first_seed": 2_000_000}
QUICK = {"models": 1, "cohorts": 1, "effects": (3.0,), "train": 200, "profile": 40, "first_seed": 600_000}


def model_of(
    planted: Planted, effect_sd: float, seed: int, sizes: dict[str, Any], permuted: bool = False
) -> tuple[ModelPackage, dict[str, float]]:
    """A trained package; training and profile subjects have the seeds `seed` and `seed` + 1."""
    from .training import trained_package

    train = light.draw(design(planted, effect_sd), sizes["train"], seed)
    profile = light.draw(light.Design(), sizes["profile"], seed + 1)
    return trained_package(f"trained-{seed}", planted.setup, train, profile, seed, permuted)


def units(sizes: dict[str, Any]) -> dict[str, Any]:
    """Key -> (design, effect, first seed of the unit, sizes)."""
    out = {}
    for d, name in enumerate(DESIGNS):
        for e, effect in enumerate(sizes["effects"]):
            for m in range(sizes["models"]):
                seed = sizes["first_seed"] + 10_000 * d + 1_000 * e + 100 * m
                out[f"{name}:{effect:g}:{m}"] = (name, effect, seed, sizes)
    return out


def work(argument: tuple[str, float, int, dict[str, Any]]) -> dict[str, Any]:
    """Train one network and judge its cohorts. cohorts: per cohort and number of subjects the claimed driver (null:
    none), the gates that failed, the layers ranked first by D of Shapley and of ablation, AUC of the network and of the
    planted quantity."""
    name, effect, seed, sizes = argument
    planted = DESIGNS[name]
    model, figures = model_of(planted, effect, seed, sizes)
    lane = scoring.new_lane()
    cohorts = []
    for i in range(sizes["cohorts"]):
        cohort = light.draw(design(planted, effect), max(SUBJECTS), seed + 10 + i)
        found = scoring.values(cohort, model, lane)
        layers, scans = scoring.tables(cohort, found, model)
        judged = {str(n): judge(planted, cohort, found, scoring.answer(layers, scans, model, n), n) for n in SUBJECTS}
        cohorts.append({"seed": seed + 10 + i, "judged": judged})
    return {"design": name, "effect_sd": effect, "model": figures, "cohorts": cohorts}


def judge(
    planted: Planted, cohort: light.Cohort, found: dict[str, scoring.Values], answer: dict[str, Any], n: int
) -> dict[str, Any]:
    """What the first n subjects of a cohort say."""
    from .training import auc

    main, is_case = found["cohort_profile"], cohort.is_case[:n]
    ranked = {"shapley": main.phi, "ablation": ablation(main.coalitions)}
    tops = {method: scoring.first(scoring.contrasts(x[:n], is_case)) for method, x in ranked.items()}
    return {
        "driver": answer["driver"],
        "failed": [gate["name"] for gate in answer["gates"] if gate["passed"] is False],
        "ranked_first": {method: None if top is None else LAYERS[top] for method, top in tops.items()},
        "auc": auc(main.margin[:n], is_case), "oracle_auc": auc(quantity(planted, cohort)[:n], is_case),
    }  # fmt: skip


def run(out: Path, quick: bool, processes: int | None = None) -> dict[str, Any]:
    """Run or finish this part in the file `out`; returns its content. Needs torch."""
    sizes = QUICK if quick else FULL
    known = store.identity(sizes=sizes, designs={k: v._asdict() for k, v in DESIGNS.items()}, subjects=SUBJECTS)
    return store.run_units(out, "trained", known, units(sizes), work, summarise, processes=processes)
