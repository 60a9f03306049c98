"""Example scans by role, from the tables alone: of every setup the typical, the extreme and the wrong ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..types import LAYERS, SETUPS
from .beside_tables import classifier_of, logit_sds_of, pairs_of, scans_by_id
from .folds import LogitSd, folded
from .setup_scans import Pair, SetupScans, class_median, setup_scans, top_layer, value_column
from .tables import cells


class Pick(NamedTuple):
    """A role of a setup. side: the class that is asked ("positive", "negative", "all"). scan_id None: no scan has the
    role, and `why` says so. name, number: what chose it. candidates: among how many scans."""

    role: str
    side: str
    scan_id: str | None
    why: str
    name: str = ""
    number: float = float("nan")
    candidates: int = 0


def choose_examples(
    layers: Any, scans: Any, *, targets: Mapping[str, Pair] | None = None, logit_sd: LogitSd = None
) -> dict[str, Any]:
    """Roles of scans by setup: {"setups": [...], "scans": [...]} as in docs/tables.md, JSON-ready but for NaN.

    typical: of the scans that are classified rightly the one whose layer values are nearest (Euclidean) to the median
    over the subjects of its class; layers that fewer than half of these subjects have are left out, and a scan
    without one of the others is not typical. extreme: the case scan with the largest value of the layer with the
    largest class contrast. wrong: the scan on the other class's side with the margin furthest from 0. Of equal ones the
    first name. Where no scan is of either class, typical and extreme are of the whole cohort.
    layers, scans: the tables of docs/tables.md, as `summary` takes them; needed of the layers are the cell's keys,
    scan_id, subject, region, region_kind and the `value_column`, of the scans the margins too. targets: the two
    classes of each target text, and logit_sd, as in `summary`: where each fold has a model of its own, values and
    margins are compared in SDs of each scan's own model, else in the target's own units. Setups whose classifiers
    compare different classes are left out, for they have no margin of one meaning. Raises ValueError as `summary` does.
    """
    found = cells(layers)
    pairs, by_scan = pairs_of(found, None, None, targets), scans_by_id(scans)
    if logit_sd is not None:
        found = folded(found, by_scan, logit_sds_of(found, logit_sd), classifier_of)
    own = [setup_scans(setup, found, by_scan, pairs) for setup in SETUPS]
    setups = [one for one in own if one is not None and one.scan_ids]
    entries = [_entry(one) for one in setups]
    chosen = dict.fromkeys(role["scan_id"] for entry in entries for role in entry["roles"] if role["scan_id"])
    return {"setups": entries, "scans": [_scan(name, by_scan[name], setups) for name in chosen]}


def picks(one: SetupScans) -> list[Pick]:
    """Every role of a setup, in the order in which they are shown."""
    first, *rest = one.sides()
    own = [_typical(one, first), _extreme(one, first), *([_wrong(one, first)] if rest else [])]
    return [*own, *(pick for side in rest for pick in (_typical(one, side), _wrong(one, side)))]


def _typical(one: SetupScans, side: str) -> Pick:
    median, common, n = class_median(one, side)
    name = one.name(side)
    asked = one.of(side) if side == "all" else one.of(side) & one.right()
    if not asked.any():
        return Pick("typical", side, None, f"no scan of {name} is classified rightly")
    able = np.flatnonzero(asked & common.any() & ~np.isnan(one.values[:, common]).any(axis=1))
    if not len(able):
        return Pick("typical", side, None, f"no such scan of {name} has a value of every layer that most subjects have")
    far = np.sqrt(((one.values[:, common] - median[common]) ** 2).sum(axis=1))
    i = min(able, key=lambda k: (far[k], one.scan_ids[k]))
    why = (f"nearest to the median of {name} ({_count(n, 'subject')}): distance {far[i]:.3g} {one.units} over "
           f"{_count(int(common.sum()), 'layer')}")  # fmt: skip
    return Pick("typical", side, one.scan_ids[i], why, "distance", float(far[i]), len(able))


def _extreme(one: SetupScans, side: str) -> Pick:
    k, basis, size = top_layer(one)
    able = np.flatnonzero(one.of(side) & ~np.isnan(one.values[:, k])) if k is not None else np.array([], np.int64)
    if k is None or not len(able):
        return Pick("extreme", side, None, f"no scan of {one.name(side)} has a value of the layer on top")
    i = min(able, key=lambda j: (-one.values[j, k], one.scan_ids[j]))
    layer, value = LAYERS[k].replace("_", " "), float(one.values[i, k])
    why = (f"largest value of {layer} in {_count(len(able), 'scan')} of {one.name(side)}: {value:.3g} {one.units}; of "
           f"all layers {layer} has the largest {basis} ({size:.3g} {one.units})")  # fmt: skip
    return Pick("extreme", side, one.scan_ids[i], why, "value", value, len(able))


def _wrong(one: SetupScans, side: str) -> Pick:
    sign = 1.0 if side == "positive" else -1.0
    own = one.of(side)
    able = np.flatnonzero(own & (sign * one.margin < 0))
    if not len(able):
        return Pick("wrong", side, None, f"no scan of {one.name(side)} is misclassified")
    i = min(able, key=lambda k: (sign * one.confidence()[k], one.scan_ids[k]))
    why = (f"most confident of {len(able)} misclassified among {_count(int(own.sum()), 'scan')} of {one.name(side)}: "
           f"margin {one.margin[i]:+.3g} logits"
           + ("" if one.sd is None else f", {one.confidence()[i]:+.3g} SDs of the fold's logit"))  # fmt: skip
    return Pick("wrong", side, one.scan_ids[i], why, "margin", float(one.margin[i]), len(able))


def _count(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _entry(one: SetupScans) -> dict[str, Any]:
    k, basis, size = top_layer(one)
    medians = {}
    for side in one.sides():
        median, common, n = class_median(one, side)
        medians[side] = {"n_subjects": n, "layers": dict(zip(LAYERS, median.tolist(), strict=True)),
                         "compared": [name for name, ok in zip(LAYERS, common, strict=True) if ok]}  # fmt: skip
    return {
        "setup": one.setup, "method": one.method, "column": value_column(one.method), "units": one.units,
        "positive": one.pair[0], "negative": one.pair[1], "n_scans": len(one.scan_ids),
        "top_layer": None if k is None else LAYERS[k], "top_by": basis, "top_number": size, "medians": medians,
        "roles": [{"role": p.role, "side": p.side, "class": one.name(p.side), "scan_id": p.scan_id, "why": p.why,
                   "number": {"name": p.name, "value": p.number}, "candidates": p.candidates} for p in picks(one)],
    }  # fmt: skip


def _scan(name: str, row: Mapping[str, Any], setups: Sequence[SetupScans]) -> dict[str, Any]:
    """A chosen scan with what every setup says of it."""
    said = {one.setup: _said(one, one.scan_ids.index(name)) for one in setups if name in one.scan_ids}
    return {"scan_id": name, "subject": row["subject"], "label": row["label"], "status": row["status"], "setups": said}


def _said(one: SetupScans, i: int) -> dict[str, Any]:
    side = "positive" if one.case[i] else "negative" if one.control[i] else None
    margin = float(one.margin[i])
    return {
        "side": side, "true": None if side is None else one.name(side),
        "predicted": None if margin == 0 else one.name("positive" if margin > 0 else "negative"),
        "right": None if side is None or margin == 0 else bool(one.right()[i]), "margin": margin,
        "layers": dict(zip(LAYERS, one.values[i].tolist(), strict=True)),
    }  # fmt: skip
