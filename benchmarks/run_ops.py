"""All cases of the ops against all rivals that are there; writes benchmarks/results/ops_cpu.json.

    python benchmarks/run_ops.py                       everything: full sizes, 1 and 2 threads, both heaps
    python benchmarks/run_ops.py --quick --out x.json  small sizes: does it all run and agree?
    python benchmarks/run_ops.py --cases reduce,cam_b --resume    measure these anew, keep the file's other cases
    python benchmarks/run_ops.py --resume              go on where a run was stopped

Every case runs in a child process of its own, twice: with the default heap, and with one that keeps what is freed
(`warm`), which spares peers that allocate their results the cost of fresh pages. The file is written after each case.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cases import all_cases
from measuring import machine

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "ops_cpu.json"
FORMAT = 1
# Idle threads sleep: a spinning neighbour would take the core of whoever has his turn.
PASSIVE = {"OMP_WAIT_POLICY": "passive", "KMP_BLOCKTIME": "0", "OPENBLAS_NUM_THREADS": "1"}
HEAPS = {"default": {}, "warm": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "17179869184"}}
SET_HERE = ("MALLOC_", "LAYER_FAST_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
LIMIT = 1800  # seconds of one child


def run(arguments: Sequence[str], heap: str, timeout: float = LIMIT) -> str:
    """A module of this folder in a fresh process with the heap's environment; its error text, or nothing."""
    held = {key: value for key, value in os.environ.items() if not key.startswith(SET_HERE)}
    paths = os.pathsep.join(filter(None, (str(HERE), held.get("PYTHONPATH", ""))))
    environment = held | PASSIVE | HEAPS[heap] | {"PYTHONPATH": paths}
    try:
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        return f"took longer than {timeout:.0f} s"
    return "" if done.returncode == 0 else f"exit {done.returncode}: {done.stderr.strip()[-500:]}"


def child(module: str, arguments: Sequence[str], heap: str = "default") -> Any:
    """What a module of this folder wrote to its --out, or {"failed": why}."""
    with tempfile.TemporaryDirectory(prefix="layer_fast_bench_") as folder:
        out = Path(folder) / "row.json"
        failed = run(["-P", "-m", module, *arguments, "--out", str(out)], heap)
        return {"failed": failed} if failed else json.loads(out.read_text())


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One case with both heaps: the row of the first, with `heaps` {heap: {threads: {contestant: ...}}}."""
    arguments = [name, "--threads", options.threads, "--rounds", str(options.rounds), "--seconds", str(options.seconds)]
    arguments += ["--quick"] * options.quick
    before, start = os.getloadavg()[0], time.time()
    row = child("measuring.one_case", arguments)
    heaps = {"default": row.pop("threads", {})}
    if "failed" not in row and not options.one_heap:
        warm = child("measuring.one_case", [*arguments, "--no-oracle"], "warm")
        heaps["warm"] = warm.get("threads", {})
        if "failed" in warm:
            row["failed_warm"] = warm["failed"]
    facts = machine.basics()
    load = [round(before, 2), round(os.getloadavg()[0], 2)]
    row |= {"heaps": heaps, "load": load, "seconds": round(time.time() - start)}
    return row | {key: facts[key] for key in ("commit", "uncommitted_changes")}


def report(name: str, row: dict[str, Any]) -> None:
    """A few lines on the terminal: what differs by how much, and the ratios."""
    print(f"\n{name}: {row.get('title', '')} ({row.get('seconds', 0)} s)  {row.get('failed', '')}")
    for label, found in row.get("verification", {}).items():
        state = "agrees" if found["agrees"] else "DISAGREES, not timed"
        why = found.get("failed") or f"{found['difference']:.2g}"
        print(f"  {label:42} {why:>8}  {state}  [{found['convention']}]")
    for heap, by_threads in row.get("heaps", {}).items():
        for threads, found in by_threads.items():
            ours = found["layer_fast"]["ms"]["median"]
            ratios = ", ".join(f"{k} {v['ratio']:.3g}x" for k, v in found.items() if "ratio" in v)
            print(f"  {heap} heap, {threads} thread(s): layer_fast {ours:.3g} ms; {ratios}")
    sys.stdout.flush()


def write(path: Path, found: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    part.replace(path)


def start(options: argparse.Namespace) -> dict[str, Any]:
    """The file to go on with, or a new one. Quick and full results are never mixed."""
    fresh = {"format": FORMAT, "quick": options.quick, "threads": options.threads, "cases": {}}
    if options.resume and options.out.exists():
        held = json.loads(options.out.read_text())
        if [held.get(key) for key in ("format", "quick", "threads")] != [FORMAT, options.quick, options.threads]:
            raise SystemExit(f"{options.out}: made with other sizes, threads or format; leave out --resume")
        fresh["cases"] = held["cases"]
    facts = child("measuring.machine", [])
    return fresh | {"machine": facts.get("machine", facts), "rivals": facts.get("rivals", {})}


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    asked = options.cases.split(",") if options.cases else list(all_cases())
    if unknown := sorted(set(asked) - set(all_cases())):
        raise SystemExit(f"unknown cases {', '.join(unknown)}; known: {', '.join(all_cases())}")
    found = start(options)
    for name, facts in found["rivals"].items():
        if "missing" in facts:
            print(f"rival {name} is missing: {facts['missing']}")
    for name in asked:
        if options.resume and not options.cases and "failed" not in found["cases"].get(name, {"failed": ""}):
            continue
        found["cases"][name] = measure(name, options)
        found["machine"]["load_after"] = round(os.getloadavg()[0], 2)
        write(options.out, found)
        report(name, found["cases"][name])
    if failed := [name for name in asked if "failed" in found["cases"][name]]:
        raise SystemExit(f"failed: {', '.join(failed)}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="", help="names with commas; all if left out")
    parser.add_argument("--quick", action="store_true", help="small sizes, 3 rounds, one heap")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=21, help="turns of each contestant")
    parser.add_argument("--seconds", type=float, default=1.5, help="a contestant that used this much has fewer turns")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--resume", action="store_true", help="keep the cases that the file holds")
    parser.add_argument("--one-heap", action="store_true", help="default heap only")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.seconds, options.one_heap = min(options.rounds, 3), 0.5, True
        if options.out == RESULTS:
            raise SystemExit("--quick needs --out: the page's numbers are not made with small sizes")
    return options


if __name__ == "__main__":
    main()
