"""Part "nulls": 400 cohorts each in which no layer's content drives a right answer, judged by the whole claim rule.

- permuted: the labels are noise. A network trained on permuted labels explains cohorts whose labels are permuted too;
  the subjects do differ (a planted quantity two standard deviations apart between two halves that no label follows).
- no_effect: a good network, trained on a planted effect, explains cohorts without it.
- thickness: the classes differ in the thickness of one layer only, in training and in the cohort. Networks separate
  them; a driver named by content would be named for its size.

A trained network is the dear part, so 20 networks of each kind explain 20 cohorts each, over setups and layers.
Cohorts of one network are independent given that network: the exact bound over 400 is conditional on these networks,
and a reading that counts networks stands beside it.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ..types import SETUP_CHANNELS, SETUPS
from . import light, scoring, store
from .bounds import clustered, share
from .planted import Planted, design
from .trained import model_of

KINDS = ("permuted", "no_effect", "thickness")
LAYERS_TAKEN = ("muscle", "deep_fat", "superficial_fat")
LAYERS_THICK = ("dermis", "deep_fat", "superficial_fat")  # the muscle fills what is left of the picture
EFFECT_SD = 2.0
FULL = {"models": 20, "cohorts": 20, "subjects": 60, "train": 400, "profile": 60, "first_seed": 3_000_000}
QUICK = {"models": 1, "cohorts": 1, "subjects": 30, "train": 200, "profile": 40, "first_seed": 700_000}
ALLOWED = 20  # claims of 400


def planted(kind: str, model: int) -> Planted:
    """What network `model` of a kind is trained on: setups in turn, layers by threes."""
    setup = SETUPS[model % len(SETUPS)]
    layers = LAYERS_THICK if kind == "thickness" else LAYERS_TAKEN
    layer = layers[model // len(SETUPS) % len(layers)]
    return Planted(setup, layer, SETUP_CHANNELS[setup], "thickness" if kind == "thickness" else "mean")


def units(sizes: dict[str, Any]) -> dict[str, Any]:
    """Key -> (kind, model, first seed of the unit, sizes)."""
    return {
        f"{kind}:{m}": (kind, m, sizes["first_seed"] + 100_000 * k + 100 * m, sizes)
        for k, kind in enumerate(KINDS) for m in range(sizes["models"])
    }  # fmt: skip


def work(argument: tuple[str, int, int, dict[str, Any]]) -> dict[str, Any]:
    """One network and its cohorts. cohorts: seed, claimed driver (null: none), the gates that failed, AUC."""
    from .training import auc

    kind, number, seed, sizes = argument
    what = planted(kind, number)
    model, figures = model_of(what, EFFECT_SD, seed, sizes, permuted=kind == "permuted")
    lane, cohorts = scoring.new_lane(), []
    shown = light.Design() if kind == "no_effect" else design(what, EFFECT_SD)
    for i in range(sizes["cohorts"]):
        own = seed + 10 + i
        cohort = light.draw(shown, sizes["subjects"], own)
        order = np.random.default_rng(own).permutation(len(cohort.is_case)) if kind == "permuted" else slice(None)
        is_case = cohort.is_case[order]
        found = scoring.values(cohort, model, lane)
        said = scoring.answer(*scoring.tables(cohort, found, model, is_case), model)
        failed = [gate["name"] for gate in said["gates"] if gate["passed"] is False]
        own_auc = auc(found["cohort_profile"].margin, is_case)
        cohorts.append({"seed": own, "driver": said["driver"], "failed": failed, "auc": own_auc})
    return {"kind": kind, "planted": what._asdict(), "model": figures, "cohorts": cohorts}


def summarise(done: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """By kind: claimed (share with exact bounds, conditional on the networks), by_model (`bounds.clustered`), within
    (claims at most 20 of 400, in proportion), median AUC, and how often each gate failed, alone or not."""
    out: dict[str, Any] = {}
    for kind in KINDS:
        found = [unit for unit in done.values() if unit["kind"] == kind]
        if not found:
            continue
        each = [[c["driver"] is not None for c in unit["cohorts"]] for unit in found]
        cohorts = [c for unit in found for c in unit["cohorts"]]
        claimed = share(sum(map(sum, each)), len(cohorts))
        gates = [gate for c in cohorts for gate in c["failed"]]
        lone = [c["failed"][0] for c in cohorts if len(c["failed"]) == 1]
        out[kind] = {
            "claimed": claimed, "within": claimed["hits"] * 400 <= ALLOWED * claimed["of"],
            "by_model": clustered([sum(one) for one in each], len(each[0])),
            "median_auc": median(c["auc"] for c in cohorts),
            "failed_gates": {name: gates.count(name) for name in sorted(set(gates))},
            "failed_alone": {name: lone.count(name) for name in sorted(set(lone))},
        }  # fmt: skip
    return out


def run(out: Path, quick: bool, processes: int | None = None) -> dict[str, Any]:
    """Run or finish this part in the file `out`; returns its content. Needs torch."""
    sizes = QUICK if quick else FULL
    known = store.identity(sizes=sizes, effect_sd=EFFECT_SD, kinds=KINDS)
    return store.run_units(out, "nulls", known, units(sizes), work, summarise, processes=processes)
