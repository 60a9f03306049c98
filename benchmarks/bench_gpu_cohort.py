"""The headline workload on a GPU: a cohort of thousands of scans through the library, and the script of today on 50.

    make gpu-cohort                                     6 minutes a call; the same command goes on where it ended
    python benchmarks/bench_gpu_cohort.py --device cpu --quick --work DIR --out FILE     does it all run and agree?

Scans (a few hundred distinct phantom files, which the cohort table repeats) and model packages are made once, without
MONAI. The cohort runs by `run_cohort` with device="cuda" and the engine that `auto` takes there; a second, short run
with one lane waits for each kernel and splits the time by stage. The script (MONAI + Captum, or where they are missing
the same work in PyTorch) gets the same files. Answers are compared before times are shown. Each step is a process of
its own and leaves a file in --work; --out is written after each. docs/guides/gpu.md tells what a machine must have.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
RESULT = RESULTS / "gpu_cohort.json"
WORK = ROOT / "build" / "gpu_cohort"
NEEDED = ("numpy", "scipy", "pyarrow", "onnx", "onnxruntime", "torch", "nibabel", "pydantic", "yaml", "deflate")
LEAST_S = 30.0  # a step that has less left is not begun: libraries have to load, engines to be built
GRACE_S = 60.0  # that a step may take longer than it was given before it is ended
ENDING_S = 15.0  # between the last scan of a part and the end of its process: tables are written


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if options.step:
        return _step(options)
    if why := refusal(options.device):
        print(why, file=sys.stderr)
        return 1
    from on_gpu.cohort_inputs import Folders
    from on_gpu.cohort_result import gathered, write
    from pages.gpu_cohort import summary

    end, folders = time.monotonic() + 60 * options.minutes, Folders(options.work)
    begin(options, folders)
    for step in left(folders):
        seconds = end - time.monotonic() - ENDING_S
        if seconds < LEAST_S:
            print(f"time is up before {step}: the same command goes on", flush=True)
            break
        print(f"{step} ...", flush=True)
        if (code := _child(step, seconds, options)) != 0:
            return code
        write(options.out, gathered(folders))
    found = gathered(folders)
    write(options.out, found)
    print(summary(found))
    return 0 if found["agreed"] is not False else 1


def refusal(device: str) -> str:
    """Why nothing can be measured here, in one sentence; "" where it can."""
    required = os.environ.get("LAYER_FAST_REQUIRE_CUDA") == "1"
    if device == "cuda":
        from layer_fast.engines import cuda

        if (missing := cuda.driver().missing) is not None:
            return f"no GPU to measure on: {missing}"
    elif required:
        return "LAYER_FAST_REQUIRE_CUDA=1 asks for a GPU, and --device cpu for none: leave one of them out"
    if absent := [name for name in NEEDED if not _there(name)]:
        return (f"Python {sys.version.split()[0]} lacks {', '.join(absent)}: pack them with benchmarks/gpu_site.sh "
                f"where a package registry is reached, and set LAYER_FAST_GPU_SITE=build/gpu_site here")  # fmt: skip
    try:
        from layer_fast.steps.place import why_not_on_gpu

        why = why_not_on_gpu(device) if device == "cuda" else ""
    except ImportError as error:
        return f"the native module is not built for this Python ({error}): make gpu-build"
    return f"LAYER_FAST_REQUIRE_CUDA=1, but arrays would stay with the host: {why}" if why and required else ""


def _there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def begin(options: argparse.Namespace, folders: Any) -> None:
    """Go on with the measurement in the folder, or begin anew where it is another one's or --fresh is asked for."""
    from layer_fast.engines import inventory
    from measuring.machine import basics
    from on_gpu.cohort_inputs import Settings

    gpus = tuple(gpu["name"] for gpu in inventory.gpus()["gpus"]) if options.device == "cuda" else ()
    commit = options.commit or basics()["commit"]
    settings = Settings(
        options.device, options.quick, options.files, options.rows, options.scans, options.scan_batch, options.lanes,
        options.script, commit, gpus,
    )  # fmt: skip
    if folders.settings.exists():
        if not options.fresh and Settings.read(folders.settings) == settings:
            return
        print("another measurement was here (commit, card or options differ, or --fresh): begun anew", flush=True)
        shutil.rmtree(folders.run)
    elif folders.run.exists():
        raise SystemExit(f"{folders.run}: expected the folder of a measurement, found no settings.json; name another "
                         f"--work")  # fmt: skip
    settings.write(folders.settings)


def left(folders: Any) -> Iterator[str]:
    """The steps that are not done, the same one again until it is."""
    from on_gpu.cohort_inputs import Settings
    from on_gpu.cohort_result import parts, script_scans
    from on_gpu.cohort_script import variants

    settings = Settings.read(folders.settings)
    while not folders.table.exists():
        yield "inputs"
    while not any(part["complete"] for part in parts(folders)):
        yield "cohort"
    while not (folders.run / "stages.json").exists():
        yield "stages"
    for variant in variants(settings.device):
        while script_scans(folders, variant) < settings.scans:
            yield f"script:{variant}"


def _child(step: str, seconds: float, options: argparse.Namespace) -> int:
    """Run one step in a process of its own; its exit status, 1 where it hangs."""
    environment = dict(os.environ)
    if step == "stages" and options.device == "cuda":
        environment["CUDA_LAUNCH_BLOCKING"] = "1"
    command = [sys.executable, str(Path(__file__).resolve()), "--step", step, "--seconds", f"{seconds:.0f}"]
    command += ["--work", str(options.work), "--device", options.device, *["--quick"] * options.quick]
    try:
        return subprocess.run(command, env=environment, timeout=seconds + GRACE_S, check=False).returncode
    except subprocess.TimeoutExpired:
        print(f"{step}: no end {seconds + GRACE_S:.0f} s after its begin; ended", file=sys.stderr)
        return 1


def _step(options: argparse.Namespace) -> int:
    """One step, in its own process. What it found is in the folder when it returns 0."""
    from on_gpu import cohort_inputs
    from on_gpu.cohort_result import add_part, write

    folders = cohort_inputs.Folders(options.work)
    settings = cohort_inputs.Settings.read(folders.settings)
    kind, _, variant = options.step.partition(":")
    found: dict[str, Any] = {}
    if kind == "inputs":
        cohort_inputs.make(settings, folders, options.seconds)
    elif kind == "script":
        from on_gpu import cohort_script

        found = cohort_script.run(settings, folders, variant, options.seconds)
    else:
        from on_gpu import cohort_ours

        if kind == "cohort":
            found = cohort_ours.part(settings, folders, options.seconds)
        else:
            found = cohort_ours.staged(settings, folders)
        if "refused" not in found and not (kind == "stages" and found["bad"]):
            if kind == "stages":
                write(folders.run / "stages.json", found)
            elif found["scans"] or found["complete"]:
                add_part(folders, found)
    if problem := found.get("refused") or "; ".join(found.get("bad", [])):
        print(f"{options.step}: {problem}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="4 tiny files, 12 rows, tiny networks")
    parser.add_argument("--files", type=int, default=None, help="distinct scans; 200 if nothing is said")
    parser.add_argument("--rows", type=int, default=None, help="scans of the cohort; 4000 if nothing is said")
    parser.add_argument("--scans", type=int, default=None, help="of the script; 50 if nothing is said")
    parser.add_argument("--scan-batch", type=int, default=None, help="scans in one engine batch, not the default")
    parser.add_argument("--lanes", type=int, default=None, help="batches at work at once, not the default")
    parser.add_argument("--script", choices=("auto", "monai", "plain"), default="auto", help="what to compare with")
    parser.add_argument("--minutes", type=float, default=6.0, help="of this call")
    parser.add_argument("--fresh", action="store_true", help="measure again what is there already")
    parser.add_argument("--commit", default="", help="what is measured, where git does not say it")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of scans, packages, records")
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--step", default="", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    sizes = {"files": (200, 4), "rows": (4000, 12), "scans": (50, 4), "scan_batch": (0, 2), "lanes": (0, 1)}
    for name, (full, quick) in sizes.items():
        if getattr(options, name) is None:
            setattr(options, name, quick if options.quick else full)
    options.work, options.out = options.work.resolve(), options.out.resolve()
    if options.device == "cpu" and not options.quick:
        parser.error("--device cpu is for --quick: it tests the command, the numbers are a GPU's")
    if options.quick and not options.step and options.out.parent == RESULTS:
        parser.error("--quick needs --out elsewhere: the page's numbers are not made with small sizes")
    if options.scans > options.rows:
        parser.error(f"--scans: expected at most the {options.rows} rows of the cohort, got {options.scans}")
    return options


if __name__ == "__main__":
    sys.exit(main())
