"""Bandwidth of the CUDA twins beside the card's own copy: python benchmarks/bench_gpu_ops.py

Needs a CUDA GPU and CuPy; PyTorch and MONAI are compared with where they are installed. Before anything is timed our
answer is compared with the CPU twin's and every peer's with ours; what differs has no time. Writes
benchmarks/results/gpu_ops.json after every case and goes on from there when called again on the same commit and card
(--fresh starts again); --seconds limits the whole. Ends with 1 where a case of ours failed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layer_fast import ops
from measuring import machine
from on_gpu.agreement import apart
from on_gpu.case import Case, Kit, Peer, to_host
from on_gpu.cases import GROUPS
from pages.gpu_ops import table

RESULT = Path(__file__).resolve().parent / "results" / "gpu_ops.json"
ROUNDS, LEAST_ROUNDS, MOST_SECONDS = 30, 5, 2.0
COPIED = 1 << 28  # numbers of 4 bytes
Found = dict[str, Any]
Timer = Callable[[Callable[[], Any]], list[float]]


def optional(name: str) -> tuple[Any, str]:
    """The module, or None and why not."""
    try:
        return importlib.import_module(name), ""
    except Exception as error:  # a broken installation raises anything
        return None, f"{type(error).__name__}: {error}".splitlines()[0][:200]


def facts(cupy: Any, timer: Timer, absent: dict[str, str], torch: Any) -> Found:
    """The card, its driver and what was measured on it."""
    card = cupy.cuda.runtime.getDeviceProperties(0)
    return machine.basics() | {
        "gpu": card["name"].decode(),
        "capability": f"{card['major']}.{card['minor']}",
        "multiprocessors": card["multiProcessorCount"],
        "memory_gb": round(card["totalGlobalMem"] / 1e9, 1),
        "cuda_driver": cupy.cuda.runtime.driverGetVersion(),
        "cupy": cupy.__version__,
        "torch": None if torch is None else torch.__version__,
        "absent": absent,
        "copy_gb_per_s": copy_bandwidth(cupy, timer),
    }


def copy_bandwidth(cupy: Any, timer: Timer) -> float:
    """GB/s of a copy inside the card's memory, read and written bytes, the median of several of 1 GiB."""
    source, target = cupy.ones(COPIED, np.float32), cupy.empty(COPIED, np.float32)
    milliseconds = float(np.median(timer(lambda: cupy.copyto(target, source))))
    return round(2 * source.nbytes / milliseconds / 1e6, 1)


def events(cupy: Any) -> Timer:
    """Milliseconds of each call by the card's own clock, after three to warm up; fewer calls where they are long."""

    def timer(call: Callable[[], Any]) -> list[float]:
        for _ in range(3):
            call()
        cupy.cuda.runtime.deviceSynchronize()
        times: list[float] = []
        while len(times) < ROUNDS and (len(times) < LEAST_ROUNDS or sum(times) < 1000 * MOST_SECONDS):
            start, end = cupy.cuda.Event(), cupy.cuda.Event()
            start.record()
            call()
            end.record()
            end.synchronize()
            times.append(float(cupy.cuda.get_elapsed_time(start, end)))
        return times

    return timer


def spread(times: Sequence[float]) -> Found:
    low, median, high = (round(float(v), 4) for v in np.percentile(times, (10, 50, 90)))
    return {"median": median, "p10": low, "p90": high, "rounds": len(times)}


def measured(case: Case, copy: float, timer: Timer) -> Found:
    """Answers, then times of ours and of the peers that agree. Raises ValueError where ours is not the CPU twin's."""
    ours = to_host(case.ours())
    difference = apart(case.view(ours), case.wanted(), case.measure)
    if not difference <= case.tolerance:
        raise ValueError(f"differs from the CPU twin by {difference:.2g}, allowed {case.tolerance:g}")
    verdicts = {name: compared(peer, ours) for name, peer in case.peers.items()}
    del ours
    milliseconds = spread(timer(case.ours))
    bandwidth = case.moved / milliseconds["median"] / 1e6
    for name, verdict in verdicts.items():
        if "failed" not in verdict:
            verdict["ms"] = spread(timer(case.peers[name].call))
    return {
        "how": case.how,
        "difference": difference,
        "ms": milliseconds,
        "moved_mb": round(case.moved / 1e6, 2),
        "gb_per_s": round(bandwidth, 1),
        "of_copy": round(bandwidth / copy, 3),
        "peers": verdicts,
    }


def compared(peer: Peer, ours: Any) -> Found:
    """How far a peer is from ours, by its convention; "failed" says why it is not timed."""
    verdict: Found = {"convention": peer.convention}
    try:
        verdict["difference"] = difference = apart(to_host(peer.call()), peer.like(ours), peer.measure, peer.crop)
    except Exception as error:
        return verdict | {"failed": f"{type(error).__name__}: {error}"[:200]}
    if difference <= peer.limit:
        return verdict
    if not np.isfinite(difference):  # JSON knows no infinity
        verdict["difference"] = None
        return verdict | {"failed": "differs in shape, or in where NaN and Inf stand"}
    return verdict | {"failed": f"differs by {difference:.2g}, allowed {peer.limit:g}"}


def earlier(path: Path, here: Found) -> Found:
    """The cases of the file that were measured on this card and commit and did not fail."""
    held = json.loads(path.read_text()) if path.exists() else {}
    if not held or any(held["machine"].get(key) != here[key] for key in ("gpu", "commit")):
        return {}
    return {name: entry for name, entry in held["cases"].items() if "failed" not in entry}


def write(path: Path, results: Found) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n")
    part.replace(path)


def run(kit: Kit, results: Found, timer: Timer, path: Path, seconds: float) -> bool:
    """Measure what is not there yet; False where the time ended first. One case that fails does not hide the others."""
    end = time.monotonic() + seconds
    for group in GROUPS:
        broken = f"{group.__name__}: no more cases of this kind could be made"
        results["cases"].pop(broken, None)
        try:
            for case in group(kit):
                if case.name in results["cases"]:
                    continue
                if time.monotonic() > end:
                    print("out of time: call again to go on")
                    return False
                results["cases"][case.name] = entry(case, results["machine"]["copy_gb_per_s"], timer)
                write(path, results)
        except Exception as error:
            results["cases"][broken] = {"failed": f"{type(error).__name__}: {error}"[:300]}
            write(path, results)
    return True


def entry(case: Case, copy: float, timer: Timer) -> Found:
    """What was measured, or the words of what failed."""
    try:
        return measured(case, copy, timer)
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"[:300]}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true", help="measure again what is there already")
    parser.add_argument("--seconds", type=float, default=240, help="no case is begun after so many seconds")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args(arguments)
    info = ops.build_info()
    if info["cuda_emulated"] or not info["cuda_devices"]:
        print(f"no CUDA device: {info['cuda_reason']}", file=sys.stderr)
        return 1
    import cupy
    from cupyx.scipy import ndimage

    timer, absent, found = events(cupy), {}, {}
    for name in ("torch", "monai.transforms"):
        module, why = optional(name)
        found[name], absent = module, absent | ({name.partition(".")[0]: why} if why else {})
    torch = found["torch"]
    if torch is not None and not torch.cuda.is_available():
        torch, absent["torch"] = None, "installed without CUDA"
    monai = None if found["monai.transforms"] is None else importlib.import_module("monai")
    here = facts(cupy, timer, absent, torch)
    results = {"machine": here, "cases": {} if options.fresh else earlier(options.out, here)}
    run(Kit(cupy, ndimage, torch, monai, "cuda"), results, timer, options.out, options.seconds)
    print(table(results))
    return 1 if any("failed" in entry for entry in results["cases"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
