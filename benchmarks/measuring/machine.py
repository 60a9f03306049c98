"""Facts of the machine and its memory bandwidth, for the page."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from rivals import NAMES, load, memory

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("numpy", "onnx", "onnxruntime", "openvino", "torch", "captum", "monai")
BYTES = 256 << 20


def basics() -> dict[str, Any]:
    """Processor, cores, versions and the commit that was measured."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    found = {name: _version(name) for name in PACKAGES}
    return {
        "cpu": models[0] if models else platform.processor() or "unknown",
        "logical_cores": len(models) or None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: v for name, v in found.items() if v},
        "commit": _git("rev-parse", "--short", "HEAD") or "unknown",
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no", "--", "python", "cpp")),
    }


def facts() -> dict[str, Any]:
    """CPU, caches, memory, kernel, allocator settings, versions, ISA of the native module, commit, load."""
    import layer_fast as lf

    native = lf.available()["native"]
    return basics() | {
        "caches": _caches(),
        "memory_gb": round(_total_memory() / 1e9, 1),
        "kernel": platform.release(),
        "libc": " ".join(platform.libc_ver()),
        "huge_pages": _first_line("/sys/kernel/mm/transparent_hugepage/enabled"),
        "usable_cores": len(os.sched_getaffinity(0)),
        "isa": native["isa"],
        "compiler": native["compiler"],
        "load": round(os.getloadavg()[0], 2),
    }


def rivals(names: Iterable[str] = NAMES) -> dict[str, dict[str, Any]]:
    """Version of each rival library, or why it is missing."""
    found = {name: load(name) for name in names if name != "memory"}
    return {
        name: {"missing": rival.missing} if rival.missing else {"version": rival.version, "threaded": rival.threaded}
        for name, rival in found.items()
    }


def bandwidth(threads: int, quick: bool = False) -> dict[str, float]:
    """GB/s of plain reading and copying (read + written) by NumPy in so many threads; the best of a few."""
    size = (BYTES >> 5 if quick else BYTES) // 4
    source, target = np.ones(size, np.int32), np.ones(size, np.int32)
    memory.set_threads(threads)
    return {
        "read": _best(lambda: memory.read(source), source.nbytes),
        "copy": _best(lambda: memory.copy(source, target), 2 * source.nbytes),
    }


def _best(call: Callable[[], Any], count: int) -> float:
    seconds = []
    for _ in range(9):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return round(count / min(seconds) / 1e9, 2)


def _caches() -> list[str]:
    found = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_first_line(index / name) for name in ("level", "type", "size"))
        found.append(f"L{level} {kind} {size}")
    return found


def _total_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _first_line(path: str | Path) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return "unknown"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.write_text(json.dumps({"machine": facts(), "rivals": rivals()}))


if __name__ == "__main__":
    main()
