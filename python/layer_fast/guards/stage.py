"""The guards of a run as one more stage: what the configuration asks for, on every scan that has not failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..models import ModelPackage
from ..steps.explain import Explanation
from ..steps.guarded import Work, advance
from ..steps.lane import Lane
from ..steps.prepare import ModelInput
from ..steps.record import RunFacts
from ..types import LayerMask, Scan
from .model_check import randomisation_rows
from .step import Rows, guard_maps, guard_values

Prepare = Callable[[ModelPackage, list[Work], Lane], None]


def run_guards(works: list[Work], lane: Lane, facts: RunFacts, packages: list[ModelPackage], prepare: Prepare) -> None:
    """Add the rows of guards.parquet to each work. prepare: makes the input of a package again, where it is needed."""
    if not lane.config.guards:
        return

    def maps(items: list[tuple[Scan, LayerMask, list[Explanation]]]) -> list[Rows]:
        there = [(scan, on_host(mask, lane), maps_on_host(found, lane)) for scan, mask, found in items]
        return guard_maps(there, lane, facts)

    advance("guard", works, lane, verb=maps, put=_put, take=lambda w: (w.need_scan(), w.need_mask(), w.explanations))
    if "mask_perturbation" in lane.config.guards:
        for package in packages:
            _values(package, works, lane, facts, prepare)


def _values(package: ModelPackage, works: list[Work], lane: Lane, facts: RunFacts, prepare: Prepare) -> None:
    """Values under perturbed masks, of the scans that have values of this classifier."""
    mine: dict[str, Explanation] = {}
    for work in works:
        for one in work.explanations:
            if one.package is package and one.coalition_logits:
                mine[work.ref.scan_id] = one
    asked = [work for work in works if work.failure is None and work.ref.scan_id in mine]

    def take(work: Work) -> tuple[Scan, LayerMask, ModelInput, Explanation]:
        return work.need_scan(), work.need_mask(), work.model_input, mine[work.ref.scan_id]

    def values(items: list[tuple[Scan, LayerMask, ModelInput, Explanation]]) -> list[Rows]:
        return guard_values([(scan, on_host(mask, lane), made, e) for scan, mask, made, e in items], lane, facts)

    prepare(package, asked, lane)
    advance("guard", asked, lane, verb=values, put=_put, take=take)


def randomised_rows(
    works: list[Work], lane: Lane, packages: list[ModelPackage], prepare: Prepare
) -> list[dict[str, Any]]:
    """Rows of randomisation.json (model_check) from scans that have masks; those that fail, or that a classifier cannot
    take, are left out."""
    rows, take = [], lane.place.take
    for package in packages:
        modalities = {channel.modality for channel in package.manifest.channels}
        able = [w for w in works if w.failure is None and modalities <= w.need_scan().volumes.keys()]
        prepare(package, able, lane)
        able = [w for w in able if w.failure is None]
        images, masks = [take(w.model_input.image) for w in able], [take(w.need_mask().labels) for w in able]
        if images:
            rows += randomisation_rows(package, images, masks, lane.config.methods, lane.engine)
    return rows


def on_host(mask: LayerMask, lane: Lane) -> LayerMask:
    """Variants of masks and null maps are made by NumPy."""
    return replace(mask, labels=lane.place.take(mask.labels)) if lane.place.on_gpu else mask


def maps_on_host(explanations: list[Explanation], lane: Lane) -> list[Explanation]:
    if not lane.place.on_gpu:
        return explanations
    return [
        replace(e, maps={name: replace(m, values=lane.place.take(m.values)) for name, m in e.maps.items()})
        for e in explanations
    ]


def _put(work: Work, rows: Rows) -> None:
    work.guards += rows
