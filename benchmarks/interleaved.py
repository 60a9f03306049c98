"""Fair timing in one process: contestants take turns, and ratios are taken round by round."""

from __future__ import annotations

import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("numpy", "onnx", "onnxruntime", "openvino", "torch", "captum", "monai")


def race(contestants: Mapping[str, Callable[[], Any]], rounds: int, warmup: int = 2) -> dict[str, list[float]]:
    """Milliseconds per call and contestant. Each round calls all, and each round another one begins."""
    names = list(contestants)
    for name in names * warmup:
        contestants[name]()
    times: dict[str, list[float]] = {name: [] for name in names}
    for i in range(rounds):
        for k in range(len(names)):
            name = names[(i + k) % len(names)]
            start = time.perf_counter()
            contestants[name]()
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def spread(values: Any) -> dict[str, float]:
    """Median and the 10th and 90th percentile."""
    low, middle, high = np.percentile(values, [10, 50, 90])
    return {"median": round(float(middle), 4), "p10": round(float(low), 4), "p90": round(float(high), 4)}


def ratio(times: Mapping[str, list[float]], above: str, below: str) -> dict[str, float]:
    """`above` over `below`, round by round."""
    return spread(np.array(times[above]) / np.array(times[below]))


def difference(got: Any, wanted: Any) -> float:
    """L2 norm of the difference over that of what is wanted."""
    return float(np.linalg.norm(np.subtract(got, wanted, dtype=np.float64)) / np.linalg.norm(wanted))


def machine() -> dict[str, Any]:
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
