"""What a call costs its process, and whether it works from many threads and in a forked child."""

from __future__ import annotations

import ctypes
import multiprocessing
import resource
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MIB = 1 << 20
FAULTS = 200
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
Call = Callable[[], Any]


def raw(result: Any) -> bytes:
    """The bytes of an array, or of all fields of a result."""
    if isinstance(result, np.ndarray):
        return result.tobytes()
    fields = (getattr(result, name) for name in result.__slots__)
    return b"".join(np.asarray(value).tobytes() for value in fields if value is not None)


def page_faults(call: Call) -> int:
    """Minor page faults of a call that was made before: the least of three, since others may cause some."""
    call()
    faults = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        call()
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    return min(faults)


def _status(field: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:"))


def peak_growth(call: Call) -> int:
    """How far resident memory rises above where it was, at most, during a call."""
    call()  # code and thread stacks are there
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # what the heap keeps could hide what a call allocates
    if trim is not None:
        trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    call()
    return _status("VmHWM") - before


def check_from_many_threads(calls: Mapping[str, Call], want: Mapping[str, bytes]) -> None:
    """Each call four times, all at once, each with the bytes it gives alone."""
    with ThreadPoolExecutor(6) as pool:
        jobs = [(name, pool.submit(calls[name])) for name in list(calls) * 4]
        for name, job in jobs:
            assert raw(job.result()) == want[name], name


def in_forked_child(call: Call) -> Any:
    """What a call returns in a child of this process, which must end well."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=lambda: queue.put(call()))
    child.start()
    found = queue.get(timeout=120)
    child.join(60)
    assert child.exitcode == 0
    return found
