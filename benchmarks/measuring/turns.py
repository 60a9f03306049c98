"""Contestants in one process take turns until each has enough rounds or has used its time."""

from __future__ import annotations

import ctypes
import gc
import math
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Calls = Mapping[str, Callable[[], Any]]
Times = dict[str, list[float]]


def take_turns(calls: Calls, rounds: int, seconds: float = math.inf, known: Mapping[str, float] | None = None) -> Times:
    """Milliseconds of each call: A B C, B C A, ...

    known: seconds of the call that verified the contestant. A contestant stops when it has used `seconds`, but has at
    least 3 rounds, except where that first call took longer than `seconds`: then a second one is its only sample, so
    that nobody is timed cold.
    """
    names, slow = list(calls), {name for name, first in (known or {}).items() if first > seconds}
    times: Times = {name: [] for name in names}
    for name in names:
        if name not in slow:
            calls[name]()  # once more, so that nobody starts cold
    for i in range(rounds):
        for k in range(len(names)):
            name = names[(i + k) % len(names)]
            used = sum(times[name]) > 1e3 * seconds and len(times[name]) >= 3
            if used or (name in slow and times[name]):
                continue
            start = time.perf_counter()
            calls[name]()
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def spread(values: Any) -> dict[str, float]:
    """Median and the 10th and 90th percentile."""
    low, middle, high = np.percentile(values, [10, 50, 90])
    return {"median": round(float(middle), 4), "p10": round(float(low), 4), "p90": round(float(high), 4)}


def paired(times: Mapping[str, list[float]], above: str, below: str) -> dict[str, float]:
    """`above` over `below`, round by round; the page takes the range, and the ratio from the medians."""
    return spread(np.array(times[above]) / np.array(times[below]))


def summary(times: Times, ours: str) -> dict[str, dict[str, Any]]:
    """Median and 10-90 % of each in ms; `ratio` of its median to ours, and the median of the ratios round by round."""
    rows = {}
    for name, values in times.items():
        row: dict[str, Any] = {"ms": spread(values), "rounds": len(values)}
        if name != ours:
            row["ratio"] = _short(np.median(values) / np.median(times[ours]))
            shared = min(len(values), len(times[ours]))
            found = paired({name: values[:shared], ours: times[ours][:shared]}, name, ours)
            row["paired"] = {key: _short(value) for key, value in found.items()}
        rows[name] = row
    return rows


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def minor_faults(call: Callable[[], Any]) -> int:
    """Minor page faults of the whole process in one call."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    kept = call()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    del kept
    return after - before


def peak_megabytes(call: Callable[[], Any]) -> tuple[Any, float | None, float]:
    """(result, MB above what was resident before, seconds). None where the kernel does not let a peak be reset.

    Freed memory is handed back first, since a heap that kept it would hide what the call needs.
    """
    gc.collect(1)  # the young ones; a full collection takes a second with all these libraries loaded
    _trim()
    before = _status("VmRSS")
    reset = _reset_peak()
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    peak = _status("VmHWM")
    return result, max(0.0, (peak - before) / 1000) if reset else None, seconds


def resident_megabytes() -> float:
    """Memory that this process holds now."""
    return _status("VmRSS") / 1000


def _reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _status(field: str) -> int:
    """A memory figure of this process in kB (1000 bytes); the kernel counts in 1024."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 // 1000
    return 0


def _trim() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
