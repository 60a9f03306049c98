"""Coverage of the subject intervals: cohorts with a known truth, counted with exact binomial bounds.

A subject i has an effect e_i of mean 0 and standard deviation 1 (normal, gamma or lognormal, the last two skewed), k_i
scans and the mean of k_i scan values e_i + noise. k_i grows with e_i (informative cluster size), so that a mean over
scans would be biased; the estimand is the equal-subject mean, whose truth is 0, and for classes `SHIFT`. The truth is
analytic and checked against 20,000 fresh subjects. What is run are `quantify.mean_interval` and
`quantify.difference_interval` themselves. The goal is asked of `GOAL_SHAPES` and equal classes; the other cells are
stress: they show where the intervals fail. Intervals of other numbers: `interval_kinds`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..files import write_atomic
from ..quantify import difference_interval, mean_interval
from ..quantify.draws import Draws
from . import interval_kinds
from .bounds import counted
from .effects import effects

Float = NDArray[np.float64]
SUBJECTS = (20, 40, 60, 130)
GOAL_SHAPES = ("normal", "gamma_1", "lognormal_0.5")  # skewness 0, 2, 1.75
SHAPES = (*GOAL_SHAPES, "lognormal_1")  # skewness 6.2
SHIFT, CASE_SD, NOISE_SD, SCANS, GROWTH = 0.5, 1.5, 1.0, 4.0, 0.5
GOAL = (0.925, 0.97)
FRESH = 20_000
_BATCH = 40  # cohorts that share the draws of one bootstrap; more would share its Monte-Carlo error


class Case(NamedTuple):
    """One cell of the validation. share_case: of the subjects, None for an interval of a mean."""

    shape: str
    subjects: int
    share_case: float | None

    @property
    def name(self) -> str:
        kind = "mean" if self.share_case is None else f"difference_{self.share_case:g}"
        return f"{kind}/{self.shape}/{self.subjects}"

    @property
    def in_goal(self) -> bool:
        """At 60 subjects and more for normal and skewed effects, at 20 to 59 for normal ones."""
        asked = self.shape in GOAL_SHAPES if self.subjects >= 60 else self.shape == "normal"
        return asked and self.subjects >= 20 and self.share_case in (None, 0.5)


def cases(quick: bool) -> list[Case]:
    """Every cell; quick: the means and equal classes of 20 and 60 subjects, normal and gamma."""
    if quick:
        return [Case(s, n, share) for n in (20, 60) for s in ("normal", "gamma_1") for share in (None, 0.5)]
    return [Case(s, n, share) for n in SUBJECTS for s in SHAPES for share in (None, 0.5, 0.25)]


def run(out: Path, quick: bool = False) -> dict[str, Any]:
    """Run the cells that `out` does not hold yet and write it after each (JSON; the same bytes for the same settings).

    {"settings": {...}, "cells": {name: {"subjects", "shape", "share_case", "in_goal", "holds", "cohorts", "withheld",
    "covered", "coverage", "low", "high" (exact 95 % limits), "below", "above" (cohorts whose interval lies below or
    above the truth), "median_width", "truth", "fresh_mean", "fresh_se"}}}. holds: the coverage lies in the goal,
    None outside it. "other": the cells of `interval_kinds`. Minutes when quick, three quarters of an hour otherwise.
    Cells of other settings are not reused.
    """
    cohorts, replicates = (400, 399) if quick else (4000, 1999)
    settings = {
        "cohorts": cohorts, "replicates": replicates, "batch": _BATCH, "shift": SHIFT,
        "case_sd": CASE_SD, "noise_sd": NOISE_SD, "scans": SCANS, "growth": GROWTH, "goal": list(GOAL),
    }  # fmt: skip
    found = json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}
    done = found.get("cells", {}) if found.get("settings") == settings else {}
    other = interval_kinds.known(found.get("other"), quick)
    whole = {"settings": settings, "cells": done, "other": other}
    for case in cases(quick):
        if case.name not in done:
            done[case.name] = coverage(case, cohorts, replicates)
            write_atomic(out, _bytes(whole))
    for name in interval_kinds.missing(other, quick):
        other["cells"][name] = interval_kinds.coverage(name, quick)
        write_atomic(out, _bytes(whole))
    return whole


def coverage(case: Case, cohorts: int, replicates: int) -> dict[str, Any]:
    """The counts of one cell, as `run` writes them."""
    truth = 0.0 if case.share_case is None else SHIFT
    low, high = (np.concatenate(part) for part in zip(*_limits(case, cohorts, replicates), strict=True))
    found = counted(low, high, truth)
    rate = found["coverage"]
    fresh = subject_means(case.shape, FRESH, 1, np.random.Generator(np.random.PCG64([7, FRESH])))[:, 0]
    return {
        **case._asdict(), **found, "in_goal": case.in_goal,
        "holds": rate is not None and GOAL[0] <= rate <= GOAL[1] if case.in_goal else None,
        "fresh_mean": float(fresh.mean()), "fresh_se": float(fresh.std(ddof=1) / np.sqrt(FRESH)),
    }  # fmt: skip


def _limits(case: Case, cohorts: int, replicates: int) -> Iterator[tuple[Float, Float]]:
    for start in range(0, cohorts, _BATCH):
        many = min(_BATCH, cohorts - start)
        words = [*map(ord, case.name), start]
        random, draws = np.random.Generator(np.random.PCG64(words)), Draws(0, case.name, str(start))
        if case.share_case is None:
            got = mean_interval(subject_means(case.shape, case.subjects, many, random), draws, replicates=replicates)
        else:
            n1 = round(case.share_case * case.subjects)
            first = SHIFT + CASE_SD * subject_means(case.shape, n1, many, random)
            second = subject_means(case.shape, case.subjects - n1, many, random)
            got = difference_interval(first, second, draws, replicates=replicates)
        yield got.low, got.high


def subject_means(shape: str, subjects: int, cohorts: int, random: np.random.Generator) -> Float:
    """(subjects, cohorts): the mean over each subject's scans, more of them where the effect is high."""
    effect = effects(shape, subjects, cohorts, random)
    scans = 1 + random.poisson(SCANS * np.exp(GROWTH * np.minimum(effect, 4.0)))
    return effect + NOISE_SD * random.standard_normal(effect.shape) / np.sqrt(scans)


def _bytes(result: dict[str, Any]) -> bytes:
    return (json.dumps(result, sort_keys=True, indent=1, allow_nan=False) + "\n").encode("ascii")
