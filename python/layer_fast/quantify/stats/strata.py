"""Equal-subject means and class contrasts inside strata: per class, per correctness, per value of a user's column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..inference import MIN_PER_CLASS, Interval, valued
from ..ordinal import members
from ..regions import NUM_REGIONS
from .classes import interval_dict
from .columns import region_facts
from .frame import Frame, grouped_mean
from .resample import Float, Plan, differences, means

CORRECTNESS = {
    "true positive": (True, True), "false negative": (True, False), "true negative": (False, False),
    "false positive": (False, True),
}  # fmt: skip
MOST_LEVELS = 20
_SMALL = f"fewer than {MIN_PER_CLASS} subjects"


class Stratum(NamedTuple):
    """Some scans. inside: (scans,), or (scans, analyses) where it depends on the classifier."""

    by: str
    level: str
    inside: NDArray[np.bool_]


def strata_of(frame: Frame, by: Sequence[str]) -> Iterator[Stratum]:
    """All scans, every label, every correctness, every value of the columns `by` (an empty one is "(empty)").

    Correctness is that of a scan by the sign of the classifier's margin: positive above 0. A scan with another label
    than the two of the target, or a margin of 0 or none, has none. ValueError: a column that is not there, or with
    more than 20 values.
    """
    yield Stratum("all", "all", np.ones(len(frame.rows), dtype=bool))
    yield from _levels(frame, "label")
    positive, known = np.zeros(frame.margins.shape, dtype=bool), np.zeros(frame.margins.shape, dtype=bool)
    for i, one in enumerate(frame.analyses):
        positive[:, i] = positive_rows(frame, one.positive)
        known[:, i] = class_rows(frame, one.positive, one.negative)
    for name, (truth, said) in CORRECTNESS.items():
        call = frame.margins > 0 if said else frame.margins < 0
        yield Stratum("correctness", name, known & (positive == truth) & call)
    for column in dict.fromkeys(by):
        if frame.rows and column not in frame.rows[0]:
            raise ValueError(f"[stats] by: expected a column of the scans, got {column!r}")
        if column != "label":
            yield from _levels(frame, column)


def positive_rows(frame: Frame, positive: str) -> NDArray[np.bool_]:
    """Scans of the positive class, or of the levels that make it."""
    return np.isin(frame.label, members(positive))


def class_rows(frame: Frame, positive: str, negative: str | None) -> NDArray[np.bool_]:
    """Scans of the two classes; negative None: of any class."""
    if negative is None:
        return np.asarray(frame.label != "", dtype=bool)
    return np.isin(frame.label, (*members(positive), *members(negative)))


def _levels(frame: Frame, column: str) -> Iterator[Stratum]:
    values = ["(empty)" if (v := row.get(column)) is None or v == "" else str(v) for row in frame.rows]
    levels = sorted(set(values))
    if len(levels) > MOST_LEVELS:
        raise ValueError(
            f"[stats] by: expected at most {MOST_LEVELS} different values of {column!r}, found {len(levels)}; "
            f"put numbers into classes first"
        )
    for level in levels:
        yield Stratum(column, level, np.array([v == level for v in values], dtype=bool))


def stratified(frame: Frame, by: Sequence[str], plan: Plan) -> list[list[dict[str, Any]]]:
    """Per analysis the rows of its strata: {"by", "level", "n_scans", "n_subjects", "n_case", "n_control", "withheld",
    "regions": [{"region", "region_kind", "n", "mean", "contrast"}]}.

    Numbers are withheld below 5 subjects with a value, intervals below 20 (contrasts: also below 5 of a class). A
    contrast is that between subjects whose scans in the stratum are all of one class.
    """
    out: list[list[dict[str, Any]]] = [[] for _ in frame.analyses]
    for stratum in strata_of(frame, by):
        rows = _stratum(frame, stratum, plan)
        for some, row in zip(out, rows, strict=True):
            some.append(row)
    return out


def _stratum(frame: Frame, stratum: Stratum, plan: Plan) -> list[dict[str, Any]]:
    scans, analyses = frame.margins.shape
    one = stratum.inside[:, None] if stratum.inside.ndim == 1 else stratum.inside
    inside = np.broadcast_to(one, (scans, analyses))
    there = inside & ~np.isnan(frame.values).all(axis=2)
    values = np.where(there[:, :, None], frame.values, np.nan).reshape(scans, analyses * NUM_REGIONS)
    x = grouped_mean(values, frame.subject, len(frame.subjects))
    mean, n = means(x, plan)
    contrast = np.full((3, x.shape[1]), np.nan)
    case, control = np.zeros(x.shape[1], dtype=np.int64), np.zeros(x.shape[1], dtype=np.int64)
    subjects = np.zeros((2, analyses), dtype=np.int64)
    if stratum.by not in ("label", "correctness"):
        for a, classes in enumerate(_classes(frame, there)):
            at = slice(a * NUM_REGIONS, (a + 1) * NUM_REGIONS)
            is_case, is_control = classes
            used = np.where((is_case | is_control)[:, None], x[:, at], np.nan)
            found = differences(used, is_case, plan)
            contrast[:, at] = found.estimate, found.low, found.high
            case[at], control[at] = valued(used[is_case]), valued(used[is_control])
            subjects[:, a] = is_case.sum(), is_control.sum()
    contrast[:, np.minimum(case, control) < MIN_PER_CLASS] = np.nan
    return [
        _row(stratum, there[:, a], frame, subjects[:, a], [
            _region(i, a * NUM_REGIONS + i, n, mean, contrast) for i in range(NUM_REGIONS)
        ])
        for a in range(analyses)
    ]  # fmt: skip


def _classes(frame: Frame, there: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Per analysis the subjects whose scans in the stratum are all positive, and all negative."""
    many = len(frame.subjects)
    for a, one in enumerate(frame.analyses):
        positive, known = positive_rows(frame, one.positive), class_rows(frame, one.positive, one.negative)
        count = [np.bincount(frame.subject[there[:, a] & w], minlength=many) for w in (positive, known & ~positive)]
        other = np.bincount(frame.subject[there[:, a] & ~known], minlength=many)
        pure = other == 0
        yield (count[0] > 0) & (count[1] == 0) & pure, (count[1] > 0) & (count[0] == 0) & pure


def _row(
    stratum: Stratum, there: NDArray[np.bool_], frame: Frame, subjects: NDArray[np.int64], regions: list[dict[str, Any]]
) -> dict[str, Any]:
    n = len(np.unique(frame.subject[there]))
    few = n < MIN_PER_CLASS
    more = {} if stratum.by in ("label", "correctness") else {"n_case": int(subjects[0]), "n_control": int(subjects[1])}
    return {
        "by": stratum.by, "level": stratum.level, "n_scans": int(there.sum()), "n_subjects": n, **more,
        "withheld": _SMALL if few else "", "regions": [] if few else regions,
    }  # fmt: skip


def _region(i: int, c: int, n: NDArray[np.int64], mean: Interval, contrast: Float) -> dict[str, Any]:
    few = n[c] < MIN_PER_CLASS
    whole = {name: np.nan if few else value for name, value in interval_dict(mean, c).items()}
    return {
        **region_facts(i), "n": int(n[c]), "mean": whole,
        "contrast": dict(zip(("estimate", "low", "high"), contrast[:, c], strict=True)),
    }  # fmt: skip
