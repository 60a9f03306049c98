"""Part "reference": the shipped models on rendered phantoms. Is the planted layer found, and is nothing found where
nothing was planted?

Every cohort is new to the models. It is rendered in memory, run through the whole pipeline (the segmenter's masks, not
the true ones) and judged by the same claim rule as the demo. It takes longest and is run only when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from .. import quantify
from ..fills import FILLS
from ..phantom.effects import Effect
from ..phantom.plan import plan_cohort
from ..phantom.render import PhantomScan, render
from ..pipeline import Pipeline
from ..types import SETUPS, Scan, ScanRef, Volume
from . import store

# driver -> where and how much; None plants nothing
PLANTED: dict[str, tuple[Effect, ...]] = {
    "deep_fascial_membrane": (Effect("deep_fascial_membrane", "bmode", "mean", 5.0),),
    "deep_fat": (Effect("deep_fat", "bmode", "mean", 5.0),),
    "muscle": (Effect("muscle", "bmode", "mean", 5.0),),
    "null": (),
}
FIRST_SEED = 90_000  # far from the seeds of training
FULL = {"seeds": 20, "subjects": 24, "per_subject": 1}
QUICK = {"seeds": 1, "subjects": 24, "per_subject": 1}


def as_scan(phantom: PhantomScan) -> Scan:
    spec = phantom.spec
    ref = ScanRef(spec.scan_id, spec.subject.subject_id, label=spec.label)
    volumes = {
        "bmode": Volume(phantom.bmode, phantom.affine, phantom.spacing_mm, "bmode"),
        "swe": Volume(phantom.swe, phantom.affine, phantom.spacing_mm, "swe"),
    }
    return Scan(ref, volumes, {}, {})


def scans(driver: str, seed: int, subjects: int, per_subject: int) -> Iterator[Scan]:
    plan = plan_cohort(subjects=subjects, scans_per_subject=per_subject, effects=PLANTED[driver], seed=seed)
    return (as_scan(render(spec)) for spec in plan)


def one_cohort(pipeline: Pipeline, driver: str, seed: int, subjects: int, per_subject: int) -> dict[str, Any]:
    """Run one cohort and reduce it to what is judged: per setup the claimed driver, and the top layer by method."""
    records = list(pipeline.stream(scans(driver, seed, subjects, per_subject)))
    bad = [r.message for r in records if r.status != "ok"]
    if bad:
        raise RuntimeError(f"{driver} {seed}: {len(bad)} scans are not ok, first: {bad[0]}")
    layers = [row for r in records for row in r.layers]
    table = [{"scan_id": r.scan_id, "status": r.status, **r.layers[0], **r.scan} for r in records]
    columns = ["scan_id", "subject", "label", "status", "flags", "exposure"]
    columns += [f"margin_{setup}" for setup in SETUPS]
    spread = {p.label: sd for p in pipeline.models.packages if (sd := p.manifest.logit_sd_train) is not None}
    summary = quantify.summary(layers, [{c: row.get(c) for c in columns} for row in table], logit_sd=spread)
    return {
        "driver": driver, "seed": seed, "subjects": subjects, "scans": len(records),
        "claimed": {a["setup"]: a["driver"] for a in summary["answers"]},
        "top": {f"{c['setup']}:{c['method']}": c["claim"]["top"] for c in summary["cells"]
                if c["fill"] in ("", FILLS[0])},
        "auc": {c["setup"]: c["auc"]["auc"] for c in summary["cells"] if c["method"] == "layer_shapley"},
    }  # fmt: skip


def tally(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts per driver, setup and method: claimed right, claimed wrong, ranked first."""
    out: dict[str, Any] = {}
    for driver in PLANTED:
        own = [r for r in results if r["driver"] == driver]
        if not own:
            continue
        cell: dict[str, Any] = {"cohorts": len(own)}
        for setup in SETUPS:
            claims = [r["claimed"][setup] for r in own]
            cell[setup] = {
                "claimed_planted": sum(c == driver for c in claims),
                "claimed_other": sum(c is not None and c != driver for c in claims),
                "median_auc": sorted(r["auc"][setup] for r in own)[len(own) // 2],
                "ranked_first": {
                    method: sum(r["top"][f"{setup}:{method}"] == driver for r in own)
                    for method in ("layer_shapley", "layer_ablation", "gradcam")
                },
            }
        out[driver] = cell
    return out


def units(sizes: dict[str, int]) -> dict[str, Any]:
    """Key -> (driver, seed, sizes)."""
    seeds = range(FIRST_SEED, FIRST_SEED + sizes["seeds"])
    return {f"{driver}:{seed}": (driver, seed, sizes) for seed in seeds for driver in PLANTED}


def work(argument: tuple[str, int, dict[str, int]]) -> dict[str, Any]:
    """One cohort, as `one_cohort`."""
    driver, seed, sizes = argument
    return one_cohort(_pipeline(), driver, seed, sizes["subjects"], sizes["per_subject"])


@cache
def _pipeline() -> Pipeline:
    return Pipeline("reference", {"lanes": 1})


def run(out: Path, quick: bool, processes: int | None = None) -> dict[str, Any]:
    """Run or finish this part in the file `out`; returns its content."""
    sizes = QUICK if quick else FULL
    known = store.identity(sizes=sizes, first_seed=FIRST_SEED, models=[p.sha256 for p in _pipeline().models.packages])
    each = units(sizes)
    return store.run_units(
        out, "reference", known, each, work, lambda done: tally(list(done.values())), processes=processes
    )
