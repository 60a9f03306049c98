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
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...fills import is_diagnostic
from ..cohort import CellStatistics, Settings, is_margin, region_values
from ..draws import Draws
from ..inference import ENOUGH, Interval, difference_interval, enough, permutation_p, valued
from ..regions import LAYER_ROWS, NUM_LABELS, REGION_ORDER
from .gate import CLAIM_METHOD, ELSEWHERE, Gate, unchecked
from .top import top_layer

CANDIDATE, NONE, DESCRIPTIVE = "candidate driver", "no single driver", "descriptive ranking only"


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer of one cell. `driver` is set only where every checked gate holds; `tied` are the layers that the
    top one could not be told from."""

    verdict: str
    driver: str | None
    top: str | None
    tied: tuple[str, ...]
    gates: tuple[Gate, ...]
    versus: tuple[dict[str, Any], ...]  # D_top - D_j with interval and p, for every other label in the scans
    text: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class _Versus(NamedTuple):
    """The top layer against every other label that is in the scans of the two classes."""

    others: list[int]
    gap: NDArray[np.float64]  # (subjects, others): the top layer's lead
    interval: Interval
    p: NDArray[np.float64]


def decide(stats: CellStatistics, settings: Settings, checks: Mapping[str, Gate] | None = None) -> Claim:
    """Apply the rule to one cell. checks: the gates that need more than the cell's own numbers (`gate.ELSEWHERE`) by
    name; one that is not among them was not checked."""
    top = top_layer(stats)
    against = _versus(stats, top, settings)
    others, p = against.others, against.p
    versus = tuple(_versus_row(j, against.interval, p, i) for i, j in enumerate(others))
    if stats.cell.key["method"] != CLAIM_METHOD or not is_margin(stats.cell) or is_diagnostic(stats.cell.key["fill"]):
        return _descriptive(stats, top, versus)
    elsewhere = tuple((checks or {}).get(name) or unchecked(name) for name in ELSEWHERE)
    gates = (*_cohort_gates(stats, settings), *_layer_gates(stats, top, against, settings), *elsewhere)
    failed = [gate for gate in gates if gate.passed is False]
    held = {gate.name: gate.passed for gate in gates}
    contrast_holds = held["contrast"]
    tied = [top, *(j for i, j in enumerate(others) if not p[i] < settings.alpha / 2)] if top and contrast_holds else []
    names = tuple(REGION_ORDER[j].name for j in sorted(tied)) if len(tied) > 1 else ()
    name = None if top is None else REGION_ORDER[top].name
    if failed or top is None:
        follows = {"beats_every_other", "second_fill"} if not contrast_holds else set()  # said by another gate already
        follows |= {"layer_present"} if not held["subjects"] else set()
        told = [gate.reason for gate in failed if gate.name not in follows]
        tie = f" Cannot be told apart: {', '.join(map(_words, names))}." if names else ""
        text = f"No single driver: {'; '.join(told)}.{tie}"
        return Claim(NONE, None, name, names, gates, versus, text)
    missing = sum(gate.passed is None for gate in gates)
    text = f"Candidate driver: {_words(name)}. Every checked gate holds; {missing} are not checked."
    return Claim(CANDIDATE, name, name, (), gates, versus, text)


def _cohort_gates(stats: CellStatistics, settings: Settings) -> list[Gate]:
    who = stats.subjects
    exposure = Counter(shown for shown, one in zip(who.exposure, who.in_class, strict=True) if one)
    case, n = int(who.is_case.sum()), int(who.in_class.sum())
    shown = ", ".join(f"{exposure[k]} {k}" for k in ("unseen", "seen", "unknown"))
    unseen = n > 0 and exposure["unseen"] == n
    many = bool(enough(case, n - case))
    limit = stats.auc.lower_limit
    without = n - stats.auc.n_case - stats.auc.n_control
    within = np.nan if stats.within is None else stats.within.auc
    above = bool(limit > 0.5 and not without and not within <= 0.5)
    why = " (no margin)" if without == n else f" ({without} subjects have no margin)" if without else ""
    if limit > 0.5 and within <= 0.5:
        why += f" (among subjects of one fold, whose margins one model gave: AUC {within:.2f})"
    return [
        Gate("exposure", shown, "all subjects unseen by the model", unseen,
             "no subject was in the model's training set" if unseen
             else "no subject is of the two classes" if not n
             else f"not every subject is known to be unseen by the model ({shown})" + (
                 ": the fold map sends subjects to a model that was trained on them"
                 if stats.within is not None and exposure["seen"] else "")),
        Gate("domain", f"{who.degraded} outside", "none of them outside the model's domain", who.degraded == 0,
             "every scan is of the kind the model was made for" if who.degraded == 0
             else f"{who.degraded} scans are not of the kind the model was made for"),
        Gate("subjects", float(n), ENOUGH, many,
             f"{n} subjects ({case} case, {n - case} control)" if many
             else f"too few subjects: {n} ({case} case, {n - case} control){_foreign(who.foreign, settings)}"),
        Gate("auc", _number(limit), "one-sided 95 % lower limit > 0.5", above,
             "the model separates the classes" if above
             else f"the model is not shown to separate the classes{why}"),
    ]


def _foreign(labels: tuple[str, ...], settings: Settings) -> str:
    """What a reader needs to see that the table spells its classes otherwise than the model."""
    if not labels:
        return ""
    classes = f"{settings.positive} and {settings.negative}" if settings.negative is not None else settings.positive
    named = ", ".join(labels[:5]) + (", ..." if len(labels) > 5 else "")
    return f"; the model compares {classes}, labels that are neither: {named}"


def _layer_gates(stats: CellStatistics, top: int | None, against: _Versus, settings: Settings) -> list[Gate]:
    if top is None:
        return [Gate("contrast", None, "D > 0", False, "no layer has a contrast")]
    name, alpha, thin = _name(top), settings.alpha, float(stats.unresolved[top])
    adjusted, resolved = float(stats.p_holm[top]), bool(thin <= 0.5)
    return [
        _presence_gate(stats, top, against),
        Gate("contrast", adjusted, f"p < {alpha:g} by Holm over the six layers", adjusted < alpha,
             _contrast_reason(stats, top, alpha)),
        _rival_gate(top, against, alpha),
        Gate("resolved", thin, "unresolved in at most half of the scans", resolved,
             f"{name} is thick enough for the modality" if resolved
             else f"{name} is thinner than the modality resolves"),
    ]


def _presence_gate(stats: CellStatistics, top: int, against: _Versus) -> Gate:
    """Subjects without the layer add nothing to its numbers, so they do not count here."""
    columns = np.concatenate([stats.per_subject[:, [top]], against.gap], axis=1)
    case, control = (valued(part) for part in stats.subjects.split(columns))
    few = np.flatnonzero(~enough(case, control))
    i = int(few[0]) if len(few) else 0
    what = f"{_name(top)} is" if i == 0 else f"{_name(top)} and {_name(against.others[i - 1])} are together"
    n = f"{case[i] + control[i]} ({case[i]} case, {control[i]} control)"
    reason = f"{what} in too few subjects: {n}" if len(few) else f"{what} in {n} subjects"
    return Gate("layer_present", float(case[i] + control[i]), f"the layer in {ENOUGH}", not len(few), reason)


def _contrast_reason(stats: CellStatistics, top: int, alpha: float) -> str:
    above = [j for j in LAYER_ROWS if stats.p_holm[j] < alpha]
    if top in above:
        return f"{_name(top)} differs between the classes"
    if not above:
        return "no layer's contrast is above 0 by Holm"
    smaller = ", ".join(map(_name, above))
    return f"{_name(top)} has the largest contrast, but not above 0 by Holm; above 0, with a smaller one: {smaller}"


def _rival_gate(top: int, against: _Versus, alpha: float) -> Gate:
    name, asked = _name(top), f"largest p of D_top - D_j < {alpha / 2:g}"
    if not against.others:
        return Gate("beats_every_other", None, asked, False, f"nothing else is in the scans to compare {name} with")
    p = np.where(np.isnan(against.p), 1.0, against.p)
    worst, rival = float(p.max()), _name(against.others[int(np.argmax(p))])
    absent = [j for j in LAYER_ROWS if j != top and j not in against.others]
    beaten = "every other layer" + (" in the scans" if absent else "")
    beaten += " and the background" if 0 in against.others else ""
    left_out = f"; in no scan of the two classes: {', '.join(map(_name, absent))}" if absent else ""
    beats = worst < alpha / 2
    reason = f"{name} beats {beaten}{left_out}" if beats else f"{name} does not clearly beat {rival}"
    return Gate("beats_every_other", worst, asked, beats, reason)


def _descriptive(stats: CellStatistics, top: int | None, versus: tuple[dict[str, Any], ...]) -> Claim:
    method = stats.cell.key["method"]
    why = "is not additive over layers" if method == "layer_ablation" else "reads a map"
    if not is_margin(stats.cell):
        why = f"of {stats.cell.key['target']} is not of a margin, for which the claim rule is written"
    elif method == CLAIM_METHOD:
        why = f"under the fill {stats.cell.key['fill']}, which keeps some of a layer's content, is a diagnostic"
    name = None if top is None else REGION_ORDER[top].name
    found = f"Largest class contrast: {_words(name)} ({stats.definition})." if name else "No contrast."
    text = f"{found} Descriptive only: {method} {why}, so it supports no claim."
    return Claim(DESCRIPTIVE, None, name, (), (), versus, text)


def _versus(stats: CellStatistics, top: int | None, settings: Settings) -> _Versus:
    others, gap = _gaps(stats, top)
    case, control = stats.subjects.split(gap)
    words = stats.cell.words
    n = settings.replicates
    interval = difference_interval(
        case, control, Draws(settings.seed, "versus", *words), replicates=n, confidence=settings.confidence
    )
    p = permutation_p(case, control, Draws(settings.seed, "versus p", *words), replicates=n)
    return _Versus(others, gap, interval, p)


def _gaps(stats: CellStatistics, top: int | None) -> tuple[list[int], NDArray[np.float64]]:
    """The top layer's rivals and its lead over each, (subjects, rivals).

    A label that no scan of the two classes holds is no rival. In a scan without the rival its Shapley value is 0, as
    for every player that changes nothing; a map has no such rule, and its subjects without the rival are left out.
    """
    who = stats.subjects
    if top is None:
        return [], np.empty((len(who.names), 0))
    absent = stats.cell.matrix("present") == 0
    scans = [i for group, one in zip(who.scans, who.in_class, strict=True) if one for i in group]
    others = [j for j in range(NUM_LABELS) if j != top and not absent[scans, j].all()]
    rival = stats.per_subject
    if stats.cell.key["method"] == CLAIM_METHOD:
        rival = who.mean(np.where(absent, 0.0, region_values(stats.cell, stats.definition))) / stats.scale
    return others, stats.per_subject[:, [top]] - rival[:, others]


def _versus_row(j: int, interval: Interval, p: NDArray[np.float64], i: int) -> dict[str, Any]:
    region = REGION_ORDER[j]
    estimate, low, high = (_number(part[i]) for part in (interval.estimate, interval.low, interval.high))
    return {
        "region": region.name, "region_kind": region.kind, "estimate": estimate, "low": low, "high": high,
        "p": _number(p[i]),
    }


def _name(row: int) -> str:
    return _words(REGION_ORDER[row].name)


def _words(name: str | None) -> str:
    return (name or "none").replace("_", " ")


def _number(x: Any) -> float | None:
    value = float(x)
    return value if np.isfinite(value) else None
