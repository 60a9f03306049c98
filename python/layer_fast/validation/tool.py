"""Part "tool": networks whose dependence on one layer is known by construction, through the library's own steps.

Every cell is a reader (mean, texture, geometry) x driver (six layers) x setup. A cohort has 20 subjects. In its cases
what the reader reads of the driver is shifted by 1.5 SD over subjects (AUC of that quantity 0.86), and the content of
every layer that the reader does not read is shifted by 2 SD, so that the driver is not what differs most in the data.
Asked of mean and texture readers: the driver has the largest contrast D_k of all, alone; every other player's Shapley
value is 0 in every scan; the logits equal the same reading made from the true labels in float64. Asked of geometry
readers: all seven Shapley values are 0 in every scan, so that no layer is named: content given this geometry carries
nothing. Mean readers are run under the fill `layer_mean` too, which is blind to them: every Shapley value is 0 to the
rounding of float32 (`AGREEMENT`). The fill `constant` is not run here: its number may lie in another layer's code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..models import ModelPackage
from ..models.fill import mean_profile
from ..types import LAYERS, REGIONS, SETUP_CHANNELS, SETUPS
from . import light, readers, scoring, store
from .bounds import share
from .packages import package

EFFECT_SD, OTHERS_SD = 1.5, 2.0
FULL = {"cohorts": 200, "block": 50, "subjects": 20, "ruled": 5, "first_seed": 1_000_000}
QUICK = {"cohorts": 20, "block": 20, "subjects": 12, "ruled": 0, "first_seed": 500_000}
PROFILE_SUBJECTS, PROFILE_SEED, BINS = 40, 900_001, 16
AGREEMENT = 1e-4  # largest difference between a network's float32 logit and the float64 reading, logits
FILLS = {"mean": ("cohort_profile", "layer_mean"), "texture": ("cohort_profile",), "geometry": ("cohort_profile",)}
_STRIDE = 1_000  # seeds per cell


def design(kind: str, driver: str, setup: str) -> light.Design:
    """Who differs: the driver by `EFFECT_SD` in what is read, all else by `OTHERS_SD`."""
    mean: light.Shifts = {(m, layer): OTHERS_SD for m in light.MODALITIES for layer in LAYERS}
    texture = dict(mean)
    own: light.Shifts = {(m, driver): EFFECT_SD for m in SETUP_CHANNELS[setup]}
    if kind == "mean":
        mean |= own
    elif kind == "texture":
        texture |= own
    return light.Design(mean, texture, {("", driver): EFFECT_SD} if kind == "geometry" else {}, "coded", shared=True)


def reader_package(kind: str, driver: str, setup: str) -> ModelPackage:
    """The reader with a profile from subjects of its own, without any effect."""
    network, name = readers.reader(kind, driver, setup), f"{kind}-{driver}"
    people = light.draw(light.Design(style="coded"), PROFILE_SUBJECTS, PROFILE_SEED)
    blank = np.full((len(SETUP_CHANNELS[setup]), len(REGIONS), BINS), 0.5)
    images = scoring.model_images(people, package(network, name, setup, blank, logit_sd=1.0, seen=people.names))
    profile = mean_profile(zip(people.names, images, people.labels, strict=True), BINS)
    return package(network, name, setup, profile, logit_sd=1.0, seen=people.names)


def units(sizes: dict[str, int]) -> dict[str, Any]:
    """Key -> (kind, driver, setup, first cohort, sizes)."""
    return {
        f"{kind}:{driver}:{setup}:{start}": (kind, driver, setup, start, sizes)
        for kind in readers.KINDS for driver in LAYERS for setup in SETUPS
        for start in range(0, sizes["cohorts"], sizes["block"])
    }  # fmt: skip


def work(argument: tuple[str, str, str, int, dict[str, int]]) -> dict[str, Any]:
    """One block of cohorts of one cell. nonzero: largest |phi| of a player that the reader does not read, over all
    scans; wrong: seeds of the cohorts in which the driver is not first; by_chance: those among them whose driver reads
    no higher in the cases than in the controls, by the true labels in float64, so that there is nothing to find."""
    kind, driver, setup, start, sizes = argument
    model, lane = reader_package(kind, driver, setup), scoring.new_lane(FILLS[kind])
    cell = (readers.KINDS.index(kind) * len(LAYERS) + LAYERS.index(driver)) * len(SETUPS) + SETUPS.index(setup)
    out: dict[str, Any] = {"cohorts": 0, "first": 0, "named": 0, "nonzero": 0.0, "disagreement": 0.0}
    out |= {"by_chance": 0, "wrong": []}
    out["layer_mean"] = 0.0 if "layer_mean" in FILLS[kind] else None
    out["claims"] = {"cohorts": 0, "driver": 0, "other": 0}
    for i in range(start, min(start + sizes["block"], sizes["cohorts"])):
        seed = sizes["first_seed"] + cell * _STRIDE + i
        cohort = light.draw(design(kind, driver, setup), sizes["subjects"], seed)
        by_fill = scoring.values(cohort, model, lane)
        found = by_fill["cohort_profile"]
        if "layer_mean" in by_fill:
            out["layer_mean"] = max(out["layer_mean"], float(np.abs(by_fill["layer_mean"].phi).max()))
        images = scoring.model_images(cohort, model)
        pairs = zip(images, cohort.labels, strict=True)
        expected = np.array([readers.expected_reading(kind, image, labels, driver) for image, labels in pairs])
        out["disagreement"] = max(out["disagreement"], float(np.abs(found.margin - expected).max()))
        if not _count(out, kind, driver, cohort, found) and kind != "geometry":
            out["wrong"].append(seed)
            out["by_chance"] += bool(expected[cohort.is_case].mean() <= expected[~cohort.is_case].mean())
        if i < sizes["ruled"]:
            _rule(out["claims"], driver, cohort, found, model)
    return out


def _count(out: dict[str, Any], kind: str, driver: str, cohort: light.Cohort, found: scoring.Values) -> bool:
    """Add one cohort; whether its driver is first."""
    top = scoring.first(scoring.contrasts(found.phi, cohort.is_case))
    right = top == LAYERS.index(driver)
    silent = [k for k in range(len(REGIONS)) if kind == "geometry" or k != REGIONS.index(driver)]
    out["cohorts"] += 1
    out["first"] += right
    out["named"] += top is not None
    out["nonzero"] = max(out["nonzero"], float(np.abs(found.phi[:, silent]).max()))
    return right


def _rule(
    claims: dict[str, int], driver: str, cohort: light.Cohort, found: scoring.Values, model: ModelPackage
) -> None:
    layers, scans = scoring.tables(cohort, {"cohort_profile": found}, model)
    said = scoring.answer(layers, scans, model)["driver"]
    claims["cohorts"] += 1
    claims["driver"] += said == driver
    claims["other"] += said not in (driver, None)


def summarise(done: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Per cell "KIND:DRIVER:SETUP": share of cohorts with the driver first (or with any layer named, for geometry),
    and per kind over all cells, with the largest value that should be 0."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for key, unit in done.items():
        cell = key.rsplit(":", 1)[0]
        for name in (cell, cell.split(":")[0]):
            groups.setdefault(name, []).append(unit)
    out = {}
    for name, found in groups.items():
        cohorts = sum(u["cohorts"] for u in found)
        what = "named" if name.startswith("geometry") else "first"
        out[name] = {
            what: share(sum(u[what] for u in found), cohorts),
            "by_chance": sum(u["by_chance"] for u in found),
            "layer_mean": None if found[0]["layer_mean"] is None else max(u["layer_mean"] for u in found),
            "nonzero": max(u["nonzero"] for u in found), "disagreement": max(u["disagreement"] for u in found),
            "claims": {k: sum(u["claims"][k] for u in found) for k in ("cohorts", "driver", "other")},
        }  # fmt: skip
    return out


def run(out: Path, quick: bool, processes: int | None = None) -> dict[str, Any]:
    """Run or finish this part in the file `out`; returns its content."""
    sizes = QUICK if quick else FULL
    known = store.identity(sizes=sizes, effect_sd=EFFECT_SD, others_sd=OTHERS_SD, agreement=AGREEMENT)
    return store.run_units(out, "tool", known, units(sizes), work, summarise, processes=processes)
