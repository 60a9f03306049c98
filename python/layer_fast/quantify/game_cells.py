"""games.json: what the stored coalition values say beside Shapley values and ablation, cell by cell.

{"schema_version", "caption", "disclaimer", "settings", "games": [cell, ...]}; a cell has the keys of a cell of
claims.json without method and channel, `positive`, `negative`, `units`, `removes_content` and
  interactions  for each of the 21 pairs of regions: first, second, n_subjects (with both), mean and contrast (cases
                less controls), each {estimate, low, high}; null = withheld or not to be had
  log_loss, auc {"values": [{region, estimate, low, high}, ...], "all": {...}, "none": {...}}, the values adding up to
                all - none; null where the target is no margin, whose sign and size the metric needs
Intervals are those of claims.json: subjects are the unit, withheld below 20 of them or 5 of a class; the AUC of all and
of none has the limits of `subject_auc`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..fills import removes_content
from .auc import subject_auc
from .cohort import Settings, Subjects, is_margin, subjects_of
from .cohort_games import auc_game, log_loss_game
from .draws import Draws
from .folds import per_sd, sd_of
from .inference import Interval, difference_interval, mean_interval, valued
from .margins import target_of_logits
from .ordinal import order_of
from .regions import NUM_LABELS, REGION_ORDER
from .shapley import interactions
from .tables import Cell

Float = NDArray[np.float64]
Key = tuple[str, ...]
_OF_VALUES = ("setup", "model", "member", "fill", "mask")
_PAIRS = [(i, j) for i in range(NUM_LABELS) for j in range(i + 1, NUM_LABELS)]


def game(
    cell: Cell,
    values: Mapping[tuple[str, str], Float],
    scans: Mapping[str, Mapping[str, Any]],
    settings: Settings,
    levels: Sequence[str] | None = None,
) -> dict[str, Any]:
    """One cell of games.json. values: (scan_id, class) -> the 128 logits of the cell's coalitions; scans: rows of
    scans.parquet by scan_id; levels: the classes from lowest to highest, for targets of ordered classes whose
    settings are not of a threshold, which has them.

    Raises ValueError where a scan of the cell has no coalition values."""
    subjects = subjects_of(cell, scans, settings)
    classes = sorted({name for _, name in values})
    logits = {name: _stack(cell, values, name) for name in classes}
    order = levels or order_of(settings.positive, settings.negative)
    v = target_of_logits(logits, cell.key["target"], levels=order)
    words = [word for name, word in sorted(cell.key.items()) if name not in ("method", "channel")]
    key = {name: cell.key[name] for name in sorted(cell.key) if name not in ("method", "channel")}
    out: dict[str, Any] = {
        **key, "positive": settings.positive, "negative": settings.negative,
        "units": _units(cell),
        "removes_content": removes_content(key["fill"]), "n_subjects": len(subjects.names),
        "n_case": int(subjects.is_case.sum()), "n_control": int(subjects.is_control.sum()),
        "interactions": _interactions(cell, per_sd(cell, v), subjects, settings, words), "log_loss": None, "auc": None,
    }  # fmt: skip
    if is_margin(cell) and subjects.is_case.any() and subjects.is_control.any():
        margins = subjects.mean(v)
        case, control = subjects.split(subjects.mean(per_sd(cell, v)))  # ranked over the folds' own models
        one, n, sure = subjects.in_class, settings.replicates, settings.confidence
        draws = Draws(settings.seed, "log_loss", *words), Draws(settings.seed, "auc game", *words)
        loss = log_loss_game(margins[one], subjects.is_case[one], draws[0], replicates=n, confidence=sure)
        area = auc_game(case, control, draws[1], replicates=n, confidence=sure)
        out |= {"log_loss": _metric(loss), "auc": _metric(area)}
        for name, s in (("all", -1), ("none", 0)):  # DeLong's interval of separated classes has no width
            if out["auc"][name]["low"] is not None:
                limits = subject_auc(case[:, s], control[:, s])
                out["auc"][name] |= {"low": limits.low, "high": limits.high}
    return out


def _units(cell: Cell) -> str:
    if sd_of(cell) is not None:
        return "SD of the model's logit"
    return "logits" if is_margin(cell) or cell.key["target"].startswith("logit:") else "target"


def _stack(cell: Cell, values: Mapping[tuple[str, str], Float], name: str) -> Float:
    lacks = [scan for scan in cell.scan_ids if (scan, name) not in values]
    if lacks:
        raise ValueError(f"[games] expected coalition values of every scan of {cell.key}, none of {lacks[0]}")
    return np.stack([values[scan, name] for scan in cell.scan_ids])


def _interactions(
    cell: Cell, v: Float, subjects: Subjects, settings: Settings, words: list[str]
) -> list[dict[str, Any]]:
    """Shapley interaction index of every pair of regions; a scan without one of the two says nothing of the pair."""
    index, present = interactions(v), cell.matrix("present")[:, :NUM_LABELS] > 0
    columns = [np.where(present[:, i] & present[:, j], index[:, i, j], np.nan) for i, j in _PAIRS]
    x = subjects.mean(np.stack(columns, axis=1))
    r, sure = settings.replicates, settings.confidence
    draws = Draws(settings.seed, "interaction", *words), Draws(settings.seed, "interaction contrast", *words)
    mean = mean_interval(x, draws[0], replicates=r, confidence=sure)
    contrast = difference_interval(*subjects.split(x), draws[1], replicates=r, confidence=sure)
    n = valued(x)
    return [
        {"first": REGION_ORDER[i].name, "second": REGION_ORDER[j].name, "n_subjects": int(n[c]),
         "mean": _part(mean, c), "contrast": _part(contrast, c)}
        for c, (i, j) in enumerate(_PAIRS)
    ]  # fmt: skip


def _metric(found: Interval) -> dict[str, Any]:
    values = [{"region": REGION_ORDER[k].name, **_part(found, k)} for k in range(NUM_LABELS)]
    return {"values": values, "all": _part(found, NUM_LABELS), "none": _part(found, NUM_LABELS + 1)}


def _part(interval: Interval, i: int) -> dict[str, float | None]:
    parts = {"estimate": interval.estimate[i], "low": interval.low[i], "high": interval.high[i]}
    return {name: float(x) if np.isfinite(x) else None for name, x in parts.items()}


def coalition_values(coalitions: Any) -> dict[Key, dict[tuple[str, str], Float]]:
    """coalitions.parquet as a pyarrow Table -> (setup, model, member, fill, mask) -> (scan_id, class) -> (128,) logits.

    Raises ValueError for rows of another length."""
    names = zip(*(coalitions.column(name).to_pylist() for name in (*_OF_VALUES, "scan_id", "output")), strict=True)
    flat = coalitions.column("values").combine_chunks().flatten().to_numpy()
    if len(flat) != len(coalitions) << NUM_LABELS:
        raise ValueError(f"[coalitions] expected {1 << NUM_LABELS} values in every row, found {len(flat)} in "
                         f"{len(coalitions)} rows")  # fmt: skip
    out: dict[Key, dict[tuple[str, str], Float]] = {}
    for (*key, scan, output), row in zip(names, flat.reshape(-1, 1 << NUM_LABELS), strict=True):
        out.setdefault(tuple(key), {})[scan, output.removeprefix("logit:")] = row
    return out


def values_key(cell: Cell) -> Key:
    """What the coalition values of a cell are filed under."""
    return tuple(cell.key[name] for name in _OF_VALUES)
