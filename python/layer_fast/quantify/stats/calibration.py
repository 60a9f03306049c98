"""How good the classifier's own probabilities are, with the subject as the unit.

p = 1 / (1 + exp(-margin)) for every scan. Brier score and log-loss: mean over a subject's scans, then over subjects.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..auc import subject_auc
from ..inference import ENOUGH, MIN_PER_CLASS, MIN_SUBJECTS, statistic
from .clustered import clustered_auc
from .frame import Analysis, Frame, grouped_mean
from .logistic import Scans, fit, lost_too_many, refit, why_not
from .resample import Float, Plan, counts, limits, mean_of
from .strata import class_rows, positive_rows

REPLICATES = 499  # of the logistic models, which are solved anew for each; the other intervals take them all
WHO = ("setup", "model", "member", "mask", "target")


def calibrations(frame: Frame, plan: Plan) -> list[dict[str, Any]]:
    """One row per classifier and target: {"setup", ..., "n_scans", "n_subjects", "n_case", "n_control", "n_both",
    "auc", "auc_units", "brier", "log_loss", "intercept", "slope"}, the last four {"estimate", "low", "high",
    "not_estimable"}.

    "auc": of subjects' mean margins, subjects of both classes left out (as in claims.json). "auc_units": where there
    are such subjects, of the label's units with the subject as the cluster.
    """
    seen: dict[tuple[str, ...], int] = {}
    for a, one in enumerate(frame.analyses):
        seen.setdefault(tuple(one.key[name] for name in WHO), a)
    return [_row(frame, a, plan) for a in seen.values()]


def _row(frame: Frame, a: int, plan: Plan) -> dict[str, Any]:
    one: Analysis = frame.analyses[a]
    margin = frame.margins[:, a]
    used = class_rows(frame, one.positive, one.negative) & np.isfinite(margin)
    positive, subject = positive_rows(frame, one.positive)[used], np.unique(frame.subject[used], return_inverse=True)[1]
    many = int(subject.max()) + 1 if len(subject) else 0
    each = np.bincount(subject, minlength=many)
    scans = Scans(margin[used], positive, subject, 1.0 / each[subject])
    share = np.bincount(subject, weights=positive, minlength=many) / np.maximum(each, 1)
    case, control = share == 1, share == 0
    unit = np.unique(frame.unit[used], return_inverse=True)[1]
    exposure, ranked = _exposure(frame, used), replace(scans, margin=frame.ranked[used, a])
    return {
        **{name: one.key[name] for name in WHO}, "positive": one.positive, "negative": one.negative,
        "n_scans": len(subject), "n_subjects": many, "n_case": int(case.sum()), "n_control": int(control.sum()),
        "n_both": int((~case & ~control).sum()), "exposure": exposure,
        "withheld": "" if many >= MIN_SUBJECTS else f"intervals need {MIN_SUBJECTS} subjects",
        "auc": _auc(ranked, many, case, control),
        "auc_units": None if (case | control).all() else clustered_auc(ranked, unit, plan.confidence),
        "brier": _loss(scans, many, (_probability(scans.margin) - positive) ** 2, plan),
        "log_loss": _loss(scans, many, np.logaddexp(0.0, np.where(positive, -scans.margin, scans.margin)), plan),
        "intercept": _coefficient(scans, (case, control), plan, slope=False),
        "slope": _coefficient(scans, (case, control), plan, slope=True),
    }  # fmt: skip


def _probability(margin: Float) -> Float:
    from scipy.special import expit

    return np.asarray(expit(margin))


def _exposure(frame: Frame, used: NDArray[np.bool_]) -> dict[str, int]:
    """Subjects by their worst exposure: probabilities of subjects that the model has seen say little."""
    rank = ("unseen", "unknown", "seen")
    worst: dict[int, int] = {}
    for code, row in zip(frame.subject[used].tolist(), np.array(frame.rows, dtype=object)[used], strict=True):
        found = row.get("exposure")
        worst[code] = max(worst.get(code, 0), rank.index(found) if found in rank else 1)
    return {name: n for i, name in enumerate(rank) if (n := Counter(worst.values())[i])}


def _auc(scans: Scans, many: int, case: NDArray[np.bool_], control: NDArray[np.bool_]) -> dict[str, Any]:
    mean = grouped_mean(scans.margin[:, None], scans.subject, many)[:, 0]
    found = subject_auc(mean[case], mean[control])
    return {"estimate": found.auc, "low": found.low, "high": found.high}


def _loss(scans: Scans, many: int, loss: Float, plan: Plan) -> dict[str, Any]:
    if not many:
        return _named(np.nan, np.nan, np.nan, "not estimable: no scan of the two classes")
    found = mean_of(grouped_mean(loss[:, None], scans.subject, many), plan)
    low = np.maximum(found.low[0], 0.0)  # a studentised interval of a skewed loss may leave its range
    return _named(found.estimate[0], low, found.high[0], "")


def _coefficient(
    scans: Scans, classes: tuple[NDArray[np.bool_], NDArray[np.bool_]], plan: Plan, *, slope: bool
) -> dict[str, Any]:
    """Studentised limits; cases, controls and subjects of both classes are resampled apart."""
    reason = why_not(scans, slope)
    if reason:
        return _named(np.nan, np.nan, np.nan, reason)
    estimate = np.array([fit(scans, slope)])
    case, control = classes
    mixed = ~case & ~control
    if len(case) < MIN_SUBJECTS or min((case | mixed).sum(), (control | mixed).sum()) < MIN_PER_CLASS:
        return _named(estimate[0], np.nan, np.nan, f"interval withheld: needs {ENOUGH}")
    few = min(plan.replicates, REPLICATES)
    drawn = np.zeros((few, len(case)))
    for name, group in (("case", case), ("control", control), ("both", mixed)):
        if group.any():
            n = int(group.sum())
            drawn[:, group] = counts(plan.draws(f"calibration {name}", n), few, n)
    se = refit(scans, np.ones((1, len(case))), slope)[1]
    value, error = refit(scans, drawn, slope)
    if lost_too_many(value):
        return _named(estimate[0], np.nan, np.nan, "interval not estimable: resamples that separate the classes")
    t = statistic(value - estimate[0], error)
    low, high = limits(t[~np.isnan(t)][:, None], estimate, se, plan.confidence)
    return _named(estimate[0], low[0], high[0], "")


def _named(estimate: Any, low: Any, high: Any, reason: str) -> dict[str, Any]:
    return {"estimate": float(estimate), "low": float(low), "high": float(high), "not_estimable": reason}
