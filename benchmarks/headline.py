"""The headline workload end to end, against the script users write today; writes results/headline_cpu.json.

    python benchmarks/headline.py                        3 scans, 2 and 1 threads, both heaps; some ten minutes
    python benchmarks/headline.py --quick --out x.json   tiny networks and scans: does it all run and agree?

B-mode uint8 .nii.gz -> 128³ -> z-score of nonzero -> U-Net -> ResNet-10 -> Grad-CAM -> labels and map on the scan's
grid -> count, mean, min, max, std per label. Both sides use half-pixel grids and interpolate logits before the argmax.
The per-label numbers are compared on every scan; a side that differs gets no time. Sides take turns, scan by scan.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("KMP_BLOCKTIME", "0")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np

import headline_nets
import headline_sides
from headline_nets import FULL, QUICK, Workload
from measuring import machine
from measuring.turns import peak_megabytes, resident_megabytes, spread
from pages.headline import faster
from run_ops import child, write

RESULTS = machine.ROOT / "benchmarks" / "results" / "headline_cpu.json"
CACHE = machine.ROOT / "build" / "benchmarks"
GROUPS = ("read", "prepare", "segment", "explain", "measure")
LABELS_AGREE = 0.999
# Relative to the largest of its kind: float32 networks, and labels that fall the other way at ties.
NUMBERS_AGREE = {"float32": 1e-3, "bfloat16": 5e-2}
Side = Any


def sides(work: Workload, folder: Path, threads: int) -> tuple[dict[str, Callable[[], Side]], dict[str, str]]:
    """How to open each side, and its precision, by name; the first is what the others are compared with."""
    from layer_fast.engines import available_engines

    makers: dict[str, Callable[[], Side]] = {"monai": lambda: headline_sides.Monai(work, folder, threads)}
    precision = {"monai": "float32"}
    for engine in ("onnxruntime", "openvino"):
        if not available_engines()[engine].startswith("missing"):
            makers[engine] = lambda engine=engine: headline_sides.LayerFast(work, folder, threads, engine)
            precision[engine] = "float32"
    if "openvino" in makers:
        makers["openvino_bf16"] = lambda: headline_sides.LayerFast(work, folder, threads, "openvino", "bfloat16")
        precision["openvino_bf16"] = "bfloat16"
    return makers, precision


def measure(work: Workload, folder: Path, threads: int, paths: Sequence[Path]) -> dict[str, Any]:
    """Medians by side and stage, agreement, and why a side is missing."""
    makers, precision = sides(work, folder, threads)
    opened, missing = {}, {}
    for name, make in makers.items():
        try:
            opened[name] = make()
            opened[name].scan(paths[0])  # nobody starts cold
        except Exception as error:
            missing[name] = f"{type(error).__name__}: {error}".splitlines()[0][:300]
    if "monai" not in opened:
        raise SystemExit(f"the script to compare with does not run: {missing['monai']}")
    stages: dict[str, list[Any]] = {name: [] for name in opened}
    apart: dict[str, list[Any]] = {name: [] for name in opened if name != "monai"}
    for i, path in enumerate(paths):
        tables = {}
        for k in range(len(opened)):
            name = list(opened)[(i + k) % len(opened)]
            seconds, tables[name] = opened[name].scan(path)
            stages[name].append(seconds)
            tables[name]["labels"] = tables[name]["labels"].copy()
        for name in apart:
            apart[name].append(headline_sides.agreement(tables[name], tables["monai"]))
    verdicts = {name: _verdict(found, NUMBERS_AGREE[precision[name]]) for name, found in apart.items()}
    agreeing = [name for name in opened if name not in verdicts or verdicts[name]["agrees"]]
    rows = {name: {"name": opened[name].name} | _row(stages[name], stages["monai"]) for name in agreeing}
    notes = {stage: round(1e3 * s, 1) for stage, s in opened["monai"].otherwise(paths[0]).items()}
    return {"sides": rows, "agreement": verdicts, "missing": missing, "monai_otherwise_ms": notes}


def _verdict(found: Sequence[dict[str, float]], limit: float) -> dict[str, Any]:
    """The worst scan of each number, and the worst number; bfloat16 may move more labels, and says how many."""
    worst = {key: float(np.max([one[key] for one in found])) for key in found[0]}  # NaN stays and never agrees
    worst["labels_agree"] = min(one["labels_agree"] for one in found)
    numbers = np.max([value for key, value in worst.items() if key != "labels_agree"])
    enough = LABELS_AGREE if limit < 1e-2 else 0.98
    agrees = bool(worst["labels_agree"] > enough and numbers <= limit)
    shown = {key: value if np.isfinite(value) else 1e300 for key, value in worst.items()}  # JSON knows no infinity
    return {"agrees": agrees, "tolerance": limit} | {key: float(f"{value:.6g}") for key, value in shown.items()}


def _row(found: Sequence[dict[str, float]], theirs: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Milliseconds: each stage, each group, the total; and the ratios of the script's total to it, scan by scan."""
    ms = {stage: spread([1e3 * one[stage] for one in found]) for stage in found[0]}
    groups = {group: spread([1e3 * _of(group, one) for one in found]) for group in GROUPS}
    total, other = (np.array([sum(one.values()) for one in side]) for side in (found, theirs))
    return {"stages": ms, "groups": groups, "total": spread(1e3 * total), "times_faster": spread(other / total)}


def _of(group: str, stages: dict[str, float]) -> float:
    return sum(seconds for stage, seconds in stages.items() if stage.startswith(f"{group}:"))


def peak(options: argparse.Namespace) -> dict[str, float | None]:
    """MB resident with one side open, and at the peak of one scan, in a process that holds nothing else."""
    work = QUICK if options.quick else FULL
    makers, _ = sides(work, options.cache, options.thread_counts[0])
    path = headline_nets.scans(work, options.cache, 1)[0]
    side = makers[options.side]()
    before = resident_megabytes()
    _, extra, _ = peak_megabytes(lambda: side.scan(path))
    return {"open": round(before), "scan": None if extra is None else round(extra)}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    warnings.filterwarnings("ignore")
    if options.side:
        options.out.write_text(json.dumps(peak(options)))
        return
    work = QUICK if options.quick else FULL
    headline_nets.graphs(work, options.cache)
    paths = headline_nets.scans(work, options.cache, options.scans)
    if options.times_only:
        options.out.write_text(json.dumps(measure(work, options.cache, options.thread_counts[0], paths)))
        return
    found: dict[str, Any] = {"format": 1, "quick": options.quick, "scans": options.scans, "machine": machine.facts()}
    found["workload"] = {"scan": work.scan, "model": work.model, "gigaflops": headline_nets.gigaflops(work)}
    found["threads"] = {}
    for threads in options.thread_counts:
        found["threads"][str(threads)] = measure(work, options.cache, threads, paths)
        print(report(found["threads"][str(threads)], threads), flush=True)
    if not options.quick:  # once more with a heap that keeps what is freed
        found["warm"] = {str(threads): _again(options, threads) for threads in options.thread_counts}
    if not options.no_memory:
        found["memory_mb"] = _memory(found, options)
    found["machine"]["load_after"] = round(os.getloadavg()[0], 2)
    write(options.out, found)
    agreements = [pair for part in found["threads"].values() for pair in part["agreement"].items()]
    if not all(verdict["agrees"] for name, verdict in agreements if "bf16" not in name):
        sys.exit("a float32 side differs from the script; see `agreement`")


def _again(options: argparse.Namespace, threads: int) -> Any:
    arguments = [
        "--times-only",
        "--cache",
        str(options.cache),
        "--threads",
        str(threads),
        "--scans",
        str(options.scans),
    ]
    return child("headline", arguments, "warm")


def _memory(found: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    threads = str(options.thread_counts[0])
    names = list(found["threads"][threads]["sides"])
    arguments = ["--cache", str(options.cache), "--threads", threads, *["--quick"] * options.quick]
    return {name: child("headline", ["--side", name, *arguments]) for name in names}


def report(found: dict[str, Any], threads: int) -> str:
    lines = [f"\n{threads} thread(s)"]
    for name, row in found["sides"].items():
        stages = ", ".join(f"{group} {ms['median']:.4g}" for group, ms in row["groups"].items())
        lines.append(f"  {name:14} {row['total']['median']:8.4g} ms  {faster(found, name):.3g}x  ({stages})")
    lines += [f"  {name:14} {verdict}" for name, verdict in found["agreement"].items()]
    lines += [f"  {name:14} missing: {why}" for name, why in found["missing"].items()]
    return "\n".join(lines)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny networks and scans")
    parser.add_argument("--scans", type=int, default=3)
    parser.add_argument("--threads", default="2,1")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--cache", type=Path, default=CACHE, help="folder of the exported networks and the scans")
    parser.add_argument("--no-memory", action="store_true", help="leave out the processes that measure memory")
    parser.add_argument("--side", default="", help=argparse.SUPPRESS)
    parser.add_argument("--times-only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.thread_counts = [int(n) for n in options.threads.split(",")]
    if options.quick and options.out == RESULTS:
        parser.error("--quick needs --out: the page's numbers are not made with small sizes")
    return options


if __name__ == "__main__":
    main()
