"""The guards of a run as one more stage: what the configuration asks for, on every scan that has not failed."""

from __future__ import annotations

from collections.abc import Callable

from ..models import ModelPackage
from ..steps.explain import Explanation
from ..steps.guarded import Work, advance
from ..steps.lane import Lane
from ..steps.prepare import ModelInput
from ..steps.record import RunFacts
from ..types import LayerMask, Scan
from .step import Rows, guard_maps, guard_values

Prepare = Callable[[ModelPackage, list[Work], Lane], None]


def run_guards(works: list[Work], lane: Lane, facts: RunFacts, packages: list[ModelPackage], prepare: Prepare) -> None:
    """Add the rows of guards.parquet to each work. prepare: makes the input of a package again, where it is needed."""
    if not lane.config.guards:
        return

    def maps(items: list[tuple[Scan, LayerMask, list[Explanation]]]) -> list[Rows]:
        return guard_maps(items, lane, facts)

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
        return guard_values(items, lane, facts)

    prepare(package, asked, lane)
    advance("guard", asked, lane, verb=values, put=_put, take=take)


def _put(work: Work, rows: Rows) -> None:
    work.guards += rows
