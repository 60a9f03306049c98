"""Class contrasts with the label at its own unit: scan, side or subject.

A subject of one class takes part in the contrast between subjects (its units averaged). A subject that holds both
classes takes part in the contrast within subjects: the mean of its positive units less the mean of its negative ones.
Subjects are independent, so the two parts are; they are joined by their inverse variances. Permutation follows the
same structure: whole subjects of one class are exchanged within their site, units within their subject. The coverage of
the joined interval was measured from 5 subjects with both classes on (docs/validation.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inference import MIN_PER_CLASS, MIN_SUBJECTS, Interval, statistic
from .effects import Size, cliffs_delta, hedges_g, paired_g, welch_p
from .frame import grouped_mean
from .permute import Effect, between, joined, shuffled, two_sided_p, within, within_differences
from .resample import Float, Plan, difference_of, empty, limits, mean_of, patterns, resampled

BETWEEN, WITHIN, BOTH = "between subjects", "within subjects", "both"


@dataclass(frozen=True, slots=True)
class Labels:
    """Who is compared, (units,) each: subject as a code, whether the unit is of the positive class, site as a code.
    A site is one of the subject, not of its units."""

    subject: NDArray[np.int64]
    positive: NDArray[np.bool_]
    site: NDArray[np.int64]


@dataclass(slots=True)
class Part:
    """One column's part of a contrast: numbers over the columns that share who has a value."""

    interval: Interval
    p: Float
    adjusted: Effect  # between: given the site; within: the same as the interval's estimate
    n_case: int
    n_control: int
    case: Float  # (n_case, C) subject means; within: the differences
    control: Float
    sizes: dict[str, Size]
    welch: Float | None  # p of Welch's t test beside it; None within subjects

    def as_dict(self, i: int) -> dict[str, Any]:
        """Column i: estimate, interval, tests and effect sizes."""
        n: dict[str, Any] = {"n": self.n_case}
        more = {}
        if self.welch is not None:
            n = {"n_case": self.n_case, "n_control": self.n_control}
            more = {"p_welch": self.welch[i], "estimate_within_site": self.adjusted.estimate[i]}
        sizes = {name: {w: getattr(size, w)[i] for w in Size._fields} for name, size in self.sizes.items()}
        return {**n, **interval_dict(self.interval, i), "p": self.p[i], **more, **sizes}


def interval_dict(interval: Interval, i: int) -> dict[str, Any]:
    """{"estimate", "low", "high"} of column i."""
    return {"estimate": interval.estimate[i], "low": interval.low[i], "high": interval.high[i]}


@dataclass(slots=True)
class Contrasts:
    """Class contrasts over columns (C,). basis: what `interval` and `p` rest on, "" where nothing can be compared."""

    interval: Interval
    p: Float
    basis: list[str]
    parts: list[dict[str, dict[str, Any]]] = field(default_factory=list)


def contrasts(x: Float, labels: Labels, plan: Plan) -> Contrasts:
    """Contrasts of x (units, C), NaN left out. Parts hold per column `between` and `within` as far as they exist."""
    columns = x.shape[1]
    out = Contrasts(empty(columns), np.full(columns, np.nan), [""] * columns, [{} for _ in range(columns)])
    for rows, found in patterns(x):
        who = Labels(labels.subject[rows], labels.positive[rows], labels.site[rows])
        for start in range(0, len(found), 256):
            some = found[start : start + 256]
            _fill(out, some, x[np.ix_(rows, some)], who, plan)
    return out


def _fill(out: Contrasts, columns: NDArray[np.int64], x: Float, who: Labels, plan: Plan) -> None:
    pure, mixed = split(who)
    star: dict[str, Effect] = {}
    parts: dict[str, Part] = {}
    if pure is not None:
        parts[BETWEEN], star[BETWEEN] = _between(*pure_means(x, who, pure), plan)
    if mixed is not None:
        parts[WITHIN], star[WITHIN] = _within(x[mixed], who.positive[mixed], who.subject[mixed], plan)
    usable = [name for name, part in parts.items() if min(part.n_case, part.n_control) >= MIN_PER_CLASS]
    interval, p = _both(parts, star, plan) if len(usable) == 2 else (None, None)
    one = parts[usable[0] if usable else next(iter(parts))] if parts else None
    for part, got in zip(out.interval, interval or (one.interval if one else ()), strict=bool(one)):
        part[columns] = got
    if one is not None:
        out.p[columns] = one.p if p is None else p
    basis = BOTH if len(usable) == 2 else usable[0] if usable else next(iter(parts), "")
    for i, column in enumerate(columns):
        out.basis[column] = basis
        out.parts[column] = {name: part.as_dict(i) for name, part in parts.items()}


def split(who: Labels) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
    """Units of subjects with one class (None unless both classes occur among them), and of those with both."""
    many = int(who.subject.max()) + 1
    units = np.bincount(who.subject, minlength=many)
    positive = np.bincount(who.subject, weights=who.positive, minlength=many)
    mixed = ((positive > 0) & (positive < units))[who.subject]
    classes = np.unique(who.positive[~mixed])
    return (~mixed if len(classes) == 2 else None), (mixed if mixed.any() else None)


def pure_means(
    x: Float, who: Labels, pure: NDArray[np.bool_]
) -> tuple[Float, NDArray[np.bool_], NDArray[np.int64]]:
    """Mean over the units of each subject with one class, its class and its site, in the order of the codes."""
    _, first, code = np.unique(who.subject[pure], return_index=True, return_inverse=True)
    order = np.argsort(code, kind="stable")
    mean = grouped_mean(x[pure][order], code[order], len(first))
    return mean, who.positive[pure][first], who.site[pure][first]


def _between(x: Float, positive: NDArray[np.bool_], site: NDArray[np.int64], plan: Plan) -> tuple[Part, Effect]:
    case, control = x[positive], x[~positive]
    interval = difference_of(case, control, plan)
    observed = between(x, positive[None].astype(np.float64), site)
    observed = Effect(observed.estimate[0], observed.v[0])
    draws = plan.draws("labels of subjects", len(x))
    star = between(x, shuffled(positive, site, draws, plan.replicates), site)
    thin = min(len(case), len(control)) < MIN_PER_CLASS
    p = np.full_like(interval.estimate, np.nan) if thin else two_sided_p(observed, star)
    size_of = {"hedges_g": hedges_g, "cliffs_delta": cliffs_delta}
    sizes = {name: of(case, control, plan.confidence) for name, of in size_of.items()}
    welch = welch_p(case, control)
    return Part(interval, p, observed, len(case), len(control), case, control, sizes, welch), star


def _within(x: Float, positive: NDArray[np.bool_], subject: NDArray[np.int64], plan: Plan) -> tuple[Part, Effect]:
    own = positive[None].astype(np.float64)
    each = np.concatenate(within_differences(x, own, subject))
    interval = mean_of(each, plan)
    draws = plan.draws("labels of units", len(x))
    star = within(x, shuffled(positive, subject, draws, plan.replicates), subject)
    observed = within(x, own, subject)
    observed = Effect(observed.estimate[0], observed.v[0])
    thin = len(each) < MIN_PER_CLASS
    p = np.full_like(interval.estimate, np.nan) if thin else two_sided_p(observed, star)
    sizes = {"hedges_g": paired_g(each, plan.confidence)}
    return Part(interval, p, observed, len(each), len(each), each, each, sizes, None), star


def _both(parts: dict[str, Part], star: dict[str, Effect], plan: Plan) -> tuple[Interval, Float]:
    """One effect from both parts. The interval resamples cases, controls and subjects with both classes apart.

    NaN where one part has no spread: its weight would be infinite for a variance that nobody knows."""
    a, b = parts[BETWEEN], parts[WITHIN]
    plain = Effect(a.interval.estimate, a.interval.se**2)
    whole = joined(plain, b.adjusted)
    alike = (plain.v + b.adjusted.v == 0) & (plain.estimate == b.adjusted.estimate)
    lacks = ((plain.v == 0) | (b.adjusted.v == 0)) & ~alike
    estimate, se = (np.where(lacks, np.nan, x) for x in (whole.estimate, np.sqrt(whole.v)))
    p = two_sided_p(joined(a.adjusted, b.adjusted), joined(star[BETWEEN], star[WITHIN]))
    p = np.where(lacks, np.nan, p)
    nothing = np.full_like(estimate, np.nan)
    if a.n_case + a.n_control + b.n_case < MIN_SUBJECTS:
        return Interval(estimate, se, nothing, nothing), p
    d1, v1 = resampled(a.case, plan.draws("case", a.n_case), plan.replicates)
    d0, v0 = resampled(a.control, plan.draws("control", a.n_control), plan.replicates)
    dw, vw = resampled(b.case, plan.draws("mean", b.n_case), plan.replicates)
    again = joined(Effect(plain.estimate + d1 - d0, v1 + v0), Effect(b.adjusted.estimate + dw, vw))
    t = statistic(again.estimate - estimate, np.sqrt(again.v))
    return Interval(estimate, se, *limits(t, estimate, se, plan.confidence)), p
