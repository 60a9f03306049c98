"""Cells whose scans were explained by several models, one for each fold: each has logits of a scale of its own.

What is counted in logits (values, maps and margins of a margin) is divided, scan by scan, by the logit SD of the scan's
own model before anything is averaged over subjects. A subject is in one fold, so this is the D of the claim rule with
every subject in the units of its model. What has no unit (shares, normalised maps) is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .auc import Auc, subject_auc
from .reduction import Reduction
from .tables import Cell, Folds

Float = NDArray[np.float64]
ByFold = Mapping[str, float | None]
LogitSd = float | Mapping[str, "float | ByFold | None"] | None  # what statistics take: one, or by classifier (and fold)
_POWER = {"map": 1, "map^2": 2}  # of the map in the units of a definition


@dataclass(frozen=True, slots=True)
class WithinFolds:
    """AUC of pairs of subjects of one fold, whose margins one model gave. auc: mean over these pairs; mean_of_folds:
    mean over the folds that hold both classes; NaN where none does."""

    auc: float
    mean_of_folds: float
    n_pairs: int
    folds: dict[str, Auc]

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "folds": {name: one._asdict() for name, one in self.folds.items()}}


def folded(
    found: Sequence[Cell],
    by_scan: Mapping[str, Mapping[str, Any]],
    spread: Mapping[Any, float | ByFold | None],
    key: Callable[[Cell], Any],
) -> list[Cell]:
    """The cells, with their folds where `spread[key(cell)]` is by fold. ValueError for a scan of another fold."""
    out = []
    for cell in found:
        sd = spread[key(cell)]
        out.append(replace(cell, folds=_folds(cell, by_scan, sd)) if isinstance(sd, Mapping) else cell)
    return out


def one_sd(sd: float | ByFold | None) -> float | None:
    """The SD of a classifier that explained every scan; of folds None: their cells are divided scan by scan."""
    return None if isinstance(sd, Mapping) else sd


def per_sd(cell: Cell, values: Float, power: int = 1, scans: Sequence[int] | None = None) -> Float:
    """(scans, ...) in logits to the `power` -> in SDs of each scan's own model; unchanged for a cell without folds, and
    for one of a target that is no margin. scans: the scan of every row, as any of its subject's; None: all in order."""
    sd = sd_of(cell)
    if sd is not None and scans is not None:
        sd = sd[list(scans)]
    return values if sd is None or not power else values / sd.reshape(-1, *[1] * (values.ndim - 1)) ** power


def margins_per_sd(cell: Cell, margins: Float) -> Float:
    """(scans,) margins in SDs of each scan's own model, whatever the target is; unchanged for a cell without folds."""
    return margins if cell.folds is None or cell.folds.sd is None else margins / cell.folds.sd


def sd_of(cell: Cell) -> Float | None:
    """(scans,) logit SD of every scan's own model; None without folds, and for what is no margin."""
    return cell.folds.sd if cell.folds is not None and cell.key["target"].startswith("margin:") else None


def reduced_per_sd(cell: Cell, values: Float, definition: Reduction, scans: Sequence[int] | None = None) -> Float:
    """`per_sd` of what a definition gives of a map."""
    return per_sd(cell, values, _POWER.get(definition.units, 0), scans)


def compares_scans(definition: Reduction) -> bool:
    """Whether its number of one scan hangs on the maps of others: those of another fold's model have another scale."""
    return definition.normalise.scope == "cohort" or definition.statistic.facts.cohort


def auc_within(
    margins: Float, is_case: NDArray[np.bool_], is_control: NDArray[np.bool_], names: Sequence[str]
) -> WithinFolds:
    """margins: (subjects,), NaN left out; names: the fold of every subject."""
    folds = {}
    for name in sorted(set(names)):
        own = np.array([one == name for one in names], dtype=bool)
        folds[name] = subject_auc(margins[is_case & own], margins[is_control & own])
    whole = [one for one in folds.values() if one.n_case and one.n_control]
    pairs = [one.n_case * one.n_control for one in whole]
    total = sum(one.auc * n for one, n in zip(whole, pairs, strict=True))
    auc = total / sum(pairs) if pairs else float("nan")
    mean = sum(one.auc for one in whole) / len(whole) if whole else float("nan")
    return WithinFolds(auc, mean, sum(pairs), folds)


def _folds(cell: Cell, by_scan: Mapping[str, Mapping[str, Any]], logit_sd: ByFold) -> Folds:
    names = []
    for scan in cell.scan_ids:
        name = (by_scan.get(scan) or {}).get("fold") or ""
        if name not in logit_sd:
            raise ValueError(f"[summary] expected scan {scan} in one of the folds {', '.join(logit_sd)}, got {name!r}")
        names.append(name)
    each = [logit_sd[name] for name in names]
    numbers = [x for x in each if x is not None]
    if numbers and len(numbers) < len(each):
        raise ValueError(f"[summary] expected a logit SD of every fold or of none, got {dict(logit_sd)}")
    sd = np.array(numbers, dtype=np.float64) if numbers else None
    return Folds(tuple(names), dict(logit_sd), sd)
