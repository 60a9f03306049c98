"""Gate `mask_sensitivity`: is the same layer on top when the masks are drawn a little differently?

Masks are wrong at their borders, and a fascia of two voxels is all border. The values of every subject are
computed again under each perturbed mask and under other raters' masks (guards.parquet), and the layer with the largest
contrast must be the same each time. Cells that differ in nothing but `mask` count like a rater.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..cohort import CellStatistics
from ..folds import per_sd
from ..inference import enough, moments, valued
from ..regions import LAYER_ROWS, NUM_LABELS, REGION_ORDER
from ..tables import CELL_KEYS, columns
from .gate import CLAIM_METHOD, Gate
from .top import top_layer

NAME = "mask_sensitivity"
_THRESHOLD = "the same layer has the largest D, above 0, under every mask"
Float = NDArray[np.float64]
Key = tuple[str, ...]
Perturbed = Mapping[Key, Mapping[str, Mapping[str, Float]]]  # cell -> variant -> scan_id -> (7,) values by label


class MaskChange(NamedTuple):
    """One other mask. top: label with the largest D; contrast: (7,) D by label; before: (7,) D under the run's own
    masks, of the same subjects."""

    variant: str
    top: int | None
    contrast: Float
    before: Float
    n_subjects: int


def perturbed_values(guards: Any) -> Perturbed:
    """What guards.parquet says of Shapley values under other masks (variants mask:* and rater:*). guards: a pyarrow
    Table, rows or columns, or None."""
    if guards is None:
        return {}
    table = columns(_wanted(guards))
    if not table or not len(table["variant"]):
        return {}
    out: dict[Key, dict[str, dict[str, Float]]] = {}
    keys = zip(*([v or "" for v in table[name]] for name in CELL_KEYS), strict=True)
    parts = (table[name] for name in ("variant", "scan_id", "label_value", "value"))
    for key, variant, scan, label, value in zip(keys, *parts, strict=True):
        if key[CELL_KEYS.index("method")] == CLAIM_METHOD and str(variant).startswith(("mask:", "rater:")):
            row = out.setdefault(key, {}).setdefault(variant, {}).setdefault(scan, np.full(NUM_LABELS, np.nan))
            row[int(label)] = np.nan if value is None else value
    return out


def mask_changes(stats: CellStatistics, others: Sequence[CellStatistics], perturbed: Perturbed) -> list[MaskChange]:
    """Every other mask of this cell that enough subjects have."""
    cell, found = stats.cell, []
    key = tuple(cell.key[name] for name in CELL_KEYS)
    for variant, by_scan in sorted(perturbed.get(key, {}).items()):
        gone = np.full(NUM_LABELS, np.nan)
        values = np.stack([by_scan.get(scan, gone) for scan in cell.scan_ids])
        has = [scan in by_scan for scan in cell.scan_ids]
        own = stats.subjects.mean(per_sd(cell, values)) / stats.scale
        found.append(_change(stats, variant, own, np.array(has)))
    for other in others:
        differ = [name for name in CELL_KEYS if other.cell.key[name] != cell.key[name]]
        if differ == ["mask"]:
            at = {name: i for i, name in enumerate(other.subjects.names)}
            gone = np.full(NUM_LABELS, np.nan)
            rows = [other.per_subject[at[n], :NUM_LABELS] if n in at else gone for n in stats.subjects.names]
            theirs = set(other.cell.scan_ids)
            has = [scan in theirs for scan in cell.scan_ids]
            found.append(_change(stats, f"rater:{other.cell.key['mask']}", np.stack(rows), np.array(has)))
    return [one for one in found if one is not None]


def mask_gate(stats: CellStatistics, others: Sequence[CellStatistics], perturbed: Perturbed | None) -> dict[str, Gate]:
    """The gate by its name; empty where no other mask of this cell is in the tables."""
    top = top_layer(stats)
    if top is None or stats.cell.key["method"] != CLAIM_METHOD:
        return {}
    changes = mask_changes(stats, others, perturbed or {})
    if not changes:
        return {}
    moved = [one for one in changes if one.top != top or not one.contrast[top] > 0]
    name = REGION_ORDER[top].name.replace("_", " ")
    masks = ", ".join(one.variant for one in changes)
    kept = f"{len(changes) - len(moved)} of {len(changes)}"
    if not moved:
        # By D itself, which is above 0 here. A ratio with D before would need that to be above 0 too, which it need not
        # be among the subjects that have this mask.
        least = min(changes, key=lambda one: float(one.contrast[top]))
        part = f"{least.contrast[top]:.3g} under {least.variant}, {least.before[top]:.3g} before"
        reason = f"{name} is on top under every mask ({masks}); least D {part}"
        return {NAME: Gate(NAME, kept, _THRESHOLD, True, reason)}
    what = "; ".join(f"{one.variant}: {_on_top(one, top)}" for one in moved)
    return {NAME: Gate(NAME, kept, _THRESHOLD, False, f"{name} is not on top with D above 0 under every mask ({what})")}


def _change(stats: CellStatistics, variant: str, values: Float, has: NDArray[np.bool_]) -> MaskChange | None:
    """None where too few subjects have all their scans under this mask."""
    who = stats.subjects
    whole = np.array([bool(has[list(scans)].all()) for scans in who.scans], dtype=bool)
    case, control = who.is_case & whole, who.is_control & whole
    if not bool(enough(int(case.sum()), int(control.sum()))):
        return None
    contrast = moments(values[case])[0] - moments(values[control])[0]
    # A layer that the perturbed masks leave to too few subjects has no contrast to compare.
    contrast = np.where(enough(valued(values[case]), valued(values[control])), contrast, np.nan)
    own = stats.per_subject[:, :NUM_LABELS]
    before = moments(own[case])[0] - moments(own[control])[0]
    layers = contrast[list(LAYER_ROWS)]
    top = None if np.isnan(layers).all() else LAYER_ROWS[int(np.nanargmax(layers))]
    return MaskChange(variant, top, contrast, before, int((case | control).sum()))


def _on_top(one: MaskChange, top: int) -> str:
    if one.top is None:
        return "none"
    name = REGION_ORDER[one.top].name.replace("_", " ")
    return f"{name} with D {one.contrast[top]:.3g}" if one.top == top else name


def _wanted(guards: Any) -> Any:
    """Of a large pyarrow Table only the rows that are read become Python objects."""
    if not hasattr(guards, "column_names"):
        return guards
    import pyarrow.compute as compute

    variant = guards["variant"]
    other = compute.or_(compute.starts_with(variant, "mask:"), compute.starts_with(variant, "rater:"))
    keep = compute.and_(other, compute.equal(guards["method"], CLAIM_METHOD))
    return guards.filter(keep).select([*CELL_KEYS, "variant", "scan_id", "label_value", "value"])
