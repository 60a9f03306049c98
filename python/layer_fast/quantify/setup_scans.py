"""The usable scans of a setup with one vector of layer values each, and what is in the middle and on top of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..config import CAM_METHODS, GRADIENT_METHODS, VALUE_METHODS
from ..types import LAYERS
from .claim.answers import rank
from .cohort import USED
from .folds import per_sd
from .ordinal import members
from .regions import LAYER_ROWS
from .tables import Cell

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
Pair = tuple[str, str | None]  # positive and negative class; None: every other label
# Signed contributions first; of a map the share, which does not depend on its scale.
PREFERENCE = ("layer_shapley", *CAM_METHODS, *GRADIENT_METHODS, "layer_ablation")
SIDES = ("positive", "negative")


@dataclass(frozen=True, slots=True)
class SetupScans:
    """Scans sorted by name. values: (scans, six layers) in `units`, NaN for an absent layer; of several members their
    mean. margin: (scans,) logits. case, control: (scans,); a scan may be neither. sd: (scans,) logit SD of each scan's
    own model where every fold has one, mean over members; values of a margin are then in these SDs."""

    setup: str
    method: str
    units: str
    pair: Pair
    scan_ids: tuple[str, ...]
    subjects: tuple[str, ...]
    case: Mask
    control: Mask
    margin: Float
    values: Float
    sd: Float | None = None

    def of(self, side: str) -> Mask:
        """The scans of a class ("positive", "negative"), or of all ("all")."""
        return {"positive": self.case, "negative": self.control, "all": np.ones(len(self.case), bool)}[side]

    def sides(self) -> tuple[str, ...]:
        """The classes, or "all" where no scan is of either."""
        return SIDES if (self.case | self.control).any() else ("all",)

    def right(self) -> Mask:
        """Whether the sign of the margin is that of the scan's class; a margin of 0 is neither right nor wrong."""
        return np.asarray((self.case & (self.margin > 0)) | (self.control & (self.margin < 0)))

    def confidence(self) -> Float:
        """(scans,) the margin, in SDs of each scan's own model where these differ."""
        return self.margin if self.sd is None else self.margin / self.sd

    def name(self, side: str) -> str:
        positive, negative = self.pair
        return {"positive": positive, "negative": negative or f"not {positive}", "all": "the cohort"}[side]


def main_method(methods: Sequence[str]) -> str:
    """The method whose layer values describe a scan. KeyError where none of the library's is among `methods`."""
    found = next((name for name in PREFERENCE if name in methods), None)
    if found is None:
        raise KeyError(f"[main_method] expected one of {', '.join(PREFERENCE)}, got {sorted(methods)}")
    return found


def value_column(method: str) -> str:
    """The column of layers.parquet that holds the layer values of a method."""
    return "value" if method in VALUE_METHODS else "share_of_labelled"


def setup_scans(
    setup: str, found: Sequence[Cell], by_scan: Mapping[str, Mapping[str, Any]], pairs: Mapping[str, Pair]
) -> SetupScans | None:
    """The scans of a setup that have layer values and a margin, under the primary fill.

    found: cells of any setups. by_scan: rows of scans.parquet by scan_id. pairs: the classes of each target text.
    None where the setup has no cell, or classifiers of different classes, whose margins are no one number.
    """
    whole = [cell for cell in found if cell.key["setup"] == setup and not cell.key["channel"]]
    if not whole or len({pairs[cell.key["target"]] for cell in whole}) != 1:
        return None
    method = main_method([cell.key["method"] for cell in whole])
    fill = min((cell.key["fill"] for cell in whole if cell.key["method"] == method), key=rank)
    blocks: dict[str, list[Float]] = {}
    spreads: dict[str, list[float]] = {}
    subjects: dict[str, str] = {}
    for cell in (c for c in whole if (c.key["method"], c.key["fill"]) == (method, fill)):
        values = cell.matrix(value_column(method))[:, list(LAYER_ROWS)]
        values = per_sd(cell, values) if method in VALUE_METHODS else values
        for i, (scan_id, subject) in enumerate(zip(cell.scan_ids, cell.per_scan("subject"), strict=True)):
            blocks.setdefault(scan_id, []).append(values[i])
            subjects[scan_id] = subject
            if cell.folds is not None and cell.folds.sd is not None:
                spreads.setdefault(scan_id, []).append(float(cell.folds.sd[i]))
    names = sorted(name for name in blocks if _usable(by_scan.get(name), setup))
    target = whole[0].key["target"]
    sides = [_side(by_scan[name].get("label"), pairs[target]) for name in names]
    means = [np.sum(blocks[name], axis=0) / len(blocks[name]) for name in names]
    folded = bool(names) and all(name in spreads for name in names)
    return SetupScans(
        setup, method, _units(method, target, folded), pairs[target], tuple(names), tuple(subjects[n] for n in names),
        np.array([side == "positive" for side in sides], bool), np.array([side == "negative" for side in sides], bool),
        np.array([by_scan[name][f"margin_{setup}"] for name in names], np.float64),
        np.array(means, np.float64).reshape(len(names), len(LAYERS)),
        np.array([sum(spreads[name]) / len(spreads[name]) for name in names]) if folded else None,
    )  # fmt: skip


def _usable(row: Mapping[str, Any] | None, setup: str) -> bool:
    if row is None or row["status"] not in USED:
        return False
    margin = row.get(f"margin_{setup}")
    return margin is not None and bool(np.isfinite(margin))


def _units(method: str, target: str, folded: bool) -> str:
    if method not in VALUE_METHODS:
        return "share"
    if folded and target.startswith("margin:"):
        return "SDs of the fold's logit"
    return "probability" if target.startswith("probability:") else "logits"


def _side(label: Any, pair: Pair) -> str:
    """positive, negative, or "" for a label of neither class."""
    if label in members(pair[0]):
        return "positive"
    other = label not in (None, "") if pair[1] is None else label in members(pair[1])
    return "negative" if other else ""


def subject_means(one: SetupScans, which: Mask) -> Float:
    """(subjects, six layers): mean over each subject's scans among `which`, NaN left out; subjects by name."""
    groups: dict[str, list[int]] = {}
    for i in np.flatnonzero(which):
        groups.setdefault(one.subjects[i], []).append(int(i))
    out = [_mean(one.values[groups[name]]) for name in sorted(groups)]
    return np.array(out, np.float64).reshape(len(out), len(LAYERS))


def _mean(block: Float) -> Float:
    """(n, layers) -> (layers,), NaN left out and where nothing is left."""
    n = (~np.isnan(block)).sum(axis=0)
    out = np.full(block.shape[1], np.nan)
    np.divide(np.where(np.isnan(block), 0.0, block).sum(axis=0), n, out=out, where=n > 0)
    return out


def class_median(one: SetupScans, side: str) -> tuple[Float, Mask, int]:
    """Median over the subjects of a class (six layers), NaN where no subject has the layer; the layers that at least
    half of them have; how many subjects."""
    means = subject_means(one, one.of(side))
    there = ~np.isnan(means)
    median = [float(np.median(column[ok])) if ok.any() else np.nan for column, ok in zip(means.T, there.T, strict=True)]
    common = there.any(axis=0) & (2 * there.sum(axis=0) >= len(means))
    return np.array(median), np.asarray(common), len(means)


def top_layer(one: SetupScans) -> tuple[int | None, str, float]:
    """Which of the six layers (0 to 5) is on top, by what, and that number in `units`: the largest class contrast over
    the subjects whose scans are all of one class, as in the claims; without two classes the largest subject mean."""
    found: dict[str, set[int]] = {}
    for i, subject in enumerate(one.subjects):
        found.setdefault(subject, set()).add(int(one.case[i]) - int(one.control[i]))
    pure = np.array([len(found[subject]) == 1 for subject in one.subjects], bool)
    case, control = (_mean(subject_means(one, which & pure)) for which in (one.case, one.control))
    for numbers, basis in ((case - control, "class contrast D"), (_mean(subject_means(one, one.of("all"))), "mean")):
        if not np.isnan(numbers).all():
            k = int(np.nanargmax(numbers))
            return k, basis, float(numbers[k])
    return None, "", float("nan")
