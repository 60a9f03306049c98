"""guard: mask + explanations -> rows of guards.parquet. One row per map cell or game, variant and label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import ops
from ..config import CAM_METHODS, VALUE_METHODS
from ..quantify import ablation, shapley
from ..steps.coalitions import coalition_logits
from ..steps.explain import Explanation
from ..steps.lane import Lane
from ..steps.prepare import ModelInput
from ..steps.record import RunFacts
from ..steps.reduce import channel_maps, same_field_of_view
from ..types import NUM_LAYERS, REGIONS, LayerMask, Scan
from .leakage import Leakage, leakage
from .nulls import ENOUGH_DRAWS, LEVEL, NullResult, depth_nulls, lateral_nulls
from .perturb import PERTURBATIONS, label_dice, perturbed

Rows = list[dict[str, Any]]
Numbers = NDArray[np.float64]
_EMPTY: dict[str, Any] = dict.fromkeys((
    "dice", "value", "leakage_in", "leakage_from", "border_share", "border_mean", "core_mean", "null_mean", "null_p",
    "null_n",
))  # fmt: skip


class Variant(NamedTuple):
    """Another mask of a scan. dice: (7,) Dice coefficient of each label with the run's own mask."""

    name: str
    mask: LayerMask
    dice: Numbers


def guard_maps(
    items: list[tuple[Scan, LayerMask, list[Explanation]]], lane: Lane, facts: RunFacts
) -> list[Rows]:
    """What the guards of the configuration say of every map of each scan, with variants of the mask where asked."""
    return [list(_of_maps(*item, lane, facts)) for item in items]


def guard_values(
    items: list[tuple[Scan, LayerMask, ModelInput, Explanation]], lane: Lane, facts: RunFacts
) -> list[Rows]:
    """Shapley values and ablations of one classifier under each variant of the mask: 128 passes for each, with the
    first fill, whose cells speak in the answers."""
    return [list(_of_values(*item, lane, facts)) for item in items]


def mask_variants(scan: Scan, mask: LayerMask, depth_axis: str) -> Iterator[Variant]:
    """The mask with its borders up to one voxel off, then every other mask that the scan was given."""
    for how in PERTURBATIONS:
        yield _variant(f"mask:{how}", perturbed(mask.labels, how, depth_axis), mask.source, mask)
    for source, volume in sorted(scan.masks.items()):
        if source != mask.source:
            yield _variant(f"rater:{source}", volume.array, source, mask)


def _variant(name: str, labels: NDArray[np.uint8], source: str, own: LayerMask) -> Variant:
    return Variant(name, LayerMask(labels, own.spacing_mm, source), label_dice(own.labels, labels))


def _of_maps(
    scan: Scan, mask: LayerMask, explanations: list[Explanation], lane: Lane, facts: RunFacts
) -> Iterator[dict[str, Any]]:
    asked, leaks = lane.config.guards, dict[tuple[int, ...], Leakage]()
    for key, values in each_map(explanations, mask, facts):
        grid = (values.shape[0], values.shape[1], values.shape[2])
        coarse = key["method"] in CAM_METHODS and ("leakage" in asked or "border" in asked)
        if coarse:
            if grid not in leaks:
                leaks[grid] = leakage(mask.labels, grid, threads=lane.op_threads)
            yield from _leakage_rows(key, leaks[grid], values, label_counts(mask))
        if "nulls" in asked:
            for name, null in (("depth", depth_nulls), ("lateral", lateral_nulls)):
                drawn = null(values, mask.labels, depth_axis=facts.depth_axis, threads=lane.op_threads)
                yield from null_rows(key, f"null:{name}", drawn, label_counts(mask))
    if "mask_perturbation" in asked:
        for other in mask_variants(scan, mask, facts.depth_axis):  # one at a time in memory
            for key, values in each_map(explanations, mask, facts):
                means = _map_means(values, other.mask, lane.op_threads)
                yield from _value_rows(key, other, means, label_counts(other.mask))


def each_map(
    explanations: list[Explanation], mask: LayerMask, facts: RunFacts
) -> Iterator[tuple[dict[str, Any], NDArray[np.float32]]]:
    """Every map (z, y, x) of a scan with the columns that name its cell."""
    for explanation in explanations:
        for method, found in explanation.maps.items():
            stack, channels = channel_maps(found, explanation.package)
            for values, channel in zip(stack, channels, strict=True):
                yield {**_key(explanation, method, found.baseline, mask, facts), "channel": channel}, values


def _of_values(
    scan: Scan, mask: LayerMask, model_input: ModelInput, explanation: Explanation, lane: Lane, facts: RunFacts
) -> Iterator[dict[str, Any]]:
    games = {"layer_shapley": shapley, "layer_ablation": ablation}
    package = explanation.package
    for other in mask_variants(scan, mask, facts.depth_axis):
        fill = lane.config.fills[0]
        logits = coalition_logits(model_input, other.mask, lane, package, (fill,))[fill]
        targets = package.target_values(logits, facts.kind)
        there = label_counts(other.mask)
        for method in VALUE_METHODS:
            if method in facts.methods:
                key = {**_key(explanation, method, fill, mask, facts), "channel": ""}
                values = np.where(there > 0, games[method](targets), np.nan)
                yield from _value_rows(key, other, values, there)


def _leakage_rows(key: dict[str, Any], leak: Leakage, values: NDArray[np.float32], n: NDArray[np.int64]) -> Rows:
    mean, core, border = leak.bands(values)
    flags, source, share = leak.flags(values), leak.source, leak.border_share
    columns = [
        {
            **_EMPTY, "value": mean[k], "leakage_in": leak.into[k], "border_share": share[k], "border_mean": border[k],
            "core_mean": core[k], "leakage_from": REGIONS[source[k]] if source[k] >= 0 else None,
            "flags": ";".join(flags[k]),
        }
        for k in range(NUM_LAYERS + 1)
    ]  # fmt: skip
    return _labelled(key, "", columns, n)


def null_rows(key: dict[str, Any], variant: str, drawn: NullResult, n: NDArray[np.int64]) -> Rows:
    """Rows of one map under one null: `key` with what was drawn for each label. n: (7,) voxels of the labels."""
    p, count = drawn.p, len(drawn.null)
    columns = []
    for k in range(NUM_LAYERS + 1):
        mean = float(drawn.null[:, k].mean()) if count else float("nan")
        above = {**_EMPTY, "value": drawn.observed[k], "null_mean": mean, "null_p": p[k], "null_n": count}
        columns.append({**above, "flags": "like_elsewhere" if p[k] > LEVEL and count >= ENOUGH_DRAWS else ""})
    return _labelled(key, variant, columns, n)


def _value_rows(key: dict[str, Any], other: Variant, values: Numbers, n: NDArray[np.int64]) -> Rows:
    found = zip(values, other.dice, strict=True)
    return _labelled(key, other.name, [{**_EMPTY, "dice": d, "value": v, "flags": ""} for v, d in found], n)


def _labelled(key: dict[str, Any], variant: str, columns: list[dict[str, Any]], n: NDArray[np.int64]) -> Rows:
    plain = [{k: float(v) if isinstance(v, np.floating) else v for k, v in one.items()} for one in columns]
    return [
        {**key, "variant": variant, "region": REGIONS[k], "label_value": k, "n_voxels": int(n[k]), **one}
        for k, one in enumerate(plain)
    ]


def _map_means(values: NDArray[np.float32], mask: LayerMask, threads: int) -> Numbers:
    grid_map = same_field_of_view(mask.labels.shape, values.shape)
    found = ops.layer_reduce(values, mask.labels, num_layers=NUM_LAYERS, grid_map=grid_map, threads=threads)
    return np.asarray(found.mean()[0], np.float64)


def label_counts(mask: LayerMask) -> NDArray[np.int64]:
    return np.bincount(mask.labels.ravel(), minlength=NUM_LAYERS + 1).astype(np.int64)


def _key(explanation: Explanation, method: str, fill: str, mask: LayerMask, facts: RunFacts) -> dict[str, Any]:
    manifest = explanation.package.manifest
    return {
        "model": manifest.name, "member": manifest.member, "setup": manifest.setup, "method": method, "fill": fill,
        "target": facts.target(explanation.package), "mask": mask.source,
    }  # fmt: skip
