"""compute-sanitizer over all CUDA twins on odd shapes: memcheck, racecheck, initcheck, synccheck.

First each tool must find the fault planted for it (cpp/tests/cuda_faults.cu), else its silence would mean nothing.
Needs a GPU, nvcc, compute-sanitizer and CuPy. Writes benchmarks/results/gpu_sanitize.json after every step and goes on
from there when called again on the same commit (--fresh starts again): the planted fault, then each part of the shapes,
is a step of its own, and none is begun after --minutes. Ends with 1 where a tool reports an error or misses its fault,
or where something is left to do.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "benchmarks" / "results" / "gpu_sanitize.json"
TOOLS: dict[str, list[str]] = {
    "memcheck": ["--leak-check", "no"],
    "racecheck": [],
    "initcheck": [],
    "synccheck": [],
}
PARTS = 6  # a step is a share of the cases: the slowest tool takes a hundred times the time of a plain run


def sanitizer() -> str:
    """The path of compute-sanitizer: on the PATH, or beside nvcc."""
    nvcc = shutil.which("nvcc")
    beside = [str(Path(nvcc).resolve().parent)] if nvcc else []
    found = shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ.get("PATH", ""), *beside]))
    if found is None:
        raise SystemExit("compute-sanitizer is not on the PATH, nor beside nvcc")
    return found


def run(command: list[str], seconds: int) -> tuple[int, str]:
    paths = [str(ROOT / "python"), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=seconds, cwd=ROOT)
    except subprocess.TimeoutExpired:
        return 124, f"took longer than {seconds} s; give it more by --seconds"
    return done.returncode, (done.stdout + done.stderr)[-4000:]


def plant() -> Path:
    """The program with the faults, compiled for this machine's GPU."""
    program = ROOT / "build" / "cuda_faults"
    program.parent.mkdir(exist_ok=True)
    source = ROOT / "cpp" / "tests" / "cuda_faults.cu"
    code, text = run(["nvcc", "-arch=native", "-lineinfo", "-o", str(program), str(source)], 120)
    if code != 0:
        raise SystemExit(f"nvcc could not compile {source}:\n{text}")
    return program


def fault_found(tool: str) -> dict[str, Any]:
    """Whether a tool finds the fault that was planted for it."""
    code, text = run([*command(tool), str(plant()), tool], 60)
    return {"planted_fault_found": code == 9, "parts": {}, "clean": False, "output": "" if code == 9 else text}


def checked(tool: str, part: int, seconds: int) -> str:
    """What one tool says of one share of the cases; "" where it is clean."""
    code, text = run([*command(tool), sys.executable, str(ROOT / "tests" / "gpu" / "odd_shapes.py"), f"{part}/{PARTS}"],
                     seconds)  # fmt: skip
    return "" if code == 0 else text or f"ended with {code}"


def command(tool: str) -> list[str]:
    """CuPy's and the driver's own kernels are not ours to check; ours and the planted ones have this in their names."""
    ours = ["--kernel-name", "kernel_substring=layer_fast"]
    return [sanitizer(), "--tool", tool, *TOOLS[tool], *ours, "--error-exitcode", "9"]


def revision() -> str:
    """The commit that is checked; "unknown" outside of a checkout."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def earlier(commit: str) -> dict[str, Any]:
    """What earlier calls found, by tool; nothing of it holds for another commit."""
    held = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    return dict(held["tools"]) if held.get("commit") == commit else {}


def left(known: dict[str, Any]) -> Iterator[tuple[str, int | None]]:
    """What is to do, in order: (tool, None) for its planted fault, then (tool, part); nothing clean is done again."""
    for tool in TOOLS:
        if not known.get(tool, {}).get("planted_fault_found"):
            yield tool, None
        if not known[tool]["planted_fault_found"]:
            continue  # its silence would mean nothing
        for part in range(PARTS):
            if known[tool]["parts"].get(str(part)) != "":
                yield tool, part


def step(known: dict[str, Any], tool: str, part: int | None, seconds: int) -> None:
    if part is None:
        known[tool] = fault_found(tool)
        return
    entry = known[tool]
    entry["parts"][str(part)] = checked(tool, part, seconds)
    entry["output"] = "\n".join(text for text in entry["parts"].values() if text)
    entry["clean"] = [entry["parts"].get(str(i)) for i in range(PARTS)] == [""] * PARTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls found")
    parser.add_argument("--seconds", type=int, default=110, help="time limit of one step")
    parser.add_argument("--minutes", type=float, default=5.0, help="no step is begun after so many")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    known = {} if options.fresh else earlier(revision())
    for tool, part in left(known):
        if time.monotonic() > end:
            print("time is up: the same command goes on")
            break
        step(known, tool, part, options.seconds)
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps({"commit": revision(), "tools": known}, indent=1) + "\n")
    print(table(known))
    sys.exit(0 if all(known.get(tool, {}).get("clean") for tool in TOOLS) else 1)


def table(known: dict[str, Any]) -> str:
    """One line a tool, and the words of what is not clean."""
    lines = []
    for tool in TOOLS:
        found = known.get(tool)
        if found is None:
            lines.append(f"{tool:10s} not run yet")
            continue
        done = sum(text == "" for text in found["parts"].values())
        fault = "found" if found["planted_fault_found"] else "MISSED"
        lines.append(f"{tool:10s} planted fault {fault}; twins clean in {done} of {PARTS} parts")
        lines += [found["output"]] if found["output"] else []
    return "\n".join(lines)


if __name__ == "__main__":
    main()
