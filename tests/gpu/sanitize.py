"""compute-sanitizer over all CUDA twins on odd shapes: memcheck, racecheck, initcheck, synccheck.

First each tool must find the fault planted for it (cpp/tests/cuda_faults.cu), else its silence would mean nothing.
Needs a GPU, nvcc, compute-sanitizer and CuPy. Writes benchmarks/results/gpu_sanitize.json after every step and goes on
from there when called again on the same commit (--fresh starts again). Ends with 1 where a tool reports an error or
misses its fault.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
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


def sanitizer() -> str:
    """The path of compute-sanitizer: on the PATH, or beside nvcc."""
    nvcc = shutil.which("nvcc")
    beside = [str(Path(nvcc).resolve().parent)] if nvcc else []
    found = shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ.get("PATH", ""), *beside]))
    if found is None:
        raise SystemExit("compute-sanitizer is not on the PATH, nor beside nvcc")
    return found


def run(command: list[str], seconds: int) -> tuple[int, str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "python"), str(ROOT / "tests")])}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=seconds, cwd=ROOT)
    except subprocess.TimeoutExpired:
        return 124, f"took longer than {seconds} s"
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


def checked(tool: str, seconds: int) -> dict[str, Any]:
    """What one tool says of its fault and of the twins."""
    # CuPy's and the driver's own kernels are not ours to check; ours and the planted ones have this in their names.
    ours = ["--kernel-name", "kernel_substring=layer_fast"]
    command = [sanitizer(), "--tool", tool, *TOOLS[tool], *ours, "--error-exitcode", "9"]
    code, text = run([*command, str(plant()), tool], 60)
    answer: dict[str, Any] = {"planted_fault_found": code == 9}
    if code != 9:
        return answer | {"clean": False, "output": text}
    code, text = run([*command, sys.executable, str(ROOT / "tests" / "gpu" / "odd_shapes.py")], seconds)
    return answer | {"clean": code == 0, "output": "" if code == 0 else text}


def revision() -> str:
    """The commit that is checked; "unknown" outside of a checkout."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def earlier(commit: str) -> dict[str, Any]:
    """What earlier calls found, by tool; nothing of it holds for another commit."""
    held = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    return dict(held["tools"]) if held.get("commit") == commit else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="forget what earlier calls found")
    parser.add_argument("--seconds", type=int, default=110, help="time limit of one tool")
    options = parser.parse_args()
    known = {} if options.fresh else earlier(revision())
    for tool in TOOLS:
        if not known.get(tool, {}).get("clean"):
            known[tool] = checked(tool, options.seconds)
            RESULT.write_text(json.dumps({"commit": revision(), "tools": known}, indent=1) + "\n")
        found = known[tool]
        print(f"{tool:10s} planted fault {'found' if found['planted_fault_found'] else 'MISSED'}; "
              f"twins {'clean' if found['clean'] else 'NOT CLEAN'}", flush=True)  # fmt: skip
        if found.get("output"):
            print(found["output"])
    sys.exit(0 if all(entry["clean"] for entry in known.values()) else 1)


if __name__ == "__main__":
    main()
