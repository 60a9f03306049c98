"""Bandwidth of the CUDA twins beside the card's own copy: python benchmarks/bench_gpu_ops.py

Needs a CUDA GPU, CuPy and PyTorch. Writes benchmarks/results/gpu_ops.json after every case and goes on from there when
called again on the same commit and card (--fresh starts again); --seconds limits the whole.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import machine
from gpu_cases import Case, cases
from layer_fast import ops

RESULT = Path(__file__).resolve().parent / "results" / "gpu_ops.json"
ROUNDS = 30


def facts(cupy: Any, torch: Any) -> dict[str, Any]:
    """The card, its driver and what was measured on it."""
    card = cupy.cuda.runtime.getDeviceProperties(0)
    return machine.basics() | {
        "gpu": card["name"].decode(),
        "capability": f"{card['major']}.{card['minor']}",
        "multiprocessors": card["multiProcessorCount"],
        "memory_gb": round(card["totalGlobalMem"] / 1e9, 1),
        "cuda_driver": cupy.cuda.runtime.driverGetVersion(),
        "cupy": cupy.__version__,
        "torch": torch.__version__,
        "copy_gb_per_s": copy_bandwidth(cupy),
    }


def copy_bandwidth(cupy: Any) -> float:
    """GB/s of a copy inside the card's memory, read and written bytes, the median of several of 1 GiB."""
    source, target = cupy.ones(1 << 28, np.float32), cupy.empty(1 << 28, np.float32)
    milliseconds = timed(cupy, lambda: cupy.copyto(target, source))
    return round(2 * source.nbytes / milliseconds / 1e6, 1)


def timed(cupy: Any, call: Callable[[], Any]) -> float:
    """Milliseconds of one call by the card's own clock: the median of ROUNDS after three to warm up."""
    for _ in range(3):
        call()
    cupy.cuda.runtime.deviceSynchronize()
    times = []
    for _ in range(ROUNDS):
        start, end = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        call()
        end.record()
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(start, end))
    return float(np.median(times))


def measured(cupy: Any, case: Case, copy: float) -> dict[str, Any]:
    """Times of ours and of the peers; the text of an error where a call fails."""
    milliseconds = timed(cupy, case.ours)
    bandwidth = case.moved / milliseconds / 1e6
    answer: dict[str, Any] = {
        "ms": round(milliseconds, 4),
        "moved_mb": round(case.moved / 1e6, 2),
        "gb_per_s": round(bandwidth, 1),
        "of_copy": round(bandwidth / copy, 3),
        "peers_ms": {},
    }
    for name, call in case.peers.items():
        try:
            answer["peers_ms"][name] = round(timed(cupy, call), 4)
        except Exception as error:
            answer["peers_ms"][name] = f"{type(error).__name__}: {error}"[:200]
    return answer


def table(results: dict[str, Any]) -> str:
    lines = [f"{'case':58s} {'ms':>9s} {'GB/s':>8s} {'of copy':>8s}  peers, ms"]
    for name, entry in results["cases"].items():
        if "error" in entry:
            lines.append(f"{name:58s} {entry['error']}")
            continue
        peers = ", ".join(f"{peer} {ms}" for peer, ms in entry["peers_ms"].items())
        lines.append(f"{name:58s} {entry['ms']:9.3f} {entry['gb_per_s']:8.1f} {entry['of_copy']:8.1%}  {peers}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="measure again what is there already")
    parser.add_argument("--seconds", type=float, default=240, help="no case is begun after so many seconds")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    info = ops.build_info()
    if info["cuda_emulated"] or not info["cuda_devices"]:
        raise SystemExit(f"no CUDA device: {info['cuda_reason']}")
    import cupy
    import torch

    begun = time.monotonic()
    results: dict[str, Any] = {"machine": facts(cupy, torch), "cases": {}}
    if options.out.exists() and not options.fresh:
        known = json.loads(options.out.read_text())
        same = all(known["machine"][key] == results["machine"][key] for key in ("gpu", "commit"))
        results["cases"] = known["cases"] if same else {}
    for case in cases(cupy, torch):
        if case.name in results["cases"]:
            continue
        if time.monotonic() - begun > options.seconds:
            print("out of time: call again to go on")
            break
        try:
            results["cases"][case.name] = measured(cupy, case, results["machine"]["copy_gb_per_s"])
        except Exception as error:  # one op that fails does not hide the others
            results["cases"][case.name] = {"error": f"{type(error).__name__}: {error}"[:300]}
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{results['machine']['gpu']}, copy {results['machine']['copy_gb_per_s']} GB/s\n{table(results)}")


if __name__ == "__main__":
    main()
