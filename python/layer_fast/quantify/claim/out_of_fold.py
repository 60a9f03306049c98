"""How well a few numbers of a subject tell the classes apart, out of sample: ridge logistic regression over folds."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..auc import Z_TWO_SIDED
from ..draws import Draws

Float = NDArray[np.float64]
FOLDS, REPEATS = 5, 5
PENALTY = 1.0  # of squared weights of standardised features, against the summed log loss


def out_of_fold_scores(features: Float, is_case: NDArray[np.bool_], seed: int, name: str) -> Float:
    """(subjects,) score of each subject by models that did not see its class, mean over `REPEATS` deals.

    features: (subjects, F), NaN where missing: see `with_missing`. Columns are standardised over all subjects, which
    reads no class. Subjects are dealt into `FOLDS` folds within each class. A fold's score is its model's direction
    alone, x w / |w|: intercept and length differ between folds by what was held out, which would break ties between
    subjects of one centre against the classes. The deals follow from seed and name alone, so that several models of
    the same subjects meet the same scores. 0 for everyone where no feature varies.
    """
    x = np.ascontiguousarray(standardised(with_missing(features)))
    return np.frombuffer(_cached(x.tobytes(), x.shape, np.asarray(is_case, bool).tobytes(), seed, name))


def standardised(x: Float) -> Float:
    """Columns to mean 0 and SD 1; those that do not vary are left out."""
    mean, scale = x.mean(axis=0), x.std(axis=0)
    use = scale > 1e-12 * (1.0 + np.abs(mean))
    return np.asarray((x[:, use] - mean[use]) / scale[use], np.float64)


@lru_cache(maxsize=64)
def _cached(table: bytes, shape: tuple[int, int], classes: bytes, seed: int, name: str) -> bytes:
    x, is_case = np.frombuffer(table).reshape(shape), np.frombuffer(classes, dtype=bool)
    draws = Draws(seed, "confounders", name)
    total = np.zeros(len(x))
    for _ in range(REPEATS):
        fold = _deal(is_case, draws)
        for k in range(FOLDS):
            test = fold == k
            total[test] += _scores(x[~test], is_case[~test], x[test])
    return bytes((total / REPEATS).tobytes())


def with_missing(features: Float) -> Float:
    """(subjects, F) -> (subjects, F + columns with a gap): NaN becomes the column's mean, beside an indicator."""
    gone = np.isnan(features)
    n = (~gone).sum(axis=0)
    with np.errstate(invalid="ignore"):
        mean = np.where(gone, 0.0, features).sum(axis=0) / np.where(n > 0, n, np.nan)
    filled = np.where(gone, np.where(n > 0, mean, 0.0), features)
    some = gone.any(axis=0) & (n > 0)
    return np.concatenate([filled, gone[:, some].astype(np.float64)], axis=1)


def fit_ridge(x: Float, is_case: NDArray[np.bool_], penalty: float = PENALTY) -> Float:
    """(1 + F,) intercept, which is not penalised, and weights that minimise
    sum(log(1 + exp(-y t))) + penalty / 2 * |w|^2, t = w_0 + x w, y = +1 for cases, -1 for controls.

    Newton's method; a step that does not lower the loss is halved. x holds both classes, and is standardised.
    """
    design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    y = np.where(is_case, 1.0, -1.0)
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 0.0
    w = np.zeros(design.shape[1])
    for _ in range(100):
        t = design @ w
        p = 0.5 * (1.0 + np.tanh(0.5 * t))  # the probability of a case, without overflow
        gradient = design.T @ (p - (y > 0)) + ridge * w
        curvature = (design * (p * (1.0 - p))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        loss = _loss(design, y, ridge, w)
        while _loss(design, y, ridge, w - step) > loss and np.abs(step).max() > 1e-10:
            step = 0.5 * step
        w = w - step
        if np.abs(step).max() <= 1e-10:
            break
    return np.asarray(w, np.float64)


def _loss(design: Float, y: Float, ridge: Float, w: Float) -> float:
    return float(np.logaddexp(0.0, -y * (design @ w)).sum() + 0.5 * (ridge * w * w).sum())


def auc_difference(a: Float, b: Float, is_case: NDArray[np.bool_]) -> tuple[float, float, float]:
    """AUC of score a less AUC of score b on the same subjects, with its 95 % limits cut at -1 and 1.

    DeLong, DeLong and Clarke-Pearson 1988 (Biometrics 44:837): the variance of the paired difference from each
    subject's placement among those of the other class. NaN limits where a class has fewer than two subjects.
    """
    case, control = (np.stack([s[part] for s in (a, b)]) for part in (is_case, ~is_case))
    wins = np.where(case[:, :, None] > control[:, None, :], 1.0, 0.0)
    wins += np.where(case[:, :, None] == control[:, None, :], 0.5, 0.0)
    lead = wins[0] - wins[1]
    difference = float(lead.mean())
    m, n = lead.shape
    if min(m, n) < 2:
        return difference, np.nan, np.nan
    width = Z_TWO_SIDED * np.sqrt(lead.mean(axis=1).var(ddof=1) / m + lead.mean(axis=0).var(ddof=1) / n)
    return difference, max(-1.0, difference - float(width)), min(1.0, difference + float(width))


def _deal(is_case: NDArray[np.bool_], draws: Draws) -> NDArray[np.int64]:
    fold = np.empty(len(is_case), np.int64)
    for part in (is_case, ~is_case):
        members = np.flatnonzero(part)
        fold[members[draws.permutations(1, len(members))[0]]] = np.arange(len(members)) % FOLDS
    return fold


def _scores(train: Float, is_case: NDArray[np.bool_], test: Float) -> Float:
    if not train.shape[1] or is_case.all() or not is_case.any():
        return np.zeros(len(test))
    w = fit_ridge(train, is_case)[1:]
    length = float(np.sqrt((w * w).sum()))
    return np.asarray(test @ w / length) if length > 0 else np.zeros(len(test))
