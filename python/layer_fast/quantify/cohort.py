"""Subject-level numbers of one cell: equal weight per subject, conditional on the frozen models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .auc import Auc, subject_auc
from .definitions import PRESETS
from .draws import Draws
from .folds import WithinFolds, auc_within, margins_per_sd, per_sd, sd_of
from .inference import Interval, difference_interval, enough, holm, mean_interval, permutation_p
from .ordinal import level_numbers, members, order_of, rank_correlation
from .regions import LAYER_ROWS, NUM_LABELS, NUM_REGIONS
from .tables import Cell

Float = NDArray[np.float64]
USED = ("ok", "ok_degraded")


@dataclass(frozen=True, slots=True)
class Subjects:
    """Who is in a cell: scans grouped by subject. A subject of neither class counts for means, not for contrasts."""

    names: tuple[str, ...]  # sorted
    is_case: NDArray[np.bool_]
    is_control: NDArray[np.bool_]
    scans: tuple[tuple[int, ...], ...]  # positions of each subject's scans in the cell
    excluded: dict[str, int]  # reason -> scans; not_ok: left out of everything, the others: out of the contrasts
    exposure: tuple[str, ...]  # per subject: unseen | seen | unknown (the worst of its scans)
    degraded: int = 0  # scans that the model was not made for; they count, and the claim rule asks for none
    level: NDArray[np.int64] | None = None  # of ordered classes, 0 the lowest, -1 no level; None: not ordered

    @property
    def in_class(self) -> NDArray[np.bool_]:
        return np.asarray(self.is_case | self.is_control)

    def split(self, x: Float) -> tuple[Float, Float]:
        """The rows of the cases and those of the controls."""
        return x[self.is_case], x[self.is_control]

    def mean(self, x: Float) -> Float:
        """Mean over each subject's scans, NaN left out: (scans, R) -> (subjects, R)."""
        out = np.full((len(self.names), x.shape[1]), np.nan)
        for row, scans in enumerate(self.scans):
            block = x[list(scans)]
            there = ~np.isnan(block)
            n = there.sum(axis=0)
            total = np.where(there, block, 0.0).sum(axis=0)
            out[row, n > 0] = total[n > 0] / n[n > 0]
        return out


@dataclass(frozen=True, slots=True)
class Settings:
    """What the statistics depend on beside the tables; written into the summary."""

    positive: str = "case"  # a label, or several ordered ones (`Levels`)
    negative: str | None = "control"  # None: every other label
    seed: int = 0
    replicates: int = 1999
    alpha: float = 0.05
    confidence: float = 0.95
    map_definition: str = "part_of_volume_mean"


@dataclass(frozen=True, slots=True)
class CellStatistics:
    """Everything the claim rule and the report read of one cell. Arrays run over the eleven regions."""

    cell: Cell
    subjects: Subjects
    definition: str
    scale: float  # contrasts and means are divided by it: the logit SD, else 1
    per_subject: Float  # (subjects, regions), scaled
    contrast: Interval
    p: Float  # one-sided, D > 0
    p_holm: Float  # adjusted over the six layers; NaN elsewhere
    means: dict[str, Interval]  # definition -> equal-subject mean over all subjects
    auc: Auc
    unresolved: Float  # share of the scans with the layer in which it is unresolved
    present: Float  # share of scans with the region
    rank: dict[str, Any] | None = None  # of ordered classes: how the margin goes with the level
    within: WithinFolds | None = None  # where each fold had a model of its own

    @property
    def in_logit_sd(self) -> bool:
        """Whether what is counted in logits was divided by a logit SD."""
        return self.scale != 1.0 or sd_of(self.cell) is not None


def subjects_of(cell: Cell, scans: Mapping[str, Mapping[str, Any]], settings: Settings) -> Subjects:
    """Group a cell's scans. `scans` is scans.parquet by scan_id; a scan absent there counts as not usable."""
    excluded: Counter[str] = Counter()
    groups: dict[str, list[int]] = {}
    labels: dict[str, set[Any]] = {}
    exposure: dict[str, str] = {}
    rank = {"unseen": 0, "unknown": 1, "seen": 2}
    names, shown = cell.per_scan("subject"), cell.per_scan("exposure")
    for i, scan_id in enumerate(cell.scan_ids):
        row = scans.get(scan_id)
        if row is None or row.get("status") not in USED:
            excluded["not_ok"] += 1
            continue
        groups.setdefault(names[i], []).append(i)
        labels.setdefault(names[i], set()).add(row.get("label"))
        exposure[names[i]] = max(exposure.get(names[i], "unseen"), _known(shown[i]), key=rank.__getitem__)
    degraded = sum(scans[cell.scan_ids[i]].get("status") == "ok_degraded" for group in groups.values() for i in group)
    order = sorted(groups)
    case = np.array([_is_one_of(labels[n], settings.positive) for n in order], dtype=bool)
    control = np.array([_is_negative(labels[n], settings) for n in order], dtype=bool)
    for name, one in zip(order, case | control, strict=True):
        if not one:
            reason = "label_varies_within_subject" if len(labels[name]) > 1 else "label_missing_or_other"
            excluded[reason] += len(groups[name])
    found = tuple(tuple(groups[n]) for n in order)
    worst = tuple(exposure[n] for n in order)
    ordered = order_of(settings.positive, settings.negative)
    level = None if ordered is None else level_numbers([labels[n] for n in order], ordered)
    return Subjects(tuple(order), case, control, found, dict(sorted(excluded.items())), worst, degraded, level)


def _is_one_of(labels: set[Any], name: str) -> bool:
    return len(labels) == 1 and labels <= set(members(name))


def _is_negative(labels: set[Any], settings: Settings) -> bool:
    if settings.negative is not None:
        return _is_one_of(labels, settings.negative)
    return len(labels) == 1 and not labels & {settings.positive, None, ""}


def region_values(cell: Cell, definition: str) -> Float:
    """(scans, regions) of one definition, divided by the logit SD of each scan's own model where folds have their own
    and the definition has a unit; KeyError for a name that is no preset."""
    values = _as_stored(cell, definition)
    return values if PRESETS[definition].units == "1" else per_sd(cell, values)


def _as_stored(cell: Cell, definition: str) -> Float:
    column = PRESETS[definition].column
    if column:
        return cell.matrix(column)
    n = cell.matrix("n_voxels")
    top = cell.matrix("sum" if definition == "part_of_volume_mean" else "sum_abs")
    below = {"part_of_volume_mean": n, "mean_abs": None, "share_of_all_abs": top}[definition]
    total = n if below is None else below[:, :NUM_LABELS].sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((n > 0) & (total > 0), top / total, np.nan)


def analyse(
    cell: Cell, scans: Mapping[str, Mapping[str, Any]], settings: Settings, *, logit_sd: float | None = None
) -> CellStatistics:
    """Subject means, class contrasts with intervals and tests, AUC. Value methods are divided by logit_sd if given."""
    subjects = subjects_of(cell, scans, settings)
    method = cell.key["method"]
    is_value = method in PRESETS and PRESETS[method].kind == "value"
    name = method if is_value else settings.map_definition
    in_logit_sd = is_value and logit_sd is not None and is_margin(cell)
    scale = logit_sd if in_logit_sd and logit_sd is not None else 1.0
    words = cell.words
    x = subjects.mean(region_values(cell, name)) / scale
    case, control = subjects.split(x)
    how = {"replicates": settings.replicates}
    contrast = difference_interval(
        case, control, Draws(settings.seed, "contrast", *words), confidence=settings.confidence, **how
    )
    p = permutation_p(case, control, Draws(settings.seed, "permutation", *words), **how)
    adjusted = np.full(NUM_REGIONS, np.nan)
    adjusted[list(LAYER_ROWS)] = holm(p[list(LAYER_ROWS)])
    shown = [name] if is_value else [d for d in PRESETS if PRESETS[d].kind == "map"]
    stack = np.concatenate([subjects.mean(region_values(cell, d)) for d in shown], axis=1) / scale
    wide = mean_interval(stack, Draws(settings.seed, "mean", *words), confidence=settings.confidence, **how)
    each = (Interval(*(part[i * NUM_REGIONS : (i + 1) * NUM_REGIONS] for part in wide)) for i in range(len(shown)))
    means = {d: _within_range(interval, d) for d, interval in zip(shown, each, strict=True)}
    used = [i for group in subjects.scans for i in group]
    present = cell.matrix("present")[used]
    with np.errstate(divide="ignore", invalid="ignore"):
        unresolved = (cell.matrix("unresolved")[used] * present).sum(axis=0) / present.sum(axis=0)
    there = present.mean(axis=0) if used else np.full(NUM_REGIONS, np.nan)
    auc, rank = _auc(cell, subjects), _rank(cell, subjects, settings)
    return CellStatistics(cell, subjects, name, scale, x, contrast, p, adjusted, means, auc, unresolved, there, rank,
                          _within(cell, subjects))  # fmt: skip


def is_margin(cell: Cell) -> bool:
    """Whether the cell explains a margin: a bare logit or a probability is not what a logit SD is measured for."""
    return cell.key["target"].startswith("margin:")


def _within_range(interval: Interval, definition: str) -> Interval:
    """Cut an interval at the definition's own range: a studentised interval of a skewed share may leave 0..1."""
    if not PRESETS[definition].range.startswith("0..1"):
        return interval
    return interval._replace(low=np.maximum(interval.low, 0.0), high=np.minimum(interval.high, 1.0))


def _auc(cell: Cell, subjects: Subjects) -> Auc:
    """Of the cell's own classifier: the margins of scans.parquet are means over the members of an ensemble. Of several
    folds all subjects together, each margin in SDs of its own model's logit."""
    case, control = subjects.split(subject_margins(cell, subjects))
    return subject_auc(case, control)


def _within(cell: Cell, subjects: Subjects) -> WithinFolds | None:
    if cell.folds is None:
        return None
    names = [cell.folds.names[scans[0]] for scans in subjects.scans]
    return auc_within(subject_margins(cell, subjects), subjects.is_case, subjects.is_control, names)


def _rank(cell: Cell, subjects: Subjects, settings: Settings) -> dict[str, Any] | None:
    """Of the margins that the AUC is of, with the subjects' levels; intervals where there are enough subjects."""
    if subjects.level is None:
        return None
    usable = bool(enough(subjects.is_case.sum(), subjects.is_control.sum()))
    draws = Draws(settings.seed, "rank correlation", *cell.words)
    return rank_correlation(subject_margins(cell, subjects), subjects.level, draws, replicates=settings.replicates,
                            confidence=settings.confidence, usable=usable)  # fmt: skip


def subject_margins(cell: Cell, subjects: Subjects) -> Float:
    """(subjects,) mean margin; where folds have models of their own, in SDs of their logits."""
    margins = margins_per_sd(cell, np.array(cell.per_scan("margin"), dtype=np.float64))
    return subjects.mean(margins.reshape(-1, 1))[:, 0]


def _known(exposure: Any) -> str:
    return exposure if exposure in ("unseen", "seen") else "unknown"
