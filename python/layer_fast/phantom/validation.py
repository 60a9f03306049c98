"""Is the planted layer found, and is nothing found where nothing was planted? Many phantom cohorts, one line each.

    python -m layer_fast.phantom.validation --out benchmarks/results/validation_reference.json

Every cohort is new to the models. It is rendered in memory, run through the whole pipeline (the segmenter's masks, not
the true ones) and judged by the same claim rule as the demo. Resumable: cohorts already in the file are not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import quantify
from .._version import __version__
from ..fills import FILLS
from ..pipeline import Pipeline
from ..types import SETUPS, Scan, ScanRef, Volume
from .effects import Effect
from .plan import plan_cohort
from .render import PhantomScan, render

# driver -> where and how much; None plants nothing
PLANTED: dict[str, tuple[Effect, ...]] = {
    "deep_fascial_membrane": (Effect("deep_fascial_membrane", "bmode", "mean", 5.0),),
    "deep_fat": (Effect("deep_fat", "bmode", "mean", 5.0),),
    "muscle": (Effect("muscle", "bmode", "mean", 5.0),),
    "null": (),
}
FIRST_SEED = 90_000  # far from the seeds of training


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


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--subjects", type=int, default=24)
    parser.add_argument("--scans-per-subject", type=int, default=2)
    parser.add_argument("--models", default="reference")
    a = parser.parse_args()
    results: list[dict[str, Any]] = json.loads(a.out.read_text())["cohorts"] if a.out.exists() else []
    known = {(r["driver"], r["seed"], r["subjects"], r["scans"]) for r in results}
    pipeline = Pipeline(a.models)
    start = time.monotonic()
    for seed in range(FIRST_SEED, FIRST_SEED + a.seeds):
        for driver in PLANTED:
            if (driver, seed, a.subjects, a.subjects * a.scans_per_subject) in known:
                continue
            results.append(one_cohort(pipeline, driver, seed, a.subjects, a.scans_per_subject))
            document = {"layer_fast": __version__, "tally": tally(results), "cohorts": results}
            a.out.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
            spent = time.monotonic() - start
            print(f"{spent:7.0f} s  {driver} {seed} claimed {results[-1]['claimed']}", file=sys.stderr)
    print(json.dumps(tally(results), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
