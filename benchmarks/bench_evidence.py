"""Evidence at scale: requantify, and all files of a summary with the report, on the tables of a made-up cohort.

    python benchmarks/bench_evidence.py [--scans 4000] [--subjects 134] [--out FOLDER] [--json FILE]

Writes tables as a run would (3 setups, 6 map methods and both value methods, 11 regions, 128 coalitions) from seeded
draws, then measures wall time and peak resident memory of each step in a fresh process and of all in one. Where --json
says nothing the file is results/evidence_cpu.json, which the page shows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from measuring import machine

RESULTS = Path(__file__).resolve().parent / "results" / "evidence_cpu.json"
SETUPS = ("bmode", "swe", "both")
METHODS = ("gradcam", "hirescam", "gradient", "input_x_gradient", "integrated_gradients", "smoothgrad")
STEPS = ("requantify", "claims", "statistics", "compare", "all")  # all: requantify and what `layer-fast report` writes
N = np.array([900_000, 120_000, 260_000, 40_000, 700_000, 60_000, 1_600_000])


def write_results(out: Path, scans: int, subjects: int) -> None:
    """run.json, scans, layers and coalitions of a cohort with a planted shift in one layer."""
    from layer_fast.config import RESULT_VERSION
    from layer_fast.tables import write_tables
    from layer_fast.types import ScanRecord, ScanRef

    out.mkdir(parents=True, exist_ok=True)
    target = {"positive": "case", "negative": "control"}
    models = [
        {
            "name": f"toy_{s}",
            "role": "classifier",
            "setup": s,
            "member": "0",
            "target": target,
            "sha256": "0" * 64,
            "logit_sd_train": 1.0,
            "training_data": "none",
        }
        for s in SETUPS
    ]
    run = {"result_version": RESULT_VERSION, "config": {"target": "margin"}, "models": models, "complete": True}
    (out / "run.json").write_text(json.dumps(run))

    def pairs() -> Any:
        rng = np.random.default_rng(0)
        level = rng.normal(0, 0.3, (subjects, 7))
        for i in range(scans):
            s = i % subjects
            label = ("case", "control")[s % 2]
            ref = ScanRef(f"s{i:05d}", f"p{s:04d}", label=label)
            layers, coalitions = _rows(rng, level[s] + (label == "case") * np.eye(7)[4])
            yield ref, ScanRecord(ref.scan_id, "0" * 64, "ok", scan={}, layers=layers, coalitions=coalitions)

    write_tables(out, pairs(), ())


def _rows(rng: np.random.Generator, level: np.ndarray) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from layer_fast.quantify import map_region_rows, value_region_rows

    layers, coalitions = [], []
    n = N + rng.integers(-1000, 1000, 7)
    bits = np.arange(128)[:, None] >> np.arange(7) & 1
    for setup in SETUPS:
        same = {"model": f"toy_{setup}", "member": "0", "setup": setup, "mask": "manual"}
        logits = (bits @ rng.normal(level, 0.3) + rng.normal(0, 0.05, 128)).astype(np.float32).astype(float)
        common = {
            **same,
            "target": "margin:case-control",
            "channel": "",
            "residual": None,
            "margin": float(logits[-1]),
            "exposure": "unseen",
        }
        for method in METHODS:
            m = np.exp(rng.normal(level, 0.2))
            sums = {
                "sum": m * n,
                "sum_sq": 1.3 * m * m * n,
                "sum_abs": m * n,
                "sum_pos": m * n,
                "min": 0.1 * m,
                "max": 3 * m,
            }
            rows = map_region_rows(n, **sums, voxel_mm3=0.01)
            layers += [{**common, "method": method, "fill": "", **row} for row in rows]
        for method in ("layer_ablation", "layer_shapley"):
            rows = value_region_rows(method, logits, count=n, voxel_mm3=0.01)
            layers += [{**common, "method": method, "fill": "cohort_profile", **row} for row in rows]
        for name, sign in (("control", 0.0), ("case", 1.0)):
            values = (sign * logits).tolist()
            coalitions.append({**same, "fill": "cohort_profile", "output": f"logit:{name}", "values": values})
    return layers, coalitions


def step(name: str, out: Path) -> None:
    """One step in this process; prints seconds and peak memory in MiB as JSON."""
    import pyarrow.parquet as parquet

    from layer_fast import quantify
    from layer_fast.cli.compare import write_compare
    from layer_fast.cli.requantify import recompute
    from layer_fast.cli.run_facts import classifier_facts
    from layer_fast.cli.summary_files import write_summary
    from layer_fast.quantify.tables import read_layers

    start, took = time.perf_counter(), {"cpu_s": 0.0}

    def lap(what: str, since: float) -> float:
        now = time.perf_counter()
        took[what] = round(now - since, 2)
        return now

    at = start
    if name in ("requantify", "all"):
        assert recompute(out)["identical"]
        at = lap("requantify", at)
    if name == "all":
        write_summary(out)
        lap("summary and report", at)
    elif name != "requantify":
        cells = quantify.cells(read_layers(out / "layers.parquet"))
        at = lap("cells", at)
    if name in ("claims", "statistics"):
        scans = parquet.read_table(out / "scans.parquet")
        what = quantify.summary if name == "claims" else quantify.cohort_statistics
        what(cells, scans, **classifier_facts(out))
        lap(name, at)
    if name == "compare":
        write_compare(out, cells)
        lap("compare", at)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    took["cpu_s"] = round(time.process_time(), 2)
    print(json.dumps({"step": name, "wall_s": round(time.perf_counter() - start, 2), "peak_mib": round(peak), **took}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, default=4000)
    parser.add_argument("--subjects", type=int, default=134)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path, default=RESULTS)
    parser.add_argument("--step", choices=STEPS)
    given = parser.parse_args()
    if given.step:
        step(given.step, given.out)
        return
    with tempfile.TemporaryDirectory() as made:
        out = given.out or Path(made)
        if not (out / "layers.parquet").is_file():
            write_results(out, given.scans, given.subjects)
        found: dict[str, Any] = {"scans": given.scans, "subjects": given.subjects, "machine": machine.facts()}
        found["steps"] = []
        for name in STEPS:
            command = [sys.executable, __file__, "--step", name, "--out", str(out)]
            shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found["steps"].append(json.loads(shown))
            print(found["steps"][-1])
        found["machine"]["load_after"] = round(os.getloadavg()[0], 2)
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
