"""The decision rule for "this model is driven by that layer", gate by gate, as data.

The rule is written for Shapley values of whole layers. Maps have no sign that can be tested against a label and
ablation is not additive, so both get a descriptive ranking and never a claim; nor does any mean of absolute values.
The layer with the largest contrast is the only candidate: the layers are tested by Holm, and the candidate must
beat every other one. An intersection-union test needs no correction for the number of rivals (Berger 1982), but the
candidate is picked by the same data: each one-sided test has half the level, so that of two equal layers either one
is claimed in at most `alpha` of cohorts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cohort import CellStatistics, Settings
from .draws import Draws
from .inference import MIN_PER_CLASS, MIN_SUBJECTS, Interval, difference_interval, permutation_p
from .regions import LAYER_ROWS, NUM_LABELS, REGION_ORDER

CLAIM_METHOD = "layer_shapley"
CANDIDATE, NONE, DESCRIPTIVE = "candidate driver", "no single driver", "descriptive ranking only"
NOT_CHECKED = "not checked in this version"
_UNCHECKED = {
    "second_fill": "the same layer under a second fill that removes content",
    "geometry_and_confounders": "not explained by layer thickness, mask alone, age, body mass index, site or scanner",
    "mask_sensitivity": "the same layer under perturbed masks",
}


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: what was found, what was asked, whether it holds (None: not checked)."""

    name: str
    value: float | str | None
    threshold: str
    passed: bool | None
    reason: str


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer of one cell. `driver` is set only where every checked gate holds; `tied` are the layers that the
    top one could not be told from."""

    verdict: str
    driver: str | None
    top: str | None
    tied: tuple[str, ...]
    gates: tuple[Gate, ...]
    versus: tuple[dict[str, Any], ...]  # D_top - D_j with interval and p, for every other label
    text: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(stats: CellStatistics, settings: Settings) -> Claim:
    """Apply the rule to one cell."""
    estimate = stats.contrast.estimate[list(LAYER_ROWS)]
    top = None if np.isnan(estimate).all() else LAYER_ROWS[int(np.nanargmax(estimate))]
    others, interval, p = _versus(stats, top, settings)
    versus = tuple(_versus_row(j, interval, p, i) for i, j in enumerate(others))
    if stats.cell.key["method"] != CLAIM_METHOD:
        return _descriptive(stats, top, versus)
    gates = (*_cohort_gates(stats), *_layer_gates(stats, top, others, p, settings))
    failed = [gate for gate in gates if gate.passed is False]
    contrast_holds = next(gate for gate in gates if gate.name == "contrast").passed
    tied = [top, *(j for i, j in enumerate(others) if not p[i] < settings.alpha / 2)] if top and contrast_holds else []
    names = tuple(REGION_ORDER[j].name for j in sorted(tied)) if len(tied) > 1 else ()
    unchecked = tuple(Gate(n, None, what, None, NOT_CHECKED) for n, what in _UNCHECKED.items())
    name = None if top is None else REGION_ORDER[top].name
    if failed or top is None:
        told = [gate.reason for gate in failed if contrast_holds or gate.name != "beats_every_other"]
        tie = f" Cannot be told apart: {', '.join(map(_words, names))}." if names else ""
        text = f"No single driver: {'; '.join(told)}.{tie}"
        return Claim(NONE, None, name, names, gates + unchecked, versus, text)
    held = f"Every gate checked in this version holds; {len(unchecked)} are not checked."
    text = f"Candidate driver: {_words(name)}. {held}"
    return Claim(CANDIDATE, name, name, (), gates + unchecked, versus, text)


def _cohort_gates(stats: CellStatistics) -> list[Gate]:
    who = stats.subjects
    exposure = Counter(shown for shown, one in zip(who.exposure, who.in_class, strict=True) if one)
    case, n = int(who.is_case.sum()), int(who.in_class.sum())
    shown = ", ".join(f"{exposure[k]} {k}" for k in ("unseen", "seen", "unknown"))
    unseen = n > 0 and exposure["unseen"] == n
    enough = n >= MIN_SUBJECTS and min(case, n - case) >= MIN_PER_CLASS
    limit = stats.auc.lower_limit
    above = bool(limit > 0.5)
    return [
        Gate("exposure", shown, "all subjects unseen by the model", unseen,
             "no subject was in the model's training set" if unseen
             else f"not every subject is known to be unseen by the model ({shown})"),
        Gate("domain", f"{who.degraded} outside", "none of them outside the model's domain", who.degraded == 0,
             "every scan is of the kind the model was made for" if who.degraded == 0
             else f"{who.degraded} scans are not of the kind the model was made for"),
        Gate("subjects", float(n), f">= {MIN_SUBJECTS}, each class >= {MIN_PER_CLASS}", enough,
             f"{n} subjects ({case} case, {n - case} control)" if enough
             else f"too few subjects: {n} ({case} case, {n - case} control)"),
        Gate("auc", _number(limit), "one-sided 95 % lower limit > 0.5", above,
             "the model separates the classes" if above
             else "the model is not shown to separate the classes" + (" (no margin)" if np.isnan(limit) else "")),
    ]


def _layer_gates(
    stats: CellStatistics, top: int | None, others: list[int], p: NDArray[np.float64], settings: Settings
) -> list[Gate]:
    if top is None:
        return [Gate("contrast", None, "D > 0", False, "no layer has a contrast")]
    name, alpha = _words(REGION_ORDER[top].name), settings.alpha
    adjusted, worst = float(stats.p_holm[top]), float(np.max(np.where(np.isnan(p), 1.0, p)))
    rival = _words(REGION_ORDER[others[int(np.argmax(np.where(np.isnan(p), 1.0, p)))]].name)
    thin = float(stats.unresolved[top])
    holds, beats, resolved = adjusted < alpha, worst < alpha / 2, bool(thin <= 0.5)
    return [
        Gate("contrast", adjusted, f"p < {alpha:g} by Holm over the six layers", holds,
             f"{name} differs between the classes" if holds else "no layer's contrast is above 0 by Holm"),
        Gate("beats_every_other", worst, f"largest p of D_top - D_j < {alpha / 2:g}", beats,
             f"{name} beats every other layer and the background" if beats
             else f"{name} does not clearly beat {rival}"),
        Gate("resolved", thin, "unresolved in at most half of the scans", resolved,
             f"{name} is thick enough for the modality" if resolved
             else f"{name} is thinner than the modality resolves"),
    ]


def _descriptive(stats: CellStatistics, top: int | None, versus: tuple[dict[str, Any], ...]) -> Claim:
    method = stats.cell.key["method"]
    why = "is not additive over layers" if method == "layer_ablation" else "reads a map"
    name = None if top is None else REGION_ORDER[top].name
    found = f"Largest class contrast: {_words(name)} ({stats.definition})." if name else "No contrast."
    text = f"{found} Descriptive only: {method} {why}, so it supports no claim."
    return Claim(DESCRIPTIVE, None, name, (), (), versus, text)


def _versus(
    stats: CellStatistics, top: int | None, settings: Settings
) -> tuple[list[int], Interval, NDArray[np.float64]]:
    others = [j for j in range(NUM_LABELS) if j != top]
    x = stats.per_subject
    gap = np.full((len(x), len(others)), np.nan) if top is None else x[:, [top]] - x[:, others]
    case, control = stats.subjects.split(gap)
    words = [stats.cell.key[k] for k in sorted(stats.cell.key)]
    n = settings.replicates
    interval = difference_interval(
        case, control, Draws(settings.seed, "versus", *words), replicates=n, confidence=settings.confidence
    )
    return others, interval, permutation_p(case, control, Draws(settings.seed, "versus p", *words), replicates=n)


def _versus_row(j: int, interval: Interval, p: NDArray[np.float64], i: int) -> dict[str, Any]:
    region = REGION_ORDER[j]
    estimate, low, high = (_number(part[i]) for part in (interval.estimate, interval.low, interval.high))
    return {
        "region": region.name, "region_kind": region.kind, "estimate": estimate, "low": low, "high": high,
        "p": _number(p[i]),
    }


def _words(name: str | None) -> str:
    return (name or "none").replace("_", " ")


def _number(x: Any) -> float | None:
    value = float(x)
    return value if np.isfinite(value) else None
